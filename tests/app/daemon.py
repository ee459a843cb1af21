"""What the end-to-end tests share: the binary, a small data set, a running daemon, requests."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import threading

BINARY = os.environ.get("RECSYSD_BINARY", "recsysd")
DATA = pathlib.Path(os.environ.get("RECSYSD_TEST_DATA",
                                   pathlib.Path(__file__).resolve().parents[3] / "shared/data"))
TIMEOUT = 120  # only a hang: sanitizer builds are slow


def clean_env(**more):
    """The environment without settings of whoever runs the tests."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RECSYSD_")}
    # ASan keeps what was freed for a while; little of it, or memory would not come back.
    env["ASAN_OPTIONS"] = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "quarantine_size_mb=4",
                                                 "thread_local_quarantine_size_kb=64"]))
    env.update(more)
    return env


def run(*args, env=None, **kw):
    """Runs a subcommand to its end: returncode, stdout, stderr."""
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True,
                          timeout=TIMEOUT, env=clean_env(**(env or {})), **kw)


def make_movielens(folder, users=60, items=40):
    """A MovieLens folder in which users of even number like even items, odd ones odd items."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "movies.csv", "w") as f:
        f.write("movieId,title,genres\n")
        for i in range(1, items + 1):
            f.write(f'{i},"Film, the {i}th (1990)",{"Even" if i % 2 == 0 else "Odd"}|All\n')
    with open(folder / "ratings.csv", "w") as f:
        f.write("userId,movieId,rating,timestamp\n")
        for u in range(1, users + 1):
            liked = [i for i in range(1, items + 1) if i % 2 == u % 2]
            for n, i in enumerate(liked):
                if (u * 7 + n * 3) % 5 != 0:
                    f.write(f"{u},{i},{4 + n % 2},{1000000 + u * 1000 + n}\n")
            f.write(f"{u},{1 + (u + 1) % 2 + 2 * (u % 5)},1.0,{1000000 + u * 1000 + 500}\n")
    return folder


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    """`recsysd serve` on a port of its own, ready when the constructor returns."""

    def __init__(self, db, *args, env=None):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--db", str(db), "--listen", "127.0.0.1:0", *map(str, args)],
            stderr=subprocess.PIPE, text=True, env=clean_env(**(env or {})))
        self.log = []
        self.port = None
        for line in self.process.stderr:
            self.log.append(line)
            ready = re.search(r"event=ready .*port=(\d+)", line)
            if ready:
                self.port = int(ready.group(1))
                break
        if self.port is None:
            self.process.wait(TIMEOUT)
            raise RuntimeError("daemon did not start: " + "".join(self.log))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()

    def request(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        return answer

    def get(self, target, **kw):
        return self.request("GET", target, **kw)

    def post(self, target, body=None, **kw):
        return self.request("POST", target, body, **kw)

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        code = self.process.wait(TIMEOUT)
        self.reader.join()
        self.process.stderr.close()
        return code

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()
