"""tools/package: what is in the packages, and that installing, upgrading and removing keep what is a
person's. In a root of its own; the programs are stand-ins, because only the packing is judged."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import xml_unittest  # noqa: E402

TREE = pathlib.Path.cwd()
NAMES = ["vedette-server", "vedette-agent", "vedette-tools"]


@unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not installed: packages are Debian's")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="vedette-package."))
        cls.addClassCleanup(shutil.rmtree, cls.work, True)
        bin_dir = cls.work / "bin"
        bin_dir.mkdir()
        for name in ("vedette-server", "vedette-agent", "vedettectl"):
            shutil.copy("/bin/true", bin_dir / name)
        cls.first = cls.make("1.0", "a")
        cls.again = cls.make("1.0", "b")
        cls.second = cls.make("1.1", "c")

    @classmethod
    def make(cls, version, folder):
        out = cls.work / folder
        subprocess.run(["tools/package", version, str(out)], check=True, capture_output=True,
                       env=dict(os.environ, VEDETTE_BIN=str(cls.work / "bin")))
        return {n: out / f"{n}_{version}_amd64.deb" for n in NAMES}

    def test_the_same_bytes_every_time(self):
        for name in NAMES:
            a, b = (hashlib.sha256(p[name].read_bytes()).hexdigest() for p in (self.first, self.again))
            self.assertEqual(a, b, name)

    def test_contents(self):
        files = {n: subprocess.run(["dpkg-deb", "-c", self.first[n]], capture_output=True, text=True, check=True).stdout
                 for n in NAMES}
        for path in ("./usr/bin/vedette-server", "./lib/systemd/system/vedette-server.service",
                     "./etc/vedette/prometheus.yml", "./usr/share/vedette/rules/"):
            self.assertIn(path, files["vedette-server"])
        for path in ("./usr/bin/vedette-agent", "./lib/systemd/system/vedette-agent.service",
                     "./lib/systemd/system/vedette-renew.timer", "./etc/vedette/agent.env"):
            self.assertIn(path, files["vedette-agent"])
        self.assertIn("./usr/bin/vedettectl", files["vedette-tools"])
        for name, text in files.items():
            self.assertNotIn("/usr/local", text, name)
            for line in text.splitlines():
                self.assertIn("root/root", line, name)
        conffiles = subprocess.run(["dpkg-deb", "-I", self.first["vedette-server"], "conffiles"],
                                   capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(conffiles, ["/etc/vedette/alertmanager.yml", "/etc/vedette/prometheus.yml",
                                     "/etc/vedette/server.env"])

    def test_units_name_programs_that_the_packages_have(self):
        for name in ("vedette-server", "vedette-agent"):
            root = self.work / ("x-" + name)
            subprocess.run(["dpkg-deb", "-x", self.first[name], root], check=True)
            for unit in (root / "lib/systemd/system").glob("*.service"):
                self.assertNotIn("/usr/local", unit.read_text(), unit)

    def dpkg(self, root, *args):
        done = subprocess.run(
            ["dpkg", f"--root={root}", "--force-script-chrootless,not-root,depends,confdef,confold", "--no-triggers", *args],
            capture_output=True, text=True, check=False,
            env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_what_a_person_wrote_stays(self):
        root = self.work / "root"
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/vedette-server"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for file in ("status", "available"):
            (root / "var/lib/dpkg" / file).touch()
        self.dpkg(root, "-i", *map(str, self.first.values()))
        config, data = root / "etc/vedette/prometheus.yml", root / "var/lib/vedette-server/CURRENT"
        config.write_text("# mine\n")
        data.write_text("samples")
        self.dpkg(root, "-i", *map(str, self.second.values()))
        self.assertEqual(config.read_text(), "# mine\n")
        self.assertEqual(data.read_text(), "samples")
        self.dpkg(root, "-r", *NAMES)
        self.assertEqual(config.read_text(), "# mine\n")
        self.assertEqual(data.read_text(), "samples")
        self.assertFalse((root / "usr/bin/vedette-server").exists())
        self.dpkg(root, "-P", *NAMES)
        self.assertFalse(config.exists())
        self.assertEqual(data.read_text(), "samples")


if __name__ == "__main__":
    xml_unittest.main()
