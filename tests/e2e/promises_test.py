"""Promises of SECURITY.md that need a whole server: samples from the future, budgets for series, bodies
that unpack into more than they are, the memory limit."""
import functools
import gzip
import http.server
import os
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

MIB = 1 << 20
PROTOBUF = {"Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}


class Pages:
    """A target: path -> (headers, body), or a function of none that makes them."""

    def __init__(self):
        self.pages = {}
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.pages.get(self.path)
                headers, body = page() if callable(page) else page
                self.send_response(200)
                for k, v in {"Content-Type": "text/plain; version=0.0.4", **headers}.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # Cut off at the limit.

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@functools.lru_cache
def gzipped(size):
    """`size` bytes of one comment line, packed."""
    z = zlib.compressobj(1, zlib.DEFLATED, 31)
    out = z.compress(b"# ")
    for _ in range(size // MIB):
        out += z.compress(b"x" * MIB)
    return out + z.compress(b"\n") + z.flush()


def zstd(size):
    """The same as zstd: one frame of RLE blocks."""
    out = bytearray(struct.pack("<IBB", 0xFD2FB528, 0, 0x58))
    for _ in range(size // (128 << 10)):
        out += ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\n"
    return bytes(out + (1 | 0 << 1 | 0 << 3).to_bytes(3, "little"))


class Promises(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.target = Pages()

    def start(self, config, *flags):
        st = self.stack
        path = st.write("prometheus.yml", config)
        st.http = s.free_port()
        self.program = st.run("server", [s.SERVER, f"--config.file={path}", f"--storage.tsdb.path={st.path('data')}",
                                         f"--web.listen-address=127.0.0.1:{st.http}", "--web.enable-remote-write-receiver",
                                         "--web.enable-otlp-receiver", *flags])
        st.wait_ready(self.program)
        self.url = f"http://127.0.0.1:{st.http}"

    def job(self, name, path, interval="500ms"):
        return f"""
  - job_name: {name}
    scrape_interval: {interval}
    scrape_timeout: {interval}
    metrics_path: {path}
    static_configs: [{{targets: ['127.0.0.1:{self.target.port}']}}]
"""

    def metric(self, name):
        text = self.stack.get_text(self.url + "/metrics")
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), None)

    def peak(self):
        with open(f"/proc/{self.program.process.pid}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))

    def forget_peak(self):
        with open(f"/proc/{self.program.process.pid}/clear_refs", "w") as f:
            f.write("5")

    def write(self, samples):
        return remote_write.post(self.url + "/api/v1/write", remote_write.snappy(remote_write.message(samples)),
                                 {**PROTOBUF, "Content-Encoding": "snappy"})

    def test_a_sample_from_the_future_is_refused_and_the_next_honest_one_taken(self):
        self.target.pages["/ahead"] = lambda: (
            {}, b"wrong %d %d\nright 1\n" % (1, int(time.time() * 1000) + 3600_000))
        self.start("scrape_configs:" + self.job("ahead", "/ahead"))
        now = int(time.time() * 1000)
        series = {"__name__": "poisoned"}
        status, text = self.write([(series, [(now + 11 * 60_000, 1)])])
        self.assertEqual(status, 400, text)
        self.assertIn("future", text)
        self.assertGreaterEqual(self.metric("vedette_tsdb_too_far_ahead_samples_total"), 1)
        status, text = self.write([(series, [(now, 2)])])
        self.assertEqual(status // 100, 2, text)
        self.assertEqual(self.stack.value("poisoned"), 2)
        # Within the ten minutes it is believed.
        status, text = self.write([({"__name__": "early"}, [(now + 9 * 60_000, 3)])])
        self.assertEqual(status // 100, 2, text)
        # By scrape: the sample alone is refused, the target stays up.
        s.wait_until("the honest one is there", lambda: self.stack.value("right") == 1)
        self.assertEqual(self.stack.query("wrong[2h]"), [])
        self.assertEqual(self.stack.value('up{job="ahead"}'), 1)

    def test_deleting_and_snapshots_need_a_switch(self):
        self.start("scrape_configs: []\n")
        now = int(time.time() * 1000)
        self.assertEqual(self.write([({"__name__": "kept"}, [(now, 1)])])[0] // 100, 2)
        for verb in ("delete_series?match[]=kept", "clean_tombstones", "compact", "snapshot"):
            answer = s.http_json(f"{self.url}/api/v1/admin/tsdb/{verb}", method="POST")
            self.assertEqual(answer["status"], "error", answer)
            self.assertIn("admin", answer["error"])
        self.assertEqual(self.stack.value("kept"), 1)
        self.assertFalse(os.path.exists(self.stack.path("data", "snapshots")))

    def test_the_limit_of_the_future_is_a_flag(self):
        self.start("scrape_configs: []\n", "--storage.max-future=1m")
        now = int(time.time() * 1000)
        self.assertEqual(self.write([({"__name__": "a"}, [(now + 120_000, 1)])])[0], 400)
        self.assertEqual(self.write([({"__name__": "a"}, [(now + 30_000, 1)])])[0] // 100, 2)

    def test_what_destroys_or_costs_much_needs_a_switch(self):
        asks = ["delete_series?match[]=kept", "clean_tombstones", "compact", "snapshot"]

        def ask(path):
            request = urllib.request.Request(self.url + "/api/v1/admin/tsdb/" + path, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        self.start("scrape_configs: []\n")
        now = int(time.time() * 1000)
        self.assertEqual(self.write([({"__name__": "kept"}, [(now, 1)])])[0] // 100, 2)
        for path in asks:
            with self.subTest(path=path):
                self.assertGreaterEqual(ask(path), 400)
        self.assertEqual(self.stack.value("kept"), 1)
        self.program.stop()
        self.start("scrape_configs: []\n", "--web.enable-admin-api")
        self.assertEqual(self.stack.value("kept"), 1)
        for path in asks:
            with self.subTest(path=path, admin=True):
                self.assertEqual(ask(path) // 100, 2)
        self.assertIsNone(self.stack.value("kept"))

    def test_series_over_a_budget_are_refused_and_named_everywhere(self):
        turn = iter(range(1 << 30))
        self.target.pages["/many"] = lambda: ({}, "".join(
            f'many{{i="{i}",turn="{k}"}} 1\n' for k in [next(turn)] for i in range(30)).encode())
        self.target.pages["/good"] = ({}, b"good 1\n")
        self.start("scrape_configs:" + self.job("many", "/many") + self.job("good", "/good"),
                   "--storage.max-series-of-job=many=100")
        s.wait_until("it is refused", lambda: self.metric('vedette_tsdb_series_refused_total{job="many"}'))
        self.assertIsNone(self.metric('vedette_tsdb_series_refused_total{job="good"}'))
        targets = {t["scrapePool"]: t for t in self.stack.api("/api/v1/targets")["data"]["activeTargets"]}
        self.assertIn("--storage.max-series-of-job", targets["many"]["seriesRefused"])
        self.assertIn('"many"', targets["many"]["lastError"])
        self.assertNotIn("seriesRefused", targets["good"])
        log = [line for line in self.program.text().splitlines() if "new series refused" in line]
        self.assertTrue(any("job=many" in line for line in log), log)
        self.assertLess(len(log), 10, "once a minute, not once a series")
        s.wait_until("everything else goes on", lambda: self.stack.value('sum_over_time(up{job="good"}[5m])') >= 3)
        self.assertLessEqual(self.stack.value('count({job="many"})'), 100)

    def test_packed_bombs_are_cut_off_at_the_limit(self):
        self.target.pages.update({
            "/gzip": ({"Content-Encoding": "gzip"}, gzipped(512 * MIB)),
            "/zstd": ({"Content-Encoding": "zstd"}, zstd(1024 * MIB)),
            "/plain": ({}, b"plain 1\n"),
        })
        plain = "scrape_configs:" + self.job("plain", "/plain")
        self.start(plain)
        s.wait_until("it scrapes", lambda: self.stack.value("plain"))
        self.forget_peak()
        before = self.peak()
        self.stack.write("prometheus.yml", plain + self.job("gzip", "/gzip", "20s") + self.job("zstd", "/zstd", "20s"))
        self.program.process.send_signal(1)

        def error(job):
            return next((t["lastError"] for t in self.stack.api("/api/v1/targets")["data"]["activeTargets"]
                         if t["scrapePool"] == job), None)
        s.wait_until("gzip is refused at the limit", lambda: "body_size_limit" in (error("gzip") or ""))
        # curl of this machine may not know zstd: then the body is refused for what it is.
        s.wait_until("zstd is refused", lambda: error("zstd"))
        self.assertEqual(self.stack.query("x"), [])
        # Two bodies at the limit of 64 MiB, each with as much again while it grows.
        self.assertLess(self.peak() - before, 2 * 128 * MIB)
        self.assertTrue(self.program.alive())
        s.wait_until("the good target is scraped", lambda: self.stack.value("plain") == 1)

    def test_a_write_costs_no_more_than_128_mib_whatever_it_claims(self):
        self.start("scrape_configs: []\n")
        now = int(time.time() * 1000)
        write, otlp = self.url + "/api/v1/write", self.url + "/api/v1/otlp/v1/metrics"
        full = remote_write.message([({"__name__": "w", "i": str(i)}, [(now + k, k) for k in range(100)])
                                     for i in range(2_000)])
        bodies = {
            "snappy that says 4 GiB": (write, b"\x80\x80\x80\x80\x10" + b"\xfe\x01\x00" * 1000, "snappy"),
            "snappy of copies, 31 MiB": (write, remote_write._varint(31 * MIB) + b"\x00\n" + b"\xfe\x01\x00" * (31 * MIB // 64), "snappy"),
            "gzip of 512 MiB": (write, gzipped(512 * MIB), "gzip"),
            "zstd of 1 GiB": (write, zstd(1024 * MIB), "zstd"),
            "gzip of empty series": (write, gzip.compress(b"\x0a\x00" * 16_000_000, 1), "gzip"),
            "gzip of empty samples": (write, gzip.compress(
                b"\x0a" + remote_write._varint(24_000_000) + b"\x12\x00" * 12_000_000, 1), "gzip"),
            "honest, large": (write, remote_write.snappy(full), "snappy"),
            "OTLP, gzip of 512 MiB": (otlp, gzipped(512 * MIB), "gzip"),
            "OTLP, empty metrics": (otlp, gzip.compress(b"\x0a\x00" * 16_000_000, 1), "gzip"),
        }
        for name, (url, body, encoding) in bodies.items():
            with self.subTest(name):
                self.forget_peak()
                before = self.peak()
                status, text = remote_write.post(url, body, {**PROTOBUF, "Content-Encoding": encoding}, timeout=120)
                self.assertIn(status // 100, (2, 4), text[:300])
                self.assertTrue(self.program.alive())
                # What is stored of an honest one is the storage's, and no body.
                self.assertLess(self.peak() - before, 128 * MIB, f"{status} {text[:200]}")

    def test_over_the_memory_limit_queries_are_refused_and_ingestion_goes_on(self):
        self.target.pages["/good"] = ({}, b"good 1\n")
        # Less than the program has when it starts.
        self.start("scrape_configs:" + self.job("good", "/good"), "--memory.limit=1MiB")
        s.wait_until("a scrape is in", lambda: (self.metric("vedette_target_samples_scraped_total") or 0) > 0)
        status, text = remote_write.post(self.url + "/api/v1/query", b"query=good",
                                         {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(status, 503, text)
        self.assertIn("--memory.limit", text)
        self.assertGreaterEqual(self.metric("vedette_memory_queries_refused_total"), 1)
        now = int(time.time() * 1000)
        self.assertEqual(self.write([({"__name__": "w"}, [(now, 1)])])[0] // 100, 2)
        had = self.metric("vedette_target_samples_scraped_total")
        s.wait_until("scrapes go on", lambda: self.metric("vedette_target_samples_scraped_total") > had + 2)
        self.assertEqual(self.metric("vedette_memory_limit_bytes"), MIB)


if __name__ == "__main__":
    xml_unittest.main()
