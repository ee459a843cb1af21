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


splits = {"last-out": protocols.p0(), "global-time": protocols.p1(), "last-five": protocols.p3(),
          "next-item": protocols.next_item(), "repeat": protocols.repeat()}
for name, split in splits.items():
    rows = ""
    if isinstance(split, tuple):
        split, train_rows, test_rows = split
        rows = "train rows %d, test rows %d" % (train_rows, test_rows)
    for which in ("test", "val"):
        if getattr(split, which) is None:
            continue
        # Of next-item, the validation item is not known yet when it is asked for.
        seen = split.train if name == "next-item" and which == "val" else split.seen
        out = protocols.evaluate(popularity(split), split, which=which, seen=seen)
        print(name, which, "train", int(split.train.sum()), "seen", seen.nnz, "users", out["users"],
              "shape", split.train.shape, rows)
        for k in (10, 20):
            names = ("precision", "recall", "ndcg", "map", "mrr", "hit")
            print("   {%d, %s}" % (k, ", ".join("%.9f" % out[f"{m}@{k}"] for m in names)))
        print("    coverage@10 %.9f" % out["coverage@10"])
