#!/usr/bin/python3
"""Writes tests/families/golden_svd.h: scores, shares and likeness of a truncated SVD, from
numpy.linalg.svd of the whole dense matrix in double precision.

    /usr/bin/python3 tools/golden_svd.py > tests/families/golden_svd.h
"""
import numpy as np


USERS, ITEMS, FACTORS = 40, 25, 6
CASES = [(0.0, 0.0), (0.5, 0.4)]  # user_exponent, item_exponent
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


def main():
    rows = events()
    X = matrix(rows)
    head("golden_svd.py", rows)
    values, scores, shares, cosine, names, condition = [], [], [], [], [], 0
    h = np.zeros(ITEMS)
    for item, weight in HISTORY:
        if item < ITEMS:
            h[item] += float(np.float32(weight))
    for a, b in CASES:
        degree = X.sum(axis=0)
        scale = np.where(degree > 0, np.where(degree > 0, degree, 1.0) ** -b, 1.0)
        scaled = X * (X.sum(axis=1) ** -a)[:, None] * scale
        _, s, Vt = np.linalg.svd(scaled)
        V = Vt[:FACTORS].T
        near = V @ V.T  # the projection
        both = scale[:, None] * near / scale
        values.append(s[:FACTORS])
        scores.append(h @ both)
        shares.append([[float(np.float32(v)) * both[i, j] if i < ITEMS else 0.0 for i, v in HISTORY]
                       for j in range(ITEMS)])
        P = V * s[:FACTORS]
        norm = np.linalg.norm(P, axis=1)
        norm[norm < 1e-12] = np.inf
        cosine.append((P @ P.T) / norm / norm[:, None])
        gap = s[FACTORS - 1]**2 - s[FACTORS]**2
        condition = max(condition, s[0]**2 / gap * scale.max() / scale.min())
        names.append(f'"factors={FACTORS} iterations=60 oversample=10 user_exponent={a} item_exponent={b}"')
    print(f"enum {{ GOLDEN_CASES = {len(CASES)}, GOLDEN_FACTORS = {FACTORS} }};\n")
    print("static const char *const golden_parameters[] = {")
    print("    " + ",\n    ".join(names) + ",\n};\n")
    print("/* the largest eigenvalue of XᵀX over the gap below the last one kept, times the scales' spread */")
    print(f"static const double golden_condition = {condition:.17g};\n")
    array("golden_values", values)
    array("golden_scores", scores)
    array("golden_shares", shares)
    array("golden_cosine", cosine)


main()
