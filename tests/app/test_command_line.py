"""The command line, the settings and what a start refuses, through the built binary."""
import os
import pathlib
import socket
import sqlite3
import tempfile
import unittest

from daemon import BINARY, Daemon, make_movielens, run


class Folder(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)
        self.db = self.dir / "shop.db"

    def tearDown(self):
        self.temp.cleanup()

    def imported(self):
        done = run("import", "--db", self.db, "--format", "movielens",
                   make_movielens(self.dir / "ml"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def trained(self, *more):
        model = self.dir / "als.model"
        done = run("train", "--db", self.db, "--model", "als", "--set", "factors=8", "--set",
                   "iterations=3", "--out", model, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return model

    def refused(self, done, *texts, code=None):
        """One clear line on stderr that holds the texts, and a non-zero exit."""
        self.assertNotEqual(done.returncode, 0)
        if code is not None:
            self.assertEqual(done.returncode, code)
        lines = [l for l in done.stderr.splitlines() if l.startswith("recsysd")]
        self.assertEqual(len(lines), 1, done.stderr)
        for text in texts:
            self.assertIn(text, lines[0])
        self.assertNotIn("Sanitizer", done.stderr)


class Help(Folder):
    """Goal: the binary teaches its use, and a slip of the finger is answered with the right name."""

    def test_help(self):
        for args in (["--help"], ["help"], ["-h"]):
            done = run(*args)
            self.assertEqual(done.returncode, 0)
            for word in ("import", "train", "serve", "models", "healthcheck"):
                self.assertIn(word, done.stdout)
        for command in ("import", "train", "serve", "models", "healthcheck"):
            done = run(command, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn("usage: recsysd " + command, done.stdout)
        self.assertRegex(run("--version").stdout, r"^recsysd \d+\.\d+\.\d+$")

    def test_models(self):
        done = run("models")
        self.assertEqual(done.returncode, 0)
        for word in ("popularity", "als", "factors", "regularization"):
            self.assertIn(word, done.stdout)

    def test_models_named(self):
        """Goal: a family's name gives its table and no other; a slip gives the right name."""
        whole = run("models").stdout
        for family in ("als", "mult-vae", "popularity"):
            done = run("models", family)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith(family + ": "), done.stdout)
            self.assertIn(done.stdout, whole)
            self.assertNotIn("\n\n", done.stdout)
        self.assertNotRegex(whole, r"[0-9]e\+")  # 1000000, not 1e+06
        self.refused(run("models", "mult-vea"), "did you mean 'mult-vae'", code=2)
        self.refused(run("models", "./als"), "./als", code=1)

    def test_mistakes(self):
        rows = [
            ([], "usage:", 2), (["serv"], "did you mean 'serve'", 2),
            (["serve", "--lisen", "x"], "did you mean 'listen'", 2),
            (["serve", "--listen"], "--listen needs a value", 2),
            (["train", "--skip-bad", "1"], "not a flag of this subcommand", 2),
            (["serve", "--workers", "65"], "workers: 65 is not within 0 and 64", 2),
            (["serve", "--workers", "x"], "workers: 'x' is not a whole number", 2),
            (["serve", "--retrain-tolerance", "nan"], "'nan' is not a number", 2),
            (["serve", "--create=perhaps"], "neither true nor false", 2),
            (["serve", "--log-level", "loud"], "debug, info, warn or error", 2),
            (["serve", "--weights", "order=-1"], "order", 2),
            (["serve", "--retrain-model", "alz"], "als", 2),
            (["serve", "--retrain-set", "factor=3"], "factors", 2),
            (["serve", "--listen", "0.0.0.0:80"], "allow-remote", 2),
            (["serve", "--listen", "127.0.0.1.example.org:80"], "allow-remote", 2),
            (["serve", "--listen", "8080"], "ADDR:PORT", 2),
            (["serve", "--check-config", "--listen", "127.0.0.1:65536"],
             "listen: 65536 is not within 0 and 65535", 2),
            (["serve", "--check-config", "--listen", "127.0.0.1:http"], "listen: 'http'", 2),
            (["serve", "x"], "unexpected argument 'x'", 2),
            (["import", "--db", self.db], "--format", 2),
            (["import", "--db", self.db, "--format", "movielense", "x"], "movielens", 2),
        ]
        for args, text, code in rows:
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertFalse((self.dir / "recsysd.db").exists())


class Settings(Folder):
    """Goal: flag over variable over file over default; what is unknown or out of range is refused
    by name, value and range, wherever it stands."""

    def value(self, *args, env=None):
        done = run("serve", "--check-config", *args, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stdout.splitlines():
            name, value = (part.strip() for part in line.split(";")[0].split("=", 1))
            if name == "workers":
                return value
        self.fail("no workers in " + done.stdout)

    def test_order(self):
        ini = self.dir / "recsysd.ini"
        ini.write_text("[http]\n; a comment\nworkers = 3\n")
        file, variable = ("--config", ini), {"RECSYSD_WORKERS": "4"}
        self.assertEqual(self.value(), "0")
        self.assertEqual(self.value(*file), "3")
        self.assertEqual(self.value(*file, env=variable), "4")
        self.assertEqual(self.value(*file, "--workers", "5", env=variable), "5")
        self.assertEqual(self.value("--workers", "5", *file, env=variable), "5")
        self.assertEqual(self.value(env={"RECSYSD_CONFIG": str(ini)}), "3")

    def test_order_of_lists(self):
        """Goal: a list is replaced as a whole by a source of a higher rank, as a value is."""
        self.imported()
        ini, out = self.dir / "recsysd.ini", self.dir / "x.model"
        ini.write_text("set = factors=3\nset = iterations=1\n")
        file, variable = ("--config", ini), {"RECSYSD_SET": "factors=4"}
        rows = [
            (file, {}, "factors=3 ", "iterations=1 "),
            (file, variable, "factors=4 ", "iterations=15 "),
            ((*file, "--set", "factors=5", "--set", "iterations=2"), variable, "factors=5 ",
             "iterations=2 "),
        ]
        for args, env, *parts in rows:
            with self.subTest(args=args, env=env):
                done = run("train", "--db", self.db, "--out", out, *args, env=env)
                self.assertEqual(done.returncode, 0, done.stderr)
                for part in parts:
                    self.assertIn(part, run("models", out).stdout)

    def test_refused(self):
        ini = self.dir / "bad.ini"
        rows = [
            ("workers = 65\n", {}, ["bad.ini", "workers", "65", "0 and 64"]),
            ("worker = 6\n", {}, ["bad.ini", "'worker'", "did you mean 'workers'"]),
            ("no equals sign\n", {}, ["bad.ini:1"]),
            ("", {"RECSYSD_WORKERS": "-1"}, ["environment", "workers", "-1", "0 and 64"]),
            ("", {"RECSYSD_WORKERZ": "1"}, ["environment", "workerz", "did you mean 'workers'"]),
        ]
        for text, env, parts in rows:
            with self.subTest(text=text, env=env):
                ini.write_text(text)
                self.refused(run("serve", "--check-config", "--config", ini, env=env), *parts,
                             code=2)
        self.refused(run("serve", "--config", self.dir / "none.ini"), "none.ini", code=2)


class Import(Folder):
    """Goal: all of a file or nothing; the same file again adds nothing."""

    def rows(self):
        with sqlite3.connect(self.db) as db:
            return db.execute("SELECT count(*) FROM interactions").fetchone()[0]

    def test_again_adds_nothing(self):
        self.imported()
        before = self.rows()
        self.assertGreater(before, 500)
        done = self.imported()
        self.assertIn(" 0 interactions added", done.stdout)
        self.assertEqual(self.rows(), before)

    def test_bad_row(self):
        bad = self.dir / "bad.csv"
        bad.write_text("user,item,stars\na,x,5\nb,y,five\nc,z,4\n")
        args = ("import", "--db", self.db, "--format", "csv", "--columns",
                "user=user,item=item,value=stars", bad)
        self.refused(run(*args), "bad.csv:3", "stars", "five", "--skip-bad")
        self.assertEqual(list(self.dir.glob("shop.db*")), [])  # nor an empty database
        done = run(*args, "--skip-bad", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("bad.csv:3", done.stderr)
        self.assertIn("1 bad rows skipped", done.stdout)
        self.assertEqual(self.rows(), 2)

    def test_type_without_a_weight(self):
        file = self.dir / "orders.csv"
        file.write_text("user,item\na,x\nb,y\n")
        args = ("import", "--db", self.db, "--format", "csv", "--columns", "user=user,item=item")
        done = run(*args, "--type", "bought", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 rows", done.stderr)
        self.assertIn("--weights bought=", done.stderr)
        done = run(*args, "--type", "order", file)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("without a weight", done.stderr)

    def test_ndjson(self):
        file = self.dir / "events.ndjson"
        file.write_text('{"user_id":"a","item_id":1,"type":"view","timestamp":100}\n'
                        '{"user_id":"a","item_id":"2","type":"order"}\n')
        done = run("import", "--db", self.db, "--format", "ndjson", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.rows(), 2)
        file.write_text('{"user_id":"a","item_id":1,"item_id":2}\n')
        self.refused(run("import", "--db", self.db, "--format", "ndjson", file), ":1")

    def test_no_rows(self):
        """Goal: a file of nothing is an error, that leaves what was there and no empty database."""
        self.imported()
        before = self.rows()
        file = self.dir / "none.csv"
        args = ("--format", "csv", "--columns", "user=user,item=item", file)
        for text, args in (("user,item\n", args), ("\n", ("--format", "ndjson", file)),
                           ("user,item\n,x\n", ("--skip-bad", "5", *args))):
            with self.subTest(text=text):
                file.write_text(text)
                self.refused(run("import", "--db", self.db, *args), "none.csv: there are no", code=2)
                self.assertEqual(self.rows(), before)
                new = self.dir / "new.db"
                self.refused(run("import", "--db", new, *args), "none.csv: there are no", code=2)
                self.assertEqual(list(self.dir.glob("new.db*")), [])

    def test_no_times(self):
        """Goal: rows without times are said to be in the order of the file."""
        file = self.dir / "rows.csv"
        timeless = ("--format", "csv", "--columns", "user=user,item=item", file)
        file.write_text("user,item,at\n" + "".join(f"u{n % 9},i{n % 7},{n + 5}\n" for n in range(99)))
        timed = ("--format", "csv", "--columns", "user=user,item=item,timestamp=at", file)
        lists = self.dir / "rows.txt"
        lists.write_text("".join(f"u{n} a b c d{n}\n" for n in range(9)))
        ordered = ("--format", "user-lists", lists)
        for args, says in ((timeless, True), (timed, False), (ordered, False)):
            for command in (("import", "--db", self.db, *args),
                            ("evaluate", *args, "--models", "popularity", "--results", "none",
                             "--validation-last", "0", "--seen", "none")):
                with self.subTest(command=command[0], args=args[1], says=says):
                    done = run(*command)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual("note: the rows have no times" in done.stderr, says)

    def test_missing_file(self):
        self.refused(run("import", "--db", self.db, "--format", "csv", "--columns",
                         "user=a,item=b", self.dir / "none.csv"), "none.csv")


class Outputs(Folder):
    """Goal: a file is never written over a database, a study, the data that are read, what is no
    model, or another output; and what stands there stays as it was."""

    def test_refused(self):
        self.imported()
        model = self.trained()
        data, study, page = self.dir / "data.csv", self.dir / "study.db", self.dir / "page.html"
        data.write_text("user,item,timestamp\n" + "".join(
            f"{u},{(u * 7 + n * 3) % 40},{1000 + u * 50 + n}\n" for u in range(40) for n in range(9)))
        form = ("--format", "csv", "--columns", "user=user,item=item,timestamp=timestamp",
                "--type", "order")
        tune = ("tune", *form, data, "--model", "popularity", "--trials", "1", "--study", study)
        self.assertEqual(run(*tune).returncode, 0)
        evaluate = ("evaluate", *form, data, "--models", "popularity", "--results")
        train = ("train", "--db", self.db, "--model", "popularity", "--out")
        rows = [(self.db, "is a database", (*train, self.db)),
                (data, "is not a model", (*train, data)),
                (self.db, "is a database", ("synth", "--users", "3", "--out", self.db)),
                (self.db, "is a database", (*evaluate, "none", "--html", self.db)),
                (self.db, "is a database", (*evaluate, self.db)),
                (data, "is the data as well", (*evaluate, "none", "--per-user", data)),
                (data, "is the data as well", (*tune, "--html", data)),
                (study, "is study as well", (*tune, "--html", study)),
                (page, "is json as well", (*evaluate, "none", "--json", page, "--csv", page))]
        for path, text, command in rows:
            with self.subTest(text=text, command=command):
                before = path.read_bytes() if path.exists() else None
                self.refused(run(*command), str(path), text, code=2)
                self.assertEqual(path.read_bytes() if path.exists() else None, before)
        self.assertEqual(run(*train, model).returncode, 0)  # over a model, as ever
        page.write_text("an older page")
        self.assertEqual(run(*evaluate, "none", "--html", page).returncode, 0)


class Start(Folder):
    """Goal: a start that cannot serve says why in one line and exits with an error."""

    def serve(self, *args, **kw):
        return run("serve", "--db", self.db, "--listen", "127.0.0.1:0", *args, **kw)

    def test_database(self):
        self.refused(self.serve(), str(self.db))
        self.assertFalse(self.db.exists())
        self.refused(run("serve", "--db", self.dir / "no/such/folder.db", "--create"), "no/such")
        self.refused(run("serve", "--db", self.dir), str(self.dir))
        (self.dir / "text.db").write_text("this is not a database, it is a text\n" * 100)
        self.refused(run("serve", "--db", self.dir / "text.db"), "text.db")
        other = self.dir / "other.db"
        with sqlite3.connect(other) as db:
            db.execute("CREATE TABLE other(x)")
        self.refused(run("serve", "--db", other), "other.db")

    def test_newer_schema(self):
        self.imported()
        with sqlite3.connect(self.db) as db:
            db.execute("PRAGMA user_version = 9999")
        self.refused(self.serve(), "9999")

    @unittest.skipUnless(os.getuid() == 0, "needs root to become another user")
    def test_read_only(self):
        self.imported()
        os.chmod(self.dir, 0o755)
        binary = pathlib.Path(BINARY).resolve()
        for parent in [binary, *binary.parents]:
            if not parent.stat().st_mode & 0o001:
                self.skipTest(f"another user cannot reach {parent}")
        self.refused(self.serve(user=65534, group=65534), str(self.db))

    def test_port_in_use(self):
        self.imported()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.refused(run("serve", "--db", self.db, "--listen", address), address, "in use")

    def test_one_writer(self):
        self.imported()
        daemon = Daemon(self.db)
        try:
            self.refused(self.serve(), str(self.db))
            again = run("import", "--db", self.db, "--format", "movielens", self.dir / "ml")
            self.refused(again, "POST /interactions")
            self.trained()  # a reader may work beside the daemon
        finally:
            self.assertEqual(daemon.stop(), 0)

    def test_bad_model_files(self):
        self.imported()
        good = self.trained().read_bytes()
        bad = self.dir / "bad.model"
        middle = len(good) // 2
        rows = {
            "truncated": good[:middle],
            "empty": b"",
            "bit flipped in the tensors": good[:-100] + bytes([good[-100] ^ 1]) + good[-99:],
            "bit flipped in the header": good[:40] + bytes([good[40] ^ 4]) + good[41:],
            "text": b"factors: 1 2 3\n" * 1000,
        }
        for name, content in rows.items():
            with self.subTest(name):
                bad.write_bytes(content)
                self.refused(self.serve("--model-file", bad), "bad.model")
        self.refused(self.serve("--model-file", self.dir / "none.model"), "none.model")

    def test_model_of_another_database(self):
        self.imported()
        model = self.trained()
        self.db = self.dir / "second.db"
        self.imported()
        self.refused(self.serve("--model-file", model), "database")

    def test_train_start(self):
        self.imported()
        small = ["--set", "factors=4", "--set", "epochs=2"]
        first, second = self.dir / "first.model", self.dir / "second.model"
        train = ["train", "--db", self.db, "--model", "bpr", *small]
        done = run(*train, "--out", first)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run(*train, "--start", first, "--out", second)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(first.read_bytes()[-64:], second.read_bytes()[-64:])
        self.refused(run("train", "--db", self.db, "--model", "biased-mf", "--start", first,
                         "--out", second), "is a model of bpr, not of biased-mf")
        als = self.trained()
        self.refused(run("train", "--db", self.db, "--model", "als", "--start", als, "--out", second),
                     "does not go on")
        self.refused(run(*train, "--start", self.dir / "none.model", "--out", second), "none.model")

    def test_healthcheck(self):
        self.imported()
        daemon = Daemon(self.db)
        address = f"127.0.0.1:{daemon.port}"
        self.assertEqual(run("healthcheck", "--listen", address).returncode, 0)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(run("healthcheck", "--listen", address).returncode, 1)


if __name__ == "__main__":
    unittest.main()
