"""Notifications across kill -9: a Slack sink that answers 429 and 5xx in between, and a server that is
killed while it tells. None is lost; none is told twice but for one repeat a kill.

  notification_crash_test.py                       a short run, as the tests do it
  notification_crash_test.py --notifications 1000 --kills 5
"""
import argparse
import http.server
import json
import os
import random
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

NOTIFICATIONS, KILLS, SEED = 150, 3, 7

CONFIG = """
route: {{receiver: slack, group_by: ['...'], group_wait: 100ms, group_interval: 20s, repeat_interval: 4h}}
receivers:
- name: slack
  slack_configs:
  - api_url: http://127.0.0.1:{port}/services/T0/B0/x
    channel: '#a'
    title: '{{{{ .GroupLabels.alertname }}}}'
"""


class SlackSink:
    """Counts the titles it took. One answer in twelve is a 429 with Retry-After, one a 503."""

    def __init__(self, seed):
        self.taken, self.early, self.refused, self.lock = {}, 0, 0, threading.Lock()
        self.not_before, self.random = 0.0, random.Random(seed)
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                title = body["attachments"][0]["title"]
                with sink.lock:
                    now, roll = time.monotonic(), sink.random.randrange(12)
                    status, wait = 200, None
                    if roll == 0:
                        status, wait = 429, 1
                        sink.not_before = max(sink.not_before, now + 1)
                    elif roll == 1:
                        status = 503
                    else:
                        sink.taken[title] = sink.taken.get(title, 0) + 1
                    sink.refused += status != 200
                self.send_response(status)
                if wait:
                    self.send_header("Retry-After", str(wait))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self):
        with self.lock:
            return len(self.taken)


class NotificationCrash(unittest.TestCase):
    def test_none_lost_and_one_repeat_a_kill(self):
        print(f"seed {SEED}, {NOTIFICATIONS} notifications, {KILLS} kills")
        with stack.Stack() as s:
            sink = SlackSink(SEED)
            port = stack.free_port()
            with open(os.path.join(s.work, "am.yml"), "w") as f:
                f.write(CONFIG.format(port=sink.port))
            with open(os.path.join(s.work, "p.yml"), "w") as f:
                f.write("global: {evaluation_interval: 1h}\n")
            server = stack.Program("server", [
                stack.SERVER, f"--config.file={s.work}/p.yml", f"--alertmanager.config.file={s.work}/am.yml",
                f"--storage.tsdb.path={s.work}/data", f"--web.listen-address=127.0.0.1:{port}"], s.work)
            s.programs.append(server)
            url = f"http://127.0.0.1:{port}"

            def ready():
                return urllib.request.urlopen(url + "/-/ready", timeout=5).status == 200

            stack.wait_until("the server", ready, timeout=120)
            names = [f"A{i:04}" for i in range(NOTIFICATIONS)]
            body = json.dumps([{"labels": {"alertname": n}} for n in names]).encode()
            urllib.request.urlopen(urllib.request.Request(
                url + "/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}), timeout=60).read()
            for kill in range(KILLS):
                goal = NOTIFICATIONS * (kill + 1) // (KILLS + 1)
                stack.wait_until(f"{goal} told", lambda: sink.count() >= goal, timeout=240, every=0.01)
                server.kill9()
                server.start()
                stack.wait_until("the server again", ready, timeout=120)
            stack.wait_until("all told", lambda: sink.count() == NOTIFICATIONS, timeout=300)
            time.sleep(1)
            lost = [n for n in names if n not in sink.taken]
            repeats = sum(n - 1 for n in sink.taken.values())
            print(f"lost {len(lost)}, repeats {repeats}, refused {sink.refused}")
            self.assertEqual(lost, [])
            self.assertLessEqual(repeats, KILLS)
            sink.server.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notifications", type=int, default=NOTIFICATIONS)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    args, rest = parser.parse_known_args()
    NOTIFICATIONS, KILLS, SEED = args.notifications, args.kills, args.seed
    sys.argv[1:] = rest
    xml_unittest.main()
