#!/usr/bin/python3
"""Writes tests/families/golden_als.h: what the als family must compute, from an independent
computation in numpy double precision, straight from the formulas of Hu, Koren and Volinsky, and
of Rendle et al. (2021) for the regularization that grows and the blocks of coordinates (dense
matrices, numpy.linalg.solve, no trick that the C code uses).

    /usr/bin/python3 tools/golden_als.py > tests/families/golden_als.h

Only the start is shared with the C code, and that is written again here: xoshiro256++ seeded
through splitmix64, one stream an item, Box and Muller.
"""
import math
import numpy as np

USERS, ITEMS, FACTORS = 40, 25, 6
SEED, ITERATIONS, ALPHA = 7, 4, 3.0
STANDARD = 1.0, 0.0, 0  # the defaults of the last three
# name, regularization, unobserved, frequency_power, block
CASES = [("as Hu et al.", 0.5, 1.0, 0.0, 0), ("as Rendle et al.", 0.02, 0.3, 1.0, 0),
         ("in blocks, the last one smaller", 0.1, 0.3, 0.75, 4)]
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


class Training:
    def __init__(self, regularization, unobserved, power, block):
        self.regularization, self.unobserved, self.power = regularization, unobserved, power
        self.block = block
        self.worst = 0.0  # condition number

    def ridge(self, confidence, touched):
        return self.regularization * ((confidence * touched).sum() +
                                      self.unobserved * len(touched)) ** self.power

    def system(self, confidence, touched, fixed):
        """A and b of one row over all rows of the fixed side."""
        c = np.where(touched, confidence, self.unobserved)
        A = fixed.T @ np.diag(c) @ fixed + self.ridge(confidence, touched) * np.eye(FACTORS)
        self.worst = max(self.worst, np.linalg.cond(A))
        return A, fixed.T @ (c * touched)

    def solve(self, confidence, touched, fixed, x):
        A, b = self.system(confidence, touched, fixed)
        if not self.block:
            return np.linalg.solve(A, b)
        x = x.copy()
        for begin in range(0, FACTORS, self.block):
            B = slice(begin, begin + self.block)
            x[B] += np.linalg.solve(A[B, B], (b - A @ x)[B])
        return x

    def half(self, confidence, touched, fixed, old):
        return np.array([self.solve(confidence[r], touched[r], fixed, old[r])
                         if touched[r].any() else np.zeros(FACTORS) for r in range(len(old))])

    def loss(self, confidence, touched, x, y):
        c = np.where(touched, confidence, self.unobserved)
        loss = (c * (touched - x @ y.T) ** 2).sum()
        loss += sum(self.ridge(confidence[u], touched[u]) * (x[u] @ x[u]) for u in range(len(x)))
        loss += sum(self.ridge(confidence.T[i], touched.T[i]) * (y[i] @ y[i]) for i in range(len(y)))
        return loss / c.sum()


def array(name, values, per_line=5):
    flat = np.asarray(values).ravel()
    print(f"     .{name} = {{")
    for i in range(0, len(flat), per_line):
        print("         " + ", ".join(f"{v:.10g}" for v in flat[i:i + per_line]) + ",")
    print("     },")


def case(confidence, touched, history, name, regularization, unobserved, power, block):
    training = Training(regularization, unobserved, power, block)
    x, y = np.zeros((USERS, FACTORS)), start()
    for _ in range(ITERATIONS):
        x = training.half(confidence, touched, y, x)
        y = training.half(confidence.T, touched.T, x, y)

    hw = np.zeros(ITEMS)
    for item, w in history:
        if item < ITEMS:
            hw[item] += np.float32(w)
    A, b = training.system(ALPHA * hw, hw > 0, y)
    query = np.linalg.solve(A, b)
    inverse = np.linalg.inv(A)
    shares = [[ALPHA * np.float32(w) * (y[j] @ inverse @ y[i]) if i < ITEMS else 0.0
               for i, w in history] for j in range(ITEMS)]
    norm = np.linalg.norm(y, axis=1)
    cosine = np.array([[y[i] @ y[j] / (norm[i] * norm[j]) if norm[i] * norm[j] > 0 else 0.0
                        for j in range(ITEMS)] for i in range(ITEMS)])

    print(f'    {{.name = "{name}",')
    print(f'     .settings = {{"factors={FACTORS}", "iterations={ITERATIONS}", "alpha={ALPHA}",')
    print(f'                  "regularization={regularization}",')
    if (unobserved, power, block) == STANDARD:
        print("                  NULL},")
    else:
        print(f'                  "unobserved={unobserved}", "frequency_power={power}", "block={block}"}},')
    print(f"     .condition = {training.worst:.17g},")
    print(f"     .loss = {training.loss(confidence, touched, x, y):.17g},")
    array("item_factors", y)
    array("gramian", y.T @ y)
    array("query", query)
    array("scores", y @ query)
    array("shares", shares)
    array("cosine", cosine)
    print("    },")


def main():
    rows = events()
    weight = np.zeros((USERS, ITEMS))
    for user, item, _, w in rows:
        weight[user, item] += np.float32(w)
    # A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
    history = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (20, 0.3),
               (7, 0.2)]

    print("/* Made by tools/golden_als.py; do not edit. */\n")
    print(f"enum {{\n    GOLDEN_USERS = {USERS},\n    GOLDEN_ITEMS = {ITEMS},\n    GOLDEN_FACTORS = {FACTORS},\n"
          f"    GOLDEN_SEED = {SEED},\n    GOLDEN_ITERATIONS = {ITERATIONS},\n    GOLDEN_NEVER = {NEVER},\n"
          f"    GOLDEN_EVENTS = {len(history)},\n}};\n")
    print("static const struct rec_dataset_row golden_rows[] = {")
    for user, item, time, w in rows:
        print(f"    {{{user}, {item}, {time}, {w}f}},")
    print("};\n\nstatic const struct rec_event golden_history[GOLDEN_EVENTS] = {")
    for n, (item, w) in enumerate(history):
        print(f"    {{{item}, {w}f, {n}}},")
    print("""};

struct golden_case {
    const char *name, *settings[7];
    double condition; /* the worst of any system solved on the way */
    double loss;      /* the objective, over the sum of all confidences */
    double item_factors[GOLDEN_ITEMS * GOLDEN_FACTORS];
    double gramian[GOLDEN_FACTORS * GOLDEN_FACTORS];
    double query[GOLDEN_FACTORS], scores[GOLDEN_ITEMS];
    double shares[GOLDEN_ITEMS * GOLDEN_EVENTS];
    double cosine[GOLDEN_ITEMS * GOLDEN_ITEMS];
};

static const struct golden_case golden_cases[] = {""")
    for settings in CASES:
        case(ALPHA * weight, weight > 0, history, *settings)
    print("};")


main()
