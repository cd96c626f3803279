"""The tools of people beside a running server: Debian's amtool, a Prometheus that posts its alerts, and
vedettectl's own verbs."""
import json
import os
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

ALERTMANAGER = """
route:
  receiver: team
  group_by: [alertname]
  group_wait: 1s
  routes:
  - matchers: [severity="page"]
    receiver: pager
receivers: [{name: team}, {name: pager}]
"""
PROMETHEUS = """
global: {{evaluation_interval: 1s, scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: self
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""
POSTING = """
global: {{evaluation_interval: 1s}}
rule_files: [{work}/post.yml]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]
"""


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = s = stack.Stack()
        cls.port = stack.free_port()
        cls.url = f"http://127.0.0.1:{cls.port}"

        def write(name, text):
            with open(os.path.join(s.work, name), "w") as f:
                f.write(text)
            return os.path.join(s.work, name)

        cls.write = staticmethod(write)
        cls.am = write("am.yml", ALERTMANAGER)
        cls.prom = write("p.yml", PROMETHEUS.format(port=cls.port))
        s.programs.append(stack.Program("server", [
            stack.SERVER, f"--config.file={cls.prom}", f"--alertmanager.config.file={cls.am}",
            f"--storage.tsdb.path={s.work}/data", f"--web.listen-address=127.0.0.1:{cls.port}"], s.work))
        stack.wait_until("the server", lambda: stack.http_json(cls.url + "/api/v2/status"), timeout=120)

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def run_tool(self, *argv, code=0):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, f"{argv}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def amtool(self, *arguments):
        return self.run_tool("amtool", f"--alertmanager.url={self.url}", *arguments)

    def ctl(self, *arguments, code=0):
        return self.run_tool(stack.CTL, *arguments, code=code)

    def test_amtool(self):
        self.amtool("alert", "add", "AmOne", "severity=page", "instance=a", "--annotation=summary=hello")
        shown = self.amtool("alert", "query", "AmOne", "-o", "extended")
        self.assertIn('instance="a"', shown)
        self.assertIn('summary="hello"', shown)
        silence = self.amtool("silence", "add", "alertname=AmOne", "-a", "me", "-c", "works", "-d", "1h").strip()
        self.assertIn("AmOne", self.amtool("silence", "query"))
        self.assertNotIn("AmOne", self.amtool("alert", "query", "AmOne", "--active"))
        self.assertIn("suppressed", self.amtool("alert", "query", "AmOne", "--silenced"))
        self.amtool("silence", "update", silence, "-d", "2h", "-c", "longer")
        kept = self.amtool("silence", "query", "-o", "json")
        self.assertEqual(json.loads(kept)[0]["comment"], "longer")
        self.amtool("silence", "expire", *self.amtool("silence", "query", "-q").split())
        self.assertIn("AmOne", self.amtool("silence", "query", "--expired"))
        self.assertIn('{severity="page"}', self.amtool("config", "routes", "show"))
        self.assertEqual(self.amtool("config", "routes", "test", "severity=page").strip(), "pager")

    def test_a_prometheus_posts_its_alerts(self):
        self.write("post.yml", "groups: [{name: g, rules: [{alert: FromOutside, expr: 'vector(1)'}]}]\n")
        config = self.write("posting.yml", POSTING.format(work=self.s.work, port=self.port))
        program = stack.Program("prometheus", [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.s.work}/prom",
            "--rules.alert.resend-delay=1s",
            f"--web.listen-address=127.0.0.1:{stack.free_port()}"], self.s.work)
        self.s.programs.append(program)
        found = stack.wait_until("its alert", lambda: [
            a for a in stack.http_json(self.url + "/api/v2/alerts") if a["labels"]["alertname"] == "FromOutside"])
        self.assertEqual(found[0]["status"]["state"], "active")
        program.stop()

    def test_our_own_verbs(self):
        url = f"--url={self.url}"
        self.ctl("alert", "add", url, "CtlOne", "severity=page", "--annotation", "summary=hello there")
        self.assertIn("hello there", self.ctl("alert", "query", url, "CtlOne"))
        self.assertIn("CtlOne", self.ctl("silence", "add", url, "CtlOne", "--preview"))
        silence = self.ctl("silence", "add", url, "CtlOne", "-a", "me", "-c", "c", "--recurrence",
                           "{weekdays: [sunday], times: [{start_time: '02:00', end_time: '04:00'}]}").strip()
        self.assertIn("sunday", self.ctl("silence", "query", url, "CtlOne", "-o", "extended"))
        self.ctl("silence", "update", url, silence, "-c", "other", "-d", "3h")
        text = self.ctl("silence", "query", url, "--id", silence, "-o", "json")
        self.assertEqual(json.loads(text)[0]["comment"], "other")
        self.assertEqual(self.ctl("silence", "query", url, "-q", "CtlOne").strip(), silence)
        self.ctl("silence", "expire", url, silence)
        self.assertEqual(self.ctl("silence", "query", url, "-q", "CtlOne").strip(), "")
        imported = self.write("silences.json", text)
        self.assertEqual(len(self.ctl("silence", "import", url, imported).split()), 1)
        self.ctl("silence", "add", url, "CtlOne", code=2)  # No comment.
        self.assertEqual(self.ctl("routes", "test", "--config.file", self.am, "severity=page").strip(), "pager")
        self.ctl("routes", "test", "--config.file", self.am, "severity=page", "--verify.receivers=team", code=1)
        self.assertIn("receiver: pager", self.ctl("routes", "show", url))
        history = stack.http_json(self.url + "/api/v1/history/alerts?filter=alertname=CtlOne")
        self.assertEqual([e["state"] for e in history["data"]], ["firing"])

    def metric(self, line):
        with urllib.request.urlopen(self.url + "/metrics", timeout=20) as r:
            for one in r.read().decode().splitlines():
                if one.startswith(line + " "):
                    return float(one.rsplit(" ", 1)[1])
        raise KeyError(line)

    def test_what_alertmanagers_dashboards_ask_for(self):
        self.assertEqual(self.metric("alertmanager_config_last_reload_successful"), 1)
        self.assertGreater(self.metric("alertmanager_config_last_reload_success_timestamp_seconds"), 1.6e9)
        self.assertGreater(self.metric("alertmanager_config_hash"), 0)
        firing, resolved, invalid = (self.metric(f"alertmanager_alerts_{name}") for name in (
            'received_total{status="firing"}', 'received_total{status="resolved"}', "invalid_total"))
        self.amtool("alert", "add", "AmTwo", "severity=page")
        self.amtool("alert", "add", "AmTwo", "severity=page", "--end=2020-01-02T00:00:00Z", "--start=2020-01-01T00:00:00Z")
        self.amtool("alert", "add", "AmThree")
        self.amtool("silence", "add", "alertname=AmThree", "-a", "me", "-c", "c")
        self.assertEqual(self.metric('alertmanager_alerts_received_total{status="firing"}'), firing + 2)
        self.assertEqual(self.metric('alertmanager_alerts_received_total{status="resolved"}'), resolved + 1)
        self.assertGreaterEqual(self.metric('alertmanager_silences{state="active"}'), 1)
        stack.wait_until("it is held back", lambda: self.metric('alertmanager_alerts{state="suppressed"}') >= 1)
        request = urllib.request.Request(self.url + "/api/v2/alerts", data=b'[{"labels": {"alertname": ""}}]',
                                         headers={"Content-Type": "application/json"})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        self.assertEqual(refused.exception.code, 400)
        self.assertGreaterEqual(self.metric("alertmanager_alerts_invalid_total"), invalid)

    def test_checks_name_line_and_reason(self):
        good = self.write("good.yml", "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]\n")
        self.assertIn("SUCCESS: 1 rules", self.ctl("check", "rules", good))
        for name, text, want in (
            ("expr.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n", "expr.yml:5:"),
            ("field.yml", "groups:\n- name: g\n  rulez: []\n", "field.yml:3:"),
            ("template.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n"
                             "      s: '{{ nope }}'\n", "nope"),
        ):
            out = self.ctl("check", "rules", self.write(name, text), code=1)
            self.assertIn("FAILED", out)
            self.assertIn(want, out)
        self.assertIn("SUCCESS", self.ctl("check", "config", self.prom))
        self.assertIn("2 receivers", self.ctl("check", "alertmanager", self.am))
        bad = self.write("bad.yml", ALERTMANAGER + "templates: [nope.tmpl]\nroutez: {}\n")
        self.assertIn("bad.yml:", self.ctl("check", "alertmanager", bad, code=1))

    def test_a_rehearsal_over_stored_history(self):
        stack.wait_until("some history", lambda: stack.http_json(
            self.url + "/api/v1/query?query=count_over_time(up[1m])")["data"]["result"][0]["value"][1] > "5")
        new = self.write("new.yml", "groups: [{name: g, interval: 1s, rules: [{alert: Up, expr: up == 1, "
                                    "labels: {severity: page}, annotations: {summary: '{{ $labels.job }} is up'}}]}]\n")
        am = self.write("am2.yml", ALERTMANAGER.replace(
            "{name: pager}", "{name: pager, webhook_configs: [{url: 'http://127.0.0.1:9/x'}]}"))
        out = self.ctl("rehearse", f"--url={self.url}", "--rules", new, "--alertmanager-config", am, "--from", "5m")
        self.assertIn("1 alerts would have fired", out)
        self.assertIn("self is up", out)
        self.assertIn("pager/webhook[0]", out)
        quiet = self.write("quiet.yml", "groups: [{name: g, interval: 1s, rules: [{alert: Up, expr: up == 0}]}]\n")
        out = self.ctl("rehearse", f"--url={self.url}", "--rules", new, "--compare-rules", quiet, "--from", "5m",
                       "--no-bodies")
        self.assertIn("- 20", out)
        bad = self.write("bad_rules.yml", "groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]\n")
        done = subprocess.run([stack.CTL, "rehearse", f"--url={self.url}", "--rules", bad], capture_output=True,
                              text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("bad_rules.yml", done.stderr)


if __name__ == "__main__":
    xml_unittest.main()
