"""Moving from Prometheus: blocks that its own tool made, OpenMetrics text, and its configuration."""
import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Import(unittest.TestCase):
    def setUp(self):
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        st.http = s.free_port()
        config = st.write("prometheus.yml", "storage: {tsdb: {out_of_order_time_window: 30d}}\n")
        p = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                              f"--web.listen-address=127.0.0.1:{st.http}", "--web.enable-remote-write-receiver"])
        st.wait_ready(p)
        # A day and a half, a sample a minute, of two series.
        self.start = (int(time.time()) - 3 * 86400) // 60 * 60
        lines = ["# HELP demo_requests_total Requests.", "# TYPE demo_requests_total counter"]
        for code in ("200", "500"):
            lines += [f'demo_requests_total{{code="{code}",path="/a b\\\\c"}} {i * (1.5 if code == "200" else 0.1)} {self.start + i * 60}'
                      for i in range(2160)]
        self.text = st.write("demo.om", "\n".join(lines) + "\n# EOF\n")

    def ctl(self, *args, code=0):
        done = subprocess.run([s.CTL, "import", *args], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def check_samples(self):
        st, end = self.stack, self.start + 2159 * 60
        self.assertEqual(st.value("sum(count_over_time(demo_requests_total[3d]))", time=end), 4320)
        self.assertEqual(st.value('demo_requests_total{code="200"}', time=end), 2159 * 1.5)
        self.assertAlmostEqual(st.value('demo_requests_total{code="500"}', time=self.start + 600), 1.0)

    def test_openmetrics(self):
        text = self.ctl("openmetrics", self.text, "--url", f"http://127.0.0.1:{self.stack.http}")
        self.assertIn("sent 4320 samples", text)
        self.check_samples()

    @unittest.skipUnless(shutil.which("promtool"), "Debian's prometheus is not installed")
    def test_blocks_that_prometheus_made(self):
        blocks = self.stack.path("blocks")
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", self.text, blocks], check=True,
                       stdout=subprocess.DEVNULL)
        text = self.ctl("prometheus", "--data", blocks, "--url", f"http://127.0.0.1:{self.stack.http}")
        self.assertIn("sent 4320 samples", text)
        self.check_samples()
        # Damage is an error that names the file, never a wrong sample.
        name = sorted(os.listdir(blocks))[0]
        with open(os.path.join(blocks, name, "index"), "r+b") as f:
            f.truncate(80)
        self.assertIn(name, self.ctl("prometheus", "--data", blocks, code=1))

    def test_configuration_is_reported(self):
        st = self.stack
        st.write("rules.yml", "groups: [{name: g, rules: [{record: a, expr: up}, {alert: B, expr: up == 0}]}]\n")
        config = st.write("theirs.yml", "rule_files: [rules.yml]\nscrape_configs:\n- job_name: node\n"
                          "  static_configs: [{targets: ['a:1']}]\nremote_read: [{url: 'http://x/r'}]\n")
        text = self.ctl("prometheus", "--config.file", config)
        self.assertIn("1 scrape_configs", text)
        self.assertIn("1 groups, 2 rules", text)
        self.assertIn("remote_read: not served", text)
        bad = st.write("bad.yml", "scrape_configs:\n- job_name: x\n  nosuch: 1\n")
        self.assertIn("bad.yml:3", self.ctl("prometheus", "--config.file", bad, code=2))
        self.assertIn("nothing to import", self.ctl("prometheus", code=2))

    def test_a_closed_door_is_said_so(self):
        self.assertIn("Couldn't connect", self.ctl("openmetrics", self.text, "--url", f"http://127.0.0.1:{s.free_port()}", code=1))


if __name__ == "__main__":
    xml_unittest.main()
