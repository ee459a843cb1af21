"""recsysd evaluate through the built binary: its figures, its files, and what it refuses."""
import csv
import json
import math
import pathlib
import re
import tempfile
import unittest

from daemon import make_movielens, run


class Folder(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)

    def tearDown(self):
        self.temp.cleanup()

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def evaluate(self, *args, code=0):
        done = run("evaluate", *args, cwd=self.dir)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def read_csv(self, name):
        with open(self.dir / name, newline="") as f:
            return list(csv.DictReader(f))

    def table(self, *args):
        """The JSON report of a run."""
        self.evaluate(*args, "--json", self.dir / "t.json", "--results", "none")
        return json.loads((self.dir / "t.json").read_text())


def ndcg(items, relevant, k):
    gain = sum(1 / math.log2(i + 2) for i, item in enumerate(items[:k]) if item in relevant)
    return gain / sum(1 / math.log2(i + 2) for i in range(min(len(relevant), k)))


class Figures(Folder):
    """Goal: the figures are those of a few lines of Python on the same rows."""

    ROWS = [("u%d" % u, "i%02d" % ((u * 7 + n * n * 3) % 23), 1000 + n)
            for u in range(1, 30) for n in range(3 + u % 9)]

    def popularity(self, train, seen, test, k):
        counts, items = {}, sorted({i for _, i, _ in self.ROWS})
        for rows in train.values():
            for item in rows:
                counts[item] = counts.get(item, 0) + 1
        order = sorted(items, key=lambda i: (-counts.get(i, 0), i))
        values = []
        for user, relevant in test.items():
            shown = [i for i in order if i not in seen.get(user, ())][:k]
            values.append(ndcg(shown, relevant, k))
        return sum(values) / len(values), len(values)

    def histories(self):
        out = {}
        for user, item, _ in self.ROWS:
            out.setdefault(user, []).append(item)
        return out

    def data(self):
        return self.file("rows.csv", "user,item,time\n" +
                         "".join("%s,%s,%d\n" % r for r in self.ROWS))

    def test_last(self):
        train, test = {}, {}
        for user, items in self.histories().items():
            train[user] = items[:-3] if len(items) > 3 else items
            relevant = set(items[-2:]) - set(train[user]) if len(items) > 3 else set()
            if relevant:
                test[user] = relevant
        expect, users = self.popularity(train, train, test, 5)
        got = self.table("--format", "csv", "--columns", "user=user,item=item,timestamp=time",
                         "--test-last", "2", "--models", "popularity", "--k", "5", self.data())
        self.assertEqual(got["split"]["tested_users"], users)
        self.assertAlmostEqual(got["models"][0]["at"][0]["ndcg"]["mean"], expect, places=8)

    def test_user_lists_and_parts(self):
        train, test, lists, asked = {}, {}, "", ""
        for user, items in self.histories().items():
            known, held = items[:-1], set(items[-1:]) - set(items[:-1])
            train[user] = known
            lists += " ".join([user] + known) + "\n"
            if held:
                test[user] = held
                asked += " ".join([user] + sorted(held)) + "\n"
        expect, users = self.popularity(train, train, test, 5)
        got = self.table("--format", "user-lists", "--train", self.file("train.txt", lists),
                         "--test", self.file("test.txt", asked), "--models", "popularity",
                         "--k", "5")
        self.assertEqual(got["split"]["tested_users"], users)
        self.assertAlmostEqual(got["models"][0]["at"][0]["ndcg"]["mean"], expect, places=8)

    def test_history(self):
        """What is known at test time is not recommended, and is not fitted on."""
        train = self.file("train.txt", "a x y\nb x z\nc z\n")
        history = self.file("history.txt", "a x y z\nb x z\nc z\n")
        test = self.file("test.txt", "a w\nc x w\n")
        args = ["--format", "user-lists", "--train", train, "--test", test, "--models",
                "popularity", "--k", "1,2"]
        # c is shown x (2 rows), then y; a knows x, y: without the history z, then w.
        self.assertAlmostEqual(self.table(*args)["models"][0]["at"][1]["hit"]["mean"], 1.0)
        self.assertAlmostEqual(self.table(*args)["models"][0]["at"][0]["hit"]["mean"], 0.5)
        args += ["--history", history]
        self.assertAlmostEqual(self.table(*args)["models"][0]["at"][0]["hit"]["mean"], 1.0)

    def test_what_counts(self):
        """The head of the table names a bound of ratings where there are ratings."""
        lists = self.file("l.txt", "a x y z\nb y x z\n")
        stars = self.file("r.csv", "u,i,n\n" + "".join("%s,%s,5\n" % (u, i) for u in "ab"
                                                      for i in "xyz"))
        rated = ["--format", "csv", "--columns", "user=u,item=i,value=n"]
        rows = [(["--format", "user-lists", lists], False), ([*rated, stars], True),
                (["--format", "csv", "--columns", "user=u,item=i", stars], False),
                ([*rated, "--type", "order", stars], False),
                ([*rated, "--positive-min", "any", stars], False)]
        for args, bound in rows:
            with self.subTest(args=args):
                done = self.evaluate(*args, "--models", "popularity", "--results", "none",
                                     "--validation-last", "0")
                self.assertEqual("ratings from 4 on count" in done.stdout, bound)
                self.assertEqual("every row counts" in done.stdout, not bound)

    def test_spelled_out(self):
        """A preset and the same settings by hand give the same table."""
        movielens = ["--format", "movielens", make_movielens(self.dir / "ml")]
        own_rows = ["--format", "csv", "--columns", "user=user,item=item,timestamp=time",
                    self.data()]
        bounds = ["--cut", "0.6", "--min-train", "2", "--test-min-train", "1", "--test-min-rows",
                  "1"]
        rows = [
            (movielens, ["--protocol", "last-out"],
             ["--split", "last", "--positive-min", "4", "--liked-only", "--min-rows", "3"]),
            (movielens, ["--protocol", "next-item"],
             ["--positive-min", "any", "--min-rows", "3", "--validation-in-history",
              "--test-users", "2999"]),
            (own_rows, ["--protocol", "global-time"] + bounds,
             ["--split", "time", "--positive-min", "any"] + bounds),
        ]
        for data, preset, own in rows:
            with self.subTest(preset=preset):
                common = [*data, "--k", "3", "--models", "popularity"]
                a, b = self.table(*preset, *common), self.table(*own, *common)
                self.assertEqual(a["models"][0]["at"], b["models"][0]["at"])
                self.assertEqual(a["split"], b["split"])


