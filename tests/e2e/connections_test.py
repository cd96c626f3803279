"""Peers that open connections and say half of what they should: honest ones are answered meanwhile, and
the others are cut off."""
import os
import select
import socket
import sys
import time
import unittest
import urllib.request

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

HALF_SENT = 600


def open_many(port, count, first):
    out = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port), 10)
        if first:
            c.sendall(first)
        c.setblocking(False)
        out.append(c)
    return out


def still_open(connections):
    alive = []
    for c in connections:
        readable, _, _ = select.select([c], [], [], 0)
        try:
            if readable and c.recv(4096) == b"":
                continue
        except BlockingIOError:
            pass
        except OSError:
            continue
        alive.append(c)
    return alive


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role in ("server", "agent", "operator"):
            st.issue(role, role)
        st.agent()
        st.server(st.write("prometheus.yml", "global: {scrape_interval: 1s}\n"))

    def ends_of(self, connections, what):
        """All of them are cut off; this machine may be slow, so by a generous deadline."""
        left = connections

        def gone():
            nonlocal left
            left = still_open(left)
            return not left
        s.wait_until(f"{what} are cut off", gone, timeout=60, every=0.5)
        for c in connections:
            c.close()

    def test_half_sent_requests(self):
        for door, port in (("server", self.stack.http), ("agent", self.stack.agent_http)):
            with self.subTest(door=door):
                path = "/-/healthy" if door == "server" else "/"
                connections = open_many(port, HALF_SENT, b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ")
                start = time.monotonic()
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as r:
                    self.assertEqual(r.status, 200)
                print(f"{door}: an honest request beside {HALF_SENT} half-sent ones: {time.monotonic() - start:.3f} s")
                self.ends_of(connections, f"half-sent requests to the {door}")

    def test_half_open_tls_handshakes(self):
        st = self.stack
        read = lambda name: open(f"{st.tls}/{name}", "rb").read()  # noqa: E731
        credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("operator.key"), read("operator.crt"))
        for door, port in (("server", st.grpc), ("agent", st.agent_port)):
            with self.subTest(door=door):
                # The first bytes of a ClientHello, and no more.
                connections = open_many(port, 200, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                with grpc.secure_channel(f"localhost:{port}", credentials, [("grpc.enable_http_proxy", 0)]) as channel:
                    channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30)
                self.ends_of(connections, f"half-open handshakes at the {door}")

    def test_security_headers_are_on_every_answer(self):
        for port, paths in ((self.stack.http, ("/", "/api/v1/query?query=up", "/metrics", "/nosuch", "/-/ready",
                                               "/api/v1/query?query=(")), (self.stack.agent_http, ("/", "/metrics", "/nosuch"))):
            for path in paths:
                with self.subTest(port=port, path=path):
                    try:
                        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20)
                    except urllib.error.HTTPError as e:
                        answer = e
                    self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
                    self.assertIn(answer.headers["X-Frame-Options"], ("DENY", "SAMEORIGIN"))
                    self.assertIsNotNone(answer.headers["Referrer-Policy"])
                    self.assertIn("frame-ancestors", answer.headers["Content-Security-Policy"] or "frame-ancestors")
                    answer.close()


if __name__ == "__main__":
    xml_unittest.main()
