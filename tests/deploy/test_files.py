"""Goal: what deploy/ says is what the binary does: the example settings name every key with its true
default, the docs table too, scripts parse, and the made-up catalogue has MovieLens' shape."""
import collections
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BINARY = os.environ["RECSYSD_BINARY"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
INI = ROOT / "deploy" / "recsysd.ini"
SET_IN_INI = {"db", "create"}  # the example sets them; everything else stands at its default
NO_INI_KEY = {"config", "help", "check-config", "set"}  # of the command line alone


def run(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RECSYSD_")}
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          env=environment)


def check_config(*arguments):
    return run("serve", "--check-config", *arguments)


def settings(done):
    """key -> value of what --check-config prints: `key = value ; who`."""
    rows = re.findall(r"^([a-z-]+) += (.*?) *; \w+$", done.stdout, re.M)
    return dict(rows)


def ini_lines():
    return re.findall(r"^;?([a-z-]+) =[ ]?(.*)$", INI.read_text(), re.M)


class Settings(unittest.TestCase):
    def test_example_is_accepted(self):
        done = check_config("--config", INI)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_key_of_the_commands_is_there(self):
        flags = set()
        for command in ("import", "train", "serve", "models", "healthcheck"):
            flags |= set(re.findall(r"^ *--([a-z-]+)", run(command, "--help").stdout, re.M))
        self.assertGreater(len(flags), 20)
        keys = [key for key, _ in ini_lines()]
        self.assertEqual(sorted(flags - NO_INI_KEY), sorted(keys))

    def test_defaults_in_comments_are_true(self):
        real = settings(check_config())
        for key, value in ini_lines():
            if key in real and key not in SET_IN_INI and key != "weights":
                self.assertEqual((key, value.strip()), (key, real[key]))

    def test_commented_values_are_accepted(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "all.ini"
            path.write_text("".join(f"{key} = {value}\n" for key, value in ini_lines()))
            done = check_config("--config", path)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_docs_name_every_setting_of_serve(self):
        text = (ROOT / "docs" / "OPERATIONS.md").read_text()
        for key in settings(check_config()).keys() - {"config"}:
            self.assertIn(f"`{key}`", text)


class Files(unittest.TestCase):
    def test_quickstart_parses(self):
        done = subprocess.run(["sh", "-n", ROOT / "deploy" / "quickstart.sh"], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_unit_is_valid(self):
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "recsysd.service"
            unit.write_text((ROOT / "deploy" / "recsysd.service").read_text()
                            .replace("/usr/bin/recsysd", BINARY))
            done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
        self.assertNotIn("recsysd.service", done.stderr)

    def test_same_packages_in_script_and_container(self):
        def libraries(path):
            return set(re.findall(r"lib[a-z0-9-]+-dev", (ROOT / path).read_text()))
        self.assertEqual(libraries("Dockerfile"), libraries("deploy/quickstart.sh"))


class Catalogue(unittest.TestCase):
    def test_shape(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, ROOT / "deploy" / "make_catalogue.py", folder], check=True)
            with open(pathlib.Path(folder) / "ratings.csv", newline="") as file:
                ratings = list(csv.DictReader(file))
            with open(pathlib.Path(folder) / "movies.csv", newline="") as file:
                movies = list(csv.DictReader(file))
        self.assertEqual((len(ratings), len(movies)), (100836, 9742))
        per_user = collections.Counter(r["userId"] for r in ratings)
        self.assertEqual((len(per_user), min(per_user.values()) >= 20), (610, True))
        self.assertEqual(len({(r["userId"], r["movieId"]) for r in ratings}), len(ratings))
        self.assertLessEqual({r["rating"] for r in ratings}, {str(n / 2) for n in range(1, 11)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
