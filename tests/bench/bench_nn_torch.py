#!/usr/bin/python3
"""The epochs of bench_nn.c by PyTorch: same data, shapes, batch, threads, losses and Adam, dense input
rows as is usual there. Runs bench_nn, too, and prints the ratio; bar: ours is at least twice as fast, and
three times for the networks over pairs. Of those PyTorch trains a part of an epoch, with negatives
drawn evenly beforehand (ours draws them within the epoch, and none that the user has).

    apt-get install python3-torch
    /usr/bin/python3 tests/bench/bench_nn_torch.py BENCH_NN [DIRECTORY of ml-1m] [THREADS [FAMILY ...]]
"""
import os
import re
import statistics
import subprocess
import sys
import time

# PyTorch gets the BLAS kernels that ours chooses for itself: an old OpenBLAS does not know new processors.
if "OPENBLAS_CORETYPE" not in os.environ:
    with open("/proc/cpuinfo") as cpuinfo:
        flags = cpuinfo.read()
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX" if "avx512vl" in flags else "Haswell"

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing}; see the head of this file")
    sys.exit(0)

if len(sys.argv) < 2:
    sys.exit(__doc__)
BINARY = sys.argv[1]
PATH = sys.argv[2] if len(sys.argv) > 2 else "../shared/data/ml-1m"
THREADS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
BATCH, EPOCHS = 250, 5
PAIRS, NEGATIVES = 1024, 4
SHAPES = {"dae": (512, 128, False), "mult-vae": (600, 200, True)}
PAIR_SHAPES = {"neural-mf": (64, [128], False, 0.2), "ncf": (8, [16, 8], True, 0.4)}
FAMILIES = sys.argv[4:] or [*SHAPES, *PAIR_SHAPES]


def read():
    """X as rows of item numbers; every rating counts 1."""
    rows = np.loadtxt(os.path.join(PATH, "ratings.dat"), delimiter=":", usecols=(0, 2), dtype=np.int64)
    user, item = (np.unique(rows[:, c], return_inverse=True)[1] for c in (0, 1))
    order = np.argsort(user, kind="stable")
    return np.split(item[order], np.cumsum(np.bincount(user))[:-1]), item.max() + 1


class Net(torch.nn.Module):
    def __init__(self, items, hidden, code, variational):
        super().__init__()
        self.code, self.variational = code, variational
        self.a = torch.nn.Linear(items, hidden)
        self.b = torch.nn.Linear(hidden, 2 * code if variational else code)
        self.c = torch.nn.Linear(code, hidden)
        self.d = torch.nn.Linear(hidden, items)

    def forward(self, x):
        x = torch.nn.functional.dropout(torch.nn.functional.normalize(x), 0.5)
        code, divergence = self.b(torch.tanh(self.a(x))), 0.0
        if self.variational:
            mean, log_variance = code[:, :self.code], code[:, self.code:]
            divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
            code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        else:
            code = torch.tanh(code)
        return self.d(torch.tanh(self.c(code))), divergence


def epoch(net, adam, rows, items):
    order = np.random.permutation(len(rows))
    for begin in range(0, len(order), BATCH):
        chosen = order[begin:begin + BATCH]
        x = np.zeros((len(chosen), items), np.float32)
        for r, user in enumerate(chosen):
            x[r, rows[user]] = 1
        x = torch.from_numpy(x)
        z, divergence = net(x)
        loss = -(torch.log_softmax(z, 1) * x).sum(1).mean() + 0.2 * divergence
        adam.zero_grad()
        loss.backward()
        adam.step()


class Pairs(torch.nn.Module):
    def __init__(self, users, items, factors, hidden, products, dropout):
        super().__init__()
        self.p = torch.nn.Embedding(users, factors) if products else None
        self.q = torch.nn.Embedding(items, factors) if products else None
        self.u, self.v = torch.nn.Embedding(users, factors), torch.nn.Embedding(items, factors)
        widths = [2 * factors] + hidden
        self.layers = torch.nn.Sequential(*[m for a, b in zip(widths, widths[1:]) for m in
                                            (torch.nn.Linear(a, b), torch.nn.ReLU(), torch.nn.Dropout(dropout))])
        self.out = torch.nn.Linear(hidden[-1] + (factors if products else 0), 1)

    def forward(self, user, item):
        x = self.layers(torch.cat([self.u(user), self.v(item)], 1))
        if self.p is not None:
            x = torch.cat([x, self.p(user) * self.q(item)], 1)
        return self.out(x)[:, 0]


def pairs_epoch(net, adam, user, item, items, steps):
    """The seconds of an epoch, from `steps` batches of it."""
    order = np.random.permutation(len(user))[:steps * PAIRS].reshape(steps, PAIRS)
    label = torch.zeros(PAIRS, 1 + NEGATIVES)
    label[:, 0] = 1
    start = time.perf_counter(), time.process_time()
    for chosen in order:
        drawn = np.random.randint(items, size=(PAIRS, 1 + NEGATIVES))
        drawn[:, 0] = item[chosen]
        z = net(torch.from_numpy(np.repeat(user[chosen], 1 + NEGATIVES)), torch.from_numpy(drawn.ravel()))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, label.ravel())
        adam.zero_grad()
        loss.backward()
        adam.step()
    share = len(user) / (steps * PAIRS)
    return (time.perf_counter() - start[0]) * share, (time.process_time() - start[1]) * share


def compare(name, theirs, batch, env):
    out = subprocess.run([BINARY, PATH, str(THREADS), name, f"batch={batch}"], env=env, check=True,
                         capture_output=True, text=True).stdout
    ours = [float(s) for s in re.search(r"epoch ([\d.]+) s \(processor ([\d.]+)", out).groups()]
    print(out.splitlines()[-1])
    print(f"{name}: PyTorch {torch.__version__}, {THREADS} threads: epoch {theirs[0]:.3f} s "
          f"(processor {theirs[1]:.3f} s): {theirs[0] / ours[0]:.2f} times ours "
          f"({theirs[1] / ours[1]:.2f})", flush=True)


def main():
    torch.set_num_threads(THREADS)
    rows, items = read()
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    for name in (f for f in FAMILIES if f in SHAPES):
        net = Net(int(items), *SHAPES[name])
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        wall, cpu = [], []
        for _ in range(EPOCHS):
            start = time.perf_counter(), time.process_time()
            epoch(net, adam, rows, items)
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
        theirs = statistics.median(wall), statistics.median(cpu)
        compare(name, theirs, BATCH, env)
    user, item = np.repeat(np.arange(len(rows)), [len(r) for r in rows]), np.concatenate(rows)
    for name in (f for f in FAMILIES if f in PAIR_SHAPES):
        net = Pairs(len(rows), int(items), *PAIR_SHAPES[name])
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        runs = [pairs_epoch(net, adam, user, item, int(items), 60) for _ in range(EPOCHS)]
        compare(name, [statistics.median(r) for r in zip(*runs)], PAIRS, env)


main()
