"""A network that is not reliable: names that cannot be found, a target that flaps. Each costs itself, is said, and is over
when it is over; the target beside it never notices."""
import os
import socket
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import ROOT, SERVER, Stack, free_port, wait_until  # noqa: E402
import xml_unittest  # noqa: E402

OK, DROPPED, CUT, BROKEN = "ok", "dropped", "cut", "500"


class Target:
    """Answers by `plan`, then well for ever. `answers`: what each request got."""

    def __init__(self, plan=()):
        self.plan, self.answers = list(plan), []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (part := connection.recv(4096)):
                    return
                request += part
            kind = self.plan.pop(0) if self.plan else OK
            self.answers.append(kind)
            body = f"flap {len(self.answers)}\n".encode()
            head = (f"HTTP/1.1 {500 if kind == BROKEN else 200} x\r\nContent-Type: text/plain; version=0.0.4\r\n"
                    f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n").encode()
            try:
                if kind == CUT:
                    connection.sendall(head + body[:4])
                elif kind != DROPPED:
                    connection.sendall(head + body)
            except OSError:
                pass


class Network(unittest.TestCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.close)
        self.good = Target()

    def start(self, jobs, env=None):
        st = self.stack
        config = st.write("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                          f"  - {{job_name: good, static_configs: [{{targets: ['127.0.0.1:{self.good.port}']}}]}}\n" + jobs)
        st.http = free_port()
        os.mkdir(st.path("data"))
        self.server = st.run("server", [SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                                        f"--web.listen-address=127.0.0.1:{st.http}"], env=env)
        st.wait_ready(self.server)
        wait_until("the good target is scraped", lambda: st.value('up{job="good"}') == 1)

    def assert_the_good_one_noticed_nothing(self):
        self.assertTrue(self.server.alive())
        values = [v for _, v in self.stack.query('up{job="good"}[1h]')[0]["values"]]
        self.assertEqual(set(values), {"1"})
        wait_until("it is still scraped", lambda: self.stack.value('time() - timestamp(up{job="good"})') < 5)

    def errors(self):
        return {t["labels"]["job"]: t["lastError"] for t in self.stack.api("/api/v1/targets")["data"]["activeTargets"]}

    def test_names_that_cannot_be_found(self):
        st = self.stack
        st.make_ca()
        st.issue("server", "server")
        st.issue("agent", "node")
        st.agent(name="node")
        named = Target()
        nobody_knows = st.write("switch", "")
        self.start(f"""
  - {{job_name: text, static_configs: [{{targets: ['text.test:{named.port}']}}]}}
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("node")}
    static_configs: [{{targets: ['node.test:{st.agent_port}']}}]
  - job_name: discovered
    dns_sd_configs: [{{names: ['_web._tcp.nobody.invalid'], refresh_interval: 1s}}]
""", env={**os.environ, "LD_PRELOAD": os.path.join(ROOT, "tests/chaos/libnames.so"), "NAMES_SWITCH": nobody_knows,
          "GRPC_DNS_RESOLVER": "native"})
        wait_until("names are not found", lambda: st.value('up{job="text"}') == 0 and st.value('up{job="node"}') == 0)
        wait_until("it is said which", lambda: "text.test" in self.errors()["text"] and self.errors()["node"])
        self.assertEqual(named.answers, [])
        os.remove(nobody_knows)
        wait_until("they are found again", lambda: st.value('up{job="text"}') == 1 and st.value('up{job="node"}') == 1)
        wait_until("nothing is said any more", lambda: not any(self.errors().values()))
        self.assert_the_good_one_noticed_nothing()

    def test_a_target_that_flaps(self):
        scrapes = [OK, DROPPED, OK, CUT, BROKEN, OK, OK, DROPPED, DROPPED, CUT, OK, BROKEN, OK, CUT, OK, OK]
        # A connection that broke is tried once more.
        plan = [answer for scrape in scrapes for answer in [scrape] * (2 if scrape in (DROPPED, CUT) else 1)]
        flapping = Target(plan)
        self.start(f"  - {{job_name: flap, static_configs: [{{targets: ['127.0.0.1:{flapping.port}']}}]}}\n")
        descriptors = lambda: len(os.listdir(f"/proc/{self.server.process.pid}/fd"))  # noqa: E731
        before = descriptors()
        wait_until("it has flapped", lambda: len(flapping.answers) > len(plan) + 3)
        self.stack.query("up")
        ups = self.stack.query('up{job="flap"}[1h]')[0]["values"]
        asked = flapping.answers[:len(plan)]
        self.assertEqual(asked, plan)
        self.assertEqual([v for _, v in ups[:len(scrapes)]], ["1" if a == OK else "0" for a in scrapes])
        number = 0
        for (t, _), kind in zip(ups, scrapes):
            got = self.stack.query('flap{job="flap"}', time=f"{t:.3f}")
            number += 2 if kind in (DROPPED, CUT) else 1
            if kind == OK:
                self.assertEqual([s["value"][1] for s in got], [str(number)])
            else:
                self.assertEqual(got, [], "a value of a scrape that failed")
        self.assertLess(descriptors(), before + 5)
        self.assert_the_good_one_noticed_nothing()


if __name__ == "__main__":
    xml_unittest.main()
