#!/usr/bin/python3
"""Writes tests/families/golden_slim.h: the coefficients that minimise the objective of Ning and
Karypis, 2011, by coordinate descent on the residuals, in double precision, column by column (not
the covariance form that the C code uses). Where scikit-learn is installed, its ElasticNet must
agree to 1e-7.

    /usr/bin/python3 tools/golden_slim.py > tests/families/golden_slim.h
"""
import sys
import numpy as np
from golden_world import (HISTORY, ITEMS, USERS, array, events, head, matrix, number, single, sizes, sums,
                          texts, world)

CASES = [(0.05, 0.1, False), (0.02, 0.3, True)]  # alpha, l1_ratio, non_negative


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
    head("golden_slim", USERS=USERS, ITEMS=ITEMS)
    world(rows, HISTORY)
    W, scores, shares, similar, names = [], [], [], [], []
    condition = 0
    for alpha, ratio, non_negative in CASES:
        w = np.array([solve(X, j, alpha, ratio, non_negative) for j in range(ITEMS)]).T
        compare(X, w, alpha, ratio, non_negative)
        W.append(w)
        scores.append(sums(HISTORY) @ w)
        shares.append([[single(v) * w[i, j] if i < ITEMS else 0.0 for i, v in HISTORY]
                       for j in range(ITEMS)])
        similar.append((w + w.T) / 2)
        names.append(f"alpha={alpha} l1_ratio={ratio} non_negative={str(non_negative).lower()}")
        ridge = USERS * alpha * (1 - ratio)
        condition = max(condition, 1 + np.linalg.eigvalsh(X.T @ X).max() / ridge)
    sizes(CASES=len(CASES))
    texts("golden_parameters", names)
    number("golden_condition", condition,
           "the worst condition number of a problem: (largest eigenvalue of XᵀX + ridge) / ridge")
    array("golden_coefficients", W)
    array("golden_scores", scores)
    array("golden_shares", shares)
    array("golden_similar", similar)


main()
