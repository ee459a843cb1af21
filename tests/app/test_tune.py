"""recsysd tune through the built binary: what it finds, that it goes on after a kill, its page, and
what it refuses."""
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
from html.parser import HTMLParser

from daemon import BINARY, clean_env, make_movielens, run


class Folder(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)
        make_movielens(self.dir / "ml")
        self.data = ["--format", "movielens", "ml", "--protocol", "last-out", "--threads", "2"]

    def tearDown(self):
        self.temp.cleanup()

    def tune(self, *args, code=0):
        done = run("tune", *args, cwd=self.dir)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        self.assertNotIn("Sanitizer", done.stderr)
        return done


class Found(Folder):
    def evaluate(self, command):
        done = run(*command, "--results", "none", "--csv", "-", "--k", "10", cwd=self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split(",") for line in done.stdout.splitlines() if "," in line]
        head = next(row for row in rows if "ndcg" in row)
        return float(rows[rows.index(head) + 1][head.index("ndcg")])

    def test_winner(self):
        """Goal: the figure on the test is the one that the printed command gives, that of the start
        what it gives without the values found, and what is printed to train it trains."""
        done = self.tune(*self.data, "--model", "svd", "--trials", "12", "--set",
                         "svd.iterations=3")
        self.assertRegex(done.stdout, r"svd on ml: 12 trials \(12 complete, 0 given up, 0 failed\)")
        trials = dict(re.findall(r"(?m)^trial (\d+) of 12: (\S+)", done.stderr))
        self.assertEqual(sorted(map(int, trials)), list(range(1, 13)), done.stderr)
        number, value = re.search(r"best: .* \S+@10 (\S+) on validation, trial (\d+):",
                                  done.stdout).groups()[::-1]
        self.assertEqual(trials[number], value)
        best = float(re.search(r"best: +ndcg@10 (\S+) on validation", done.stdout)[1])
        start = float(re.search(r"the start: +ndcg@10 (\S+) on validation", done.stdout)[1])
        self.assertGreaterEqual(best, start)
        figures = re.search(r"on the test: ndcg@10 (\S+) \(the start: (\S+)\)", done.stdout)
        command = re.search(r"evaluate it: recsysd (.*)", done.stdout)[1].split()
        self.assertIn("svd.iterations=3", command)
        self.assertAlmostEqual(self.evaluate(command), float(figures[1]), places=4)
        start = [*self.data, "--models", "svd", "--set", "svd.iterations=3"]
        self.assertAlmostEqual(self.evaluate(["evaluate", *start]), float(figures[2]), places=4)
        self.assertNotEqual(figures[1], figures[2])
        train = re.search(r"train it: +recsysd (.*) --db FILE", done.stdout)[1].split()
        imported = run("import", "--db", "x.db", "--format", "movielens", "ml", cwd=self.dir)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        trained = run(*train, "--db", "x.db", cwd=self.dir)
        self.assertEqual(trained.returncode, 0, trained.stderr)

    def test_own_split(self):
        """Goal: a split that was spelled out is repeated in the command, quoted where it must be."""
        (self.dir / "my ml").symlink_to("ml")
        done = self.tune("--format", "movielens", "my ml", "--test-last", "2", "--liked-only",
                         "--positive-min", "3.5", "--model", "popularity", "--trials", "2")
        command = re.search(r"evaluate it: recsysd (.*)", done.stdout)[1]
        for part in ("--test-last 2", "--liked-only ", "--positive-min 3.5", "'my ml'"):
            self.assertIn(part, command)

    def test_train_line(self):
        """Goal: what is printed to train weighs, likes and draws as the search did."""
        (self.dir / "x.ini").write_text("rating-min = 3\n")
        search = ["--format", "movielens", "ml", "--model", "popularity", "--trials", "1"]
        rows = [
            (["--protocol", "last-out"], ""),
            (["--protocol", "last-out", "--seed", "7"], " --seed 7"),
            (["--protocol", "last-out", "--positive-min", "3.5"], " --rating-min 3.5"),
            (["--protocol", "next-item"], " --rating-min -1e6"),
            (["--positive-min", "any", "--weights", "rating=value,order=2"],
             " --weights rating=value,order=2 --rating-min -1e6"),
            (["--protocol", "last-out", "--config", "x.ini"], " --rating-min 4"),
            (["--positive-min", "3", "--liked-only", "--config", "x.ini"], ""),
        ]
        imported = run("import", "--db", "x.db", "--format", "movielens", "ml", cwd=self.dir)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        for args, says in rows:
            with self.subTest(args=args):
                done = self.tune(*search, *args)
                self.assertNotIn("of a value below", done.stdout)
                line = re.search(r"train it: +recsysd (train --model popularity.*)", done.stdout)[1]
                line, rest = re.sub(r" --set \S+", "", line), " --db FILE"
                self.assertEqual(line, "train --model popularity" + says + rest)
                trained = run(*line.replace("FILE", "x.db").split(), cwd=self.dir)
                self.assertEqual(trained.returncode, 0, trained.stderr)
        done = self.tune(*search, "--value-min", "2")
        self.assertIn("it counts rows of a value below 2, too", done.stdout)

    def test_given_up(self):
        """Goal: what was given up says so, and no value that other trials could be compared with."""
        done = self.tune(*self.data, "--model", "bpr", "--trials", "30", "--threads", "1",
                         "--set", "bpr.early_stop=5")
        ends = re.findall(r"(?m)^trial \d+ of 30: given up(.*)", done.stderr)
        self.assertIn(f" {len(ends)} given up", done.stdout)
        self.assertGreater(len(ends), 0)
        for end in ends:
            self.assertRegex(end, r"^ after epoch \d+  \d+\.\d s  ")

    def test_page(self):
        """Goal: one page, well formed, that fetches nothing."""
        self.tune(*self.data, "--model", "popularity", "--trials", "12", "--html", "t.html")
        page = (self.dir / "t.html").read_text()
        self.assertIn("<dt>the start on the test</dt>", page)
        one_to_12 = [str(n) for n in range(1, 13)]
        self.assertEqual(re.findall(r"<tr><td>(\d+)", page), one_to_12)
        self.assertEqual(re.findall(r"<circle.*<title>trial (\d+)", page), one_to_12)
        self.assertEqual(page.count("<svg"), 3)
        self.assertNotRegex(page, r"(?i)https?:|<script|<link|nan|inf\b")
        open_tags = []

        class Parser(HTMLParser):
            def handle_starttag(self, tag, attrs):
                if tag != "meta":
                    open_tags.append(tag)

            def handle_endtag(self, tag):
                assert open_tags.pop() == tag, tag

            def handle_startendtag(self, tag, attrs):
                pass

        Parser().feed(page)
        self.assertEqual(open_tags, [])


