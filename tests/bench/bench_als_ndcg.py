#!/usr/bin/env python3
"""How long als and implicit 0.7.3 (conjugate gradient, its default) train until their lists are
equally good: ml-1m, protocol last-five, 64 factors, NDCG@10. The aim is what implicit has after 20
iterations; of both, the fewest iterations that reach it count. In turns, medians.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install implicit==0.7.3
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=1 \\
        /tmp/venv/bin/python tests/bench/bench_als_ndcg.py build/src/app/recsysd [DIRECTORY of ml-1m] [threads]
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import implicit
    import numpy as np
    import scipy.sparse as sp
except ImportError as missing:
    print(f"skipped: {missing}; see the head of this file")
    sys.exit(0)

TESTED, HELD_OUT, MIN_ROWS, K, TURNS = 3000, 6, 11, 10, 3
ITERATIONS = (2, 3, 4, 5, 6, 8, 10, 15, 20)
binary = sys.argv[1] if len(sys.argv) > 1 else "build/src/app/recsysd"
path = sys.argv[2] if len(sys.argv) > 2 else "../shared/data/ml-1m"
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2


def split():
    """What is fitted, what is never recommended, and the liked items among each user's last five."""
    rows = np.loadtxt(os.path.join(path, "ratings.dat"), delimiter=":", usecols=(0, 2, 4, 6), dtype=np.int64)
    rows = rows[np.lexsort((rows[:, 3], rows[:, 0]))]
    user = np.unique(rows[:, 0], return_inverse=True)[1]
    item = np.unique(rows[:, 1], return_inverse=True)[1]
    count = np.bincount(user)
    from_end = np.cumsum(count)[user] - 1 - np.arange(len(rows))
    long, liked = count[user] >= MIN_ROWS, rows[:, 2] >= 4
    train, test = ~long | (from_end >= HELD_OUT), long & (from_end < HELD_OUT - 1) & liked & (rows[:, 0] < TESTED)
    shape = (user.max() + 1, item.max() + 1)

    def matrix(which):
        return sp.csr_matrix((np.ones(which.sum(), np.float32), (user[which], item[which])), shape=shape)
    return matrix(train & liked), matrix(train), matrix(test)


def ndcg(scores, seen, test):
    total, discount, users = 0.0, 1 / np.log2(np.arange(2, K + 2)), np.flatnonzero(np.diff(test.indptr))
    for user in users:
        row = scores(user)
        row[seen.indices[seen.indptr[user]:seen.indptr[user + 1]]] = -np.inf
        relevant = test.indices[test.indptr[user]:test.indptr[user + 1]]
        hits = np.isin(np.argsort(-row, kind="stable")[:K], relevant)
        total += discount[hits].sum() / discount[:min(K, len(relevant))].sum()
    return total / len(users)


def theirs(data, iterations, seed):
    model = implicit.als.AlternatingLeastSquares(factors=64, regularization=0.01, alpha=1.0, use_gpu=False,
                                                 iterations=iterations, num_threads=threads, random_state=seed)
    start = time.perf_counter()
    model.fit(data[0], show_progress=False)
    took = time.perf_counter() - start
    return took, ndcg(lambda user: model.user_factors[user] @ model.item_factors.T, data[1], data[2])


def ours(data, iterations, seed):
    del data
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        os.unlink(out.name)
        subprocess.run([binary, "evaluate", "--format", "movielens-1m", path, "--protocol", "last-five", "--models", "als",
                        "--set", "als.factors=64", "--set", "als.regularization=0.01", "--set",
                        f"als.iterations={iterations}", "--seed", str(seed), "--threads", str(threads), "--results",
                        "none", "--json", out.name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(out.name) as file:
            model = json.load(file)["models"][0]
        return model["fit_s"]["mean"], model["at"][0]["ndcg"]["mean"]


def main():
    data, runs = split(), {}
    for seed in range(1, TURNS + 1):
        for iterations in ITERATIONS:
            for name, run in (("recsysd", ours), ("implicit", theirs)):
                runs.setdefault((name, iterations), []).append(run(data, iterations, seed))
    middle = {key: [statistics.median(column) for column in zip(*values)] for key, values in runs.items()}
    aim = middle["implicit", ITERATIONS[-1]][1]
    print(f"{'iterations':>10} {'recsysd s':>10} {'ndcg@10':>8} {'implicit s':>10} {'ndcg@10':>8}")
    for iterations in ITERATIONS:
        print(f"{iterations:10} {middle['recsysd', iterations][0]:10.3f} {middle['recsysd', iterations][1]:8.4f} "
              f"{middle['implicit', iterations][0]:10.3f} {middle['implicit', iterations][1]:8.4f}")
    first = {name: next((middle[name, i][0] for i in ITERATIONS if middle[name, i][1] >= aim), None)
             for name in ("recsysd", "implicit")}
    if first["recsysd"] is None:
        print(f"recsysd does not reach {aim:.4f}")
        return
    print(f"NDCG@10 of {aim:.4f}: recsysd {first['recsysd']:.3f} s, implicit {first['implicit']:.3f} s, "
          f"ratio {first['implicit'] / first['recsysd']:.1f}; medians of {TURNS}")


if __name__ == "__main__":
    main()