class Files(Folder):
    """Goal: every file holds what the table says, and runs are appended, not replaced."""

    def test_files(self):
        data = make_movielens(self.dir / "ml")
        args = ["--format", "movielens", data, "--protocol", "last-out", "--models",
                "popularity,als,two=als", "--set", "als.factors=4", "--set", "two.factors=2",
                "--set", "two.iterations=2", "--seeds", "2", "--k", "5,3,5"]
        for times in (1, 2):
            done = self.evaluate(*args, "--by-bucket", "--json", "t.json", "--csv", "t.csv",
                                 "--html", "t.html", "--per-user", "u.csv")
            results = (self.dir / "recsysd-results.jsonl").read_text().splitlines()
            self.assertEqual(len(results), times * 6)
        for word in ("ndcg@3", "ndcg@5", "novelty", "users/s", "two", "±", "medium users"):
            self.assertIn(word, done.stdout)

        table = json.loads((self.dir / "t.json").read_text())
        self.assertEqual([m["model"] for m in table["models"]], ["popularity", "als", "two"])
        als = table["models"][1]
        self.assertEqual([at["k"] for at in als["at"]], [3, 5])
        self.assertIn("factors=4", als["parameters"])
        runs = [json.loads(line) for line in results]
        for key in ("data", "protocol", "parameters", "seed", "version", "made_at"):
            self.assertIn(key, runs[0])
        mine = [r for r in runs[-6:] if r["model"] == "als"]
        self.assertEqual([r["seed"] for r in mine], [1, 2])
        values = [r["at"][1]["ndcg"] for r in mine]
        self.assertAlmostEqual(als["at"][1]["ndcg"]["mean"], sum(values) / 2, places=7)
        self.assertAlmostEqual(als["at"][1]["ndcg"]["sd"], abs(values[0] - values[1]) / 2 ** .5,
                               places=7)

        rows = self.read_csv("t.csv")
        self.assertEqual(len(rows), 3 * 2 * 4)
        whole = [r for r in rows if r["model"] == "als" and r["users_group"] == "all"][1]
        self.assertAlmostEqual(float(whole["ndcg"]), als["at"][1]["ndcg"]["mean"], places=7)

        users = [r for r in self.read_csv("u.csv")
                 if r["model"] == "als" and r["k"] == "5"]
        self.assertEqual(len(users), table["split"]["tested_users"])
        self.assertAlmostEqual(sum(float(r["ndcg"]) for r in users) / len(users), values[0],
                               places=6)
        page = (self.dir / "t.html").read_text()
        self.assertEqual(page.count("<svg"), 4)
        self.assertIsNone(re.search(r"https?:|src=|@import|url\(", page))

    def test_progress(self):
        done = self.evaluate("--format", "movielens", make_movielens(self.dir / "ml"),
                             "--protocol", "last-out", "--results", "none", "--progress")
        self.assertNotIn("\x1b", done.stderr)  # no terminal: no drawing in place


