"""What remote write 2.0 is told was stored, to the sample, and the start timestamps of what is scraped."""
import http.server
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Target(http.server.BaseHTTPRequestHandler):
    """A counter in OpenMetrics that began 30 s before the test, and counts scrapes."""

    began = time.time() - 30
    scrapes = 0

    def do_GET(self):
        type(self).scrapes += 1
        body = (f"# TYPE jobs counter\njobs_total {100 + self.scrapes}\njobs_created {self.began:.3f}\n"
                f"# EOF\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class WrittenCounts(unittest.TestCase):
    def serve(self, *flags, config="{}\n"):
        st = s.Stack()
        self.addCleanup(st.close)
        st.make_ca()
        st.issue("server", "server")
        st.server(st.write("prometheus.yml", config), "--web.enable-remote-write-receiver", *flags)
        self.url = f"http://127.0.0.1:{st.http}"
        return st

    def test_headers_count_what_is_stored(self):
        self.serve()
        now = int(time.time()) * 1000
        trace = [({"trace_id": "a"}, now, 1.0), ({"trace_id": "b"}, now, 2.0)]
        floats, native = {"__name__": "f"}, {"__name__": "n"}
        whole = [(floats, {"samples": [(now - 2000, 1), (now - 1000, 2)], "exemplars": trace}),
                 (native, {"histograms": [(now - 2000, 3), (now - 1000, 4), (now, 5)]})]
        self.assertEqual(remote_write.write2(self.url, whole), (204, "", (2, 3, 2)))
        self.assertEqual(remote_write.write2(self.url, whole), (204, "", (2, 3, 2)), "the same again is no fault")

        status, text, said = remote_write.write2(self.url, [
            (floats, {"samples": [(now - 1500, 9), (now, 3)]}),
            (native, {"histograms": [(now - 1500, 9), (now, 99), (now + 1000, 6)]})])
        self.assertEqual(status, 400, text)
        self.assertIn("out of order", text)
        self.assertEqual(said, (1, 1, 0), "one of two floats, one of three histograms")

        status, text, said = remote_write.write2(self.url, [
            ({"job": "nameless"}, {"samples": [(now, 1)], "histograms": [(now, 1)], "exemplars": trace}),
            ({"__name__": "good"}, {"samples": [(now, 1)], "exemplars": trace})])
        self.assertEqual(status, 400, text)
        self.assertIn("no metric name", text)
        self.assertEqual(said, (1, 0, 2), "what the bad series had is not counted")

        headers = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                   "Content-Encoding": "snappy"}
        status, _, headers = remote_write.ask(self.url + "/api/v1/write", remote_write.snappy(b"\xff\xff"), headers)
        self.assertEqual(status, 400)
        self.assertIsNone(headers.get("X-Prometheus-Remote-Write-Samples-Written"), "nothing was read")

    def scrape(self, feature):
        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.server_close)
        self.addCleanup(target.shutdown)
        return self.serve(f"--enable-feature={feature},promql-experimental-functions", config=f"""
scrape_configs:
- job_name: jobs
  scrape_interval: 1s
  scrape_protocols: [OpenMetricsText1.0.0]
  static_configs: [{{targets: ["127.0.0.1:{target.server_address[1]}"]}}]
""")

    def test_a_scraped_counter_begins_with_zero(self):
        st = self.scrape("created-timestamp-zero-ingestion")
        samples = s.wait_until("two scrapes", lambda: [
            v for r in st.api("/api/v1/query", query="jobs_total[1h]")["data"]["result"] for v in [r["values"]]
            if len(v) > 2])[0]
        self.assertEqual(samples[0][1], "0")
        self.assertAlmostEqual(float(samples[0][0]), Target.began, delta=0.002)
        self.assertGreater(float(samples[1][1]), 100)
        self.assertEqual(st.api("/api/v1/query", query="jobs_created")["data"]["result"], [])

    def test_a_scraped_start_is_kept(self):
        st = self.scrape("st-storage")
        value = s.wait_until("a scrape", lambda: st.api(
            "/api/v1/query", query="start_timestamp(jobs_total)")["data"]["result"])[0]["value"][1]
        self.assertAlmostEqual(float(value), Target.began, delta=0.002)
        self.assertEqual(st.api("/api/v1/query", query="jobs_created")["data"]["result"], [])


if __name__ == "__main__":
    xml_unittest.main()
