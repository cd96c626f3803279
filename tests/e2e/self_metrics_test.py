"""The server's own metrics have the names and labels that docs/self-metrics.md promises to dashboards and alerts made for
Prometheus, and no others; and their values are true."""
import fnmatch
import http.server
import math
import os
import re
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

PAGE = os.path.join(s.ROOT, "docs/self-metrics.md")
# Those that Prometheus' own client adds to a family's labels.
OF_KIND = {"le", "quantile"}
# There from the first sample on that is dropped: not in this test's quiet world.
LATER = {"prometheus_remote_storage_samples_dropped_total", "prometheus_remote_storage_histograms_dropped_total",
         "prometheus_remote_storage_exemplars_dropped_total"}


def tables():
    """({name: labels} of what is there, [patterns] of what is left out)."""
    there, left_out, now = {}, [], None
    with open(PAGE) as f:
        for line in f:
            if line.startswith("## "):
                now = line.strip()
            cells = [c.strip() for c in line.split("|")[1:-1]]
            if len(cells) < 2 or not cells[0].startswith("`"):
                continue
            name = cells[0].strip("`")
            if now == "## What is there":
                there[name] = set(filter(None, (c.strip() for c in cells[1].split(","))))
            elif now == "## What is left out":
                left_out.append(name)
    return there, left_out


def parse(text):
    """{family: (type, {sample name: [(labels, value)]})}"""
    families, family = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            families[family] = (kind, {})
        elif line and not line.startswith("#"):
            m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)', line)
            labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            families[family][1].setdefault(m[1], []).append((labels, float(m[3])))
    return families


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every remote write."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


class SelfMetrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        st.issue("server", "server")
        cls.sink = s.Sink()
        cls.addClassCleanup(cls.sink.close)
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        cls.addClassCleanup(receiver.server_close)
        cls.addClassCleanup(receiver.shutdown)
        port = s.free_port()
        st.write("targets.json", f'[{{"targets": ["127.0.0.1:{port}"]}}]')
        st.write("rules.yml", """
groups:
- name: g
  interval: 1s
  rules:
  - {record: "up:sum", expr: sum(up)}
  - {alert: Always, expr: "vector(1)", annotations: {summary: "value {{ $value }}"}}
""")
        cls.config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
- job_name: self
  file_sd_configs: [{{files: [targets.json]}}]
alerting:
  alertmanagers:
  - static_configs: [{{targets: ["127.0.0.1:{cls.sink.port}"]}}]
remote_write:
- url: http://127.0.0.1:{receiver.server_address[1]}/api/v1/write
""")
        # An alert that fires before the Alertmanager has been found is told at the next turn, which is soon here.
        cls.flags = (f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
                     "--rules.alert.resend-delay=1s")
        cls.port = port
        cls.program = cls.start()

    @classmethod
    def start(cls):
        program = cls.stack.server(cls.config, *cls.flags)
        cls.stack.http = cls.port
        return program

    def families(self):
        return parse(self.stack.get_text(f"http://127.0.0.1:{self.port}/metrics"))

    def value(self, name, **labels):
        for _, samples in self.families().values():
            for have, v in samples.get(name, []):
                if have == labels:
                    return v
        raise KeyError(f"{name} {labels}")

    def test_names_and_labels_are_those_of_the_page(self):
        there, left_out = tables()
        self.assertGreater(len(there), 100, "the table was not found")
        self.stack.api("/api/v1/query_range", query="up", start=0, end=10, step=5)
        wanted = set(there) - LATER

        def all_there():
            missing = wanted - set(self.families())
            if missing:
                raise ValueError(sorted(missing))
            return True
        s.wait_until("every name of the page is there", all_there)
        for name, (kind, samples) in self.families().items():
            if not re.match(r"prometheus_|promhttp_|process_|go_|net_", name):
                continue
            self.assertIn(name, there, "shown, and not in docs/self-metrics.md")
            self.assertFalse([p for p in left_out if fnmatch.fnmatch(name, p)], f"{name} is said to be left out")
            for sample in (sample for of_name in samples.values() for sample in of_name):
                self.assertEqual(set(sample[0]) - OF_KIND, there[name], name)
            if name.endswith("_total"):
                self.assertEqual(kind, "counter", name)

    def test_values_are_true(self):
        s.wait_until("some scrapes and notifications", lambda: self.value(
            "prometheus_target_interval_length_seconds_count", interval="1s") > 3 and self.sink.received)
        median = self.value("prometheus_target_interval_length_seconds", interval="1s", quantile="0.5")
        self.assertFalse(math.isnan(median))
        self.assertGreater(median, 0.3)
        self.assertEqual(self.value("prometheus_target_scrape_pool_targets", scrape_job="self"), 1)
        self.assertGreater(self.value("prometheus_target_metadata_cache_entries", scrape_job="self"), 100)
        self.assertEqual(self.value("prometheus_rule_group_rules",
                                    rule_group=self.stack.path("rules.yml") + ";g"), 2)
        url = f"http://127.0.0.1:{self.sink.port}/api/v2/alerts"
        s.wait_until("it was told of the alert", lambda: self.value(
            "prometheus_notifications_sent_total", alertmanager=url) >= 1)
        self.assertEqual(self.value("prometheus_notifications_errors_total", alertmanager=url), 0)
        self.assertGreater(self.value("prometheus_template_text_expansions_total"), 0)
        before = self.value("prometheus_engine_query_duration_seconds_count", slice="inner_eval")
        for _ in range(5):
            self.stack.api("/api/v1/query", query="up")
        self.assertGreaterEqual(self.value("prometheus_engine_query_duration_seconds_count", slice="inner_eval"),
                                before + 5)
        self.assertEqual(s.http_json(f"http://127.0.0.1:{self.port}/api/v1/query?query=((")["status"], "error")
        appended = self.value("prometheus_tsdb_head_samples_appended_total", type="float")
        self.assertGreater(appended, self.value("prometheus_tsdb_head_series"))
        self.assertGreater(self.value("prometheus_tsdb_head_chunks"), 100)
        self.assertLessEqual(self.value("prometheus_tsdb_head_min_time"), self.value("prometheus_tsdb_head_max_time"))
        self.assertEqual(self.value("prometheus_ready"), 1)

    def test_a_crash_is_not_a_clean_start(self):
        self.assertEqual(self.value("prometheus_tsdb_clean_start"), 1, "there was no run before")
        self.program.kill9()
        type(self).program = self.start()
        self.assertEqual(self.value("prometheus_tsdb_clean_start"), 0)
        self.program.stop()
        type(self).program = self.start()
        self.assertEqual(self.value("prometheus_tsdb_clean_start"), 1)


if __name__ == "__main__":
    xml_unittest.main()
