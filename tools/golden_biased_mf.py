#!/usr/bin/python3
"""Writes tests/families/golden_biased_mf.h: rows after a few epochs of biased matrix factorisation,
with plain steps and with Adam's, the answer to a history, its shares and likeness, from the equations
of Koren, Bell and Volinsky in double precision.

    /usr/bin/python3 tools/golden_biased_mf.py > tests/families/golden_biased_mf.h

Training visits pairs and draws zeros as golden_bpr.py does.
"""
import math
import numpy as np
from golden_bpr import FACTORS, GROUP, SEED, SIGMA, TRIES, shuffle, start, visits
from golden_world import HISTORY, ITEMS, Rng, USERS, array, cosine, events, head, single, world

ZEROS, EPOCHS, REG, BIAS, RECENCY = 2, 6, 0.02, 0.01, 3.0
CASES = [("sgd", 0.1), ("adam", 0.01)]


class Row:
    """Numbers that take steps down a gradient."""

    def __init__(self, values, optimizer):
        self.v, self.optimizer, self.t = values.copy(), optimizer, 0
        self.m, self.s = np.zeros_like(values), np.zeros_like(values)

    def step(self, gradient, rate):
        decay = np.full(FACTORS + 1, REG)
        decay[FACTORS] = BIAS
        g = gradient + decay * self.v
        if self.optimizer == "sgd":
            self.v = self.v - rate * g
            return
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.s = 0.999 * self.s + 0.001 * g * g
        self.v = self.v - rate * (self.m / (1 - 0.9**self.t)) / (np.sqrt(self.s / (1 - 0.999**self.t)) + 1e-8)


def train(rows, optimizer, rate):
    weight, pairs = visits(rows)
    mean = sum(weight[p] for p in pairs) / len(pairs) / (1 + ZEROS)
    X = [Row(r, optimizer) for r in start(USERS, 1)]
    Y = [Row(r, optimizer) for r in start(ITEMS, 0)]

    def learn(u, i, target):
        x, y = X[u].v, Y[i].v
        error = target - (mean + x[FACTORS] + y[FACTORS] + x[:FACTORS] @ y[:FACTORS])
        X[u].step(-error * np.append(y[:FACTORS], 1), now)
        Y[i].step(-error * np.append(x[:FACTORS], 1), now)
        return error * error

    order, loss = list(range(ITEMS)), 0
    for epoch in range(EPOCHS):
        now = rate * (1 - 0.5 * epoch / EPOCHS)  # decay
        shuffle(order, Rng(SEED, 1 << 62 | epoch).below)
        rng, errors = Rng(SEED, epoch << 16), []
        for begin in range(0, len(pairs), GROUP):
            group, drawn = pairs[begin:begin + GROUP], []
            for u, _ in group:
                for _ in range(ZEROS):
                    item = None
                    for _ in range(TRIES):
                        item = order[((rng.u64() >> 32) * ITEMS) >> 32]
                        if weight[u, item] == 0:
                            break
                        item = None
                    drawn.append(item)
            for n, (u, i) in enumerate(group):
                errors.append(learn(u, i, weight[u, i]))
                errors += [learn(u, j, 0) for j in drawn[n * ZEROS:(n + 1) * ZEROS] if j is not None]
        loss = sum(errors) / len(errors)
    return np.array([y.v for y in Y]), mean, loss


def answer(Y, mean):
    """The user that minimises the expected loss, by numpy's solver; and the terms of the score."""
    b, Q = Y[:, FACTORS], np.append(Y[:, :FACTORS], np.ones((ITEMS, 1)), axis=1)
    says = [(e, i, single(w)) for e, (i, w) in enumerate(HISTORY) if i < ITEMS and w > 0]
    c = [math.exp(-(len(says) - 1 - n) / RECENCY) for n in range(len(says))]
    C = sum(c)
    A = C * ZEROS / ITEMS * Q.T @ Q + C * (1 + ZEROS) * np.diag([REG] * FACTORS + [BIAS])
    terms = np.zeros((len(HISTORY), FACTORS + 1))
    for (e, i, w), weight in zip(says, c):
        A += weight * np.outer(Q[i], Q[i])
        terms[e] = weight * (min(w, 1) - mean - b[i]) * Q[i]
    rest = -C * ZEROS / ITEMS * Q.T @ (mean + b)
    z = np.linalg.solve(A, terms.sum(axis=0) + rest)
    query = np.append(z[:FACTORS], 1)
    shares = np.zeros((ITEMS, len(HISTORY)))
    for j in range(ITEMS):
        v = np.linalg.solve(A, np.append(Y[j, :FACTORS], 0))
        for (e, _, _), weight in zip(says, c):
            shares[j, e] = terms[e] @ v + weight / C * (b[j] + rest @ v)
    return query, shares


def main():
    rows = events()
    out = {n: [] for n in ("mean", "loss", "item_factors", "query", "scores", "shares", "cosine")}
    for optimizer, rate in CASES:
        Y, mean, loss = train(rows, optimizer, rate)
        query, shares = answer(Y, mean)
        for name, value in (("mean", mean), ("loss", loss), ("item_factors", Y), ("query", query), ("scores", Y @ query),
                            ("shares", shares), ("cosine", cosine(Y[:, :FACTORS]))):
            out[name].append(value)
    head("golden_biased_mf", USERS=USERS, ITEMS=ITEMS, FACTORS=FACTORS, SEED=SEED, CASES=len(CASES))
    print("static const char *const golden_parameters[] = {")
    for optimizer, rate in CASES:
        print(f'    "factors={FACTORS} epochs={EPOCHS} optimizer={optimizer} learning_rate={rate} decay=0.5 "\n'
              f'    "regularization={REG} bias_regularization={BIAS} zeros={ZEROS} sigma={SIGMA} recency={RECENCY}",')
    print("};\n")
    world(rows, HISTORY)
    for name, values in out.items():
        array("golden_" + name, values)


main()
