#!/usr/bin/python3
"""Writes tests/families/golden_autoencoder.h: what the families dae and mult-vae must compute, from
dense matrices in numpy double precision, straight from the papers' formulas: some epochs of training,
then the answer to a history.

    /usr/bin/python3 tools/golden_autoencoder.py > tests/families/golden_autoencoder.h

Only random numbers are shared with the C code: those of golden_world.py and the hashes of golden_nn.py.
"""
import math
import numpy as np
from golden_nn import bce, key_of, mask_at, multinomial, normals
from golden_world import Rng, array, cosine, head, world

USERS, ITEMS, HIDDEN, CODE = 30, 17, 6, 4
SEED, EPOCHS, BATCH, RATE, DECAY, DROPOUT = 5, 4, 8, 0.01, 0.001, 0.4
BETA, ANNEAL, NEGATIVE, RECENCY = 0.3, 3, 0.05, 4.0
NEVER = 16  # an item nobody has
BETA1, BETA2, EPSILON = float(np.float32(0.9)), float(np.float32(0.999)), float(np.float32(1e-8))
# Repeats, an item nobody has, one of weight 0, one newer than the model.
HISTORY = [(3, 1.0), (7, 0.25), (3, 0.5), (NEVER, 1.0), (11, 0.0), (ITEMS + 2, 1.0), (15, 0.25), (7, 0.25)]


def events():
    """Some pairs repeat, one user has nothing liked, nobody has the last item."""
    rng, rows = np.random.default_rng(3), []
    for user in range(USERS):
        for item in rng.choice(NEVER, size=int(rng.integers(2, 9)), replace=False):
            for _ in range(int(rng.integers(1, 3))):
                weight = 0.0 if user == 4 else [0.25, 0.5, 1.0, 1.0][rng.integers(4)]
                rows.append((user, int(item), len(rows), weight))
    return rows


class Net:
    def __init__(self, variational, relu):
        self.variational = variational
        self.f = (lambda x: np.maximum(x, 0)) if relu else np.tanh
        self.slope = (lambda y: (y > 0) * 1.0) if relu else (lambda y: 1 - y**2)
        self.codes = 2 * CODE if variational else CODE
        self.W = {"input": self.start(0, ITEMS + 1, HIDDEN, HIDDEN, ITEMS + HIDDEN),
                  "encoder": self.start(1, self.codes, HIDDEN + 1, HIDDEN, HIDDEN + self.codes),
                  "decoder": self.start(2, HIDDEN, CODE + 1, CODE, CODE + HIDDEN),
                  "output": self.start(3, ITEMS, HIDDEN + 1, HIDDEN, HIDDEN + ITEMS)}
        self.m = {k: np.zeros_like(w) for k, w in self.W.items()}
        self.v = {k: np.zeros_like(w) for k, w in self.W.items()}
        self.steps = 0

    @staticmethod
    def start(stream, rows, cols, filled, ends):
        W = np.zeros((rows, cols))
        for r in range(rows):
            rng = Rng(SEED, stream << 32 | r)
            W[r, :filled] = [math.sqrt(2 / ends) * rng.normal() for _ in range(filled)]
        return W

    def step(self, X, T, kl, multi):
        """X: rows of length 1 after dropout; T: targets. The loss a row."""
        one, n = np.ones((len(X), 1)), len(X)
        self.steps += 1
        a = self.f(np.hstack([X, one]) @ self.W["input"])
        stats = np.hstack([a, one]) @ self.W["encoder"].T
        if self.variational:
            mean, log_variance = stats[:, :CODE], stats[:, CODE:]
            e = normals(SEED, self.steps, n, CODE)
            code = mean + e * np.exp(log_variance / 2)
        else:
            code = self.f(stats)
        d = self.f(np.hstack([code, one]) @ self.W["decoder"].T)
        z = np.hstack([d, one]) @ self.W["output"].T
        loss, dz = multinomial(z, T) if multi else bce(z, T, NEGATIVE)
        dz = dz / n
        dd = (dz @ self.W["output"][:, :HIDDEN]) * self.slope(d)
        dcode = dd @ self.W["decoder"][:, :CODE]
        if self.variational:
            loss += kl / 2 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum()
            dstats = np.hstack([dcode + kl / n * mean, dcode * e * np.exp(log_variance / 2) / 2
                                + kl / n * (np.exp(log_variance) - 1) / 2])
        else:
            dstats = dcode * self.slope(code)
        da = (dstats @ self.W["encoder"][:, :HIDDEN]) * self.slope(a)
        gradients = {"input": np.hstack([X, one]).T @ da, "encoder": dstats.T @ np.hstack([a, one]),
                     "decoder": dd.T @ np.hstack([code, one]), "output": dz.T @ np.hstack([d, one])}
        for name, g in gradients.items():
            named = np.append(X.any(0), True) if name == "input" else slice(None)
            self.adam(name, g, named)
        return loss / n

    def adam(self, name, g, rows):
        W, m, v = self.W[name], self.m[name], self.v[name]
        g = g + DECAY * W
        m[rows] = BETA1 * m[rows] + (1 - BETA1) * g[rows]
        v[rows] = BETA2 * v[rows] + (1 - BETA2) * g[rows] ** 2
        mean, square = m / (1 - BETA1**self.steps), v / (1 - BETA2**self.steps)
        W[rows] -= RATE * mean[rows] / (np.sqrt(square[rows]) + EPSILON)

    def answer(self, x):
        a = self.f(np.append(x / np.linalg.norm(x), 1) @ self.W["input"])
        stats = self.W["encoder"] @ np.append(a, 1)
        code = stats[:CODE] if self.variational else self.f(stats)
        return np.append(self.f(self.W["decoder"] @ np.append(code, 1)), 1)


