"""Clocks that jump an hour, ahead and back, under a server and under an agent: neither dies, what was stored stays, and
samples come in again. libfaketime moves the wall clock of one process; monotonic time goes on."""
import glob
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import AGENT, SERVER, Stack, free_port, wait_until  # noqa: E402
import xml_unittest  # noqa: E402

HOUR = 3600
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class Clock:
    """The wall clock of one process: an offset that can be changed while it runs."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, seconds):
        with open(self.path + ".new", "w") as f:
            f.write(f"{seconds:+d}\n")
        os.replace(self.path + ".new", self.path)
        self.offset = seconds

    def env(self):
        return {**os.environ, "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1", "NO_FAKE_STAT": "1"}


@unittest.skipUnless(FAKETIME, "libfaketime is not installed")
class ClockJumps(unittest.TestCase):
    def setUp(self):
        self.stack = st = Stack()
        self.addCleanup(st.close)
        st.make_ca()
        st.issue("server", "server")
        st.issue("agent", "node")
        self.server_clock, self.agent_clock = Clock(st.path("server.clock")), Clock(st.path("agent.clock"))
        st.agent_port, st.agent_http = free_port(), free_port()
        self.agent = st.run("agent", [AGENT, f"--grpc.listen-address=127.0.0.1:{st.agent_port}",
                                      f"--web.listen-address=127.0.0.1:{st.agent_http}", *st.tls_flags("node")],
                            env=self.agent_clock.env())
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("node")}
    static_configs: [{{targets: ['127.0.0.1:{st.agent_port}']}}]
""")
        st.write("rules.yml", "groups: [{name: g, rules: [{record: 'r', expr: 'sum(up)'}]}]\n")
        st.http = free_port()
        os.mkdir(st.path("data"))
        self.server = st.run("server", [SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                                        f"--web.listen-address=127.0.0.1:{st.http}"], env=self.server_clock.env())
        st.wait_ready(self.server)
        wait_until("the agent is scraped", lambda: st.value("up") == 1)

    def now(self):
        return time.time() + self.server_clock.offset

    def fresh(self, expression):
        """Whether its newest sample is of the last seconds, by the server's clock."""
        t = self.stack.value(f"timestamp({expression})", time=f"{self.now():.3f}")
        return t is not None and self.now() - t < 5

    def samples(self, end):
        rows = self.stack.query("up[5m]", time=f"{end:.3f}")
        return {t: v for t, v in rows[0]["values"]} if rows else {}

    def check(self):
        self.assertTrue(self.server.alive() and self.agent.alive())
        self.assertIn("healthy", self.stack.get_text(f"http://127.0.0.1:{self.stack.http}/-/healthy"))

    def test_the_servers_clock_jumps_ahead_and_back(self):
        wait_until("some samples", lambda: len(self.samples(self.now())) > 2)
        before = self.samples(end := self.now())
        self.server_clock.set(HOUR)
        wait_until("samples of the new hour", lambda: self.fresh("up"))
        wait_until("rules of the new hour", lambda: self.fresh("r"))
        ahead = self.samples(self.now())
        self.check()
        self.server_clock.set(0)
        time.sleep(2)
        self.check()
        wait_until("samples of the old hour again", lambda: self.fresh("up"))
        # What was there is there: of before, and of the hour that has not come yet.
        now = self.samples(end)
        self.assertEqual({t: v for t, v in now.items() if t in before}, before)
        later = self.samples(time.time() + HOUR + 60)
        self.assertEqual({t: v for t, v in later.items() if t in ahead}, ahead)

    def test_the_agents_clock_jumps_ahead_and_back(self):
        for offset in (HOUR, 0, -HOUR, 0):
            self.agent_clock.set(offset)
            time.sleep(1)
            self.check()
            # The server's clock counts: samples have its times, whatever the agent believes.
            wait_until(f"samples with the agent {offset} s off", lambda: self.fresh("up") and self.stack.value("up") == 1)
            wait_until("the host's too", lambda: self.fresh("node_load1"))
        rows = self.stack.query("timestamp(node_load1)[2m:1s]")[0]["values"]
        self.assertTrue(all(float(v) <= time.time() + 1 for _, v in rows))


if __name__ == "__main__":
    xml_unittest.main()
