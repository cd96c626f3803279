"""Rules and their alerts across kill -9: a pending alert keeps its `for`, one that ends while the server is dead
is told as resolved, and a receiver that asked for patience (429, Retry-After) is left alone by the next process too."""
import datetime
import http.server
import json
import os
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

RULES = """
groups:
  - name: g
    interval: 500ms
    rules:
      - {alert: High, expr: level > 1, for: 8s}
"""
ALERTMANAGER = """
route: {{receiver: hook, group_wait: 100ms, group_interval: 500ms, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: 'http://127.0.0.1:{port}/hook'}}]
"""


class Gauge(http.server.BaseHTTPRequestHandler):
    """A target with one value, which the test sets."""
    value = 0

    def do_GET(self):
        body = f"level {Gauge.value}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def active(alert):
    return datetime.datetime.fromisoformat(alert["activeAt"].replace("Z", "+00:00")).timestamp()


class RuleCrash(unittest.TestCase):
    def setUp(self):
        Gauge.value = 0
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        self.sink = s.Sink()
        self.addCleanup(self.sink.close)
        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gauge)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.shutdown)
        st.write("rules.yml", RULES)
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 300ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: j, static_configs: [{{targets: ['127.0.0.1:{target.server_address[1]}']}}]}}]
""")
        am = st.write("alertmanager.yml", ALERTMANAGER.format(port=self.sink.port))
        st.make_ca()
        st.issue("server", "server")
        self.server = st.server(config, f"--alertmanager.config.file={am}", "--rules.alert.for-grace-period=0s",
                                # An alert that is not told again for four of these is over: longer than a busy
                                # machine needs to start.
                                "--rules.alert.resend-delay=5s")
        s.wait_until("the target is scraped", lambda: st.query("level == 0"))

    def alert(self):
        alerts = self.stack.api("/api/v1/alerts")["data"]["alerts"]
        return alerts[0] if alerts else None

    def crash(self):
        """Kills the server and waits for the next; says how long nobody evaluated, in seconds."""
        self.server.kill9()
        killed = time.time()
        self.server.start()
        self.stack.wait_ready(self.server)
        return time.time() - killed

    def told(self, status):
        return [body for body in self.sink.accepted("/hook") if body["status"] == status]

    def test_for_goes_on_and_the_end_is_told(self):
        Gauge.value = 5
        pending = s.wait_until("the alert is pending", lambda: (a := self.alert()) and a["state"] == "pending" and a)
        time.sleep(3)  # Part of its `for` goes by.
        down = self.crash()
        # As Prometheus has it: what went by before the crash counts, the time that nobody looked does not.
        s.wait_until("its `for` goes on", lambda: (a := self.alert()) and
                     active(a) - active(pending) <= down + 1.5)
        s.wait_until("the webhook is told that it fires", lambda: self.told("firing"))
        firing = s.wait_until("it fires", lambda: (a := self.alert()) and a["state"] == "firing" and a)

        # Killed while it fires: nothing is told again, and nothing too early. It has been active for as long as
        # before; ALERTS_FOR_STATE, from which that is known, holds whole seconds.
        self.crash()
        s.wait_until("it fires after the crash", lambda: (a := self.alert()) and a["state"] == "firing" and
                     -1 < active(a) - active(firing) <= 0)
        time.sleep(2)
        # The kill may have come between the webhook's answer and the note of it: one repeat, and no more.
        self.assertLessEqual(len(self.told("firing")), 2)
        self.assertEqual(self.told("resolved"), [])

        # It ends while nobody looks.
        self.server.kill9()
        Gauge.value = 0
        self.server.start()
        self.stack.wait_ready(self.server)
        s.wait_until("the webhook is told that it is over", lambda: self.told("resolved"), timeout=120)
        time.sleep(2)
        self.assertEqual(len(self.told("resolved")), 1)
        self.assertLessEqual(len(self.told("firing")), 2)

    def test_patience_outlives_a_crash(self):
        wait_s = 12
        self.sink.plan = [(429, {"Retry-After": str(wait_s)})]
        body = json.dumps([{"labels": {"alertname": "Posted"}}]).encode()
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{self.stack.http}/api/v2/alerts", data=body,
            headers={"Content-Type": "application/json"}), timeout=20).read()
        s.wait_until("the webhook has said 429", lambda: self.sink.received)
        time.sleep(1)  # The answer is written down.
        self.crash()
        s.wait_until("the webhook is told", lambda: self.told("firing"))
        first, second = self.sink.received[0][0], self.sink.received[1][0]
        self.assertEqual(len(self.sink.received), 2)
        self.assertGreaterEqual(second - first, wait_s - 0.5)


if __name__ == "__main__":
    xml_unittest.main()