class Study(Folder):
    def rows(self):
        """Of a copy: what a kill has left is for recsysd to clean up, not for this reader."""
        (self.dir / "copy").mkdir(exist_ok=True)
        for path in self.dir.glob("s.db*"):
            shutil.copy(path, self.dir / "copy")
        with sqlite3.connect(self.dir / "copy" / "s.db") as db:
            return db.execute("SELECT number, parameters, value FROM trials ORDER BY number"
                              ).fetchall()

    def test_kill(self):
        """Goal: killed again and again, a study ends as the one that was never stopped."""
        command = ["--format", "movielens", "ml", "--protocol", "last-out", "--threads", "1",
                   "--model", "als", "--set", "als.iterations=5", "--trials", "16", "--study"]
        self.tune(*command, "whole.db")
        for seen in (2, 5, 9):
            process = subprocess.Popen([BINARY, "tune", *command, "s.db"], cwd=self.dir,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env=clean_env())
            for line in process.stderr:
                found = re.match(r"trial (\d+) of 16", line)
                if found and int(found[1]) >= seen:
                    process.send_signal(signal.SIGKILL)
                    break
            process.stderr.close()
            process.wait()
        kept = self.rows()
        self.assertGreaterEqual(len(kept), 9)
        done = self.tune(*command, "s.db")
        self.assertIn("the same command goes on with them", done.stderr)
        self.assertIn(f"{len(kept)} of the trials were in the study already", done.stdout)
        self.assertEqual(len(re.findall(r"(?m)^trial \d+ of 16", done.stderr)), 16 - len(kept))
        rows = self.rows()
        self.assertEqual(rows[:len(kept)], kept)
        self.assertEqual([row[0] for row in rows], list(range(1, 17)))
        for number, value in re.findall(r"(?m)^trial (\d+) of 16: (\S+)", done.stderr):
            self.assertEqual("%.4f" % rows[int(number) - 1][2], value)  # one numbering
        with sqlite3.connect(self.dir / "whole.db") as db:
            whole = db.execute("SELECT number, parameters, value FROM trials ORDER BY number"
                               ).fetchall()
        self.assertEqual(rows, whole)

    def test_refused(self):
        """Goal: a study of another family, protocol, data, metric, value or seed; a file that is no
        study; a folder that is not there."""
        base = ["--model", "popularity", "--trials", "2", "--study", "s.db"]
        self.tune(*self.data, *base)
        make_movielens(self.dir / "other")
        ratings = self.dir / "other" / "ratings.csv"
        lines = ratings.read_text().splitlines()
        ratings.write_text("\n".join(lines[:-20]) + "\n")
        other = ["--format", "movielens", "other", "--protocol", "last-out"]
        (self.dir / "text.db").write_text("no study " * 1000)
        run("import", "--db", "x.db", "--format", "movielens", "ml", cwd=self.dir)
        rows = [
            ([*self.data, *base, "--model", "als"], "model 'popularity', not 'als'"),
            ([*self.data, *base, "--protocol", "next-item"],
             "protocol 'last-out', not 'next-item'"),
            ([*other, *base], "is a study of data '"),
            ([*self.data, *base, "--metric", "hit@5"], "metric 'ndcg@10', not 'hit@5'"),
            ([*self.data, *base, "--seed", "9"], "seed '1', not '9'"),
            ([*self.data, *base, "--study", "text.db"], "text.db: is not a study"),
            ([*self.data, *base, "--study", "x.db"], "is the database of a service, not a study"),
            ([*self.data, *base, "--study", "none/s.db"], "none/s.db: cannot be made: No such"),
            ([*self.data, *base, "--study", "/proc/s.db"], "/proc/s.db: cannot be made: "),
            ([*self.data, *base, "--html", "none/t.html"], "cannot write none/t.html: No such"),
        ]
        for args, says in rows:
            with self.subTest(says=says):
                done = self.tune(*args, code=1)
                self.assertIn(says, done.stderr)
                self.assertNotRegex(done.stderr + done.stdout, "(?m)^trial|^best")
        self.assertEqual(len(self.rows()), 2)


