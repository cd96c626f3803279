"""What can be said of terraform/ and deploy/ without a cloud."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import xml_unittest  # noqa: E402

TREE = pathlib.Path("terraform")
# User data larger than this is refused by EC2.
MOST_BYTES = 16384
VALUES = {
    "url": "https://downloads.example.com/vedette-1-linux-amd64.tar.gz",
    "sha256": "0" * 64,
    "name": "app",
    "address": "10.77.0.11",
    "server": "10.77.0.10",
    "token": "t" * 40,
    "app_token": "a" * 40,
    "db_token": "d" * 40,
    "retention": "15d",
    "region": "eu-west-1",
    "public_key": "ssh-ed25519 AAAA someone@example.com",
}


def render(name, values):
    """templatefile() as far as our templates use it: ${x}, ${x.y}, $${, and if with ~."""
    text = (TREE / "templates" / name).read_text()
    text = re.sub(
        r'%\{ if (\w+) != "" ~\}\n(.*?)%\{ endif ~\}\n',
        lambda m: m[2] if values[m[1]] else "",
        text,
        flags=re.S,
    )
    text = re.sub(r"\$\{replace\((\w+),[^}]*\)\}", lambda m: values[m[1]], text)

    def value(m):
        found = values
        for part in m[1].split("."):
            found = found[part]  # A name that main.tf does not give fails the test here.
        return found

    return re.sub(r"(?<!\$)\$\{([a-z_][a-z0-9_.]*)\}", value, text).replace("$${", "${")


def rendered():
    install = render("install.sh.tftpl", VALUES)
    for name in ("server", "app", "db"):
        values = dict(VALUES, install=install)
        if name == "server":
            values["address"] = {"server": "10.77.0.10", "app": "10.77.0.11", "db": "10.77.0.12"}
        yield name, render(name + ".sh.tftpl", values)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **options)


class UserData(unittest.TestCase):
    def test_parses_is_strict_and_small(self):
        for name, text in rendered():
            with self.subTest(name):
                got = run("bash", "-n", input=text)
                self.assertEqual((got.returncode, got.stderr), (0, ""))
                self.assertTrue(text.startswith("#!/bin/bash\n"))
                self.assertIn("set -euo pipefail\n", text[:200])
                self.assertLess(len(text.encode()), MOST_BYTES)

    def test_holds_no_secret_that_lasts(self):
        for name, text in rendered():
            with self.subTest(name):
                self.assertNotIn("hooks.slack.com", text)
                self.assertNotIn("PRIVATE KEY", text)

    def test_shellcheck(self):
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed")
        for name, text in rendered():
            with self.subTest(name):
                got = run("shellcheck", "-s", "bash", "-", input=text)
                self.assertEqual(got.stdout, "")
        self.assertEqual(run("shellcheck", "deploy/install.sh").stdout, "")


class Deploy(unittest.TestCase):
    def test_units_and_user_data_use_ports_of_the_house(self):
        text = "".join(t for _, t in rendered())
        for path in sorted(pathlib.Path("deploy/examples").iterdir()):
            text += path.read_text()
        ports = set(re.findall(r"(?:0\.0\.0\.0|127\.0\.0\.1|10\.77\.0\.\d+):(\d+)", text))
        self.assertEqual(ports, {"5000", "3306", "9090", "9100", "9465", "9466", "9467"})

    def test_units_are_read_by_systemd(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        for unit in sorted(pathlib.Path("deploy/systemd").iterdir()):
            with self.subTest(unit.name):
                got = run("systemd-analyze", "verify", "--man=no", str(unit.resolve()))
                complaints = [
                    line
                    for line in got.stderr.splitlines()
                    # The programs need not be installed where the tests run.
                    if unit.name in line and "is not executable" not in line
                ]
                self.assertEqual(complaints, [])


    def test_units_are_hardened(self):
        """systemd's own score, 0 is best; what is left open is explained in the unit."""
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        for name, most in (("vedette-server", 2.0), ("vedette-agent", 3.0), ("vedette-renew", 2.0)):
            with self.subTest(name):
                unit = pathlib.Path(f"deploy/systemd/{name}.service").resolve()
                got = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(unit))
                score = re.search(r"exposure level for .*?: ([0-9.]+)", got.stdout + got.stderr)
                if score is None:
                    self.skipTest("this systemd-analyze does not score a file")
                self.assertLess(float(score[1]), most)
                text = unit.read_text()
                for line in ("User=vedette", "NoNewPrivileges=yes", "Restart="):
                    self.assertIn(line, text)
                if name != "vedette-renew":
                    for line in ("Type=notify", "WatchdogSec=", "StateDirectory=", "LoadCredential=", "LimitNOFILE="):
                        self.assertIn(line, text)


class Terraform(unittest.TestCase):
    def setUp(self):
        if not shutil.which("terraform"):
            self.skipTest("terraform is not installed")
        # The real folder behind Bazel's links: terraform wants to see files.
        self.folder = (TREE / "main.tf").resolve().parent

    def test_is_formatted(self):
        got = run("terraform", "fmt", "-check", "-recursive", "-diff", str(self.folder))
        self.assertEqual((got.returncode, got.stdout), (0, ""))

    def test_plan_rules_apply_and_an_empty_second_plan(self):
        checker = self.folder.parent.parent / "shared/conformance/deploy/tf/tf_check.py"
        if not checker.exists():
            self.skipTest("no stand-in for the cloud beside the tree")
        for values in ([], ["--var", "ssh_cidr=198.51.100.8/32"]):
            with self.subTest(values):
                got = run(
                    sys.executable,
                    str(checker),
                    str(self.folder),
                    "--var-file",
                    str(self.folder / "example.tfvars"),
                    *values,
                )
                failed = [line for line in got.stdout.splitlines() if line.startswith("FAIL")]
                self.assertEqual((failed, got.returncode), ([], 0), got.stderr)
                self.assertRegex(got.stdout, r"\d+ checks, 0 failed")


if __name__ == "__main__":
    xml_unittest.main()
