"""recsysd synth, through the built binary: what it writes, that import and evaluate read it, and that
there is something in it to learn."""
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import unittest

from daemon import BINARY, run

COLUMNS = ("--format", "csv", "--columns", "user=user,item=item,timestamp=timestamp",
           "--type", "order")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("RECSYSD_")}


class Synth(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)

    def tearDown(self):
        self.temp.cleanup()

    def made(self, name, *more, users=300, items=200, interactions=9000):
        path = self.dir / name
        done = run("synth", "--users", users, "--items", items, "--interactions", interactions,
                   "--out", path, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "")
        return path

    def test_bytes(self):
        """Goal: the same seed gives the same bytes, in a file and on standard output; the order
        changes nothing but the order."""
        first = self.made("a.csv").read_bytes()
        self.assertEqual(first, self.made("b.csv", "--seed", 1).read_bytes())
        self.assertNotEqual(first, self.made("c.csv", "--seed", 2).read_bytes())
        for out in ((), ("--out", "-")):
            done = run("synth", "--users", 300, "--items", 200, "--interactions", 9000, *out)
            self.assertEqual(done.stdout.encode(), first)
            self.assertEqual(done.stderr, "")
        by_time = self.made("d.csv", "--order", "time").read_text().splitlines()
        self.assertEqual(sorted(by_time), sorted(first.decode().splitlines()))
        times = [int(line.split(",")[2]) for line in by_time[1:]]
        self.assertEqual(times, sorted(times))
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()),
                         ["a.csv", "b.csv", "c.csv", "d.csv"])

    def test_rows(self):
        """Goal: a header, whole numbers from 1 on, exactly as many rows as asked for, every user."""
        lines = self.made("a.csv").read_text().splitlines()
        self.assertEqual(lines[0], "user,item,timestamp")
        rows = [tuple(map(int, line.split(","))) for line in lines[1:]]
        self.assertEqual(len(rows), 9000)
        self.assertEqual({user for user, _, _ in rows}, set(range(1, 301)))
        self.assertLessEqual({item for _, item, _ in rows}, set(range(1, 201)))

    def test_import(self):
        """Goal: import reads it as it is, from a pipe too."""
        path = self.made("a.csv")
        done = run("import", "--db", self.dir / "file.db", *COLUMNS, path)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path) as file:
            piped = subprocess.run([BINARY, "import", "--db", self.dir / "pipe.db", *COLUMNS, "-"],
                                   stdin=file, capture_output=True, text=True, env=CLEAN)
        self.assertEqual(piped.returncode, 0, piped.stderr)
        for db in ("file.db", "pipe.db"):
            with sqlite3.connect(self.dir / db) as connection:
                self.assertEqual(connection.execute(
                    "SELECT count(*), count(DISTINCT user) FROM interactions").fetchone(),
                    (9000, 300))

    def test_learnable(self):
        """Goal: als ranks what users do next far better than popularity does, and no better where
        there is no taste."""
        ndcg = {}
        for taste in ("0.75", "0"):
            path = self.made("t" + taste, "--taste", taste, users=2000, items=1000,
                             interactions=100000)
            table = self.dir / "table.json"
            done = run("evaluate", *COLUMNS, "--models", "popularity,als", "--set",
                       "als.factors=32", "--k", "10", "--results", "none", "--threads", 1,
                       "--json", table, path)
            self.assertEqual(done.returncode, 0, done.stderr)
            for model in json.loads(table.read_text())["models"]:
                ndcg[model["family"], taste] = model["at"][0]["ndcg"]["mean"]
        self.assertGreater(ndcg["als", "0.75"], 2 * ndcg["popularity", "0.75"])
        self.assertLess(ndcg["als", "0"], ndcg["popularity", "0"])

    def test_refused(self):
        """Goal: what cannot be made is refused by name, and leaves no file."""
        out = self.dir / "x.csv"
        rows = [
            (["--users", "0"], "users: 0 is not within 1", 2),
            (["--items", "16777217"], "items: 16777217 is not within 1 and 16777216", 2),
            (["--interactions", "5", "--users", "9"], "interactions: 5 are fewer than the 9 users",
             2),
            (["--clusters", "2001"], "clusters: 2001 are more than the 2000 items", 2),
            (["--exponent", "5"], "exponent: 5 is not within 0 and 4", 2),
            (["--activity", "nan"], "activity: 'nan'", 2),
            (["--taste", "1.5"], "taste: 1.5 is not within 0 and 1", 2),
            (["--order", "items"], "order: 'items' is neither user nor time", 2),
            (["--db", "x"], "not a flag of this subcommand", 2),
            (["x.csv"], "unexpected argument 'x.csv'", 2),
            (["--out", self.dir / "none" / "x.csv"], "out: cannot make", 1),
        ]
        for args, text, code in rows:
            with self.subTest(args=args):
                done = run("synth", "--out", out, *args)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertEqual(list(self.dir.iterdir()), [])

    def test_full_disk(self):
        """Goal: an output that takes no more is a failure, not a short file."""
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, "synth"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=CLEAN)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