class Refused(Folder):
    def test_bad_input(self):
        data = self.data
        rows = [
            ([*data, "--model", "alz"], 2, "did you mean 'als'?"),
            ([*data, "--model", "als", "--set", "als.factor=3"], 2, "did you mean 'factors'?"),
            ([*data, "--model", "als", "--set", "svd.factors=3"], 2, "'svd' is none of the models"),
            ([*data, "--model", "als", "--set", "factors=3"], 2, "is not MODEL.NAME=VALUE"),
            ([*data, "--model", "als", "--set", "als.factors=0"], 2, "factors"),
            ([*data, "--model", "blend", "--set", "blend.first.factos=8", "--set",
              "blend.first=als"], 2, "recsysd: first: parameter 'factos' is not known; did"),
            ([*data, "--model", "blend", "--set", "blend.third.factors=8"], 2,
             "recsysd: third: parameter 'factors' is not known"),
            ([*data, "--model", "als", "--metric", "ndgc@10"], 2, "did you mean 'ndcg'?"),
            ([*data, "--model", "als", "--metric", "novelty@10"], 2, "no measure of quality"),
            ([*data, "--model", "als", "--metric", "ndcg"], 2, "is not NAME@K"),
            ([*data, "--model", "als", "--trials", "0"], 2, "trials"),
            ([*data, "--model", "als", "--trials", "10001"], 2, "trials"),
            ([*data, "--model", "als", "--timeout", "-1"], 2, "timeout"),
            ([*data, "--model", "als", "--protocol", "last-five", "--validation-last", "0"], 2,
             "there is no validation part"),
            (["--format", "movielens", "ml", "--positive-min", "3"], 2,
             "recsysd: empty split: no user has a relevant test item"),
            ([*data, "--model", "random", "--set", "random.by=popularity"], 2,
             "random: there is nothing to search"),
            (["--model", "als"], 2, "tune: give --format FORMAT and the PATH"),
            (["--format", "movielens", "--model", "als"], 2, "tune: give the PATH"),
            ([*data, "--model", "als", "--on", "test"], 2, "--on is not a flag"),
        ]
        for args, code, says in rows:
            with self.subTest(args=args[7:]):
                done = self.tune(*args, code=code)
                self.assertIn(says, done.stderr)
                self.assertNotIn("trial 1 ", done.stderr)

    def test_all_fail(self):
        """Goal: where every trial fails the first reason is given, with the model's name once, and the
        exit code is that of train, which would not have the memory either."""
        done = self.tune(*self.data, "--model", "als", "--set", "als.factors=2048", "--trials", "3",
                         "--memory-mb", "1", code=1)
        self.assertRegex(done.stderr, "all 3 trials of als failed; the first: als: train.*memory")
        self.assertNotIn("als: als:", done.stderr)

    def test_timeout(self):
        """Goal: no trial is complete when the time is up at once."""
        done = self.tune(*self.data, "--model", "als", "--set", "als.iterations=1000", "--set",
                         "als.factors=512", "--timeout", "0.2", code=1)
        self.assertRegex(done.stderr, "no trial was complete within 0.2 s; allow more time")


if __name__ == "__main__":
    unittest.main()
