#!/usr/bin/python3
"""Writes tests/families/golden_knn.h: rows and scores of item-knn, scores, shares and likeness of
user-knn from dense matrices in double precision: all similarities at once by matrix products, then
the largest of each row. Where the n-th and the next are closer than float can tell apart, it stops.

    /usr/bin/python3 tools/golden_knn.py > tests/families/golden_knn.h
"""
import numpy as np
from golden_world import array, head, matrix, single, texts, world

USERS, ITEMS = 30, 16
NEVER = 15  # an item nobody touches
IDLE = 17  # a user who did nothing that weighs something
WEIGHTS = [0.2, 0.3, 0.6, 1.0, 1.7]
TAU = 3.0
ITEM_CASES = [  # weighting, neighbors, shrinkage, from and to exponent
    ("none", 15, 0, .5, .5), ("none", 3, 2.5, .5, .5), ("tf-idf", 5, 0, .5, .5),
    ("tf-idf", 7, 10, .2, .8), ("bm25", 6, 0, 0, 0), ("bm25", 200, 1, 1, .3)]
USER_CASES = [  # weighting, neighbors, shrinkage, exponent
    ("none", 100, 0, .5), ("none", 4, 3, .5), ("tf-idf", 6, 0, .5), ("bm25", 5, 0, 0),
    ("bm25", 8, 2, .3)]
K1, B = {"item": 1.5, "user": 0.9}, {"item": 0.6, "user": 0.4}
# A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
HISTORY = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (12, 0.3),
           (7, 0.2), (14, 1.7)]


def events():
    """Some pairs repeat; some weigh nothing."""
    rng, rows = np.random.default_rng(11), []
    for user in range(USERS):
        for item in sorted(rng.choice(NEVER, size=int(rng.integers(2, 10)), replace=False)):
            for _ in range(int(rng.integers(1, 3))):
                weight = 0.0 if user == IDLE else WEIGHTS[rng.integers(len(WEIGHTS))]
                rows.append((user, int(item), len(rows), weight))
        if user % 5 == 0:
            rows.append((user, int(rng.integers(NEVER)), len(rows), 0.0))
    return rows


class Weighting:
    """Of documents, the rows of D, by their terms, its columns."""

    def __init__(self, D, kind, k1, b):
        used = D[D.sum(axis=1) > 0]
        frequency = (used > 0).sum(axis=0)
        self.idf = np.log(1 + len(used) / np.where(frequency > 0, frequency, np.inf))
        self.average, self.kind, self.k1, self.b = used.sum() / len(used), kind, k1, b

    def __call__(self, D):
        if self.kind == "none":
            return D
        if self.kind == "tf-idf":
            return np.sqrt(D) * self.idf
        length = D.sum(axis=1, keepdims=True)
        slope = self.k1 * (1 - self.b + self.b * length / self.average)
        return D * (self.k1 + 1) / (D + slope) * self.idf


def largest(s, n):
    """Those of s > 0 that are among the n largest; the rest is 0."""
    order = np.argsort(-s, kind="stable")
    if n < len(s) and s[order[n - 1]] > 0:
        gap = 1 - s[order[n]] / s[order[n - 1]]
        assert gap > 1e-5, ("too close to tell apart", s[order[n - 1]], s[order[n]])
    kept = np.zeros_like(s)
    kept[order[:n]] = s[order[:n]]
    return kept


def item_rows(X, kind, n, shrinkage, a, b):
    W = Weighting(X.T, kind, K1["item"], B["item"])(X.T)
    product, square = W @ W.T, (W * W).sum(axis=1)
    below = np.outer(square ** a, square ** b) + shrinkage
    S = np.divide(product, below, out=np.zeros_like(product), where=product > 0)
    np.fill_diagonal(S, 0)
    return np.array([largest(row, n) for row in S])


def known(faded):
    """The history's events: their place, item and weight; faded by rank or as they are."""
    told = [(e, item, single(w)) for e, (item, w) in enumerate(HISTORY) if item < ITEMS and w > 0]
    if not faded:
        return told
    return [(e, item, w * np.exp(-(len(told) - 1 - n) / TAU)) for n, (e, item, w) in enumerate(told)]


def user_scores(X, told, kind, n, shrinkage, exponent):
    """Scores, and shares by event."""
    X = X[X.sum(axis=1) > 0]
    weighting = Weighting(X, kind, K1["user"], B["user"])
    h = np.zeros((1, ITEMS))
    for _, item, weight in told:
        h[0, item] += weight
    W, g = weighting(X), weighting(h)
    below = ((W * W).sum(axis=1) * (g * g).sum()) ** exponent + shrinkage
    s = largest((W @ g[0]) / below, n)
    shares = np.zeros((len(HISTORY), ITEMS))
    for e, item, weight in told:
        part = weight / h[0, item] * g[0, item]
        shares[e] = ((s > 0) * part * W[:, item] / below) @ X
    assert np.allclose(shares.sum(axis=0), s @ X)
    return s @ X, shares.T


def main():
    rows = events()
    X = matrix(rows, USERS, ITEMS)
    head("golden_knn", USERS=USERS, ITEMS=ITEMS)
    world(rows, HISTORY)

    names, matrices, scores = [], [], []
    for n, (kind, neighbors, shrinkage, a, b) in enumerate(ITEM_CASES):
        faded = n % 2 == 1
        S = item_rows(X, kind, neighbors, shrinkage, a, b)
        names.append(f"weighting={kind} k1={K1['item']} b={B['item']} neighbors={neighbors} "
                     f"shrinkage={shrinkage} from_exponent={a} to_exponent={b} "
                     f"recency={TAU if faded else 0}")
        matrices.append(S)
        scores.append(sum(w * S[item] for _, item, w in known(faded)))
    texts("golden_item_parameters", names)
    array("golden_item_rows", matrices)
    array("golden_item_scores", scores)

    names, scores, shares = [], [], []
    for n, (kind, neighbors, shrinkage, exponent) in enumerate(USER_CASES):
        faded = n % 2 == 1
        score, share = user_scores(X, known(faded), kind, neighbors, shrinkage, exponent)
        names.append(f"weighting={kind} k1={K1['user']} b={B['user']} neighbors={neighbors} "
                     f"shrinkage={shrinkage} exponent={exponent} recency={TAU if faded else 0}")
        scores.append(score)
        shares.append(share)
    has = (X > 0).astype(float)
    count = np.maximum(has.sum(axis=0), 1)
    texts("golden_user_parameters", names)
    array("golden_user_scores", scores)
    array("golden_user_shares", shares)
    array("golden_user_similar", has.T @ has / np.sqrt(np.outer(count, count)))


main()
