"""Training through the built binary and the real daemon: a loss that explodes fails what was asked and
nothing else, a search goes before a run, and every network is trained, served and asked."""
import pathlib
import tempfile
import time
import unittest

from daemon import Daemon, make_movielens, run

# Settings under which the loss leaves the range of numbers.
EXPLODE = {
    "dae": ["learning_rate=1e6", "activation=relu"],
    "mult-vae": ["learning_rate=1000"],
    "neural-mf": ["learning_rate=1000"],
    "ncf": ["learning_rate=1000"],
    "bpr": ["learning_rate=10", "user_regularization=10", "positive_regularization=10",
            "negative_regularization=10"],
}
SMALL = {
    "dae": {"hidden": 32, "code": 8, "epochs": 3},
    "mult-vae": {"hidden": 32, "code": 8, "epochs": 3},
    "neural-mf": {"factors": 8, "hidden": 16, "epochs": 2},
    "ncf": {"factors": 4, "epochs": 2},
}
LOSS = r"training has exploded: the loss in epoch \d+ is \S+; .*lower learning_rate"


class Folder(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)
        self.db = self.dir / "shop.db"
        self.daemon = None
        make_movielens(self.dir / "ml")

    def tearDown(self):
        if self.daemon is not None and self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.wait()
        self.temp.cleanup()

    def do(self, *args, code=0):
        done = run(*args, cwd=self.dir)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def imported(self):
        self.do("import", "--db", self.db, "--format", "movielens", "ml")

    def trained(self):
        self.imported()
        self.do("train", "--db", self.db, "--set", "factors=8", "--set", "iterations=3")

    def start(self, *args):
        self.daemon = Daemon(self.db, *args)
        return self.daemon

    def finished(self, location):
        while True:
            job = self.daemon.get(location).json
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.05)

    def retrain(self, **order):
        accepted = self.daemon.post("/retrain", order)
        self.assertEqual(accepted.status, 202, accepted.body)
        return self.finished(accepted.headers["Location"])

    def lists(self):
        return [self.daemon.get(f"/recommend?user_id={user}&k=10").body for user in range(1, 9)]


class Explosion(Folder):
    def test_commands(self):
        """Goal: train, evaluate and tune say the epoch and the loss, exit 1, and leave what they would
        have written unwritten; what else was asked for is done."""
        self.imported()
        for family, settings in EXPLODE.items():
            sets = [word for s in settings for word in ("--set", s)]
            named = [word for s in settings for word in ("--set", f"{family}.{s}")]
            data = ["--format", "movielens", "ml", "--protocol", "last-out", *named]
            with self.subTest(family=family, command="train"):
                done = self.do("train", "--db", self.db, "--model", family, *sets, "--out", "m",
                               code=1)
                self.assertRegex(done.stderr, f"(?m)^recsysd: {family}: {LOSS}")
                self.assertFalse((self.dir / "m").exists())
            with self.subTest(family=family, command="evaluate"):
                done = self.do("evaluate", *data, "--models", f"{family},popularity", "--results",
                               "none", code=1)
                self.assertRegex(done.stderr, f"(?m)^recsysd: {family}: {LOSS}")
                self.assertRegex(done.stdout, r"(?m)^popularity +\d")
            with self.subTest(family=family, command="tune"):
                done = self.do("tune", *data, "--model", family, "--trials", "2", "--study",
                               f"{family}.db", code=1)
                self.assertRegex(done.stderr, f"all 2 trials of {family} failed; the first: .*{LOSS}")

    def test_exit_status(self):
        """Goal: 2 says that nothing began, and --help tells so."""
        self.imported()
        for command in ("train", "evaluate", "tune", "import", "serve"):
            self.assertIn("exit status: 0 done; 1 the work failed",
                          self.do(command, "--help").stdout)
        self.do("train", "--db", self.db, "--model", "dae", "--set", "epochs=0", code=2)
        data = ["--format", "movielens", "ml", "--protocol", "last-out"]
        self.do("evaluate", *data, "--models", "dae", "--set", "dae.epochs=0", code=2)
        self.do("tune", *data, "--model", "dae", "--set", "dae.epochs=0", code=2)

    def test_job(self):
        """Goal: a job that explodes, or of which every trial does, has failed and says why; the live
        model answers as before, and the next job is as good as any."""
        self.trained()
        d = self.start()
        version = d.get("/recommend?user_id=1").json["model_version"]
        lists = self.lists()
        for family, settings in EXPLODE.items():
            order = {"model": family,
                     "set": {k: v if not v[0].isdigit() else float(v)
                             for k, v in (s.split("=") for s in settings)}}
            for more in ({}, {"force": True}, {"tune": {"trials": 2}}):
                with self.subTest(family=family, **more):
                    job = self.retrain(**order, **more)
                    self.assertEqual(job["state"], "failed", job)
                    self.assertRegex(job["error"], LOSS)
                    self.assertNotIn("model_version", job)
                    self.assertEqual(self.lists(), lists)
        listed = [v["version"] for v in d.get("/models").json["models"]]
        self.assertEqual(listed, [version])
        job = self.retrain(model="als", set={"factors": 4}, force=True)
        self.assertEqual(job["state"], "succeeded", job)
        self.assertNotEqual(self.lists(), lists)
        self.assertEqual(d.stop(), 0)