def train(rows, variational, relu, multi):
    T = np.zeros((USERS, ITEMS))
    for user, item, _, weight in rows:
        T[user, item] += weight
    net = Net(variational, relu)
    net.W["input"][:ITEMS][~T.any(0)] = 0
    net.W["input"][ITEMS] = 0
    place = np.cumsum(T.ravel() > 0).reshape(T.shape) - 1  # of an entry among all, row by row
    order = [u for u in range(USERS) if T[u].any()]
    for epoch in range(1, EPOCHS + 1):
        rng, losses = Rng(SEED, 1000 + epoch), []
        for i in range(len(order), 1, -1):
            j = rng.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]
        for begin in range(0, len(order), BATCH):
            users = order[begin:begin + BATCH]
            key = key_of(SEED, net.steps, 0)
            X = np.array([[T[u, i] / np.linalg.norm(T[u]) * mask_at(key, DROPOUT, int(place[u, i]))
                           for i in range(ITEMS)] for u in users])
            at = epoch - 1 + begin / len(order)
            losses.append(net.step(X, T[users], BETA * min(1, at / ANNEAL), multi) * len(users))
    return net, sum(losses) / len(order)


def told(net):
    """The history as a row: weights fade with what follows among events that say something."""
    x, newer = np.zeros(ITEMS), 0
    for item, weight in reversed(HISTORY):
        if item < ITEMS and weight > 0:
            if net.W["input"][item].any():
                x[item] += weight * math.exp(-newer / RECENCY)
            newer += 1
    return x


def case(name, rows, *kind):
    net, loss = train(rows, *kind)
    query = net.answer(told(net))
    for tensor in ("input", "encoder", "decoder", "output"):
        array(f"{name}_{tensor}", net.W[tensor])
    array(f"{name}_query", query)
    array(f"{name}_scores", net.W["output"] @ query)
    array(f"{name}_cosine", cosine(net.W["output"][:, :HIDDEN]))
    array(f"{name}_loss", [loss])


def main():
    rows = events()
    head("golden_autoencoder", USERS=USERS, ITEMS=ITEMS, SEED=SEED, WIDTH=HIDDEN + 1)
    print(f'#define GOLDEN_PARAMETERS "hidden={HIDDEN} code={CODE} epochs={EPOCHS} batch={BATCH} '
          f'learning_rate={RATE} regularization={DECAY} dropout={DROPOUT} recency={RECENCY} early_stop=0 "')
    print(f'#define GOLDEN_VAE "beta={BETA} anneal_epochs={ANNEAL}"')
    print(f'#define GOLDEN_BCE "loss=bce negative_weight={NEGATIVE} activation=relu"')
    print('#define GOLDEN_MULTINOMIAL "loss=multinomial activation=tanh"\n')
    world(rows, HISTORY)
    case("vae", rows, True, False, True)
    case("bce", rows, False, True, False)
    case("dae", rows, False, False, True)


main()
