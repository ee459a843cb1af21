#!/usr/bin/python3
"""Writes tests/families/golden_ncf.h: loss, gradients and three steps of Adam of small networks of pairs,
and their answers to a history, in double precision.

    OPENBLAS_NUM_THREADS=1 /usr/bin/python3 tools/golden_ncf.py > tests/families/golden_ncf.h

The network and the losses are written as in He et al., a pair at a time, nothing split. No gradient is
derived: all are central differences of the loss.
"""
import numpy as np
from golden_world import HISTORY, ITEMS, USERS, array, cosine, events, head, single, sums, world

SAMPLES, NEGATIVES, STEPS, RATE = 70, 2, 3, 0.01  # more than one slice of 64
STILL_USERS, STILL_ITEMS = 20, 22  # from here on they are in no sample, and stay where they are
FOLD_STEPS, FOLD_RATE = 24, 0.3
CASES = [  # family, factors, hidden, bpr
    ("ncf", 3, [6, 4], False),
    ("ncf", 4, [5], True),
    ("ncf", 2, [7, 5, 3], True),
    ("neural-mf", 5, [8], False),
]


class Net:
    def __init__(self, case, rng):
        family, self.d, self.hidden, self.bpr = case
        self.g = self.d if family == "ncf" else 0
        width, h = self.g + self.d, self.hidden
        shapes = [(USERS, width), (ITEMS, width), (h[0], self.d + 1), (h[0], self.d)]
        shapes += [(h[l], h[l - 1] + 1) for l in range(1, len(h))] + [(1, h[-1] + self.g + 1)]
        self.w = [np.float32(rng.normal(size=s) * 0.7).astype(float) for s in shapes]

    def score(self, p, item):
        """p [n x width], item [n]"""
        q, d, g = self.w[1][item], self.d, self.g
        W = np.hstack([self.w[2][:, :d], self.w[3], self.w[2][:, d:]])
        x = np.hstack([p[:, g:], q[:, g:]])
        for layer in [W] + self.w[4:-1]:
            x = np.maximum(0, x @ layer[:, :-1].T + layer[:, -1])
        joined = np.hstack([x, p[:, :g] * q[:, :g]])
        return joined @ self.w[-1][0, :-1] + self.w[-1][0, -1]

    def loss(self, sample):
        user, item, weight = sample
        pairs = item.shape[1]
        s = self.score(self.w[0][np.repeat(user, pairs)], item.ravel()).reshape(-1, pairs)
        if self.bpr:
            each = np.log1p(np.exp(s[:, 1:] - s[:, :1])).sum(axis=1)
        else:
            each = np.log1p(np.exp(-s[:, 0])) + np.log1p(np.exp(s[:, 1:])).sum(axis=1)
        return float(weight @ each) / len(user)


def differences(f, x, h=1e-6):
    """The gradient of f() by x, which is changed in place."""
    out, flat = np.zeros(x.size), x.reshape(-1)
    for i in range(x.size):
        kept = flat[i]
        flat[i] = kept + h
        above = f()
        flat[i] = kept - h
        out[i] = (above - f()) / (2 * h)
        flat[i] = kept
    return out.reshape(x.shape)


class Adam:
    def __init__(self, shape):
        self.m, self.v, self.t = np.zeros(shape), np.zeros(shape), 0

    def step(self, x, g, rate, rows=slice(None)):
        self.t += 1
        self.m[rows] = 0.9 * self.m[rows] + 0.1 * g[rows]
        self.v[rows] = 0.999 * self.v[rows] + 0.001 * g[rows] ** 2
        m, v = self.m[rows] / (1 - 0.9**self.t), self.v[rows] / (1 - 0.999**self.t)
        x[rows] -= rate * m / (np.sqrt(v) + 1e-8)


def train(net, sample):
    """Loss and gradients of the first step; the weights are left as they are after the last."""
    adams, first = [Adam(w.shape) for w in net.w], None
    rows = [np.unique(sample[0]), np.unique(sample[1])] + [slice(None)] * (len(net.w) - 2)
    for _ in range(STEPS):
        loss = net.loss(sample)
        gradients = [differences(lambda: net.loss(sample), w) for w in net.w]
        first = first or (loss, gradients)
        for adam, w, g, r in zip(adams, net.w, gradients, rows):
            adam.step(w, g, RATE, r)
    return first


