"""Floods of HTTP/2 frames on the gRPC doors: by a peer with a certificate they cost nobody else anything; a peer without
one never gets as far as HTTP/2."""
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

MIB = 1 << 20
DATA, HEADERS, RST, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """An HPACK field without indexing."""
    def text(b):
        n, out = len(b), bytearray()
        if n < 127:
            return bytes([n]) + b
        out.append(127)
        n -= 127
        while n >= 128:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
        return bytes(out) + b
    return b"\x00" + text(name) + text(value)


REQUEST = b"".join(literal(k, v) for k, v in (
    (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/grpc.health.v1.Health/Check"),
    (b":authority", b"localhost"), (b"content-type", b"application/grpc"), (b"te", b"trailers")))


def rapid_reset(send):
    for stream in range(1, 40_001, 2):
        send(frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST) + frame(RST, 0, stream, struct.pack(">I", 8)))


def continuations(send):
    send(frame(HEADERS, 0, 1, REQUEST))
    field = literal(b"x-flood", b"y" * 4000)
    for _ in range(50_000):
        send(frame(CONTINUATION, 0, 1, field))


def empty_continuations(send):
    send(frame(HEADERS, 0, 1, REQUEST))
    for _ in range(200):
        send(frame(CONTINUATION, 0, 1) * 1000)


def hpack_bomb(send):
    """One large field in the table, and a header block of references to it."""
    send(frame(HEADERS, END_HEADERS | END_STREAM, 1,
               REQUEST + b"\x40\x04bomb" + literal(b"", b"z" * 3900)[2:]))
    for stream in range(3, 2000, 2):
        send(frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST + b"\xbe" * 15_000))


def pings(send):
    for _ in range(100):
        send(frame(PING, 0, 0, b"12345678") * 1000)


def settings(send):
    for _ in range(100):
        send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 1000)


def connect(tls, port, name):
    context = ssl.create_default_context(cafile=f"{tls}/ca.crt")
    context.set_alpn_protocols(["h2"])
    if name:
        context.load_cert_chain(f"{tls}/{name}.crt", f"{tls}/{name}.key")
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost")


def flood(tls, port, attack, name):
    """Attacks for ever, on a new connection where the old one is closed; a line for each time it was."""
    while True:
        try:
            with connect(tls, port, name) as peer:
                peer.setblocking(False)

                def send(data):
                    data = memoryview(data)
                    while len(data) > 0:
                        try:
                            data = data[peer.send(data):]
                        except ssl.SSLWantWriteError:
                            select.select([peer], [peer], [], 0.2)
                        try:  # An attacker that reads is not slowed down by what it is told.
                            while answer := peer.recv(65536):
                                pass
                            if not answer:
                                raise ConnectionResetError
                        except ssl.SSLWantReadError:
                            pass
                send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
                attack(send)
                print("done", flush=True)
        except OSError:
            print("cut off", flush=True)
            time.sleep(0.05)


