#!/usr/bin/python3
"""Writes tests/families/golden_slim.h: the coefficients that minimise the objective of Ning and
Karypis, 2011, by coordinate descent on the residuals, in double precision, column by column (not
the covariance form that the C code uses). Where scikit-learn is installed, its ElasticNet must
agree to 1e-7.

    /usr/bin/python3 tools/golden_slim.py > tests/families/golden_slim.h
"""
import sys
import numpy as np


USERS, ITEMS = 40, 25
CASES = [(0.05, 0.1, False), (0.02, 0.3, True)]  # alpha, l1_ratio, non_negative
NEVER = 24  # an item nobody touches
WEIGHTS = [0.2, 0.3, 0.6, 1.0]
# A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
HISTORY = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (20, 0.3),
           (7, 0.2)]


def events():
    """Some pairs repeat; some weigh nothing; nobody touches the last item."""
    rng, rows = np.random.default_rng(1), []
    for user in range(USERS):
        for item in sorted(rng.choice(NEVER, size=int(rng.integers(1, 12)), replace=False)):
            for _ in range(int(rng.integers(1, 3))):
                rows.append((user, int(item), len(rows), WEIGHTS[rng.integers(len(WEIGHTS))]))
        if user % 5 == 0:
            rows.append((user, int(rng.integers(NEVER)), len(rows), 0.0))
    return rows


def matrix(rows):
    X = np.zeros((USERS, ITEMS))
    for user, item, _, w in rows:
        X[user, item] += float(np.float32(w))
    return X


def array(name, values, per_line=5):
    flat = np.asarray(values).ravel()
    print(f"static const double {name}[{len(flat)}] = {{")
    for i in range(0, len(flat), per_line):
        print("    " + ", ".join(f"{v:.10g}" for v in flat[i:i + per_line]) + ",")
    print("};\n")


def head(tool, rows):
    print(f"/* Made by tools/{tool}; do not edit. */\n\nenum {{ GOLDEN_USERS = {USERS}, GOLDEN_ITEMS = {ITEMS} }};\n")
    print("static const struct rec_dataset_row golden_rows[] = {")
    for user, item, time, w in rows:
        print(f"    {{{user}, {item}, {time}, {w}f}},")
    print("};\n\nstatic const struct rec_event golden_history[] = {")
    for n, (item, w) in enumerate(HISTORY):
        print(f"    {{{item}, {w}f, {n}}},")
    print("};\n")


def solve(X, j, alpha, ratio, non_negative):
    n, w, rest = len(X), np.zeros(ITEMS), X[:, j].copy()
    for _ in range(100000):
        change = 0.0
        for i in range(ITEMS):
            if i == j or not X[:, i] @ X[:, j] > 0:  # candidates were seen together with j
                continue
            rest += X[:, i] * w[i]
            pull = X[:, i] @ rest / n
            left = np.sign(pull) * max(abs(pull) - alpha * ratio, 0)
            if non_negative:
                left = max(left, 0)
            new = left / (X[:, i] @ X[:, i] / n + alpha * (1 - ratio))
            change, w[i] = max(change, abs(new - w[i])), new
            rest -= X[:, i] * new
        if change < 1e-15:
            return w
    raise SystemExit("no convergence")


def compare(X, W, alpha, ratio, non_negative):
    try:
        from sklearn.linear_model import ElasticNet
    except ImportError:
        return print("scikit-learn is not installed: not compared", file=sys.stderr)
    for j in range(ITEMS):
        others = X.copy()
        others[:, j] = 0
        others[:, X.T @ X[:, j] == 0] = 0
        net = ElasticNet(alpha=alpha, l1_ratio=ratio, positive=non_negative, fit_intercept=False,
                         tol=1e-14, max_iter=1000000).fit(others, X[:, j])
        assert np.abs(net.coef_ - W[:, j]).max() < 1e-7, (j, net.coef_, W[:, j])
    print("scikit-learn agrees", file=sys.stderr)


def main():
    rows = events()
    X = matrix(rows)
    head("golden_slim.py", rows)
    W, scores, shares, similar, names = [], [], [], [], []
    condition = 0
    for alpha, ratio, non_negative in CASES:
        w = np.array([solve(X, j, alpha, ratio, non_negative) for j in range(ITEMS)]).T
        compare(X, w, alpha, ratio, non_negative)
        h = np.zeros(ITEMS)
        for item, weight in HISTORY:
            if item < ITEMS:
                h[item] += float(np.float32(weight))
        W.append(w)
        scores.append(h @ w)
        shares.append([[float(np.float32(v)) * w[i, j] if i < ITEMS else 0.0 for i, v in HISTORY]
                       for j in range(ITEMS)])
        similar.append((w + w.T) / 2)
        names.append(f'"alpha={alpha} l1_ratio={ratio} non_negative={str(non_negative).lower()}"')
        ridge = USERS * alpha * (1 - ratio)
        condition = max(condition, 1 + np.linalg.eigvalsh(X.T @ X).max() / ridge)
    print(f"enum {{ GOLDEN_CASES = {len(CASES)} }};\n")
    print("static const char *const golden_parameters[] = {")
    print("    " + ",\n    ".join(names) + ",\n};\n")
    print("/* the worst condition number of a problem: (largest eigenvalue of XᵀX + ridge) / ridge */")
    print(f"static const double golden_condition = {condition:.17g};\n")
    array("golden_coefficients", W)
    array("golden_scores", scores)
    array("golden_shares", shares)
    array("golden_similar", similar)


main()
