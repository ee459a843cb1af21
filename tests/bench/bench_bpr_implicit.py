#!/usr/bin/env python3
"""The same training as bench_bpr.c by implicit 0.7.3, to compare on one machine: positives of ml-1m,
64 factors, 100 epochs, uniform negatives.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install implicit==0.7.3
    env OPENBLAS_NUM_THREADS=1 /tmp/venv/bin/python tests/bench/bench_bpr_implicit.py \\
        [DIRECTORY of ml-1m] [threads=2] [runs=3]
    build/tests/bench/bench_bpr epochs=100 negatives=uniform candidates=1
"""
import os
import statistics
import sys
import time

try:
    import implicit
    import numpy as np
    import scipy.sparse as sp
except ImportError as missing:
    print(f"skipped: {missing}; see the head of this file")
    sys.exit(0)

path = sys.argv[1] if len(sys.argv) > 1 else "../shared/data/ml-1m"
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
rows = np.loadtxt(os.path.join(path, "ratings.dat"), delimiter=":", usecols=(0, 2, 4), dtype=np.int64)
rows = rows[rows[:, 2] >= 4]
users, items = (np.unique(rows[:, c], return_inverse=True)[1] for c in (0, 1))
matrix = sp.csr_matrix((np.ones(len(rows), np.float32), (users, items)))
took = []
for seed in range(1, runs + 1):
    model = implicit.bpr.BayesianPersonalizedRanking(
        factors=64, iterations=100, use_gpu=False, num_threads=threads, random_state=seed)
    start = time.perf_counter()
    model.fit(matrix, show_progress=False)
    took.append(time.perf_counter() - start)
print(f"implicit {implicit.__version__}, BPR, {threads} threads: 100 epochs in "
      f"{statistics.median(took):.2f} s (median of {len(took)}: " + " ".join(f"{t:.2f}" for t in took) + ")")