class Floods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role, name in (("server", "server"), ("agent", "agent"), ("operator", "olga"),
                           *(("viewer", f"mallory-{attack}") for attack in ATTACKS)):
            st.issue(role, name)
        cls.agent = st.agent(name="agent")
        cls.server = st.server(st.write("prometheus.yml", "scrape_configs: []\n"))
        cls.doors = {"agent": (st.agent_port, cls.agent), "server": (st.grpc, cls.server)}

    def honest(self, port):
        """Seconds that an honest call over a new connection takes."""
        read = lambda path: open(path, "rb").read()  # noqa: E731
        tls = self.stack.tls
        credentials = grpc.ssl_channel_credentials(read(f"{tls}/ca.crt"), read(f"{tls}/olga.key"), read(f"{tls}/olga.crt"))
        begin = time.monotonic()
        with grpc.secure_channel(f"localhost:{port}", credentials,
                                 [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]) as channel:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30)
        return time.monotonic() - begin

    @staticmethod
    def rss(program):
        with open(f"/proc/{program.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def test_a_peer_that_floods_stops_nobody_else(self):
        for door, (port, program) in self.doors.items():
            for attack in ATTACKS.values():
                with self.subTest(door=door, attack=attack.__name__):
                    self.honest(port)
                    before = self.rss(program)
                    attacker = subprocess.Popen(
                        [sys.executable, os.path.abspath(__file__), "--attack", attack.__name__, self.stack.tls, str(port),
                         f"mallory-{attack.__name__}"],
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                    try:
                        self.assertIn(attacker.stdout.readline().strip(), ("done", "cut off"))
                        times = [self.honest(port) for _ in range(5)]
                        if attack is continuations:  # It goes on for ever: so that it is seen to be ended.
                            s.wait_until("it is cut off", lambda: "cut off: it has sent" in program.text())
                        grown = self.rss(program) - before
                    finally:
                        attacker.kill()
                        cut = attacker.stdout.read().count("cut off")
                        attacker.wait()
                        attacker.stdout.close()
                    self.assertTrue(program.alive())
                    print(f"{door}, {attack.__name__}: honest calls in {max(times):.2f} s at most, then cut off {cut} times, "
                          f"{grown / MIB:+.1f} MiB")
                    # A second of its own on an idle machine; this one has other things to do.
                    self.assertLess(max(times), 10)
                    self.assertLess(grown, 512 * MIB)  # What a second or two bring.
                    if attack is rapid_reset:
                        self.assertIn("mallory-rapid_reset makes more than", program.text())
                        self.assertIn("cut off: it began", program.text())
                        self.assertGreater(self.counted(door, "cut_off"), 0)

    def counted(self, door, event):
        """How often the program of a door has counted an event of gRPC."""
        st = self.stack
        page = st.get_text(f"http://127.0.0.1:{st.agent_http if door == 'agent' else st.http}/metrics")
        name = "vedette_agent_rpc_events_total" if door == "agent" else "vedette_grpc_events_total"
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                   if line.startswith(name + "{") and f'"{event}"' in line)

    def test_metadata_over_16_kib_is_refused(self):
        read = lambda path: open(path, "rb").read()  # noqa: E731
        tls = self.stack.tls
        credentials = grpc.ssl_channel_credentials(read(f"{tls}/ca.crt"), read(f"{tls}/olga.key"), read(f"{tls}/olga.crt"))
        for door, (port, _) in self.doors.items():
            with self.subTest(door=door):
                with grpc.secure_channel(f"localhost:{port}", credentials, [("grpc.enable_http_proxy", 0)]) as channel:
                    call = channel.unary_unary("/grpc.health.v1.Health/Check")
                    call(b"", timeout=10, metadata=[("small", "x" * 1000)])
                    with self.assertRaises(grpc.RpcError) as refused:
                        call(b"", timeout=10, metadata=[(f"big{i}", "x" * 1000) for i in range(20)])
                    # The server may close the connection of such a peer: then that is what it hears.
                    self.assertIn(refused.exception.code(), (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE))
                self.assertLess(self.honest(port), 10)

    def test_streams_and_messages_are_bounded(self):
        read = lambda path: open(path, "rb").read()  # noqa: E731
        tls = self.stack.tls
        credentials = grpc.ssl_channel_credentials(read(f"{tls}/ca.crt"), read(f"{tls}/olga.key"), read(f"{tls}/olga.crt"))
        for door, (port, program) in self.doors.items():
            with self.subTest(door=door):
                with connect(tls, port, "olga") as peer:
                    peer.settimeout(20)
                    peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
                    got = b""
                    while len(got) < 9 or len(got) < 9 + int.from_bytes(got[:3], "big"):
                        self.assertTrue(part := peer.recv(4096))
                        got += part
                    self.assertEqual(got[3], SETTINGS)
                    settings = dict(struct.iter_unpack(">HI", got[9:9 + int.from_bytes(got[:3], "big")]))
                    self.assertEqual(settings.get(3), 100, "SETTINGS_MAX_CONCURRENT_STREAMS")
                    # Who does not care what it was told gets no further: calls that never end, more than there may be.
                    peer.sendall(b"".join(frame(HEADERS, END_HEADERS, stream, REQUEST) for stream in range(1, 1001, 2)))
                with grpc.secure_channel(f"localhost:{port}", credentials, [("grpc.enable_http_proxy", 0)]) as channel:
                    call = channel.unary_unary("/grpc.health.v1.Health/Check")
                    with self.assertRaises(grpc.RpcError) as refused:
                        call(b"x" * (17 * MIB), timeout=30)
                    self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertTrue(program.alive())
                self.assertLess(self.honest(port), 10)

    def test_without_a_certificate_there_is_no_http2(self):
        for door, (port, program) in self.doors.items():
            with self.subTest(door=door):
                got = b""
                try:
                    with connect(self.stack.tls, port, None) as peer:
                        peer.settimeout(20)
                        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
                        while chunk := peer.recv(4096):
                            got += chunk
                except OSError:
                    pass  # An alert, or a closed connection.
                self.assertEqual(got, b"", "a frame, or something like it")
                self.assertTrue(program.alive())
                self.assertLess(self.honest(port), 10)


ATTACKS = {f.__name__: f for f in (rapid_reset, continuations, empty_continuations, hpack_bomb, pings, settings)}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        flood(sys.argv[3], int(sys.argv[4]), ATTACKS[sys.argv[2]], sys.argv[5])
    xml_unittest.main()
