#!/usr/bin/python3
"""Writes tests/families/golden_nextitem.h: what the next-item family must compute, from an
independent computation in numpy double precision: every cut of every history is made as a row of
inputs and a row of targets, straight from the definition, and the ridge regression is solved by
numpy (no sum over pairs, no table, no cut-off, none of the tricks that the C code uses).

    /usr/bin/python3 tools/golden_nextitem.py > tests/families/golden_nextitem.h
"""
import numpy as np
from golden_world import array, head, number, single, world

USERS, ITEMS = 40, 25
NEVER = 20  # an item nobody has an event with
TAUS, TARGET_TAU, REGULARIZATION, USER_POWER = (1.0, 3.5, 20.0), 1.5, 4.0, 0.5
POPULARITY_POWER, WEIGHT_POWER, FIRST_BOOST = 0.25, 1.25, 1.5
WEIGHTS = [0.0, 0.2, 0.6, 1.0, 1.0]


def events():
    """Items repeat in a history; some events weigh nothing; some users have one event, or none."""
    rng, rows = np.random.default_rng(2), []
    for user in range(USERS):
        item = int(rng.integers(ITEMS))
        for _ in range(int(rng.integers(0, 13))):
            item = (item + int(rng.choice([1, 1, 2, 5]))) % ITEMS
            if item != NEVER:
                rows.append((user, item, len(rows), WEIGHTS[rng.integers(len(WEIGHTS))]))
    return rows


def histories(rows):
    out = [[] for _ in range(USERS)]
    for user, item, _, weight in rows:
        if weight > 0:
            out[user].append((item, single(weight)))
    return out


def faded(events, tau):
    """Events newest first: each fades by its place."""
    row = np.zeros(ITEMS)
    for rank, (item, weight) in enumerate(events):
        row[item] += weight * np.exp(-rank / tau)
    return row


def inputs(past):
    return np.concatenate([faded(past[::-1], tau) for tau in TAUS])


def main():
    rows = events()
    S, T, v = [], [], []
    for h in histories(rows):
        for cut in range(1, len(h)):
            S.append(inputs(h[:cut]))
            T.append(faded(h[cut:], TARGET_TAU))
            v.append(len(h) ** -USER_POWER)
    S, T, v = np.array(S), np.array(T), np.array(v)
    v /= v.mean()
    A = S.T @ (v[:, None] * S) + REGULARIZATION * np.eye(len(TAUS) * ITEMS)
    B = np.linalg.solve(A, S.T @ (v[:, None] * T))

    B = np.sign(B) * np.abs(B) ** WEIGHT_POWER
    B[:ITEMS] *= FIRST_BOOST
    counts = np.bincount([item for h in histories(rows) for item, _ in h], minlength=ITEMS)
    B *= ((5 + counts) / (5 + counts[counts > 0].mean())) ** -POPULARITY_POWER

    # A repeat, an item nobody knows, one of weight 0, one newer than the model.
    history = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (19, 0.3),
               (7, 0.2), (8, 1.0)]
    says = [e for e, (item, w) in enumerate(history) if item < ITEMS and item != NEVER and w > 0]
    past = [(history[e][0], single(history[e][1])) for e in says]
    scores = inputs(past) @ B
    shares = np.zeros((ITEMS, len(history)))
    for rank, e in enumerate(reversed(says)):
        item, weight = history[e][0], single(history[e][1])
        for a, tau in enumerate(TAUS):
            shares[:, e] += weight * np.exp(-rank / tau) * B[a * ITEMS + item]
    follows = B.reshape(len(TAUS), ITEMS, ITEMS).sum(axis=0)
    used = [i for i in range(ITEMS) if i != NEVER]
    weight = B.reshape(len(TAUS), ITEMS, ITEMS)[:, used][:, :, used]

    head("golden_nextitem", USERS=USERS, ITEMS=ITEMS, NEVER=NEVER, USED=len(used), SCALES=len(TAUS),
         CUTS=len(S))
    print("#define GOLDEN_PARAMETERS \\\n    \"" + " ".join(f"tau{a + 1}={tau}" for a, tau in enumerate(TAUS)) +
          f" target_tau={TARGET_TAU} \" \\\n    \"regularization={REGULARIZATION} user_power={USER_POWER} \" \\\n"
          f"    \"popularity_power={POPULARITY_POWER} weight_power={WEIGHT_POWER} \" \\\n"
          f"    \"first_boost={FIRST_BOOST}\"\n")
    world(rows, history)
    number("golden_condition", np.linalg.cond(A), "of the system that was solved")
    array("golden_weight", weight)
    array("golden_scores", scores)
    array("golden_shares", shares)
    array("golden_follows", follows)


main()
