"""Prints the figures that test_protocols.c expects, computed by an independent implementation.

It needs numpy, pandas and scipy, the data sets, and protocols.py (splits and metrics in numpy):

    python3 check_protocols.py FOLDER_OF_PROTOCOLS_PY

Popular items are ranked by their count in train, ties to the lower item id. The ranks themselves
are the scores: no two are equal, so the lists do not depend on how a sort treats ties, and any
difference is one of splits or metrics.
"""
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import protocols  # noqa: E402


def popularity(split):
    counts = np.asarray(split.train.sum(axis=0)).ravel()
    rank = np.empty(len(counts), np.float32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts), dtype=np.float32)
    return lambda users: np.tile(-rank, (len(users), 1))


for name, split in (("last-out", protocols.p0()), ("last-five", protocols.p3())):
    for which in ("test", "val"):
        out = protocols.evaluate(popularity(split), split, which=which)
        print(name, which, "train", split.train.nnz, "seen", split.seen.nnz, "users", out["users"])
        for k in (10, 20):
            names = ("precision", "recall", "ndcg", "map", "mrr", "hit")
            print("   {%d, %s}" % (k, ", ".join("%.9f" % out[f"{m}@{k}"] for m in names)))
        print("    coverage@10 %.9f" % out["coverage@10"])
