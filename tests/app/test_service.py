"""The main job through the built binary: import, train, serve, record, retrain, swap, stop."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from daemon import Daemon, make_movielens, run


class Service(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temp.name)
        self.db = self.dir / "shop.db"
        self.model = self.dir / "shop.db.model"
        self.daemons = []
        done = run("import", "--db", self.db, "--format", "movielens",
                   make_movielens(self.dir / "ml"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def tearDown(self):
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.wait()
        self.temp.cleanup()

    def train(self, *more):
        done = run("train", "--db", self.db, "--set", "factors=8", "--set", "iterations=3", *more)
        self.assertEqual(done.returncode, 0, done.stderr)

    def start(self, *args):
        self.daemons.append(Daemon(self.db, *args))
        return self.daemons[-1]

    def items(self, daemon, target):
        answer = daemon.get(target)
        self.assertEqual(answer.status, 200, answer.body)
        return [item["item_id"] for item in answer.json["items"]]

    def finished(self, daemon, location):
        while True:
            job = daemon.get(location).json
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.05)

    def test_from_file_to_lists(self):
        """Goal: the whole main job, in the order a person does it."""
        self.train()
        d = self.start()
        first = d.get("/recommend?user_id=1&k=5").json
        self.assertEqual(first["model"], "als")
        self.assertEqual(first["source"], "personal")
        self.assertEqual(len(first["items"]), 5)
        scores = [i["score"] for i in first["items"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertIn("Film, the", first["items"][0]["title"])

        # the next request uses the interaction
        liked = first["items"][0]["item_id"]
        posted = d.post("/interactions", {"user_id": "1", "item_id": liked, "type": "order",
                                          "event_id": "e1"})
        self.assertEqual((posted.status, posted.json), (201, {"accepted": 1, "duplicates": 0}))
        second = d.get("/recommend?user_id=1&k=5").json
        self.assertGreater(second["history_version"], first["history_version"])
        self.assertNotIn(liked, [i["item_id"] for i in second["items"]])
        again = d.post("/interactions", {"user_id": "1", "item_id": liked, "type": "order",
                                         "event_id": "e1"})
        self.assertEqual(again.json, {"accepted": 0, "duplicates": 1})

        # an unknown user, then two interactions
        stranger = d.get("/recommend?user_id=stranger&k=5").json
        self.assertEqual(stranger["source"], "popular")
        d.post("/interactions", {"interactions": [
            {"user_id": "stranger", "item_id": "2", "type": "order"},
            {"user_id": "stranger", "item_id": "4", "type": "order"}]})
        personal = d.get("/recommend?user_id=stranger&k=5&explain=true").json
        self.assertEqual(personal["source"], "personal")
        even = [int(i["item_id"]) % 2 == 0 for i in personal["items"]]
        self.assertGreaterEqual(sum(even), 4, personal)
        for item in personal["items"]:
            total = sum(b["share"] for b in item["because"])
            self.assertAlmostEqual(total, item["score"], delta=1e-3)

        # a category, a hidden item
        self.assertTrue(all(int(i) % 2 for i in
                            self.items(d, "/recommend?user_id=2&k=50&category=Odd")))
        self.assertEqual(d.request("PUT", "/items/" + liked, {"hidden": True}).status // 100, 2)
        self.assertNotIn(liked, self.items(d, "/recommend?user_id=2&k=100&exclude_seen=false"))
        self.assertEqual(len(self.items(d, "/similar-items?item_id=3&k=5")), 5)

        # erased
        self.assertEqual(d.request("DELETE", "/users/stranger").status, 204)
        self.assertEqual(d.get("/recommend?user_id=stranger").json["source"], "popular")
        self.assertEqual(d.request("DELETE", "/users/stranger").status, 404)

        metrics = d.get("/metrics").body.decode()
        self.assertRegex(metrics, r"(?m)^# TYPE \S+ histogram$")
        d.signal(signal.SIGTERM)
        self.assertEqual(d.wait(), 0)
        self.assertNotIn("stranger", "".join(d.log))

    def test_many_parameters(self):
        """Goal: a query of more parameters than the library has memory for is still answered."""
        d = self.start()
        for count, status in ((129, 400), (600, 400), (2000, 414)):
            answer = d.get("/similar-items?" + "&".join(["item_id=1"] * count))
            self.assertEqual(answer.status, status, answer.body)

    def test_retrain_and_roll_back(self):
        """Goal: a retraining run is judged, swapped in, survives a restart, and can be undone."""
        self.train()
        d = self.start("--retrain-tolerance", "1")
        old = d.get("/recommend?user_id=1").json["model_version"]
        accepted = d.post("/retrain", {"model": "als", "set": {"factors": 12}})
        self.assertEqual(accepted.status, 202)
        job = self.finished(d, accepted.headers["Location"])
        self.assertEqual(job["state"], "succeeded", job)
        new = d.get("/recommend?user_id=1").json["model_version"]
        self.assertNotEqual(new, old)
        self.assertEqual(job["model_version"], new)
        d.stop()

        d = self.start()
        self.assertEqual(d.get("/recommend?user_id=1").json["model_version"], new)
        self.assertIn(new, d.get("/models").body.decode())
        self.assertEqual(d.post(f"/models/{old}/activate").status, 200)
        self.assertEqual(d.get("/recommend?user_id=1").json["model_version"], old)
        self.assertEqual(d.post("/models/20200101T000000Z-als-0000/activate").status, 404)

    def test_bad_reload_keeps_the_old_model(self):
        """Goal: a bad file is refused at reload, by signal and by request; the old model serves."""
        self.train()
        d = self.start()
        live = d.get("/recommend?user_id=1").body
        good = self.model.read_bytes()
        for bad in (good[:-8], good[:3000] + b"\x00\x01\x02\x03" + good[3004:], b""):
            self.model.write_bytes(bad)
            answer = d.post("/reload")
            self.assertEqual(answer.status, 409, answer.body)
            self.assertEqual(d.get("/recommend?user_id=1").body, live)
        d.signal(signal.SIGHUP)
        while not any("event=reload_refused" in line for line in d.log):
            time.sleep(0.02)
        self.assertEqual(d.get("/recommend?user_id=1").body, live)
        self.model.write_bytes(good)
        self.assertEqual(d.post("/reload").status, 200)
        while not any("event=model_live" in line and "request_id=" in line for line in d.log):
            time.sleep(0.02)
        d.signal(signal.SIGHUP)
        while not any("event=reload " in line for line in d.log):
            time.sleep(0.02)
        self.assertEqual(d.stop(), 0)

    def test_acknowledged_survives_a_kill(self):
        """Goal: what was answered 201 is there after SIGKILL. How: several clients post until the
        kill; every acknowledged event id must be a duplicate afterwards."""
        d = self.start()
        acknowledged, lock = [], threading.Lock()

        def client(number):
            for n in range(100000):
                event = f"e-{number}-{n}"
                try:
                    answer = d.post("/interactions", {"user_id": f"u{number}", "item_id": f"i{n}",
                                                      "type": "view", "event_id": event})
                except OSError:
                    return
                except Exception:
                    return
                if answer.status == 201:
                    with lock:
                        acknowledged.append((number, n, event))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 200:
            time.sleep(0.01)
        d.signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
        d.wait()

        d = self.start()
        for begin in range(0, len(acknowledged), 500):
            rows = [{"user_id": f"u{u}", "item_id": f"i{n}", "type": "view", "event_id": event}
                    for u, n, event in acknowledged[begin:begin + 500]]
            answer = d.post("/interactions", {"interactions": rows}).json
            self.assertEqual(answer, {"accepted": 0, "duplicates": len(rows)})

    def test_run_cut_off_is_marked(self):
        """Goal: a run that a crash cut off is 'interrupted' at the next start, and changes nothing."""
        d = self.start()
        location = d.post("/retrain", {"model": "als",
                                       "set": {"factors": 256, "iterations": 100}}).headers["Location"]
        while d.get(location).json["state"] == "queued":
            time.sleep(0.01)
        d.signal(signal.SIGKILL)
        d.wait()
        d = self.start()
        self.assertEqual(d.get(location).json["state"], "interrupted")
        self.assertEqual(d.get("/recommend?user_id=1").json["model"], "popularity")

    def test_cancel(self):
        """Goal: a running job stops on request, and the live model stays."""
        self.train()
        d = self.start()
        old = d.get("/recommend?user_id=1").json["model_version"]
        location = d.post("/retrain", {"set": {"factors": 256, "iterations": 100}}).headers["Location"]
        while d.get(location).json["state"] == "queued":
            time.sleep(0.01)
        self.assertIn(d.request("DELETE", location).status, (200, 202))
        self.assertEqual(self.finished(d, location)["state"], "cancelled")
        self.assertEqual(d.get("/recommend?user_id=1").json["model_version"], old)
        self.assertEqual(d.request("DELETE", location).status, 409)

    def test_stop_during_a_retrain(self):
        """Goal: SIGTERM cancels training, drains, and exits 0."""
        d = self.start()
        d.post("/retrain", {"set": {"factors": 256, "iterations": 100}})
        d.signal(signal.SIGTERM)
        self.assertEqual(d.wait(), 0)

    @unittest.skipUnless(shutil.which("wrk"), "wrk is not installed")
    def test_thousand_swaps_under_load(self):
        """Goal: 1,000 swaps while wrk loads the daemon: no request fails, none sees half a model,
        memory comes back. How: two models are swapped in turn; the script of wrk checks that every
        list is, in full, that of the version it names."""
        self.train("--seed", "1")
        models = [self.model.read_bytes()]
        self.train("--seed", "2", "--set", "regularization=0.1")
        models.append(self.model.read_bytes())
        d = self.start()
        lists = {}
        for content in models:
            self.model.write_bytes(content)
            self.assertEqual(d.post("/reload").status, 200)
            for user in range(1, 9):
                answer = d.get(f"/recommend?user_id={user}&k=10")
                lists[(answer.json["model_version"], user)] = answer.json["items"]
        self.assertEqual(len(lists), 16)
        before_kb = d.resident_kb()

        script = self.dir / "check.lua"
        script.write_text(LUA)
        load = subprocess.Popen(["wrk", "-t1", "-c8", "-d600", "-s", str(script),
                                 f"http://127.0.0.1:{d.port}/"], stdout=subprocess.PIPE, text=True)
        wrong, stop = [], threading.Event()

        def compare():
            while not stop.is_set():
                for user in range(1, 9):
                    answer = d.get(f"/recommend?user_id={user}&k=10").json
                    if lists[(answer["model_version"], user)] != answer["items"]:
                        wrong.append(answer)

        checker = threading.Thread(target=compare)
        checker.start()
        for swap in range(1000):
            temp = self.dir / "next.model"
            temp.write_bytes(models[swap % 2])
            temp.rename(self.model)
            self.assertEqual(d.post("/reload").status, 200)
        stop.set()
        checker.join()
        load.send_signal(signal.SIGINT)
        report = load.communicate(timeout=60)[0]
        self.assertEqual(wrong, [])
        self.assertNotIn("Non-2xx", report)
        self.assertNotIn("Socket errors", report)
        self.assertGreater(int(re.search(r"(\d+) requests in", report).group(1)), 100)
        self.assertLess(d.resident_kb() - before_kb, 32 * 1024)
        self.assertEqual(d.stop(), 0)


LUA = """
local n = 0
request = function()
  n = n % 8 + 1
  return wrk.format("GET", "/recommend?user_id=" .. n .. "&k=10")
end
"""

if __name__ == "__main__":
    unittest.main()
