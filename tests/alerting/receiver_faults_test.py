"""A receiver that answers 429 and 5xx, that drops connections and that hangs: every notification is delivered, none before
the time that a Retry-After asked for, none again after its 200."""
import http.server
import json
import os
import random
import socket
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

SEED = int(os.environ.get("VEDETTE_SEED", "11"))
NOTIFICATIONS = 40
FAULTS = ("too many", "unavailable", "broken", "drop", "drop half-way", "hang")


class Receiver:
    """Has up to three faults planned for each title, and takes it after them. One whose 200 came, and whose body was cut off, is
    taken too: it is the last of its title's."""

    def __init__(self, names):
        rng = random.Random(SEED)
        self.plan = {n: [rng.choice(FAULTS) for _ in range(rng.randrange(4))] for n in names}
        for n, faults in self.plan.items():
            if "drop half-way" in faults:
                self.plan[n] = faults[:faults.index("drop half-way") + 1]
        self.planned = sum(map(len, self.plan.values()))
        self.taken, self.not_before, self.early, self.met = {}, {}, [], {}
        self.lock, self.end = threading.Lock(), threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                title = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["attachments"][0]["title"]
                with receiver.lock:
                    now = time.monotonic()
                    if now < receiver.not_before.get(title, 0):
                        receiver.early.append((title, receiver.not_before[title] - now))
                    fault = receiver.plan[title].pop(0) if receiver.plan[title] else None
                    receiver.met[fault] = receiver.met.get(fault, 0) + 1
                    if fault in (None, "drop half-way"):
                        receiver.taken[title] = receiver.taken.get(title, 0) + 1
                    if fault == "too many":
                        receiver.not_before[title] = now + 2
                self.answer(fault)

            def answer(self, fault):
                if fault == "hang":
                    receiver.end.wait(60)
                if fault in ("drop", "hang"):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status = {"too many": 429, "unavailable": 503, "broken": 500}.get(fault, 200)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "2")
                self.send_header("Content-Length", "2")
                self.end_headers()
                if fault == "drop half-way":
                    self.wfile.write(b"o")
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
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


class ReceiverFaults(unittest.TestCase):
    def test_all_delivered_none_early_none_twice(self):
        names = [f"A{i:02}" for i in range(NOTIFICATIONS)]
        receiver = Receiver(names)
        print(f"seed {SEED}, {receiver.planned} faults")
        with stack.Stack() as s:
            am = s.write("am.yml", f"""
route: {{receiver: slack, group_by: ['...'], group_wait: 100ms, group_interval: 3s, repeat_interval: 4h}}
receivers:
- name: slack
  slack_configs:
  - api_url: http://127.0.0.1:{receiver.port}/services/T0/B0/x
    channel: '#a'
    title: '{{{{ .GroupLabels.alertname }}}}'
""")
            s.http = stack.free_port()
            server = s.run("server", [
                stack.SERVER, f"--config.file={s.write('p.yml', 'global: {evaluation_interval: 1h}')}",
                f"--alertmanager.config.file={am}", f"--storage.tsdb.path={s.path('data')}",
                f"--web.listen-address=127.0.0.1:{s.http}"])
            s.wait_ready(server)
            body = json.dumps([{"labels": {"alertname": n}} for n in names]).encode()
            urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{s.http}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}),
                timeout=60).read()
            stack.wait_until("all delivered", lambda: receiver.count() == NOTIFICATIONS, timeout=240)
            time.sleep(4)  # Another round of every group: whoever tells twice does it now.
            receiver.end.set()
            print(f"met {receiver.met}")
            self.assertEqual(receiver.early, [])
            self.assertEqual({n: c for n, c in receiver.taken.items() if c != 1}, {})
            self.assertTrue(all(not left for left in receiver.plan.values()), receiver.plan)
            self.assertTrue(server.alive())
            receiver.server.shutdown()


if __name__ == "__main__":
    xml_unittest.main()
