"""The query side against people who mean no good, and what it offers those who look after it: limits, running queries,
plans, subscriptions, and bodies that claim more than they are."""
import gzip
import json
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

FEATURES = "promql-experimental-functions,use-start-timestamps"
MIB = 1 << 20


def rss(program):
    with open(f"/proc/{program.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Peak:
    """The most resident memory of a program from here on."""

    def __init__(self, program):
        self.proc = f"/proc/{program.process.pid}"
        with open(f"{self.proc}/clear_refs", "w") as f:
            f.write("5")
        self.before = self.now()

    def now(self):
        with open(f"{self.proc}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))

    def grown(self):
        return self.now() - self.before


class Honest(threading.Thread):
    """Asks the same small question all the time: how long the slowest answer took, and what was wrong with any."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.over, self.slowest, self.wrong, self.asked = ask, threading.Event(), 0, [], 0

    def run(self):
        while not self.over.wait(0.05):
            begin = time.monotonic()
            try:
                self.wrong += self.ask()
            except (OSError, ValueError) as e:
                self.wrong.append(repr(e))
            self.slowest, self.asked = max(self.slowest, time.monotonic() - begin), self.asked + 1

    def stop(self):
        self.over.set()
        self.join(60)


class QueryDoors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        st.issue("server", "server")
        st.issue("operator", "olga")
        st.issue("viewer", "vera")
        config = st.write("prometheus.yml", "storage: {tsdb: {out_of_order_time_window: 40d}}\n")
        cls.program = st.server(config, "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver",
                                f"--enable-feature={FEATURES}", "--query.timeout=15s")
        cls.url = f"http://127.0.0.1:{st.http}"
        cls.end = int(time.time())
        # One series of a month, and many of some hours.
        remote_write.write(cls.url, [({"__name__": "x"}, [((cls.end - 30 * 86400 + i * 600) * 1000, i % 7)
                                                          for i in range(30 * 144)])])
        hours = [(cls.end - 6 * 3600 + i * 15) * 1000 for i in range(6 * 240)]
        for part in range(10):
            remote_write.write(cls.url, [({"__name__": "many", "n": str(part * 20 + k)}, [(t, k) for t in hours])
                                         for k in range(20)])

    def ask(self, path, **params):
        return s.http_json(f"{self.url}/api/v1/{path}", data=params)

    def ctl(self, *args, who="olga", ok=True):
        tls = self.stack.tls
        done = subprocess.run([s.CTL, *args, "--server", f"localhost:{self.stack.grpc}", "--ca", f"{tls}/ca.crt",
                               "--cert", f"{tls}/{who}.crt", "--key", f"{tls}/{who}.key"],
                              capture_output=True, text=True, timeout=60, check=False)
        if ok:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_hostile_queries_end_in_clear_errors(self):
        hostile = {
            "max_over_time(x[30d:1ms])": "too many samples",
            "count_over_time((x > 0)[1000y:1s])": "too many samples",
            "abs(" * 1_000_000 + "x" + ")" * 1_000_000: "too long",
            "(" * 10_000 + "x" + ")" * 10_000: "",
            "abs(" * 100_000 + "x": "",
            "-" * 500_000 + "1": "",
            "x" + " + x" * 100_000: "",
            "a" * 1_000_000: None,
            "{__name__=~\"" + "(a{1000}){1000}" + "\"}": "",
            "{__name__=~\"(a+)+(a+)+(a+)+$\"}": None,
            "sum_over_time(x[9999999y])": "",
            'label_replace(' * 40 + "many" + ', "l", "a$1$1$1$1$1$1$1$1", "l", "(.*)")' * 40: "label_replace",
            "many * on () group_left () sum(many)": None,
        }
        peak, slowest = Peak(self.program), 0

        def ask_for_200():
            answer = self.ask("query", query="count(many)", time=self.end)
            good = answer["status"] == "success" and [r["value"][1] for r in answer["data"]["result"]] == ["200"]
            return [] if good else [str(answer)[:300]]
        honest = Honest(ask_for_200)
        honest.start()
        self.addCleanup(honest.stop)
        for query, words in hostile.items():
            with self.subTest(query[:60]):
                begin = time.monotonic()
                answer = self.ask("query", query=query, time=self.end)
                slowest = max(slowest, time.monotonic() - begin)
                if words is None:
                    continue
                self.assertEqual(answer["status"], "error", query[:60])
                self.assertIn(words, answer["error"])
                self.assertLess(len(answer["error"]), 4096, "an error is to be read by people")
        answer = self.ask("query_range", query="quantile_over_time(0.5, many[6h])", start=self.end - 10_000,
                          end=self.end, step=1, timeout="300ms")
        self.assertEqual(answer["errorType"], "timeout", answer)
        self.assertIn("300ms", answer["error"])
        honest.stop()
        print(f"hostile queries: the slowest answer after {slowest:.2f} s, {peak.grown() / MIB:.0f} MiB more at most; of "
              f"{honest.asked} honest ones beside them the slowest after {honest.slowest:.2f} s")
        self.assertTrue(self.program.alive())
        self.assertLess(peak.grown(), 512 * MIB)
        self.assertEqual(honest.wrong, [])
        self.assertGreater(honest.asked, 5)
        # Two seconds and twenty on an idle machine; this one has other things to do.
        self.assertLess(honest.slowest, 20)
        self.assertLess(slowest, 60)

    def test_bodies_that_claim_more_than_they_are(self):
        before = rss(self.program)
        write, otlp = self.url + "/api/v1/write", self.url + "/api/v1/otlp/v1/metrics"
        protobuf = {"Content-Type": "application/x-protobuf"}
        zeros = gzip.compress(bytes(200 * MIB), 6)
        four_gib = bytes([0x80, 0x80, 0x80, 0x80, 0x10])
        cases = [
            (write, four_gib + b"\xfe\x01\x00" * 1000, {**protobuf, "Content-Encoding": "snappy"}),
            (write, b"\x80\x80\x80\x10" + b"\x00a", {**protobuf, "Content-Encoding": "snappy"}),
            (write, zeros, {**protobuf, "Content-Encoding": "gzip"}),
            (otlp, zeros, {**protobuf, "Content-Encoding": "gzip"}),
            (otlp, gzip.compress(b"[" * 5_000_000), {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
            (otlp, b"{", {"Content-Type": "application/json"}),
            (write, b"not snappy at all", {**protobuf, "Content-Encoding": "snappy"}),
            # Two bytes an empty series, or an empty sample: small on the wire, large in memory.
            (write, gzip.compress(b"\x0a\x00" * 8_000_000), {**protobuf, "Content-Encoding": "gzip"}),
        ]
        for url, body, headers in cases:
            status, text = remote_write.post(url, body, headers)
            self.assertEqual(status // 100, 4, f"{status} {text[:200]} for {body[:12]!r}")
        self.assertTrue(self.program.alive())
        self.assertLess(rss(self.program) - before, 256 * MIB)
        self.assertEqual(self.stack.value("count(many)", time=self.end), 200)

    def test_running_queries_are_listed_and_killed(self):
        got = []
        ask = threading.Thread(target=lambda: got.append(self.ask(
            "query_range", query="sum(quantile_over_time(0.5, many[6h])) + 0", start=self.end - 10_900, end=self.end,
            step=1)))
        ask.start()
        mine = s.wait_until("the query is listed", lambda: [
            q for q in self.stack.api("/api/v1/queries")["data"] if "many[6h]" in q["query"]])
        self.assertEqual(mine[0]["state"], "running")
        self.assertIn("http", mine[0]["origin"])
        self.assertIn("many[6h]", self.ctl("query", "ps").stdout)
        refused = self.ctl("query", "kill", str(mine[0]["id"]), who="vera", ok=False)
        self.assertNotEqual(refused.returncode, 0, "a viewer ends nobody's query")
        self.assertIn("killed", self.ctl("query", "kill", str(mine[0]["id"])).stdout)
        ask.join(30)
        self.assertEqual(got[0]["errorType"], "canceled", got)
        self.assertIn("no query", self.ctl("query", "kill", "999999", ok=False).stderr)

    def test_plans_and_what_they_cost(self):
        query = "sum by (n) (rate(many{n=~'1.*'}[5m])) * 2"
        plan = self.ask("explain", query=query, time=self.end)["data"]
        self.assertFalse(plan["analyzed"])
        range_of = lambda p: p["children"][0]["children"][0]["children"][0]  # noqa: E731
        self.assertEqual(range_of(plan["plan"])["selects"]["matchingSeries"], 111)
        ran = self.ask("explain", query=query, start=self.end - 600, end=self.end, step=60, analyze="true")["data"]
        self.assertEqual(ran["steps"], 11)
        self.assertEqual(ran["plan"]["op"], "*")
        selector = range_of(ran["plan"])
        self.assertEqual(selector["series"], 111)
        self.assertGreater(selector["samplesRead"], 111 * 11 * 15)
        self.assertGreater(selector["bytesDecoded"], 0)
        self.assertEqual(ran["totals"]["samplesRead"], selector["samplesRead"])
        text = self.ctl("query", "instant", query, "--time", str(self.end), "--analyze").stdout
        self.assertIn("range selector many", text)
        self.assertIn("decoded", text)

    def test_a_subscription_sends_what_changed(self):
        def put(value):
            remote_write.write(self.url, [({"__name__": "watched", "n": "1"}, [(int(time.time() * 1000), value)])])
        put(1)
        tls = self.stack.tls
        watch = subprocess.Popen([s.CTL, "query", "watch", "watched", "--interval", "200ms", "--changes", "2", "-o", "csv",
                                  "--server", f"localhost:{self.stack.grpc}", "--ca", f"{tls}/ca.crt",
                                  "--cert", f"{tls}/olga.crt", "--key", f"{tls}/olga.key"],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.kill)
        self.assertIn("time,change", watch.stdout.readline())
        self.assertTrue(watch.stdout.readline().strip().endswith(",1"))
        put(5)
        out, _ = watch.communicate(timeout=60)
        self.assertIn("now", out)
        self.assertTrue(out.strip().endswith(",5"), out)

    def test_the_other_doors(self):
        with urllib.request.urlopen(f"{self.url}/api/v1/search/metric_names?search[]=man&sort_by=score", timeout=20) as r:
            self.assertIn("x-ndjson", r.headers["Content-Type"])
            lines = [json.loads(line) for line in r.read().decode().splitlines()]
        self.assertEqual(lines[0]["results"][0]["name"], "many")
        self.assertEqual(lines[-1], {"status": "success", "has_more": False})
        import yaml
        spec = yaml.safe_load(self.stack.get_text(self.url + "/api/v1/openapi.yaml"))
        self.assertEqual(spec["openapi"], "3.1.0")
        for path in spec["paths"]:
            if "{" in path or "live" in path:
                continue
            methods = spec["paths"][path]
            status, _ = remote_write.post(f"{self.url}/api/v1{path}", b"") if "get" not in methods else (0, "")
            self.assertNotEqual(status, 405, path)
        with urllib.request.urlopen(f"{self.url}/api/v1/notifications/live", timeout=20) as r:
            self.assertEqual(r.headers["Content-Type"], "text/event-stream")
            self.assertTrue(r.readline().startswith(b":"))
        request = urllib.request.Request(
            f"{self.url}/api/v1/query_range?" + urllib.parse.urlencode(
                {"query": "many{n='7'}", "start": self.end - 60, "end": self.end, "step": 15}),
            headers={"Accept": "application/vnd.vedette.columns+json"})
        with urllib.request.urlopen(request, timeout=20) as r:
            self.assertEqual(json.load(r)["data"]["series"][0]["v"][0], 7)
        # A large answer in pieces is the answer.
        whole = self.ask("query_range", query="many", start=self.end - 5000, end=self.end, step=5)
        self.assertEqual(len(whole["data"]["result"]), 200)
        self.assertIn("⣀", self.ctl("query", "range", "many{n='7'} * 0 + 1", "--start", "30m", "--graph").stdout.replace(
            "⠤", "⣀").replace("⠒", "⣀").replace("⠉", "⣀"))
        metrics = self.stack.get_text(self.url + "/metrics")
        for name in ("prometheus_engine_queries ", "prometheus_engine_query_duration_seconds_sum{slice=\"inner_eval\"}",
                     "vedette_memory_used_bytes "):
            self.assertIn(name, metrics)

    def test_otlp_in_json(self):
        now = str(time.time_ns())
        body = json.dumps({"resourceMetrics": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}}]}, "scopeMetrics": [{"metrics": [
                {"name": "orders", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [
                    {"timeUnixNano": now, "asInt": "42"}]}}]}]}]}).encode()
        status, text = remote_write.post(self.url + "/api/v1/otlp/v1/metrics", body, {"Content-Type": "application/json"})
        self.assertEqual((status, text), (200, "{}"))
        self.assertEqual(self.stack.value('orders_total{job="shop"}'), 42)


if __name__ == "__main__":
    xml_unittest.main()
