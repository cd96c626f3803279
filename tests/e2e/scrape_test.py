"""Scraping as scrape_config says, over real HTTP: who may ask, what is too much, what is written down; and a hostile
target that hurts only itself."""
import gzip
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Target:
    """An HTTP server whose paths are functions of (handler) -> (status, headers, body)."""

    def __init__(self):
        self.pages, self.asked = {}, []
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.split("?")[0]
                target.asked.append((self.command, self.path, dict(self.headers), body))
                page = target.pages.get(path)
                if page is None:
                    status, headers, body = 404, {}, b""
                elif callable(page):
                    status, headers, body = page(self)
                else:
                    status, headers, body = 200, {"Content-Type": "text/plain; version=0.0.4"}, page
                if status is None:
                    return
                self.send_response(status)
                for k, v in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def seen(self, path):
        return [a for a in self.asked if a[1].split("?")[0] == path]


class Scrape(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.target = Target()
        self.addCleanup(self.target.server.shutdown)

    def start(self, jobs, top="", *flags):
        st = self.stack
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 900ms{top}}}
scrape_configs:
{jobs}
""")
        st.http = s.free_port()
        os.makedirs(st.path("data"), exist_ok=True)
        p = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                              f"--web.listen-address=127.0.0.1:{st.http}", *flags])
        st.wait_ready(p)
        return p

    def job(self, name, more="", path=None):
        return (f"  - job_name: {name}\n    metrics_path: {path or '/' + name}\n"
                f"    static_configs: [{{targets: ['127.0.0.1:{self.target.port}']}}]\n" +
                "".join(f"    {line}\n" for line in more.splitlines()))

    def error(self, job):
        for t in self.stack.api("/api/v1/targets")["data"]["activeTargets"]:
            if t["labels"]["job"] == job:
                return t["lastError"]
        return None

    def test_who_asks_and_how(self):
        st, t = self.stack, self.target
        secret = st.write("secret", "from-a-file\n")
        t.pages.update({f"/{n}": b"x 1\n" for n in ("headers", "params", "relabelled", "proxied", "shard")})
        t.pages["/token"] = lambda h: (200, {"Content-Type": "application/json"},
                                       b'{"access_token": "T0KEN", "token_type": "Bearer", "expires_in": 3600}')
        t.pages["/oauth"] = lambda h: ((200, {"Content-Type": "text/plain"}, b"x 1\n")
                                       if h.headers.get("Authorization") == "Bearer T0KEN" else (401, {}, b""))
        t.pages["http://nobody.invalid:9/proxied"] = b"x 1\n"
        shard = int.from_bytes(hashlib.md5(f"127.0.0.1:{t.port}".encode()).digest()[8:], "big") % 2
        self.start(
            self.job("headers", f"http_headers: {{X-A: {{values: [a]}}, X-B: {{secrets: [b]}}, X-C: {{files: [{secret}]}}}}") +
            self.job("params", "params: {module: [m1, m2], q: ['a b']}") +
            self.job("relabelled", "relabel_configs: [{target_label: __param_x, replacement: y}, "
                     "{target_label: __scrape_interval__, replacement: 2s}, {target_label: __scrape_timeout__, replacement: 1s}]") +
            self.job("oauth", f"oauth2: {{client_id: id, client_secret: shh, token_url: 'http://127.0.0.1:{t.port}/token'}}") +
            f"  - job_name: proxied\n    metrics_path: /proxied\n    proxy_url: http://127.0.0.1:{t.port}\n"
            "    static_configs: [{targets: ['nobody.invalid:9']}]\n" +
            self.job("mine", f"modulus: 2\nshard: {shard}", "/shard") + self.job("theirs", f"modulus: 2\nshard: {1 - shard}", "/shard"))
        for name in ("headers", "params", "relabelled", "oauth", "proxied", "mine"):
            s.wait_until(f"{name} is up", lambda name=name: st.value(f'up{{job="{name}"}}') == 1)
        self.assertEqual(st.query('up{job="theirs"}'), [])
        asked = t.seen("/headers")[0][2]
        self.assertEqual((asked["X-A"], asked["X-B"], asked["X-C"]), ("a", "b", "from-a-file"))
        self.assertEqual(asked["X-Prometheus-Scrape-Timeout-Seconds"], "0.9")
        self.assertIn("module=m1&module=m2&q=a+b", t.seen("/params")[0][1])
        self.assertIn("x=y", t.seen("/relabelled")[0][1])
        self.assertIn(b"grant_type=client_credentials", t.seen("/token")[0][3])

    def test_classic_histograms_become_native_ones_and_failures_are_written_down(self):
        st, t = self.stack, self.target
        t.pages["/h"] = b'# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="5"} 3\nh_bucket{le="+Inf"} 4\nh_sum 12\nh_count 4\n'
        failures = st.path("failures.log")
        self.start(self.job("h", "convert_classic_histograms_to_nhcb: true") +
                   self.job("both", "convert_classic_histograms_to_nhcb: true\nalways_scrape_classic_histograms: true", "/h") +
                   self.job("gone"), f", scrape_failure_log_file: {failures}, query_log_file: {st.path('queries.log')}")
        s.wait_until("the histogram is there", lambda: st.query('h{job="h"}'))
        self.assertEqual(st.query('h_bucket{job="h"}'), [])
        self.assertEqual(st.value('histogram_count(h{job="h"})'), 4)
        self.assertEqual(st.value('histogram_quantile(0.5, h{job="h"})'), 1)
        s.wait_until("both forms", lambda: st.value('h_bucket{job="both",le="5.0"}') == 3 and st.query('h{job="both"}'))
        s.wait_until("the failure is written down", lambda: os.path.exists(failures) and open(failures).read())
        line = json.loads(open(failures).read().splitlines()[0])
        self.assertEqual((line["job_name"], "404" in line["msg"]), ("gone", True))
        self.assertTrue(line["target"].endswith("/gone"))
        query = json.loads(open(st.path("queries.log")).read().splitlines()[0])
        self.assertEqual(query["params"]["query"], 'h{job="h"}')

    def test_limits_by_default_and_a_hostile_target_hurts_only_itself(self):
        st, t = self.stack, self.target
        bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
        bombed = b"".join(bomb.compress(b"# " + b"x" * (1 << 20) + b"\n") for _ in range(80)) + bomb.flush()

        def slow(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/plain")
            handler.end_headers()
            try:
                for i in range(10000):
                    handler.wfile.write(b"x{i=\"%d\"} 1\n" % i)
                    time.sleep(0.2)
            except OSError:
                pass
            handler.close_connection = True
            return None, {}, b""
        text = {"Content-Type": "text/plain"}
        t.pages.update({
            "/good": b"good 1\n",
            "/samples": b"".join(b'x{i="%d"} 1\n' % i for i in range(50_001)),
            "/labels": b"x{" + b",".join(b'l%d="v"' % i for i in range(70)) + b"} 1\n",
            "/value": b'x{l="' + b"v" * 5000 + b'"} 1\n',
            "/bomb": lambda h: (200, {**text, "Content-Encoding": "gzip"}, bombed),
            "/slow": slow,
            "/liar": b'up{job="good",instance="i"} 0\nx 1\n',
            "/cut": lambda h: (200, {**text, "Content-Length": "1000"}, b"x 1\n"),
            "/garbage": os.urandom(5000),
            "/allowed": b"x{" + b",".join(b'l%d="v"' % i for i in range(70)) + b"} 1\n",
        })
        hostile = {"samples": "sample_limit", "labels": "label_limit",
                   "bomb": "body_size_limit", "slow": "scrape timeout", "cut": "", "garbage": ""}
        self.start("".join(self.job(n) for n in ["good", "liar", "value", "slow"]) +
                   "".join(self.job(n, "scrape_interval: 5s\nscrape_timeout: 5s") for n in hostile if n != "slow") +
                   self.job("strict", "label_value_length_limit: 100", "/value") + self.job("allowed", "label_limit: 100"))
        begin = time.time()
        for name, why in hostile.items():
            s.wait_until(f"{name} is refused: {why}", lambda name=name, why=why: why in (self.error(name) or "") and self.error(name))
            self.assertEqual(st.value(f'up{{job="{name}"}}'), 0, name)
        s.wait_until("what was asked for is allowed", lambda: st.value('up{job="allowed"}') == 1)
        # A target does not speak for another.
        s.wait_until("the liar is scraped", lambda: st.value('up{job="liar",exported_job=""}') == 1)
        self.assertEqual(st.value('up{exported_job="good"}'), 0)
        s.wait_until("six seconds have passed", lambda: time.time() - begin > 6)
        rows = st.query('good{job="good"}[1m]')[0]["values"]
        # A machine that has other things to do may let a scrape or two run late.
        self.assertGreater(st.value('avg_over_time(up{job="good"}[1m])'), 0.6)
        gaps = [float(b[0]) - float(a[0]) for a, b in zip(rows, rows[1:])]
        self.assertLess(max(gaps), 5, "the good target missed scrapes")
        metrics = st.get_text(f"http://127.0.0.1:{st.http}/metrics")
        def metric(name):
            return float(next(l for l in metrics.splitlines() if l.startswith(name + " ")).split()[1])
        # One value that is too long costs its sample and nothing else, unless the file says a limit.
        s.wait_until("the long value is scraped", lambda: st.value('up{job="value"}') == 1)
        self.assertEqual(st.query('x{job="value"}'), [])
        self.assertEqual(metric('vedette_target_series_left_out_total{job="value"}'), 1)
        s.wait_until("the file's limit is kept", lambda: "label_value_length_limit" in (self.error("strict") or ""))
        for name in ("exceeded_sample_limit_total", "exceeded_body_size_limit_total"):
            self.assertGreater(metric("prometheus_target_scrapes_" + name), 0, name)


if __name__ == "__main__":
    xml_unittest.main()
