#!/usr/bin/python3
"""Writes tests/families/golden_als.h: what the als family must compute, from an independent
computation in numpy double precision, straight from the formulas of Hu, Koren and Volinsky
(dense matrices, numpy.linalg.solve, no trick that the C code uses).

    /usr/bin/python3 tools/golden_als.py > tests/families/golden_als.h

Only the start is shared with the C code, and that is written again here: xoshiro256++ seeded
through splitmix64, one stream an item, Box and Muller.
"""
import math
import numpy as np

USERS, ITEMS, FACTORS = 40, 25, 6
SEED, ITERATIONS, REGULARIZATION, ALPHA = 7, 4, 0.5, 3.0
NEVER = 24  # an item nobody touches
WEIGHTS = [0.2, 0.3, 0.6, 1.0]
MASK = (1 << 64) - 1


def splitmix(state):
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


class Rng:
    def __init__(self, seed, stream):
        _, mixed = splitmix(stream)
        state = mixed ^ seed
        self.s = []
        for _ in range(4):
            state, value = splitmix(state)
            self.s.append(value)

    def u64(self):
        rotate = lambda x, k: ((x << k) | (x >> (64 - k))) & MASK
        s = self.s
        result = (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result

    def normal(self):
        u = ((self.u64() >> 11) + 1) * 2.0**-53
        v = (self.u64() >> 11) * 2.0**-53
        return np.float32(math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v))


def start():
    sigma = np.float32(0.1) / np.sqrt(np.float32(FACTORS))
    y = np.zeros((ITEMS, FACTORS))
    for i in range(ITEMS):
        rng = Rng(SEED, i)
        y[i] = [sigma * rng.normal() for _ in range(FACTORS)]
    return y


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


worst = 0.0  # condition number


def system(confidence, touched, fixed):
    """A and b of one row over all rows of the fixed side."""
    global worst
    c = np.where(touched, confidence, 1.0)
    A = fixed.T @ np.diag(c) @ fixed + REGULARIZATION * np.eye(FACTORS)
    worst = max(worst, np.linalg.cond(A))
    return A, fixed.T @ (c * touched)


def half(confidence, touched, fixed):
    return np.array([np.linalg.solve(*system(confidence[r], touched[r], fixed))
                     for r in range(len(confidence))])


def array(name, values, per_line=5):
    flat = np.asarray(values).ravel()
    print(f"static const double {name}[{len(flat)}] = {{")
    for i in range(0, len(flat), per_line):
        print("    " + ", ".join(f"{v:.10g}" for v in flat[i:i + per_line]) + ",")
    print("};\n")


def main():
    rows = events()
    weight = np.zeros((USERS, ITEMS))
    for user, item, _, w in rows:
        weight[user, item] += np.float32(w)
    confidence, touched = ALPHA * weight, weight > 0

    y = start()
    for _ in range(ITERATIONS):
        x = half(confidence, touched, y)
        y = half(confidence.T, touched.T, x)
    c = np.where(touched, confidence, 1.0)
    loss = (c * (touched - x @ y.T) ** 2).sum() + REGULARIZATION * ((x**2).sum() + (y**2).sum())

    # A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
    history = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (20, 0.3),
               (7, 0.2)]
    hw = np.zeros(ITEMS)
    for item, w in history:
        if item < ITEMS:
            hw[item] += np.float32(w)
    A, b = system(ALPHA * hw, hw > 0, y)
    query = np.linalg.solve(A, b)
    inverse = np.linalg.inv(A)
    shares = [[ALPHA * np.float32(w) * (y[j] @ inverse @ y[i]) if i < ITEMS else 0.0
               for i, w in history] for j in range(ITEMS)]
    norm = np.linalg.norm(y, axis=1)
    cosine = np.array([[y[i] @ y[j] / (norm[i] * norm[j]) if norm[i] * norm[j] > 0 else 0.0
                        for j in range(ITEMS)] for i in range(ITEMS)])

    print("/* Made by tools/golden_als.py; do not edit. */\n")
    print(f"enum {{\n    GOLDEN_USERS = {USERS},\n    GOLDEN_ITEMS = {ITEMS},\n    GOLDEN_FACTORS = {FACTORS},\n"
          f"    GOLDEN_SEED = {SEED},\n    GOLDEN_ITERATIONS = {ITERATIONS},\n    GOLDEN_NEVER = {NEVER},\n}};\n")
    print(f'#define GOLDEN_REGULARIZATION "regularization={REGULARIZATION}"')
    print(f'#define GOLDEN_ALPHA "alpha={ALPHA}"\n')
    print("static const struct rec_dataset_row golden_rows[] = {")
    for user, item, time, w in rows:
        print(f"    {{{user}, {item}, {time}, {w}f}},")
    print("};\n\nstatic const struct rec_event golden_history[] = {")
    for n, (item, w) in enumerate(history):
        print(f"    {{{item}, {w}f, {n}}},")
    print("};\n")
    print("/* the worst condition number of any system solved on the way */")
    print(f"static const double golden_condition = {worst:.17g};\n")
    pairs = confidence.sum() + USERS * ITEMS - touched.sum()
    print("/* the objective, over the sum of all confidences */")
    print(f"static const double golden_loss = {loss / pairs:.17g};\n")
    array("golden_item_factors", y)
    array("golden_gramian", y.T @ y)
    array("golden_query", query)
    array("golden_scores", y @ query)
    array("golden_shares", shares)
    array("golden_cosine", cosine)


main()
