"""The page's own unit tests (vitest), and whether web/dist is what its sources make. They need Node and
the packages of web/package-lock.json: tools/check installs both and names the folder in VEDETTE_WEB.
Skipped, with a reason, where that is not there: a server is built without Node."""

import os
import shutil
import subprocess
import unittest

WEB = os.environ.get("VEDETTE_WEB", "")
READY = WEB != "" and os.path.isdir(WEB + "/node_modules/vitest") and shutil.which("node") is not None


@unittest.skipUnless(READY, "no Node with web/node_modules (npm ci)")
class SourcesTest(unittest.TestCase):
    def run_in_web(self, *command):
        done = subprocess.run(command, cwd=WEB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, HOME=os.environ.get("TEST_TMPDIR", "/tmp"), CI="1"))
        self.assertEqual(done.returncode, 0, done.stdout[-8000:])
        print(done.stdout[-400:])

    def test_units(self):
        self.run_in_web("node", "node_modules/vitest/vitest.mjs", "run", "--reporter=dot")

    def test_dist_is_what_its_sources_make(self):
        self.run_in_web("sh", "../tools/web_build", "--check")


if __name__ == "__main__":
    unittest.main()
