"""No gaps: a cut line, a server that is killed, an agent that is killed. What the agent sampled is there in the end, at
the time when it was sampled."""
import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Relay:
    """A TCP relay that can be cut: connections end and new ones get no further."""

    def __init__(self, port):
        self.target, self.cut_now, self.pairs, self.lock = port, False, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.cut_now:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self.pairs += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for x in (a, b):
            try:
                x.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            self.cut_now = True
            for x in self.pairs:
                try:
                    x.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.pairs = []

    def heal(self):
        with self.lock:
            self.cut_now = False


class Gap(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        st = self.stack
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)

    def config(self, port):
        return self.stack.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: agent
    scheme: grpc
    tls_config: {self.stack.tls_config("agent")}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
""")

    def samples(self):
        """[(t, value)] of node_time_seconds: its value is the agent's own time of the sample."""
        result = self.stack.query('node_time_seconds{job="agent"}[5m]')
        return [(float(t), float(v)) for t, v in result[0]["values"]] if result else []

    def holes(self, begin, end, most=1.75):
        """Where nothing was sampled for longer than `most` seconds."""
        times = [begin] + [t for t, _ in self.samples() if begin < t < end] + [end]
        return [(round(a - begin, 2), round(b - begin, 2)) for a, b in zip(times, times[1:]) if b - a > most]

    def restart_server(self, config, data="data"):
        st = self.stack
        p = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path(data)}",
                              f"--web.listen-address=127.0.0.1:{st.http}"])
        st.wait_ready(p)
        return p

    def check_times(self):
        rows = self.samples()
        self.assertEqual(len({t for t, _ in rows}), len(rows))
        late = [(t, v) for t, v in rows if abs(t - v) > 1.0]
        self.assertEqual(late, [], "samples that do not stand at their true times")

    def test_a_cut_line_and_a_killed_server_leave_no_gap(self):
        st = self.stack
        st.agent()
        relay = Relay(st.agent_port)
        config = self.config(relay.port)
        server = st.server(config)
        s.wait_until("four scrapes", lambda: len(self.samples()) >= 4)
        begin = self.samples()[0][0]
        relay.cut()
        time.sleep(6)
        relay.heal()
        s.wait_until("the gap of the cut is filled", lambda: not self.holes(begin, time.time() - 3))
        server.kill9()
        time.sleep(5)
        self.restart_server(config)
        s.wait_until("scraped again", lambda: self.samples() and self.samples()[-1][0] > time.time() - 2)
        s.wait_until("the gap of the kill is filled", lambda: not self.holes(begin, time.time() - 3))
        self.check_times()

    def test_an_agent_that_restarts_loses_nothing_its_ring_file_held(self):
        st = self.stack
        ring = f"--ring.path={st.path('ring')}"
        agent = st.agent(ring)
        port, http = st.agent_port, st.agent_http
        config = self.config(port)
        server = st.server(config)
        s.wait_until("four scrapes", lambda: len(self.samples()) >= 4)
        begin = self.samples()[0][0]
        server.kill9()

        def kept():
            text = st.get_text(f"http://127.0.0.1:{http}/metrics")
            return float(next(l for l in text.splitlines() if l.startswith("vedette_agent_ring_snapshots")).split()[1])
        s.wait_until("the ring fills", lambda: kept() >= 4)
        died = time.time()
        agent.kill9()
        again = st.run("agent-again", [s.AGENT, f"--grpc.listen-address=127.0.0.1:{port}",
                                       f"--web.listen-address=127.0.0.1:{http}", *st.tls_flags("agent"), ring])
        s.wait_until("the agent answers", lambda: again.alive() and st.get_text(f"http://127.0.0.1:{http}/metrics"))
        self.assertGreaterEqual(kept(), 4)
        started = time.time()
        # Nobody asks, and it goes on at the interval of the run before.
        s.wait_until("the ring fills further", lambda: kept() >= 6)
        self.restart_server(config)
        s.wait_until("the time before the kill is filled", lambda: not self.holes(begin, died - 0.5))
        s.wait_until("the time after the start is filled", lambda: not self.holes(started + 2, time.time() - 3))
        self.check_times()


if __name__ == "__main__":
    xml_unittest.main()
