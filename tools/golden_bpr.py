#!/usr/bin/python3
"""Writes tests/families/golden_bpr.h: item rows after a few epochs of BPR, the answer to a history,
scores and likeness, from the equations of Rendle et al. in double precision.

    /usr/bin/python3 tools/golden_bpr.py > tests/families/golden_bpr.h

What cannot follow from the paper is shared with the C code and written again here: the random
numbers (xoshiro256++ seeded through splitmix64, Lemire, Box and Muller) and in which order they are
used. The world is small enough for one block, so pairs are visited in their shuffled order.
"""
import math
import numpy as np

USERS, ITEMS, FACTORS = 40, 25, 6
SEED, EPOCHS, RATE, USER, POSITIVE, NEGATIVE, SIGMA, CANDIDATES = 7, 6, 0.1, 0.02, 0.01, 0.005, 0.5, 2
FOLD_RATE, FOLD_STEPS, PASSES_MIN, PASSES_MAX = 0.2, 1000, 4, 50
GROUP, TRIES, FOLD_TRIES = 16, 16, 8
NEVER = 24  # an item nobody touches
WEIGHTS = [0.2, 0.3, 0.6, 1.0]
# A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
HISTORY = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (20, 0.3),
           (7, 0.2)]
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

    def below(self, bound):
        product = (self.u64() >> 32) * bound
        if product & 0xFFFFFFFF < bound:
            biased = (2**32 - bound) % bound
            while product & 0xFFFFFFFF < biased:
                product = (self.u64() >> 32) * bound
        return product >> 32

    def normal(self):
        u = ((self.u64() >> 11) + 1) * 2.0**-53
        v = (self.u64() >> 11) * 2.0**-53
        return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)


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


def start(count, side):
    rows = np.zeros((count, FACTORS + 1))
    for r in range(count):
        rng = Rng(SEED, side << 61 | 1 << 60 | r)
        rows[r, :FACTORS] = [SIGMA / math.sqrt(FACTORS) * rng.normal() for _ in range(FACTORS)]
    return rows


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def train(rows):
    weight = np.zeros((USERS, ITEMS))
    for user, item, _, w in rows:
        weight[user, item] += np.float32(w)
    weight = np.minimum(weight, 1)
    pairs = [(u, i) for u in range(USERS) for i in range(ITEMS) if weight[u, i] > 0]
    rng = Rng(SEED, 1 << 63)
    for i in range(len(pairs), 1, -1):
        j = rng.u64() % i
        pairs[i - 1], pairs[j] = pairs[j], pairs[i - 1]

    X, Y, order = start(USERS, 1), start(ITEMS, 0), list(range(ITEMS))
    X[:, FACTORS] = 1
    for epoch in range(EPOCHS):
        rng = Rng(SEED, 1 << 62 | epoch)
        for i in range(ITEMS, 1, -1):
            j = rng.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]
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
            step = rate * min(float(np.float32(w)), 1) * sigmoid(-(x @ (Y[i] - Y[j])))
            x[:FACTORS] += (step * (Y[i] - Y[j]) - rate * USER * x)[:FACTORS]
    return x


def array(name, values, per_line=5):
    flat = np.asarray(values).ravel()
    print(f"static const double {name}[{len(flat)}] = {{")
    for i in range(0, len(flat), per_line):
        print("    " + ", ".join(f"{v:.10g}" for v in flat[i:i + per_line]) + ",")
    print("};\n")


def main():
    rows = events()
    Y, loss = train(rows)
    x = answer(Y)
    y = Y[:, :FACTORS]
    norm = np.linalg.norm(y, axis=1)
    print("/* Made by tools/golden_bpr.py; do not edit. */\n")
    print(f"enum {{\n    GOLDEN_USERS = {USERS},\n    GOLDEN_ITEMS = {ITEMS},\n    GOLDEN_FACTORS = {FACTORS},\n    GOLDEN_SEED = {SEED},\n}};\n")
    print(f'#define GOLDEN_PARAMETERS \\\n    "factors={FACTORS} epochs={EPOCHS} learning_rate={RATE} decay=0 user_regularization={USER} " \\\n'
          f'    "positive_regularization={POSITIVE} negative_regularization={NEGATIVE} sigma={SIGMA} " \\\n'
          f'    "candidates={CANDIDATES} negatives=uniform"\n')
    print("static const struct rec_dataset_row golden_rows[] = {")
    for user, item, time, w in rows:
        print(f"    {{{user}, {item}, {time}, {w}f}},")
    print("};\n\nstatic const struct rec_event golden_history[] = {")
    for n, (item, w) in enumerate(HISTORY):
        print(f"    {{{item}, {w}f, {n}}},")
    print("};\n")
    print("/* the mean of -ln σ over the last epoch, each pair before its step */")
    print(f"static const double golden_loss = {loss:.17g};\n")
    array("golden_item_factors", Y)
    array("golden_query", x)
    array("golden_scores", Y @ x)
    array("golden_cosine", (y @ y.T) / norm / norm[:, None])


main()
