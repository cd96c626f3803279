"""What remote write 2.0 is told was stored, to the sample, and the start timestamps of what is scraped."""
import http.server
import os
import struct
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


def field(number, value):
    """A field of a protobuf message: whole numbers as varints, floats as doubles, the rest as bytes."""
    def varint(n):
        return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + varint(n >> 7)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class ProtobufTarget(Target):
    """The same in the delimited protobuf of io.prometheus.client, and a summary and histograms of both kinds."""

    def do_GET(self):
        type(self).scrapes += 1
        n = 100 + self.scrapes
        ms = int(self.began * 1000)
        began = field(1, ms // 1000) + field(2, ms % 1000 * 1000000)
        zigzag = 2 * n
        families = [
            (b"jobs_total", 0, field(3, field(1, float(n)) + field(3, began))),
            (b"waits", 2, field(4, field(1, n) + field(2, 1.5) + field(3, field(1, 0.5) + field(2, 2.0))
                                + field(4, began))),
            (b"sizes", 4, field(7, field(1, n) + field(2, 1.5) + field(3, field(1, n) + field(2, 8.0))
                                + field(15, began))),
            (b"native", 4, field(7, field(1, n) + field(2, 1.5) + field(5, 0) + field(6, 0.001)
                                 + field(12, field(1, 0) + field(2, 1)) + field(13, zigzag) + field(15, began))),
            (b"jobs_waiting", 1, field(2, field(1, 3.0))),
        ]
        body = b""
        for name, kind, metric in families:
            family = field(1, name) + field(3, kind) + field(4, metric)
            body += field(1, family)[1:]  # Delimited: the length alone, without a tag.
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.google.protobuf; "
                         "proto=io.prometheus.client.MetricFamily; encoding=delimited")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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

    def scrape(self, feature, handler=Target, protocol="OpenMetricsText1.0.0"):
        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.server_close)
        self.addCleanup(target.shutdown)
        return self.serve(f"--enable-feature={feature},promql-experimental-functions", config=f"""
scrape_configs:
- job_name: jobs
  scrape_interval: 1s
  scrape_native_histograms: true
  scrape_protocols: [{protocol}]
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

    def test_starts_in_protobuf_are_kept(self):
        st = self.scrape("st-storage", ProtobufTarget, "PrometheusProto")

        def start_of(selector):
            result = st.api("/api/v1/query", query=f"start_timestamp({selector})")["data"]["result"]
            return float(result[0]["value"][1]) if len(result) == 1 else None

        s.wait_until("a scrape", lambda: start_of("jobs_total") is not None)
        for selector in ("jobs_total", "waits_sum", "waits_count", 'sizes_bucket{le="8.0"}', 'sizes_bucket{le="+Inf"}',
                         "sizes_sum", "sizes_count", "native"):
            with self.subTest(selector):
                self.assertAlmostEqual(start_of(selector) or 0, Target.began, delta=0.002)
        for selector in ('waits{quantile="0.5"}', "jobs_waiting"):
            with self.subTest(selector):
                self.assertEqual(start_of(selector), 0, "it counts nothing")

    def test_what_begins_in_protobuf_begins_with_zero(self):
        st = self.scrape("created-timestamp-zero-ingestion", ProtobufTarget, "PrometheusProto")
        began = s.wait_until("two scrapes", lambda: [
            r for r in st.api("/api/v1/query", query="native[1h]")["data"]["result"] if len(r["histograms"]) > 2])[0]
        at, empty = began["histograms"][0]
        self.assertAlmostEqual(float(at), Target.began, delta=0.002)
        self.assertEqual((empty["count"], empty["sum"]), ("0", "0"))
        first = st.api("/api/v1/query", query="first_over_time(jobs_total[1h])")["data"]["result"][0]
        self.assertEqual(first["value"][1], "0")


if __name__ == "__main__":
    xml_unittest.main()
