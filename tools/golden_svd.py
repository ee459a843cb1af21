#!/usr/bin/python3
"""Writes tests/families/golden_svd.h: scores, shares and likeness of a truncated SVD, from
numpy.linalg.svd of the whole dense matrix in double precision.

    /usr/bin/python3 tools/golden_svd.py > tests/families/golden_svd.h
"""
import numpy as np
from golden_world import (HISTORY, ITEMS, USERS, array, cosine, events, head, matrix, number, single, sizes,
                          sums, texts, world)

FACTORS = 6
CASES = [(0.0, 0.0), (0.5, 0.4)]  # user_exponent, item_exponent


def main():
    rows = events()
    X = matrix(rows)
    head("golden_svd", USERS=USERS, ITEMS=ITEMS)
    world(rows, HISTORY)
    values, scores, shares, likeness, names, condition = [], [], [], [], [], 0
    for a, b in CASES:
        degree = X.sum(axis=0)
        scale = np.where(degree > 0, np.where(degree > 0, degree, 1.0) ** -b, 1.0)
        scaled = X * (X.sum(axis=1) ** -a)[:, None] * scale
        _, s, Vt = np.linalg.svd(scaled)
        V = Vt[:FACTORS].T
        near = V @ V.T  # the projection
        both = scale[:, None] * near / scale
        values.append(s[:FACTORS])
        scores.append(sums(HISTORY) @ both)
        shares.append([[single(v) * both[i, j] if i < ITEMS else 0.0 for i, v in HISTORY]
                       for j in range(ITEMS)])
        likeness.append(cosine(V * s[:FACTORS]))
        gap = s[FACTORS - 1]**2 - s[FACTORS]**2
        condition = max(condition, s[0]**2 / gap * scale.max() / scale.min())
        names.append(f"factors={FACTORS} iterations=60 oversample=10 user_exponent={a} item_exponent={b}")
    sizes(CASES=len(CASES), FACTORS=FACTORS)
    texts("golden_parameters", names)
    number("golden_condition", condition, "the largest eigenvalue of XᵀX over the gap below the last one "
           "kept, times the scales' spread")
    array("golden_values", values)
    array("golden_scores", scores)
    array("golden_shares", shares)
    array("golden_cosine", likeness)


main()
