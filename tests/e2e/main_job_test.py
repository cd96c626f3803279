"""The main job on one machine: an agent with every kind of source, a server, mTLS between them, a real
MariaDB, a real Flask application, and a sink where Slack would be."""
import json
import os
import re
import subprocess
import sys
import time
import unittest

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

RULES = """
groups:
  - name: shop
    interval: 1s
    rules:
      - record: job:shop_orders:rate1m
        expr: sum by (job) (rate(shop_orders_total[1m]))
      - alert: StockOut
        expr: shop_stock == 0
        for: 3s
        labels: {severity: page}
        annotations:
          summary: '{{ $labels.job }} has {{ $value }} items left'
"""

ALERTMANAGER = """
route:
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  receiver: hook
  routes:
    - {{receiver: hook, continue: true, matchers: ['alertname=StockOut']}}
    - {{receiver: slack, matchers: ['alertname=StockOut']}}
receivers:
  - name: slack
    slack_configs:
      - api_url: http://127.0.0.1:{sink}/slack
        send_resolved: true
        title: '{{{{ .CommonLabels.alertname }}}}'
        fields:
          - {{title: Severity, value: '{{{{ .CommonLabels.severity }}}}', short: true}}
  - name: hook
    webhook_configs:
      - url: http://127.0.0.1:{sink}/hook
"""


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        cls.sink = s.Sink()
        cls.addClassCleanup(cls.sink.close)
        st.make_ca()
        for role in ("server", "agent", "operator"):
            st.issue(role, role)
        _, cls.mysql_port, user, password = st.mariadb()
        st.write("mysql.password", password)
        cls.flask, cls.flask_port = st.flask()
        cls.agent = st.agent(
            f"--mysql.address=127.0.0.1:{cls.mysql_port}",
            f"--mysql.user={user}",
            f"--mysql.password-file={st.path('mysql.password')}",
            f"--app.endpoint=shop=http://127.0.0.1:{cls.flask_port}/metrics",
        )
        rules = st.write("rules.yml", RULES)
        am = st.write("alertmanager.yml", ALERTMANAGER.format(sink=cls.sink.port))
        cls.config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ['{rules}']
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("agent")}
    static_configs: [{{targets: ['localhost:{st.agent_port}']}}]
