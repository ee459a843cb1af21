#!/usr/bin/python3
"""Numbers of the ease family, computed from the paper in double precision with numpy, as
tests/families/golden_ease.h:

    /usr/bin/python3 tools/golden_ease.py > tests/families/golden_ease.h

Steck 2019, equation 8, by a dense inverse; shares and likeness from it entry by entry. Nothing
here knows how the C code is written."""
import math
import numpy as np
from golden_world import USERS, array, events, head, matrix, single, world

ITEMS, NEVER, LAMBDA, RECENCY, DENSITY = 19, 18, 3.5, 4.0, 0.3
# A repeat, an item nobody touched, one of weight 0, one newer than the model.
HISTORY = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (2, 0.3), (7, 0.2)]


def solve(X):
    G = X.T @ X + LAMBDA * np.eye(ITEMS)
    P = np.linalg.inv(G)
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0)
    return P, B, np.linalg.cond(G)


def event_weights(binary, recency):
    """Of each event of the history: 0 where it says nothing. Ranks count events that say something,
    newest first; binary takes each item once, at its newest event."""
    out, rank, taken = [0.0] * len(HISTORY), 0, set()
    for e in reversed(range(len(HISTORY))):
        item, w = HISTORY[e]
        if item >= ITEMS or w == 0:
            continue
        decay = math.exp(-rank / recency) if recency else 1.0
        rank += 1
        if binary:
            w = 0.0 if item in taken else 1.0
            taken.add(item)
        out[e] = single(w) * decay if item != NEVER else 0.0
    return out


def keep_largest(P, B):
    """The pairs whose larger weight is among the largest, as many as fit."""
    pairs = [(max(abs(B[i, j]), abs(B[j, i])), i, j) for i in range(ITEMS) for j in range(i)]
    pairs.sort(reverse=True)
    kept = np.zeros_like(B)
    count = int(DENSITY * ITEMS * ITEMS) // 2
    for _, i, j in pairs[:count]:
        kept[i, j], kept[j, i] = B[i, j], B[j, i]
    gap = pairs[count - 1][0] / pairs[count][0] - 1
    assert gap > 1e-4, gap  # else float may choose another pair
    return kept


def case(label, name, X, binary, recency, density):
    P, B, cond = solve(X)
    if density < 1:
        B = keep_largest(P, B)
    w = event_weights(binary, recency)
    shares = np.array([[w[e] * B[i, j] if i < ITEMS else 0.0 for e, (i, _) in enumerate(HISTORY)]
                       for j in range(ITEMS)]) + 0.0  # no minus zero
    scale = np.sqrt(np.diag(P))
    array(f"{label}_scores", shares.sum(1))
    array(f"{label}_shares", shares)
    array(f"{label}_likeness", np.where(B != 0, -P / np.outer(scale, scale), 0.0))
    parameters = (f"regularization={LAMBDA} recency={recency} density={density} "
                  f"input={'binary' if binary else 'weights'}")
    return (f'    {{"{name}", "{parameters}", {cond:.10g}, {label}_scores, {label}_shares, '
            f'{label}_likeness}},')


def main():
    rows = events(seed=5, never=NEVER, most=8)
    X = matrix(rows, USERS, ITEMS)
    head("golden_ease", USERS=USERS, ITEMS=ITEMS, EVENTS=len(HISTORY))
    world(rows, HISTORY)
    binary = (X > 0).astype(float)
    cases = [
        case("weights", "weights", X, False, 0.0, 1.0),
        case("binary", "binary", binary, True, 0.0, 1.0),
        case("recent", "recent", X, False, RECENCY, 1.0),
        case("binary_recent", "binary and recent", binary, True, RECENCY, 1.0),
        case("sparse", "the largest", X, False, 0.0, DENSITY),
        case("sparse_recent", "the largest, recent", binary, True, RECENCY, DENSITY),
    ]
    print("/* scores by item; shares by item, then event; likeness by item and item */")
    print("static const struct golden {\n    const char *name, *parameters;\n    double condition;\n"
          "    const double *scores, *shares, *likeness;\n} golden[] = {")
    print("\n".join(cases))
    print("};")


main()