def answer(net, prior):
    """The query, and the scores of all items."""
    said = sums(HISTORY)
    items = [i for n, (i, w) in enumerate(HISTORY)
             if i < ITEMS and w > 0 and i not in [j for j, _ in HISTORY[:n]]]
    weight = np.minimum([said[i] for i in items], 1)
    others = [i for i in range(ITEMS) if i not in items]
    place = np.zeros(net.g + net.d)

    def loss():
        u = prior[0] + prior[1] * place
        s = net.score(np.tile(u, (ITEMS, 1)), np.arange(ITEMS))
        if net.bpr:
            fit = sum(w * np.log1p(np.exp(s[others] - s[i])).mean() for i, w in zip(items, weight))
            return NEGATIVES * fit + place @ place / 2
        return float(weight @ np.log1p(np.exp(-s[items])) +
                     NEGATIVES * weight.sum() * np.log1p(np.exp(s[others])).mean() + place @ place / 2)

    adam = Adam(place.shape)
    for step in range(FOLD_STEPS):
        adam.step(place, differences(loss, place), FOLD_RATE * (1 - step / FOLD_STEPS))
    u, g = prior[0] + prior[1] * place, net.g
    query = np.concatenate([net.w[-1][0, len(net.w[-1][0]) - 1 - g:-1] * u[:g],
                            net.w[2] @ np.append(u[g:], 1)])
    return query, net.score(np.tile(u, (ITEMS, 1)), np.arange(ITEMS))


def flat(parts):
    return np.concatenate([p.ravel() for p in parts])


def numbers(kind, name, values, per_line=16):
    print(f"static const {kind} {name}[{len(values)}] = {{")
    for i in range(0, len(values), per_line):
        print("    " + ", ".join(str(v) for v in values[i:i + per_line]) + ",")
    print("};\n")


def main():
    rng = np.random.default_rng(5)
    user = rng.integers(STILL_USERS, size=SAMPLES)
    item = rng.integers(STILL_ITEMS, size=(SAMPLES, 1 + NEGATIVES))
    weight = np.array([single(w) for w in rng.choice([0.2, 0.6, 1.0], size=SAMPLES)])
    sample = (user, item, weight)
    head("golden_ncf", USERS=USERS, ITEMS=ITEMS, SAMPLES=SAMPLES, NEGATIVES=NEGATIVES, STEPS=STEPS, SEED=1,
         STILL_USERS=STILL_USERS, STILL_ITEMS=STILL_ITEMS)
    world(events(), HISTORY)
    numbers("uint32_t", "golden_user", list(user))
    numbers("uint32_t", "golden_item", list(item.ravel()))
    numbers("float", "golden_weight", [f"{w:.1f}f" for w in weight], 8)
    for c, case in enumerate(CASES):
        net = Net(case, rng)
        width = net.g + net.d
        prior = np.float32(np.abs(rng.normal(size=(2, width)))).astype(float)
        array(f"golden_start{c}", flat(net.w))
        array(f"golden_prior{c}", prior)
        query, scores = answer(net, prior)
        array(f"golden_query{c}", query)
        array(f"golden_scores{c}", scores)
        array(f"golden_cosine{c}", cosine(net.w[1]))
        loss, gradients = train(net, sample)
        array(f"golden_gradient{c}", flat(gradients))
        array(f"golden_after{c}", flat(net.w))
        case += (loss,)
        CASES[c] = case
    print("static const struct golden_case {\n    const char *name, *parameters;\n    double loss;\n"
          "    const double *start, *gradient, *after, *prior;\n    struct golden_answers answers;\n"
          "} golden_cases[] = {")
    for c, (family, d, hidden, bpr, loss) in enumerate(CASES):
        names = ["hidden" if family == "neural-mf" else "hidden1", "hidden2", "hidden3"]
        layers = dict(zip(names, hidden))
        if family == "ncf":
            layers = {n: layers.get(n, 0) for n in names}
        text = " ".join([f"factors={d}"] + [f"{n}={h}" for n, h in layers.items()])
        text += " loss=bpr" if bpr else ""
        print(f'    {{"{family}", "{text} dropout=0 negatives={NEGATIVES} learning_rate={RATE}", {loss:.12g},\n'
              f"     golden_start{c}, golden_gradient{c}, golden_after{c}, golden_prior{c},\n"
              f"     {{.query = golden_query{c}, .query_floats = COUNT(golden_query{c}),\n"
              f"      .scores = golden_scores{c}, .similar = golden_cosine{c}}}}},")
    print("};")


if __name__ == "__main__":
    main()