""")
        cls.flags = [f"--alertmanager.config.file={am}"]
        cls.server = st.server(cls.config, *cls.flags)
        try:
            s.wait_until("the agent is up", lambda: st.value('up{job="node"}') == 1)
        except AssertionError:
            st.dump_logs()
            raise

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.stack.dump_logs()

    def test_1_all_four_kinds_arrive_over_mtls(self):
        st = self.stack
        for expression in ("node_load1", "node_cpu_seconds_total", "machine_cpu_cores", "container_last_seen",
                           "mysql_up == 1", "mysql_global_status_threads_connected", "mysql_global_variables_max_connections",
                           "shop_stock", "shop_request_duration_seconds_bucket"):
            s.wait_until(f"{expression} arrives", lambda: st.query(expression), timeout=20)
        self.assertGreater(st.value('count({__name__=~"node_.+"})'), 300)
        self.assertEqual(st.value('up{job="shop"}'), 1)
        self.assertEqual(st.value("shop_stock"), 42)
        targets = st.api("/api/v1/targets")["data"]["activeTargets"]
        self.assertEqual([t["health"] for t in targets], ["up"])

    def test_2_an_answer_equals_what_the_kernel_says(self):
        st = self.stack
        meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", open("/proc/meminfo").read(), re.M))
        self.assertEqual(st.value("node_memory_MemTotal_bytes"), int(meminfo["MemTotal"]) * 1024)
        btime = int(re.search(r"^btime (\d+)", open("/proc/stat").read(), re.M)[1])
        self.assertAlmostEqual(st.value("node_boot_time_seconds"), btime, delta=1)

        def idle():
            return sum(int(line.split()[4]) for line in open("/proc/stat") if re.match(r"cpu\d", line)) / 100
        before = idle()
        at = time.time()
        got = s.wait_until("a scrape after now", lambda: st.value(
            'sum(node_cpu_seconds_total{mode="idle"}) and on() (timestamp(sum(node_load1)) * 0 + 1)')
            if st.value('max(timestamp(node_load1))') > at else None, timeout=10)
        after = idle()
        self.assertGreaterEqual(got, before - 0.1)
        self.assertLessEqual(got, after + 0.1)
        s.wait_until("rates over a window", lambda: st.value(
            '100 - (avg by (instance) (irate(node_cpu_seconds_total{mode="idle"}[1m])) * 100)') is not None, timeout=10)

    def test_3_an_alert_walks_from_pending_to_slack_to_resolved(self):
        st = self.stack
        st.get_text(f"http://127.0.0.1:{self.flask_port}/stock/0")

        def state():
            alerts = st.api("/api/v1/alerts")["data"]["alerts"]
            return [a["state"] for a in alerts if a["labels"]["alertname"] == "StockOut"]
        s.wait_until("pending", lambda: state() == ["pending"], timeout=15, every=0.1)
        s.wait_until("firing", lambda: state() == ["firing"], timeout=15)
        slack = s.wait_until("the message in Slack", lambda: self.sink.accepted("/slack"), timeout=20)[0]
        attachment = slack["attachments"][0]
        self.assertIn("StockOut", attachment["title"])
        self.assertEqual(attachment["color"], "danger")
        self.assertTrue(attachment["fallback"])
        self.assertTrue(attachment["title_link"].startswith("http"))
        self.assertEqual(attachment["fields"], [{"title": "Severity", "value": "page", "short": True}])
        hook = s.wait_until("the webhook", lambda: self.sink.accepted("/hook"), timeout=20)[0]
        self.assertEqual((hook["version"], hook["status"], hook["receiver"]), ("4", "firing", "hook"))
        self.assertEqual(hook["alerts"][0]["annotations"]["summary"], "shop has 0 items left")
        st.get_text(f"http://127.0.0.1:{self.flask_port}/stock/7")
        s.wait_until("inactive again", lambda: state() == [], timeout=15)
        s.wait_until("resolved in Slack", lambda: any(
            m["attachments"][0]["color"] == "good" for m in self.sink.accepted("/slack")), timeout=20)
        # Each receiver is told by itself: the one may be a moment behind the other.
        s.wait_until("resolved at the webhook", lambda: any(
            h["status"] == "resolved" for h in self.sink.accepted("/hook")), timeout=20)
        self.assertEqual([h["status"] for h in self.sink.accepted("/hook")], ["firing", "resolved"])
        self.assertTrue(st.query("job:shop_orders:rate1m"), "the recording rule wrote its series")

    def test_4_kill_9_loses_no_committed_scrape(self):
        st = self.stack
        selector = '{__name__=~"up|node_load1|shop_stock|mysql_up"}[10m]'

        def samples():
            return {(json.dumps(r["metric"], sort_keys=True), t): v for r in st.query(selector) for t, v in r["values"]}
        for _ in range(3):
            time.sleep(1.5)
            before = samples()
            self.server.kill9()
            self.server.start()
            st.wait_ready(self.server)
            after = samples()
            lost = {k: v for k, v in before.items() if after.get(k) != v}
            self.assertEqual(lost, {}, f"{len(lost)} of {len(before)} samples")
        self.assertGreater(len(before), 20)
        s.wait_until("scraping goes on", lambda: st.value('up{job="node"}') == 1, timeout=15)

    def test_5_what_the_agent_kept_fills_the_hole_of_a_restart(self):
        st = self.stack
        s.wait_until("the agent is up", lambda: st.value('up{job="node"}') == 1, timeout=15)
        self.server.stop()
        time.sleep(6)
        self.server.start()
        st.wait_ready(self.server)

        def gap():
            values = st.query("node_load1[30s]")[0]["values"]
            times = [t for t, _ in values]
            return len(times) > 12 and max(b - a for a, b in zip(times, times[1:])) < 2.5
        s.wait_until("no hole in node_load1", gap, timeout=30)

    def test_6_grpc_and_http_give_the_same_answer(self):
        st = self.stack
        argv = [s.CTL, "query", "instant", "--server", f"localhost:{st.grpc}", "--ca", f"{st.tls}/ca.crt",
                "--cert", f"{st.tls}/operator.crt", "--key", f"{st.tls}/operator.key", "--output", "json"]
        out = subprocess.run([*argv, "node_memory_MemTotal_bytes"], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        value = str(int(st.value("node_memory_MemTotal_bytes")))
        self.assertIn(value, out.stdout)
        bad = subprocess.run([*argv, "sum("], capture_output=True, text=True)
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn("parse error", bad.stderr)

    def test_7_strangers_are_refused_and_the_log_says_why(self):
        st = self.stack
        other = st.path("other-ca")
        st.make_ca(other)
        st.issue("operator", "operator", other)
        mine, foreign = f"{st.tls}/operator", f"{other}/operator"

        def refused(program, port, certificate, ca):
            """Calls over gRPC; the reason that the log has gained since."""
            with open(ca, "rb") as f:
                roots = f.read()
            pair = {}
            if certificate:
                with open(certificate + ".key", "rb") as key, open(certificate + ".crt", "rb") as crt:
                    pair = {"private_key": key.read(), "certificate_chain": crt.read()}
            known = len(program.text())
            credentials = grpc.ssl_channel_credentials(root_certificates=roots, **pair)
            with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
                pull = channel.stream_stream("/vedette.v1.AgentService/Pull", lambda b: b, lambda b: b)
                with self.assertRaises(grpc.RpcError) as caught:
                    list(pull(iter([b""]), timeout=10))
            s.wait_until("the log tells of it", lambda: "refused" in program.text()[known:], timeout=10)
            return caught.exception.code(), program.text()[known:]

        for program, port in ((self.agent, st.agent_port), (self.server, st.grpc)):
            ca = f"{st.tls}/ca.crt"
            code, log = refused(program, port, foreign, ca)
            self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
            self.assertRegex(log, "not from a CA|CA")
            code, log = refused(program, port, None, ca)
            self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
            code, log = refused(program, port, mine, ca)
            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
            self.assertIn("operator", log)
        # What an operator may do, it can.
        good = subprocess.run([s.CTL, "agent", "describe", f"localhost:{st.agent_port}", "--ca", f"{st.tls}/ca.crt",
                               "--cert", f"{st.tls}/operator.crt", "--key", f"{st.tls}/operator.key"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("shop", good.stdout)

    def test_8_a_killed_application_is_down_and_stale_at_once(self):
        st = self.stack
        s.wait_until("the application is up", lambda: st.value('up{job="shop"}') == 1, timeout=15)
        self.flask.kill9()
        # At one and the same instant: the application down, its series gone, the agent up.
        try:
            s.wait_until("down and stale", lambda: st.query(
                'up{job="shop"} == 0 unless on() shop_stock and on() up{job="node"} == 1'), timeout=10)
        except AssertionError as e:
            raw = st.query('{__name__=~"up|shop_stock"}[40s]')
            raise AssertionError(f"{e}\n{json.dumps(raw)}") from e
        self.flask.start()
        s.wait_until("back again", lambda: st.value('up{job="shop"}') == 1 and st.query("shop_stock"), timeout=15)

    def test_9_stopped_in_order(self):
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.agent.stop(), 0)


if __name__ == "__main__":
    xml_unittest.main()
