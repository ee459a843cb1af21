#!/usr/bin/python3
"""Writes tests/families/golden_counts.h: what popularity with decay, random, personal-popularity and
blend must compute, in numpy double precision, written from the formulas alone.

    /usr/bin/python3 tools/golden_counts.py > tests/families/golden_counts.h

random shares its hash (splitmix64) with the C code.
"""
import math
import numpy as np
from golden_world import GOLDEN, MASK, WEIGHTS, array, head, mix, single, world

USERS, ITEMS, SEED = 30, 20, 7
NEVER = 19  # an item nobody touches
HALF_LIFE, RECENCY, DAY = 3.0, 2.0, 86400
BLEND = [0.75, 0.25]  # personal-popularity, popularity


def mixed(x):
    return mix((x + GOLDEN) & MASK)


def events():
    rng, rows = np.random.default_rng(2), []
    for user in range(USERS):
        for n in range(int(rng.integers(1, 9))):
            weight = 0.0 if rng.random() < 0.1 else WEIGHTS[rng.integers(len(WEIGHTS))]
            rows.append((user, int(rng.integers(NEVER)), int(1000000 + 50000 * len(rows)), weight))
    rows.append((0, 3, 90000000, 0.0))  # the newest of all says nothing
    return rows


def lot(user):
    key = mixed(mixed(user) ^ SEED)
    return np.array([((mixed((key + i) & MASK) >> 12) + 0.5) * 2.0**-52 for i in range(ITEMS)])


def personal(history, p, recency):
    says = [(i, single(w)) for i, w in history if i < ITEMS and w > 0]
    own, event = np.zeros(ITEMS), []
    for n, (i, w) in enumerate(says):
        decayed = w * max(math.exp(-(len(says) - 1 - n) / recency), 1e-6) if recency else w
        own[i] += decayed
        event.append(decayed)
    score = np.where(own > 0, own * (1 + p / 1024), p * 0.5 * own[own > 0].min())
    shares, at = np.zeros((ITEMS, len(history))), 0
    for e, (i, w) in enumerate(history):
        if not (i < ITEMS and w > 0):
            continue
        for j in range(ITEMS):
            if own[j] > 0:
                shares[j, e] = event[at] * (1 + p[j] / 1024) if i == j else 0
            else:
                shares[j, e] = score[j] * event[at] / sum(event)
        at += 1
    return score, shares


def main():
    rows = events()
    newest = max(t for _, _, t, w in rows if w > 0)
    plain, decayed = np.zeros(ITEMS), np.zeros(ITEMS)
    for _, item, t, w in rows:
        w = single(w)
        plain[item] += w
        if w > 0:
            decayed[item] += w * 2 ** (-(newest - t) / (DAY * HALF_LIFE))
    history = [(3, 1.0), (7, 0.2), (3, 0.6), (ITEMS + 2, 1.0), (11, 0.0), (5, 0.3), (7, 0.2)]
    own, shares = personal(history, plain / plain.max(), RECENCY)
    members = [personal(history, plain / plain.max(), 0)[0], plain]
    blend = sum(w * m / m.std() for w, m in zip(BLEND, members))

    spreads = [m / m.std() for m in members]
    factor = BLEND[0] / own.std() * np.exp(np.clip(BLEND[1] * spreads[1], None, 6 * BLEND[1]))

    head("golden_counts", USERS=USERS, ITEMS=ITEMS, SEED=SEED, LOT_USER=5)
    print(f'#define GOLDEN_HALF_LIFE "half_life_days={HALF_LIFE:g}"')
    print(f'#define GOLDEN_RECENCY "recency={RECENCY:g}"')
    print(f'#define GOLDEN_BLEND "second=popularity weights=given first_weight={BLEND[0]} second_weight={BLEND[1]}"')
    print(f'#define GOLDEN_PRODUCT "combine=product first.recency={RECENCY:g} " GOLDEN_BLEND\n')
    world(rows, history)
    array("golden_popularity", plain)
    array("golden_decayed", decayed)
    u = lot(5)
    array("golden_uniform", u)
    log_weight = np.where(plain > 0, np.log(np.maximum(plain, 1e-300)), -1000)
    array("golden_by_popularity", log_weight - np.log(-np.log(u)))
    array("golden_personal", own)
    array("golden_personal_shares", shares)
    array("golden_blend", blend)
    array("golden_product", own * factor)
    array("golden_product_shares", factor[:, None] * shares)


main()