class Served(Folder):
    def test_networks(self):
        """Goal: every network is trained in the background, judged, swapped in and served; a user
        without a history, and an anonymous one of nothing, get popular items from it."""
        self.trained()
        d = self.start("--retrain-tolerance", "1")
        for family, settings in SMALL.items():
            with self.subTest(family=family):
                job = self.retrain(model=family, set=settings)
                self.assertEqual(job["state"], "succeeded", job)
                self.assertTrue(job["metrics"]["judged"], job)
                known = d.get("/recommend?user_id=1&k=5").json
                self.assertEqual((known["model"], known["source"]), (family, "personal"))
                self.assertEqual(known["model_version"], job["model_version"])
                self.assertEqual(len(known["items"]), 5)
                for answer in (d.get("/recommend?user_id=nobody&k=5"),
                               d.post("/recommend", {"history": [], "k": 5})):
                    self.assertEqual(answer.status, 200, answer.body)
                    self.assertEqual(answer.json["source"], "popular")
                    self.assertEqual(len(answer.json["items"]), 5)
        self.assertEqual(d.stop(), 0)

    def test_tuned_job(self):
        """Goal: a job with a search before it ends judged and live, with the values of the winner, and
        tells what the search found; what was set is not searched."""
        self.trained()
        d = self.start("--retrain-tolerance", "1")
        old = d.get("/recommend?user_id=1").json["model_version"]
        job = self.retrain(model="als", set={"iterations": 3}, tune={"trials": 6})
        self.assertEqual(job["state"], "succeeded", job)
        tuned = job["metrics"]["tuned"]
        self.assertEqual(tuned["trials"], 6)
        self.assertEqual((tuned["pruned"], tuned["failed"]), (0, 0))
        self.assertGreaterEqual(tuned["best"]["ndcg@10"], tuned["start"]["ndcg@10"])
        self.assertTrue(job["metrics"]["judged"], job)
        self.assertIn("candidate", job["metrics"])
        self.assertIn("live", job["metrics"])
        new = d.get("/recommend?user_id=1").json["model_version"]
        self.assertEqual(job["model_version"], new)
        self.assertNotEqual(new, old)
        live = next(v for v in d.get("/models").json["models"] if v["version"] == new)
        self.assertTrue(live["live"], live)
        self.assertEqual(live["metrics"], job["metrics"])
        self.assertIn("iterations=3 ", live["parameters"])
        self.assertEqual(live["parameters"], job["parameters"])
        d.stop()
        # the file that a restart reads is of the same values
        self.assertIn(f"  parameters  {job['parameters']}\n",
                      self.do("models", str(self.db) + ".model").stdout)
        self.start()
        self.assertEqual(self.daemon.get("/recommend?user_id=1").json["model_version"], new)
        for tune, status in (({"trials": 0}, 400), ({"trials": 1001}, 400), (3, 400)):
            self.assertEqual(self.daemon.post("/retrain", {"tune": tune}).status, status)


class Files(Folder):
    def test_unwritable(self):
        """Goal: a report that cannot be written is known before the first fit."""
        data = ["--format", "movielens", "ml", "--protocol", "last-out"]
        for flag in ("--json", "--csv", "--html"):
            with self.subTest(flag=flag):
                done = self.do("evaluate", *data, "--results", "none", "--models",
                               "popularity,ease", "--progress", flag, "none/x", code=1)
                self.assertIn("cannot write none/x: No such file", done.stderr)
                self.assertNotIn("popularity", done.stderr + done.stdout)
        done = self.do("evaluate", *data, "--results", "none", "--models", "popularity", "--csv",
                       "-")
        self.assertIn("ndcg", done.stdout)
        self.assertFalse((self.dir / "-").exists())


if __name__ == "__main__":
    unittest.main()