class Refused(Folder):
    """Goal: what cannot be evaluated is refused with the setting, the value and a way out."""

    def refused(self, *args, says):
        done = self.evaluate(*args, code=2)
        lines = [l for l in done.stderr.splitlines() if l.startswith("recsysd")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn(says, lines[0])

    def test_settings(self):
        data = make_movielens(self.dir / "ml")
        base = ["--format", "movielens", data, "--results", "none"]
        last = base + ["--protocol", "last-out"]
        rows = [
            ([], "give --format"), (["--format", "movielens"], "PATH"),
            (["--format", "movielense", data], "did you mean movielens"),
            (base + ["--protocol", "last-four"], "last-out"),
            (base + ["--protocol", "last-fiv"], "did you mean last-five"),
            (last + ["--models", "alz"], "als"), (last + ["--models", "als,als"], "twice"),
            (last + ["--models", ""], "names no family"),
            (last + ["--models", "x.y=als"], "without '.'"),
            (last + ["--set", "als.factor=3"], "factors"),
            (last + ["--set", "als.factors=-1"], "factors"),
            (last + ["--set", "als.factors=nan"], "factors"),
            (last + ["--set", "al.factors=3"], "did you mean als"),
            (last + ["--models", "popularity,blend", "--set", "blend.first=als", "--set",
                     "blend.first.factos=8"], "set: blend: first: parameter 'factos' is not known"),
            (last + ["--models", "popularity,blend", "--set", "blend.third.factors=8"],
             "set: blend: third: parameter 'factors'"),
            (last + ["--set", "factors=3"], "MODEL.NAME=VALUE"),
            (last + ["--k", "0"], "k: 0 is not within 1 and 1000"),
            (last + ["--k", "1001"], "k: 1001"), (last + ["--k", "ten"], "'ten'"),
            (last + ["--k", "5,"], "k:"), (last + ["--seeds", "0"], "seeds"),
            (last + ["--split", "time"], "splits the other way"),
            (base + ["--split", "random"], "neither last nor time"),
            (last + ["--cut", "0.5"], "cut: it is of split time, and this one is split last"),
            (last + ["--min-train", "2"], "min-train"),
            (base + ["--test-min-rows", "1"], "test-min-rows"),
            (base + ["--protocol", "global-time", "--test-last", "2"],
             "test-last: it is of split last, and this one is split time"),
            (base + ["--split", "time", "--validation-in-history"], "validation-in-history"),
            (base + ["--split", "time", "--cut", "1.5"], "cut: '1.5'"),
            (base + ["--split", "time", "--cut", "nan"], "cut: 'nan'"),
            (base + ["--split", "time", "--cut", "yesterday"], "cut"),
            (base + ["--positive-min", "nan"], "positive-min"),
            (base + ["--seen", "some"], "neither known nor none"),
            (last + ["--on", "train"], "neither test nor validation"),
            (base + ["--on", "validation", "--validation-last", "0"], "no validation part"),
            (last + ["--train", "x"], "--train and --test"),
            (["--format", "csv", "--train", "x"], "both --train and --test"),
            (["--format", "csv", "--train", "x", "--test", "y", "--protocol", "last-out"],
             "no protocol"),
            (last + ["--min-rows", "1000"], "empty split"),
            (base + ["--positive-min", "6"], "empty split"),
            (base + ["--split", "time", "--cut", "1971-01-01"], "empty split"),
            (base + ["--split", "time", "--cut", "2040-01-01"], "empty split"),
        ]
        for args, says in rows:
            with self.subTest(args=args[2:]):
                self.refused(*args, says=says)

    def test_values(self):
        rows = [("nan", "rows.csv:2: column value"), ("inf", "rows.csv:2: column value"),
                ("x", "rows.csv:2: column value")]
        for value, says in rows:
            with self.subTest(value=value):
                path = self.file("rows.csv", "user,item,value\na,b,%s\na,c,5\n" % value)
                self.refused("--format", "csv", "--columns", "user=user,item=item,value=value",
                             path, "--results", "none", says=says)

    def test_leak(self):
        train, test = self.file("train.txt", "a x y\n"), self.file("test.txt", "a y z\n")
        self.refused("--format", "user-lists", "--train", train, "--test", test, says="leak: 1 of 2")

    def test_leak_where_items_come_back(self):
        """By their times; lists have none, so nothing is refused there, and a note says so."""
        rows = [("a,x,5", True), ("a,x,9", False), ("a,y,5", False)]
        train = self.file("train.csv", "user,item,time\na,x,5\na,y,6\nb,x,7\n")
        for row, leaks in rows:
            with self.subTest(row=row):
                args = ["--format", "csv", "--columns", "user=user,item=item,timestamp=time",
                        "--train", train, "--test", self.file("t.csv", "user,item,time\n" + row),
                        "--seen", "none", "--models", "popularity", "--results", "none"]
                if leaks:
                    self.refused(*args, says="leak: 1 of 1 test rows are in train")
                else:
                    self.assertNotIn("lists", self.evaluate(*args).stderr)
        train = self.file("train.txt", "a x y\nb x\n")
        for line in ("a x\n", "a y\n", "a x y\n"):
            with self.subTest(line=line):
                done = self.evaluate("--format", "user-lists", "--train", train, "--test",
                                     self.file("t.txt", line), "--seen", "none", "--models",
                                     "popularity", "--results", "none")
                self.assertIn("looks like an item that came back", done.stderr)

    def test_results_that_cannot_be_written(self):
        data = make_movielens(self.dir / "ml")
        done = self.evaluate("--format", "movielens", data, "--protocol", "last-out", "--results",
                             "/nowhere/r.jsonl", "--models", "popularity,ease", "--memory-mb", "1",
                             "--progress", code=1)
        self.assertIn("results: cannot write /nowhere/r.jsonl: No such file", done.stderr)
        self.assertNotIn("popularity", done.stderr)  # nothing was fitted

    def test_default_results_that_cannot_be_written(self):
        """The file that was not asked for is missed, not the table."""
        (self.dir / "recsysd-results.jsonl").mkdir()
        done = self.evaluate("--format", "movielens", make_movielens(self.dir / "ml"),
                             "--protocol", "last-out", "--models", "popularity")
        self.assertIn("note: cannot write recsysd-results.jsonl", done.stderr)
        self.assertIn("ndcg@10", done.stdout)

    def test_per_user_that_cannot_be_written(self):
        done = self.evaluate("--format", "movielens", make_movielens(self.dir / "ml"),
                             "--protocol", "last-out", "--per-user", "/nowhere/u.csv", code=1)
        self.assertIn("cannot write /nowhere/u.csv: No such file", done.stderr)


class Failures(Folder):
    """Goal: a model that fails is named with the reason, once, and the others are reported."""

    ROWS = "".join("u%d %s\n" % (u, " ".join("i%d" % ((u * 7 + n * 13) % 900) for n in range(9)))
                   for u in range(300))

    def fails(self, models, *args):
        path = self.file("l.txt", self.ROWS)
        return self.evaluate("--format", "user-lists", path, "--models", models, "--memory-mb", "1",
                             "--json", "t.json", "--csv", "t.csv", "--html", "t.html", *args,
                             code=1)

    def test_one(self):
        done = self.fails("popularity,dense=ease,random", "--seeds", "2", "--by-bucket")
        why = r"training on \d+ items and 300 users takes about"
        self.assertEqual(len(re.findall("^recsysd: dense: " + why, done.stderr, re.M)), 1)
        self.assertRegex(done.stdout, "(?m)^dense failed: " + why)
        self.assertRegex(done.stdout, r"(?m)^random +\d")

        table = json.loads((self.dir / "t.json").read_text())
        self.assertEqual([m["model"] for m in table["models"]], ["popularity", "random"])
        self.assertEqual([m["seeds"] for m in table["models"]], [2, 2])
        self.assertEqual([(f["model"], f["family"]) for f in table["failed"]], [("dense", "ease")])
        self.assertRegex(table["failed"][0]["reason"], "^" + why)
        rows = self.read_csv("t.csv")
        self.assertTrue(all(None not in r and None not in r.values() for r in rows))
        self.assertEqual({r["model"] for r in rows if r["failed"] == ""}, {"popularity", "random"})
        self.assertRegex([r["failed"] for r in rows if r["model"] == "dense"][0], why)
        self.assertRegex((self.dir / "t.html").read_text(), "<td>dense</td><td>" + why)
        runs = (self.dir / "recsysd-results.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(r)["model"] for r in runs],
                         ["popularity", "popularity", "random", "random"])

    def test_all(self):
        done = self.fails("ease")
        self.assertNotIn("ease: ease", done.stderr)
        self.assertNotIn("ndcg", done.stdout)
        self.assertEqual(json.loads((self.dir / "t.json").read_text())["models"], [])
        self.assertNotIn("nan", (self.dir / "t.html").read_text())


class Extremes(Folder):
    """Goal: data at the edge give the right answer, not a crash, with every family."""

    def every(self, *args, fails=()):
        """Figures of all families at each k, and the run. Those in fails must say what to do."""
        done = self.evaluate("--format", "user-lists", *args, "--models", "all", "--results",
                             "none", "--json", "t.json", "--per-user", "u.csv",
                             code=1 if fails else 0)
        report = json.loads((self.dir / "t.json").read_text())
        failed = [l for l in (done.stdout + done.stderr).splitlines() if " failed: " in l]
        self.assertEqual(sorted(l.split(" failed: ")[0].split()[-1] for l in failed),
                         sorted(fails))
        for line in failed:
            self.assertIn("choose another model", line)
        at = {m["model"]: m["at"] for m in report["models"] if m["model"] not in fails}
        self.assertLess({"popularity", "als", "ease", "user-knn", "bpr", "blend"} - set(fails),
                        set(at))
        return at, report, done

    def test_lists_beyond_the_catalogue(self):
        path = self.file("l.txt", "a x y\nb y x\nc z x\n")
        for model, at in self.every(path, "--validation-last", "0", "--k", "1000")[0].items():
            with self.subTest(model=model):
                self.assertEqual(at[0]["recall"]["mean"], 1.0)
                self.assertAlmostEqual(at[0]["precision"]["mean"], 1 / 1000)

    def test_one_user(self):
        """What was held out is the only item left."""
        path = self.file("l.txt", "a x y z\n")
        at, report, _ = self.every(path, "--validation-last", "0", "--by-bucket")
        self.assertEqual(report["split"]["tested_users"], 1)
        for model in report["models"]:
            with self.subTest(model=model["model"]):
                self.assertEqual([b["bucket"] for b in model["buckets"]], ["cold"])
                self.assertEqual(at[model["model"]][0]["hit"]["mean"], 1.0)

    def test_one_item(self):
        """One item alone is always seen: nothing is left to ask."""
        path = self.file("l.txt", "a x x\nb x\n")
        done = self.evaluate("--format", "user-lists", path, "--validation-last", "0", "--results",
                             "none", code=2)
        self.assertIn("empty split", done.stderr)
        at, _, _ = self.every(path, "--validation-last", "0", "--seen", "none",
                              fails=["neural-mf", "ncf", "bpr"])
        for model, figures in at.items():
            with self.subTest(model=model):
                self.assertEqual(figures[0]["hit"]["mean"], 1.0)

    def test_strangers(self):
        """Popularity puts an item without rows last, behind z for a; c gets the popular list."""
        train = self.file("train.txt", "a x y\nb x\nd z x\ne y x\n")
        test = self.file("test.txt", "a q\nc x\nf y\n")
        at, _, done = self.every("--train", train, "--test", test, "--k", "1,2")
        self.assertIn("1 of 3 relevant items occur in no train row", done.stderr)
        self.assertIn("2 tested users have no history", done.stderr)
        self.assertAlmostEqual(at["popularity"][0]["hit"]["mean"], 1 / 3, places=6)
        self.assertEqual(at["popularity"][1]["hit"]["mean"], 1.0)
        for row in self.read_csv("u.csv"):
            hit = {("c", "1"): 1.0, ("c", "2"): 1.0, ("f", "1"): 0.0, ("f", "2"): 1.0}.get(
                (row["user"], row["k"]))
            with self.subTest(row=row):
                if hit is not None and row["model"] != "random":
                    self.assertEqual(float(row["hit"]), hit)
                if row["user"] == "a" and row["k"] == "2":
                    self.assertEqual(float(row["hit"]), 1.0)  # z and q are all there is

    def test_nothing_tells_items_apart(self):
        """Each item has two rows: ties go to the lower id, which is right for three of four."""
        path = self.file("l.txt", "a 1 2 3\nb 2 3 4\nc 3 4 1\nd 4 1 2\n")
        at, _, _ = self.every(path, "--validation-last", "0", "--k", "1,2")
        self.assertEqual(at["popularity"][0]["hit"]["mean"], 0.75)
        self.assertEqual(at["personal-popularity"][0]["hit"]["mean"], 0.75)
        for model, figures in at.items():
            with self.subTest(model=model):
                self.assertEqual(figures[1]["recall"]["mean"], 1.0)  # two are all there is

    def test_negative_and_duplicate_rows(self):
        path = self.file("rows.csv", "user,item,value,time\n" + "".join(
            "u%d,i%d,%d,%d\n" % (u, i, v, t) for u in range(5)
            for t, (i, v) in enumerate([(1, 5), (1, 5), (2, -3), (u + 3, 4), (9, 5)])))
        got = self.table("--format", "csv", "--columns",
                         "user=user,item=item,value=value,timestamp=time", path,
                         "--validation-last", "0", "--models", "popularity,als", "--set",
                         "als.factors=2")
        self.assertEqual(got["split"]["tested_users"], 5)
        self.assertEqual(got["split"]["relevant"], 5)  # i9 of each; what was disliked is not


if __name__ == "__main__":
    unittest.main()
