"""An upgrade as it happens: the real programs, packed, installed, fed, upgraded, started again. What a person
wrote and what the server stored is still there; after a removal, too."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

CONFIG = """# mine
scrape_configs: [{{job_name: self, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]
"""


@unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not installed: packages are Debian's")
class Upgrade(unittest.TestCase):
    def make(self, version):
        out = pathlib.Path(self.stack.path("packages-" + version))
        subprocess.run(["tools/package", version, str(out)], check=True, capture_output=True, timeout=240,
                       env=dict(os.environ, VEDETTE_BIN=self.bin, VEDETTE_DEB_COMPRESSION="none"))
        return [str(p) for p in sorted(out.glob("*.deb"))]

    def newer(self, packages, version):
        """The same, called a later version."""
        out = pathlib.Path(self.stack.path("packages-" + version))
        out.mkdir()
        for package in packages:
            tree = out / pathlib.Path(package).stem
            subprocess.run(["dpkg-deb", "-R", package, tree], check=True, timeout=120)
            control = tree / "DEBIAN/control"
            control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(), flags=re.M))
            subprocess.run(["dpkg-deb", "-Znone", "--build", tree, out], check=True, capture_output=True, timeout=120)
        return [str(p) for p in sorted(out.glob("*.deb"))]

    def dpkg(self, *args):
        done = subprocess.run(
            ["dpkg", f"--root={self.root}", "--force-script-chrootless,not-root,depends,confdef,confold",
             "--no-triggers", *args], capture_output=True, text=True, check=False,
            env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def serve(self):
        st = self.stack
        st.http = self.port
        program = st.run("server", [str(self.root / "usr/bin/vedette-server"),
                                    f"--config.file={self.root}/etc/vedette/prometheus.yml",
                                    f"--storage.tsdb.path={self.root}/var/lib/vedette-server/data",
                                    f"--web.listen-address=127.0.0.1:{self.port}"])
        st.wait_ready(program)
        return program

    def samples(self):
        return self.stack.value('count_over_time(up{job="self"}[1h])') or 0

    def test_upgrade_and_removal_keep_configuration_and_samples(self):
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        self.bin, self.root, self.port = st.path("bin"), pathlib.Path(st.path("root")), s.free_port()
        os.makedirs(self.bin)
        for program in (s.AGENT, s.SERVER, s.CTL):
            shutil.copy(program, self.bin)
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/vedette-server/data"):
            (self.root / folder).mkdir(parents=True)
        for file in ("status", "available"):
            (self.root / "var/lib/dpkg" / file).touch()
        first = self.make("1.0")
        self.dpkg("-i", *first)
        config = self.root / "etc/vedette/prometheus.yml"
        config.write_text(CONFIG.format(port=self.port))
        old = self.serve()
        s.wait_until("samples", lambda: self.samples() >= 3)
        old.stop()

        self.dpkg("-i", *self.newer(first, "1.1"))
        status = (self.root / "var/lib/dpkg/status").read_text()
        self.assertIn("Version: 1.1", status)
        self.assertEqual(config.read_text(), CONFIG.format(port=self.port))
        new = self.serve()
        self.assertGreaterEqual(self.samples(), 3)
        had = self.samples()
        s.wait_until("it goes on", lambda: self.samples() > had)
        new.stop()

        self.dpkg("-P", "vedette-server", "vedette-agent", "vedette-tools")
        self.assertFalse((self.root / "usr/bin/vedette-server").exists())
        self.assertTrue((self.root / "var/lib/vedette-server/data/CURRENT").exists() or
                        list((self.root / "var/lib/vedette-server/data").rglob("CURRENT")))


if __name__ == "__main__":
    xml_unittest.main()
