#!/usr/bin/python3
"""Writes tests/nn/golden_nn.h: values and gradients of a small fixed network that has every part of
the room nn, in numpy double precision, from the formulas: dense matrices, no part of the C code.

    /usr/bin/python3 tools/golden_nn.py > tests/nn/golden_nn.h

Both sides fill their matrices with the same sines; hashes of places (dropout, normal numbers) are
written again here. Also imported by golden_autoencoder.py.
"""
import math
import numpy as np
from golden_world import GOLDEN, MASK, array, mix

ROWS, ITEMS, HIDDEN, CODE = 4, 12, 5, 3
SEED, STEP, DROPOUT, BETA, NEGATIVE = 11, 3, 0.25, 0.3, 0.05
# item, value of each row; an item may come twice.
BATCH = [[(1, 0.5), (7, -1.0)], [], [(7, 2.0), (0, 0.25), (7, 0.5)], [(11, 1.0)]]
TARGETS = [[(0, 1.0), (5, 0.5)], [(3, 2.0)], [], [(2, 1.0), (3, 1.0), (11, 0.25)]]


def key_of(seed, step, layer):
    key = mix((seed + GOLDEN) & MASK)
    key = mix(((key ^ step) + GOLDEN) & MASK)
    return mix(((key ^ layer) + GOLDEN) & MASK)


def mask_at(key, rate, place):
    """Four numbers share a hash, sixteen bits each."""
    hashed = mix((key + place // 4 * GOLDEN) & MASK) >> place % 4 * 16 & 0xFFFF
    return 0.0 if hashed < int(float(np.float32(rate)) * 2**16) else 1 / (1 - rate)


def normals(seed, step, rows, cols):
    """Two for each even column, by Box and Muller."""
    key, out = key_of(seed, step, 0x6A55), np.zeros((rows, cols))
    for r in range(rows):
        for c in range(0, cols, 2):
            hashed = mix((key + (r * cols + c) * GOLDEN) & MASK)
            radius = math.sqrt(-2 * math.log(((hashed >> 40) + 1) * 2.0**-24))
            angle = 2 * math.pi * (hashed & 0xFFFFFF) * 2.0**-24
            out[r, c] = radius * math.cos(angle)
            if c + 1 < cols:
                out[r, c + 1] = radius * math.sin(angle)
    return out


def waves(rows, cols, stream, scale):
    at = np.arange(rows * cols, dtype=float).reshape(rows, cols)
    return np.sin(1.3 * at + stream).astype(np.float32).astype(float) * scale


def spread(rows):
    X = np.zeros((len(rows), ITEMS))
    for r, entries in enumerate(rows):
        for item, value in entries:
            X[r, item] += value
    return X


def multinomial(z, T):
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -(T * np.log(p)).sum(), T.sum(1, keepdims=True) * p - T


def bce(z, T, negative):
    p = 1 / (1 + np.exp(-z))
    loss = np.where(T > 0, -T * np.log(p), -negative * np.log(1 - p)).sum()
    return loss, np.where(T > 0, T * (p - 1), negative * p)


def entries(name, rows):
    flat = [(r, item, value) for r, row in enumerate(rows) for item, value in row]
    print(f"static const struct golden_entry {name}[] = {{")
    for r, item, value in flat:
        print(f"    {{{r}, {item}, {value}f}},")
    print("};\n")


def main():
    A, B = waves(ITEMS + 1, HIDDEN, 0, 0.5), waves(2 * CODE, HIDDEN + 1, 1, 0.5)
    C = waves(ITEMS, CODE + 1, 2, 0.5)
    X, T = spread(BATCH), spread(TARGETS)
    key = key_of(SEED, STEP, 0)
    keep = np.array([[mask_at(key, DROPOUT, r * HIDDEN + c) for c in range(HIDDEN)] for r in range(ROWS)])
    one, scale = np.ones((ROWS, 1)), 1 / ROWS

    a = np.tanh(np.hstack([X, one]) @ A)
    dropped = np.hstack([a * keep, one])
    stats = dropped @ B.T
    mean, log_variance = stats[:, :CODE], stats[:, CODE:]
    e = normals(SEED, STEP, ROWS, CODE)
    code = np.hstack([mean + e * np.exp(log_variance / 2), one])
    z = code @ C.T

    loss, dz = multinomial(z, T)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum()
    dz *= scale
    dcode = dz @ C[:, :CODE]
    dstats = np.hstack([dcode + BETA * scale * mean,
                        dcode * e * np.exp(log_variance / 2) / 2
                        + BETA * scale * (np.exp(log_variance) - 1) / 2])
    da = (dstats @ B[:, :HIDDEN]) * keep * (1 - a**2)

    print("/* Made by tools/golden_nn.py; do not edit. */\n")
    print(f"enum {{\n    GOLDEN_ROWS = {ROWS},\n    GOLDEN_ITEMS = {ITEMS},\n    GOLDEN_HIDDEN = {HIDDEN},\n"
          f"    GOLDEN_CODE = {CODE},\n    GOLDEN_SEED = {SEED},\n    GOLDEN_STEP = {STEP},\n}};\n")
    print(f"static const float golden_dropout = {DROPOUT}f, golden_beta = {BETA}f, golden_negative = {NEGATIVE}f;\n")
    print("struct golden_entry {\n    uint32_t row, item;\n    float value;\n};\n")
    entries("golden_batch", BATCH)
    entries("golden_targets", TARGETS)
    array("golden_z", z)
    array("golden_loss", [scale * loss, BETA * scale * kl, scale * bce(z, T, NEGATIVE)[0]])
    array("golden_dz_bce", scale * bce(z, T, NEGATIVE)[1])
    array("golden_dA", np.hstack([X, one]).T @ da)
    array("golden_dB", dstats.T @ dropped)
    array("golden_dC", dz.T @ code)


if __name__ == "__main__":
    main()
