#!/usr/bin/python3
"""The epochs of bench_nn.c by PyTorch: same data, shapes, batch, threads, losses and Adam, dense input
rows as is usual there. Runs bench_nn, too, and prints the ratio; bar: ours is at least twice as fast.

    apt-get install python3-torch
    /usr/bin/python3 tests/bench/bench_nn_torch.py BENCH_NN [DIRECTORY of ml-1m] [THREADS]
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
SHAPES = {"dae": (512, 128, False), "mult-vae": (600, 200, True)}


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


def main():
    torch.set_num_threads(THREADS)
    rows, items = read()
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    for name, shape in SHAPES.items():
        net = Net(int(items), *shape)
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        wall, cpu = [], []
        for _ in range(EPOCHS):
            start = time.perf_counter(), time.process_time()
            epoch(net, adam, rows, items)
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
        theirs = statistics.median(wall), statistics.median(cpu)
        out = subprocess.run([BINARY, PATH, str(THREADS), name, f"batch={BATCH}"], env=env, check=True,
                             capture_output=True, text=True).stdout
        ours = [float(s) for s in re.search(r"epoch ([\d.]+) s \(processor ([\d.]+)", out).groups()]
        print(out.splitlines()[-1])
        print(f"{name}: PyTorch {torch.__version__}, {THREADS} threads: epoch {theirs[0]:.3f} s "
              f"(processor {theirs[1]:.3f} s): {theirs[0] / ours[0]:.2f} times ours "
              f"({theirs[1] / ours[1]:.2f})", flush=True)


main()
