#!/usr/bin/python3
"""Writes tests/families/golden_bpr.h: item rows after a few epochs of BPR, the answer to a history,
scores and likeness, from the equations of Rendle et al. in double precision.

    /usr/bin/python3 tools/golden_bpr.py > tests/families/golden_bpr.h

What cannot follow from the paper is shared with the C code and written again here: the random
numbers (golden_world.py) and in which order they are used. The world is small enough for one block,
so pairs are visited in their shuffled order. Also imported by golden_biased_mf.py.
"""
import math
import numpy as np
from golden_world import (HISTORY, ITEMS, Rng, USERS, array, cosine, events, head, matrix, number, single,
                          world)

FACTORS = 6
SEED, EPOCHS, RATE, USER, POSITIVE, NEGATIVE, SIGMA, CANDIDATES = 7, 6, 0.1, 0.02, 0.01, 0.005, 0.5, 2
FOLD_RATE, FOLD_STEPS, PASSES_MIN, PASSES_MAX = 0.2, 1000, 4, 50
GROUP, TRIES, FOLD_TRIES = 16, 16, 8


def start(count, side):
    rows = np.zeros((count, FACTORS + 1))
    for r in range(count):
        rng = Rng(SEED, side << 61 | 1 << 60 | r)
        rows[r, :FACTORS] = [SIGMA / math.sqrt(FACTORS) * rng.normal() for _ in range(FACTORS)]
    return rows


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def shuffle(order, below):
    for i in range(len(order), 1, -1):
        j = below(i)
        order[i - 1], order[j] = order[j], order[i - 1]


def visits(rows):
    """What weighs at most 1, and the pairs that weigh something in the order they are visited."""
    weight = np.minimum(matrix(rows), 1)
    pairs = [(u, i) for u in range(USERS) for i in range(ITEMS) if weight[u, i] > 0]
    rng = Rng(SEED, 1 << 63)
    shuffle(pairs, lambda bound: rng.u64() % bound)
    return weight, pairs


def train(rows):
    weight, pairs = visits(rows)
    X, Y, order = start(USERS, 1), start(ITEMS, 0), list(range(ITEMS))
    X[:, FACTORS] = 1
    for epoch in range(EPOCHS):
        shuffle(order, Rng(SEED, 1 << 62 | epoch).below)
        rng, loss = Rng(SEED, epoch << 16), 0.0
        for begin in range(0, len(pairs), GROUP):
            group = pairs[begin:begin + GROUP]
            drawn = []
            for u, _ in group:
                found = []
                for _ in range(CANDIDATES):
                    for _ in range(TRIES):
                        item = order[((rng.u64() >> 32) * ITEMS) >> 32]
                        if weight[u, item] == 0:
                            found.append(item)
                            break
                drawn.append(found)
            for (u, i), found in zip(group, drawn):
                if not found:
                    continue
                scores = [X[u] @ Y[j] for j in found]
                j = found[int(np.argmax(scores))]
                margin = X[u] @ (Y[i] - Y[j])
                loss += math.log1p(math.exp(-margin))
                step = RATE * weight[u, i] * sigmoid(-margin)
                x, p, n = X[u].copy(), Y[i].copy(), Y[j].copy()
                X[u] += step * (p - n) - RATE * USER * x
                Y[i] += step * x - RATE * POSITIVE * p
                Y[j] += -step * x - RATE * NEGATIVE * n
                X[u, FACTORS] = 1
    return Y, loss / len(pairs)


def answer(Y):
    says = [(i, w) for i, w in HISTORY if i < ITEMS and w > 0]
    seen = {i for i, _ in says}
    x, rng = np.zeros(FACTORS + 1), Rng(1, 0)
    x[FACTORS] = 1
    passes = min(max(FOLD_STEPS // len(says), PASSES_MIN), PASSES_MAX)
    for p in range(passes):
        rate = FOLD_RATE * (1 - p / passes)
        for i, w in says:
            found = []
            for _ in range(FOLD_TRIES * CANDIDATES):
                if len(found) == CANDIDATES:
                    break
                item = rng.below(ITEMS)
                if item not in seen:
                    found.append(item)
            if not found:
                continue
            j = found[int(np.argmax([x @ Y[f] for f in found]))]
            step = rate * min(single(w), 1) * sigmoid(-(x @ (Y[i] - Y[j])))
            x[:FACTORS] += (step * (Y[i] - Y[j]) - rate * USER * x)[:FACTORS]
    return x


def main():
    rows = events()
    Y, loss = train(rows)
    x = answer(Y)
    head("golden_bpr", USERS=USERS, ITEMS=ITEMS, FACTORS=FACTORS, SEED=SEED)
    print(f'#define GOLDEN_PARAMETERS \\\n    "factors={FACTORS} epochs={EPOCHS} learning_rate={RATE} decay=0 user_regularization={USER} " \\\n'
          f'    "positive_regularization={POSITIVE} negative_regularization={NEGATIVE} sigma={SIGMA} " \\\n'
          f'    "candidates={CANDIDATES} negatives=uniform"\n')
    world(rows, HISTORY)
    number("golden_loss", loss, "the mean of -ln σ over the last epoch, each pair before its step")
    array("golden_item_factors", Y)
    array("golden_query", x)
    array("golden_scores", Y @ x)
    array("golden_cosine", cosine(Y[:, :FACTORS]))


if __name__ == "__main__":
    main()
