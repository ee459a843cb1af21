"""What the scripts golden_*.py share: the world that most models are checked in, the random numbers
of the service, and the printing as C. Nothing that a model computes is here."""
import math
import numpy as np

USERS, ITEMS = 40, 25
NEVER = 24  # an item nobody touches
WEIGHTS = [0.2, 0.3, 0.6, 1.0]
# A history with a repeat, an item nobody touched, one of weight 0 and one newer than the model.
HISTORY = [(3, 1.0), (7, 0.2), (3, 0.6), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (20, 0.3),
           (7, 0.2)]
MASK, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def single(x):
    return float(np.float32(x))


# ---- users and items ------------------------------------------------------------


def events(seed=1, never=NEVER, most=11):
    """user, item, time, weight. Some pairs repeat; some weigh nothing; nobody touches item `never`."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(USERS):
        for item in sorted(rng.choice(never, size=int(rng.integers(1, most + 1)), replace=False)):
            for _ in range(int(rng.integers(1, 3))):
                rows.append((user, int(item), len(rows), WEIGHTS[rng.integers(len(WEIGHTS))]))
        if user % 5 == 0:
            rows.append((user, int(rng.integers(never)), len(rows), 0.0))
    return rows


def matrix(rows, users=USERS, items=ITEMS):
    X = np.zeros((users, items))
    for user, item, _, w in rows:
        X[user, item] += single(w)
    return X


def sums(history, items=ITEMS):
    """The history as a row of the matrix."""
    h = np.zeros(items)
    for item, w in history:
        if item < items:
            h[item] += single(w)
    return h


def cosine(rows):
    """Of all pairs; 0 with a row that is 0."""
    norm = np.linalg.norm(rows, axis=1)
    norm[norm < 1e-12] = np.inf
    return (rows @ rows.T) / norm / norm[:, None]


# ---- random numbers: xoshiro256++, seeded through splitmix64 -----------------------


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Rng:
    def __init__(self, seed, stream):
        state = mix((stream + GOLDEN) & MASK) ^ seed
        self.s = []
        for _ in range(4):
            state = (state + GOLDEN) & MASK
            self.s.append(mix(state))

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
        """Lemire."""
        product = (self.u64() >> 32) * bound
        while product % 2**32 < 2**32 % bound:
            product = (self.u64() >> 32) * bound
        return product >> 32

    def normal(self):
        """Box and Muller."""
        u = ((self.u64() >> 11) + 1) * 2.0**-53
        v = (self.u64() >> 11) * 2.0**-53
        return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)


# ---- printing ------------------------------------------------------------------------


def sizes(**names):
    members = [f"GOLDEN_{name} = {value}" for name, value in names.items()]
    if len(members) > 4:
        print("enum {\n    " + ",\n    ".join(members) + ",\n};\n")
    else:
        print("enum { " + ", ".join(members) + " };\n")


def head(tool, **names):
    print(f"/* Made by tools/{tool}.py; do not edit. */\n")
    sizes(**names)


def world(rows, history):
    print("static const struct rec_dataset_row golden_rows[] = {")
    for user, item, time, w in rows:
        print(f"    {{{user}, {item}, {time}, {w}f}},")
    print("};\n\nstatic const struct rec_event golden_history[] = {")
    for n, (item, w) in enumerate(history):
        print(f"    {{{item}, {w}f, {n}}},")
    print("};\n")


def lines(values, indent=4, per_line=5):
    flat = np.asarray(values, dtype=float).ravel()
    for i in range(0, len(flat), per_line):
        print(" " * indent + ", ".join(f"{v:.10g}" for v in flat[i:i + per_line]) + ",")


def array(name, values):
    print(f"static const double {name}[{np.size(values)}] = {{")
    lines(values)
    print("};\n")


def number(name, value, comment):
    print(f"/* {comment} */\nstatic const double {name} = {value:.17g};\n")


def texts(name, values):
    print(f"static const char *const {name}[] = {{")
    for value in values:
        print(f'    "{value}",')
    print("};\n")
