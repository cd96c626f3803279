"""Limits of the doors: each is a flag, its error names the flag, and what it refused is counted under it. And who makes
connections faster than he may, with a certificate or without, keeps nobody else out."""
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

PROTOBUF = {"Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}


def read(path):
    with open(path, "rb") as f:
        return f.read()


def refusals(stack, flag, port=None):
    """vedette_limit_refusals_total of a flag."""
    page = stack.get_text(f"http://127.0.0.1:{port or stack.http}/metrics")
    return next(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                if line.startswith(f'vedette_limit_refusals_total{{flag="{flag}"}}'))


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        config = st.write("prometheus.yml", "scrape_configs: []\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n")
        st.http = s.free_port()
        cls.program = st.run("server", [
            s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
            f"--web.listen-address=127.0.0.1:{st.http}", "--web.enable-remote-write-receiver", "--query.max-length=2000",
            "--query.max-depth=40", "--query.max-samples=5000", "--query.max-memory=1MB", "--web.max-header-size=4KB",
            "--web.header-timeout=1s", "--web.body-timeout=1s", "--web.max-body-size=100KB", "--web.max-write-size=60KB",
            "--web.max-decoded-write-size=20KB", "--web.max-buffered-size=90KB"])
        st.wait_ready(cls.program)
        cls.url = f"http://127.0.0.1:{st.http}"
        now = cls.now = int(time.time())
        for k in range(5):
            status, text = remote_write.post(cls.url + "/api/v1/write", remote_write.snappy(remote_write.message(
                [({"__name__": "x", "n": str(k)}, [((now - 3000 + 10 * i) * 1000, i) for i in range(300)])])),
                {**PROTOBUF, "Content-Encoding": "snappy"})
            assert status // 100 == 2, text

    def counted(self, flag, text):
        """The error names the flag, and its counter has moved."""
        self.assertIn("--" + flag, text)
        self.assertGreaterEqual(refusals(self.stack, flag), 1)

    def query(self, text, **more):
        answer = self.stack.api("/api/v1/query", query=text, time=self.now, **more)
        self.assertEqual(answer["status"], "error", text[:100])
        return answer["error"]

    def test_of_queries(self):
        grown = f'label_replace(x, "a", "{"y" * 100}", "n", ".*")'  # And three times twenty times as long.
        for source, to in ("ab", "bc", "cd"):
            grown = f'label_replace({grown}, "{to}", "{"$1" * 20}", "{source}", "(.*)")'
        for flag, text in (("query.max-length", "x + " * 600 + "x"), ("query.max-depth", "(" * 30 + "x" + ")" * 30),
                           ("query.max-depth", "x" + " + x" * 100), ("query.max-samples", "max_over_time(x[50m:100ms])"),
                           ("query.max-memory", grown)):
            with self.subTest(flag=flag):
                self.counted(flag, self.query(text))
        self.assertEqual(self.stack.value("count(x)", time=self.now - 10), 5)

    def post(self, size, path="/api/v1/query", headers=None, body=None):
        return remote_write.post(self.url + path, body or b"query=1&x=" + b"y" * size, headers or {
            "Content-Type": "application/x-www-form-urlencoded"})

    def test_of_bodies(self):
        status, text = self.post(200_000)
        self.assertEqual(status, 413, text)
        self.counted("web.max-body-size", text)
        status, text = self.post(0, "/api/v1/write", {**PROTOBUF, "Content-Encoding": "snappy"},
                                 remote_write._varint(70_000) + b"\x00\n" + b"\xfe\x01\x00" * 1094)
        self.assertEqual(status, 413, text)
        self.counted("web.max-write-size", text)
        status, text = self.post(0, "/api/v1/write", {**PROTOBUF, "Content-Encoding": "snappy"}, remote_write.snappy(
            b"\x0a" + remote_write._varint(20_000) + b"\x12\x00" * 10_000))
        self.assertEqual(status, 400, text)
        self.counted("web.max-decoded-write-size", text)
        status, text = self.post(95_000)
        self.assertEqual(status, 503, text)
        self.counted("web.max-buffered-size", text)

    def raw(self, text, until=30):
        with socket.create_connection(("127.0.0.1", self.stack.http), until) as c:
            c.settimeout(until)
            c.sendall(text)
            got = b""
            try:
                while part := c.recv(65536):
                    got += part
            except OSError:
                pass
            return got.decode(errors="replace")

    def test_of_headers_and_of_half_sent_requests(self):
        self.counted("web.max-header-size", self.raw(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 5000 + b"\r\n\r\n"))
        self.assertEqual(self.raw(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: "), "")
        self.assertGreaterEqual(refusals(self.stack, "web.header-timeout"), 1)
        self.assertEqual(self.raw(b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nque"), "")
        self.assertGreaterEqual(refusals(self.stack, "web.body-timeout"), 1)


class Waiting(unittest.TestCase):
    def test_of_time_and_of_those_who_wait(self):
        with s.Stack() as st:
            config = st.write("prometheus.yml", "scrape_configs: []\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n")
            st.http = s.free_port()
            st.wait_ready(st.run("server", [
                s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                f"--web.listen-address=127.0.0.1:{st.http}", "--web.enable-remote-write-receiver", "--query.timeout=1s",
                "--query.max-concurrency=1", "--query.max-waiting=0"]))
            now = int(time.time())
            remote_write.write(f"http://127.0.0.1:{st.http}", [
                ({"__name__": "x", "n": str(k)}, [((now - 3000 + 10 * i) * 1000, i) for i in range(300)]) for k in range(5)])
            answers = []

            def ask():
                answers.append(s.http_json(f"http://127.0.0.1:{st.http}/api/v1/query_range", {
                    "query": "quantile_over_time(0.5, (x > 0)[50m:10ms])", "start": now - 1000, "end": now, "step": 1}))
            many = [threading.Thread(target=ask) for _ in range(4)]
            for t in many:
                t.start()
            for t in many:
                t.join(120)
            text = " ".join(a.get("error", "") for a in answers)
            # One ran, for a second; there was no room to wait.
            for flag in ("query.max-waiting", "query.timeout"):
                self.assertIn("--" + flag, text)
                self.assertGreaterEqual(refusals(st, flag), 1)


class ConnectionRates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role, name in (("server", "server"), ("agent", "agent"), ("operator", "olga"), ("viewer", "mallory")):
            st.issue(role, name)
        # Small, so that it need not last: 60 reconnects at once, 200 connections of an address.
        limits = ("--grpc.max-reconnects-per-second=1", "--grpc.max-connections-per-second=10",
                  "--web.max-connections-per-second=10")
        cls.agent = st.agent(*limits)
        cls.server = st.server(st.write("prometheus.yml", "scrape_configs: []\n"), *limits)
        cls.doors = {"agent": (st.agent_port, st.agent_http, cls.agent), "server": (st.grpc, st.http, cls.server)}

    def honest(self, port):
        """A call over a new connection."""
        tls = self.stack.tls
        credentials = grpc.ssl_channel_credentials(read(f"{tls}/ca.crt"), read(f"{tls}/olga.key"), read(f"{tls}/olga.crt"))
        with grpc.secure_channel(f"localhost:{port}", credentials,
                                 [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]) as channel:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)

    def events(self, door, event):
        st = self.stack
        page = st.get_text(f"http://127.0.0.1:{st.agent_http if door == 'agent' else st.http}/metrics")
        name = "vedette_agent_rpc_events_total" if door == "agent" else "vedette_grpc_events_total"
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                   if line.startswith(name + "{") and f'"{event}"' in line)

    def reconnect(self, port, source):
        """A connection with a good certificate that gets as far as HTTP/2; whether it did."""
        tls = self.stack.tls
        context = ssl.create_default_context(cafile=f"{tls}/ca.crt")
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(f"{tls}/mallory.crt", f"{tls}/mallory.key")
        try:
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20, (source, 0)),
                                     server_hostname="localhost") as peer:
                peer.settimeout(20)
                peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + b"\x00" * 4)
                return len(peer.recv(9)) > 0
        except OSError:
            return False

    def test_who_reconnects_all_the_time_is_refused_until_he_is_quiet(self):
        for door, (port, _, program) in self.doors.items():
            with self.subTest(door=door):
                let_in = 0
                while self.reconnect(port, "127.0.0.3"):
                    let_in += 1
                    self.assertLess(let_in, 1000)
                self.assertGreaterEqual(let_in, 60)
                self.assertFalse(self.reconnect(port, "127.0.0.3"))
                self.honest(port)
                s.wait_until("the log names the flag", lambda: "--grpc.max-reconnects-per-second" in program.text())
                self.assertIn("mallory", program.text())
                s.wait_until("it is counted", lambda: self.events(door, "handshake_refused") >= 1)
                print(f"{door}: {let_in} connections of one certificate were let in")

    def test_an_address_that_floods_with_connections_loses_them_before_tls(self):
        for door, (port, _, program) in self.doors.items():
            with self.subTest(door=door):
                closed, connections = 0, []
                for _ in range(1000):
                    connections.append(socket.create_connection(("127.0.0.1", port), 20, ("127.0.0.2", 0)))

                def refused():
                    nonlocal closed
                    readable, _, _ = select.select(connections, [], [], 0)
                    closed = len(readable)
                    return closed > 500
                s.wait_until("most of them are closed", refused)
                self.honest(port)
                for c in connections:
                    c.close()
                s.wait_until("the log names the flag", lambda: "connections of 127.0.0.2 refused" in program.text())
                self.assertIn("--grpc.max-connections-per-second", program.text())
                # An agent shows what it collected a moment ago.
                s.wait_until("they are counted", lambda: self.events(door, "connection_refused") >= 500)

    def test_an_address_that_floods_the_http_door_is_told_so(self):
        for door, (_, port, program) in self.doors.items():
            with self.subTest(door=door):
                told = ""
                for _ in range(1000):
                    with socket.create_connection(("127.0.0.1", port), 20, ("127.0.0.2", 0)) as c:
                        c.sendall(b"GET /nosuch HTTP/1.0\r\n\r\n")
                        answer = c.recv(65536).decode()
                    if " 429 " in answer.splitlines()[0]:
                        told = answer
                        break
                self.assertIn("--web.max-connections-per-second", told)
                self.assertIn("nosniff", told)
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as r:
                    self.assertEqual(r.status, 200)
                s.wait_until("it is counted", lambda: refusals(self.stack, "web.max-connections-per-second", port) >= 1)
                s.wait_until("the log names it", lambda: "--web.max-connections-per-second" in program.text())


if __name__ == "__main__":
    xml_unittest.main()
