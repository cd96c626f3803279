"""What the storage costs, and the tools for its directory: cost, tsdb stats, dump and verify, snapshot
create and restore, on the directory of a real server."""
import glob
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402
from exporter import Exporter  # noqa: E402


def ctl(*arguments):
    done = subprocess.run([s.CTL, *arguments], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Gauges(Exporter):
    """Serves `series` gauges until `open` is false."""

    def __init__(self, series):
        self.open = True
        text = "".join(f'tool_gauge{{i="{i}"}} {i}\n' for i in range(series))
        super().__init__(lambda _: text if self.open else None)


def on_disk(directory):
    total = 0
    for e in os.scandir(directory):
        if e.is_file():
            st = e.stat()
            total += min(st.st_size, st.st_blocks * 512)
    return total


class StorageToolsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = s.Stack()
        cls.many, cls.few = Gauges(200), Gauges(10)
        config = cls.stack.write("prometheus.yml", f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: many
    enable_compression: false
    static_configs: [{{targets: ['127.0.0.1:{cls.many.port}']}}]
  - job_name: few
    enable_compression: false
    static_configs: [{{targets: ['127.0.0.1:{cls.few.port}']}}]
""")
        cls.stack.make_ca()
        cls.stack.issue("server", "server")
        cls.server = cls.stack.server(config, "--web.enable-remote-write-receiver", "--web.enable-admin-api")
        cls.url = f"http://127.0.0.1:{cls.stack.http}"
        now = int(time.time() * 1000)
        remote_write.write(cls.url, [
            ({"__name__": "written", "job": "push", "shard": str(i)}, [(now - 60000 + k * 1000, i + k / 3) for k in range(60)])
            for i in range(50)])
        s.wait_until("both targets are in", lambda: cls.stack.value("count(tool_gauge)") == 210)
        # From here on the storage stands still, but for the targets' own `up`.
        cls.many.open = cls.few.open = False
        s.wait_until("both are down", lambda: cls.stack.value("sum(up)") == 0)
        status, text = remote_write.post(cls.url + "/api/v1/admin/tsdb/compact", b"")
        assert status == 200, text
        code, out, err = ctl("snapshot", "create", "--url", cls.url)
        assert code == 0, err
        cls.snapshot = cls.stack.path("data", "snapshots", out.strip())

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def cost(self, **params):
        answer = self.stack.api("/api/v1/status/cost", **params)
        self.assertEqual(answer["status"], "success", answer)
        return answer["data"]

    def test_costs_add_up_to_the_data_directory(self):
        for params in ({"by": "metric"}, {"by": "job"}, {"by": "label"}, {"by": "label", "label": "i"}, {"limit": "2"}):
            with self.subTest(params):
                before = on_disk(self.stack.path("data"))
                data = self.cost(**params)
                after = on_disk(self.stack.path("data"))
                for key in ("diskBytes", "memoryBytes", "wireBytes"):
                    parts = sum(r[key] for r in data["rows"]) + data["rest"][key] + data["shared"][key]
                    self.assertEqual(parts, data["total"][key], key)
                self.assertLessEqual(before, data["total"]["diskBytes"])
                self.assertLessEqual(data["total"]["diskBytes"], after)
                self.assertEqual(sum(data["disk"].values()), data["total"]["diskBytes"])
                self.assertEqual(sum(data["memory"].values()), data["total"]["memoryBytes"])

    def test_the_wire_is_counted_to_the_byte(self):
        rows = {r["name"]: r for r in self.cost(by="job", limit="0")["rows"]}
        # Answers that are no 200 have a body too, of the same length each time; the good ones are in.
        self.assertGreaterEqual(rows["many"]["wireBytes"], self.many.sent)
        self.assertLess(rows["many"]["wireBytes"], self.many.sent * 1.5 + 100_000)
        self.assertGreater(rows["push"]["wireBytes"], 0)
        metrics = {r["name"]: r for r in self.cost(by="metric", limit="0")["rows"]}
        self.assertEqual(metrics["tool_gauge"]["series"], 210)
        self.assertGreater(metrics["tool_gauge"]["wireBytes"], self.few.sent)

    def test_mistakes_are_named(self):
        answer = self.stack.api("/api/v1/status/cost", by="color")
        self.assertEqual(answer["errorType"], "bad_data")
        self.assertIn("neither metric, job nor label", answer["error"])
        code, _, err = ctl("cost", "--by", "color", "--url", self.url)
        self.assertEqual((code, "metric, job or label" in err), (2, True), err)

    def test_the_cost_verb(self):
        code, out, err = ctl("cost", "--url", self.url)
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"(?m)^tool_gauge +210 ")
        self.assertRegex(out, r"(?m)^total ")
        code, out, _ = ctl("cost", "--by", "label", "--label", "job", "-o", "json", "--url", self.url)
        self.assertEqual(code, 0)
        names = [r["job"] for r in json.loads(out)]
        self.assertLessEqual({"many", "few", "push", "total"}, set(names))

    def test_stats_dump_and_verify(self):
        code, out, err = ctl("tsdb", "stats", self.snapshot, "--by", "job")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"(?m)^many +2\d\d ")
        code, out, err = ctl("tsdb", "dump", self.snapshot, "--match", 'written{shard="7"}')
        self.assertEqual(code, 0, err)
        lines = out.splitlines()
        self.assertEqual(len(lines), 60)
        self.assertTrue(lines[0].startswith('{__name__="written", job="push", shard="7"} 7 '), lines[0])
        code, out, err = ctl("tsdb", "dump", self.snapshot, "--match", 'written{shard="7"}', "--format", "openmetrics")
        self.assertEqual((code, out.splitlines()[-1]), (0, "# EOF"), err)
        code, out, err = ctl("tsdb", "verify", self.snapshot)
        self.assertEqual(code, 0, out + err)
        self.assertIn("everything is as it was written", out)
        # Of a running server: a look is fine, a verification is not.
        code, _, err = ctl("tsdb", "stats", self.stack.path("data"))
        self.assertEqual(code, 0, err)
        code, _, err = ctl("tsdb", "verify", self.stack.path("data"))
        self.assertEqual(code, 1)
        self.assertIn(f"in use by process {self.server.process.pid}", err)
        code, _, err = ctl("tsdb", "dump", self.stack.path("nowhere"))
        self.assertEqual(code, 1)
        self.assertIn("no such directory", err)
        code, _, err = ctl("tsdb", "dump", self.snapshot, "--match", "up{")
        self.assertEqual(code, 2)
        self.assertIn("parse error", err)

    def test_a_snapshot_comes_back(self):
        target = self.stack.path("restored")
        code, out, err = ctl("snapshot", "restore", self.snapshot, target)
        self.assertEqual(code, 0, err)
        self.assertIn("start the server with", out)
        code, _, err = ctl("snapshot", "restore", self.snapshot, target)
        self.assertEqual(code, 1)
        self.assertIn("--replace", err)
        code, out, err = ctl("snapshot", "restore", self.snapshot, target, "--replace")
        self.assertEqual(code, 0, err)
        kept = glob.glob(target + "/before-restore-*/CURRENT")
        self.assertEqual(len(kept), 1)
        code, _, err = ctl("snapshot", "restore", self.snapshot, self.stack.path("data"), "--replace")
        self.assertEqual(code, 1)
        self.assertIn("in use by process", err)

        other = s.Stack()
        try:
            config = other.write("prometheus.yml", "scrape_configs: []\n")
            other.http = s.free_port()
            program = other.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={target}",
                                           f"--web.listen-address=127.0.0.1:{other.http}"])
            other.wait_ready(program)
            for expression in ("written[10m]", "tool_gauge[10m]"):
                def all_of(at):
                    return sorted((sorted(r["metric"].items()), r["values"]) for r in at.query(expression))
                self.assertEqual(all_of(other), all_of(self.stack))
        finally:
            other.close()

    def test_a_damaged_snapshot_is_refused(self):
        damaged = self.stack.path("damaged")
        subprocess.run(["cp", "-r", self.snapshot, damaged], check=True)
        tables = sorted(glob.glob(damaged + "/*.sst"), key=os.path.getsize)
        with open(tables[-1], "r+b") as f:
            f.seek(100)
            byte = f.read(1)
            f.seek(100)
            f.write(bytes([byte[0] ^ 4]))
        code, out, err = ctl("tsdb", "verify", damaged)
        self.assertEqual(code, 1)
        self.assertIn("damaged: table " + tables[-1], out)
        target = self.stack.path("from-damaged")
        code, out, err = ctl("snapshot", "restore", damaged, target)
        self.assertEqual(code, 1)
        self.assertIn("nothing was changed", err)
        self.assertFalse(os.path.exists(target))
        code, out, err = ctl("snapshot", "restore", damaged, target, "--accept-damaged")
        self.assertEqual(code, 0, err)


if __name__ == "__main__":
    xml_unittest.main()
