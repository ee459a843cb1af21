#!/usr/bin/python3
"""Writes tests/families/golden_als.h: what the als family must compute, from an independent
computation in numpy double precision, straight from the formulas of Hu, Koren and Volinsky, and
of Rendle et al. (2021) for the regularization that grows and the blocks of coordinates (dense
matrices, numpy.linalg.solve, no trick that the C code uses).

    /usr/bin/python3 tools/golden_als.py > tests/families/golden_als.h

Only the start is shared with the C code: the random numbers of golden_world.py, one stream an item.
"""
import numpy as np
from golden_world import (HISTORY, ITEMS, NEVER, Rng, USERS, cosine, events, head, lines, matrix, single,
                          sums, world)

FACTORS, SEED, ITERATIONS, ALPHA = 6, 7, 4, 3.0
# name, regularization, unobserved, frequency_power, block
CASES = [("as Hu et al.", 0.5, 1.0, 0.0, 0), ("as Rendle et al.", 0.02, 0.3, 1.0, 0),
         ("in blocks, the last one smaller", 0.1, 0.3, 0.75, 4)]


def start():
    sigma = np.float32(0.1) / np.sqrt(np.float32(FACTORS))
    y = np.zeros((ITEMS, FACTORS))
    for i in range(ITEMS):
        rng = Rng(SEED, i)
        y[i] = [sigma * np.float32(rng.normal()) for _ in range(FACTORS)]
    return y


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


def member(name, values):
    print(f"     .{name} = {{")
    lines(values, indent=9)
    print("     },")


def case(confidence, touched, name, regularization, unobserved, power, block):
    training = Training(regularization, unobserved, power, block)
    x, y = np.zeros((USERS, FACTORS)), start()
    for _ in range(ITERATIONS):
        x = training.half(confidence, touched, y, x)
        y = training.half(confidence.T, touched.T, x, y)

    hw = sums(HISTORY)
    A, b = training.system(ALPHA * hw, hw > 0, y)
    query = np.linalg.solve(A, b)
    inverse = np.linalg.inv(A)
    shares = [[ALPHA * single(w) * (y[j] @ inverse @ y[i]) if i < ITEMS else 0.0
               for i, w in HISTORY] for j in range(ITEMS)]

    print(f'    {{.name = "{name}",')
    print(f'     .parameters = "factors={FACTORS} iterations={ITERATIONS} alpha={ALPHA} "')
    print(f'         "regularization={regularization} unobserved={unobserved} "')
    print(f'         "frequency_power={power} block={block}",')
    print(f"     .condition = {training.worst:.17g},")
    print(f"     .loss = {training.loss(confidence, touched, x, y):.17g},")
    member("item_factors", y)
    member("gramian", y.T @ y)
    member("query", query)
    member("scores", y @ query)
    member("shares", shares)
    member("cosine", cosine(y))
    print("    },")


def main():
    rows = events()
    weight = matrix(rows)
    head("golden_als", USERS=USERS, ITEMS=ITEMS, FACTORS=FACTORS, SEED=SEED, ITERATIONS=ITERATIONS,
         NEVER=NEVER, EVENTS=len(HISTORY))
    world(rows, HISTORY)
    print("""\
struct golden_case {
    const char *name, *parameters;
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
        case(ALPHA * weight, weight > 0, *settings)
    print("};")


main()
