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
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
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


def request(path):
    return b"".join(literal(k, v) for k, v in (
        (b":method", b"POST"), (b":scheme", b"https"), (b":path", path),
        (b":authority", b"localhost"), (b"content-type", b"application/grpc"), (b"te", b"trailers")))


REQUEST = request(b"/grpc.health.v1.Health/Check")


def rapid_reset(send, headers=REQUEST):
    for stream in range(1, 40_001, 2):
        send(frame(HEADERS, END_HEADERS | END_STREAM, stream, headers) + frame(RST, 0, stream, struct.pack(">I", 8)))


def anonymous_calls(send):
    """Of the enrolment door, which asks for no certificate."""
    rapid_reset(send, request(b"/vedette.v1.EnrolService/Enrol"))


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
    """On one connection, until it is ended."""
    for _ in range(1_000_000):
        send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 1000)


def window_updates(send):
    for _ in range(100):
        send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * 1000)


def priorities(send):
    for _ in range(100):
        send(frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1)) * 1000)


def empty_data(send):
    """On a call that stands and never ends."""
    send(frame(HEADERS, END_HEADERS, 1, REQUEST))
    for _ in range(100):
        send(frame(DATA, 0, 1) * 1000)


def connect(tls, port, name, source="127.0.0.1"):
    context = ssl.create_default_context(cafile=f"{tls}/ca.crt")
    context.set_alpn_protocols(["h2"])
    if name:
        context.load_cert_chain(f"{tls}/{name}.crt", f"{tls}/{name}.key")
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10, (source, 0)), server_hostname="localhost")


def flood(tls, port, attack, name, source):
    """Attacks for ever, on a new connection where the old one is closed; a line for each time it was."""
    while True:
        try:
            with connect(tls, port, name, source) as peer:
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
                           ("viewer", "many"), *(("viewer", f"mallory-{attack}") for attack in ATTACKS)):
            st.issue(role, name)
        # Small limits, so that floods need not last: 1 MiB and 64 times 16 KiB of control bytes.
        limits = ("--grpc.max-message-size=1MB", "--grpc.max-control-bytes-per-second=16KB",
                  "--grpc.max-calls-per-second=200", "--grpc.max-reconnects-per-second=2")
        cls.enrol = s.free_port()
        cls.agent = st.agent(*limits, name="agent")
        cls.server = st.server(st.write("prometheus.yml", "scrape_configs: []\n"), *limits,
                               f"--enrol.listen-address=127.0.0.1:{cls.enrol}", f"--enrol.ca-dir={st.tls}")
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

    def attacker(self, attack, port, name, source="127.0.0.1"):
        """The attacking program, and the file with its lines: done, and cut off where it was."""
        lines = os.path.join(self.stack.work, f"{attack.__name__}-{port}.txt")
        with open(lines, "wb") as out:
            program = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--attack", attack.__name__, self.stack.tls,
                                        str(port), name, source], stdout=out, stderr=subprocess.DEVNULL)
        return program, lines

    def test_a_peer_that_floods_is_cut_off_and_stops_nobody_else(self):
        for door, (port, program) in self.doors.items():
            # Both stand on one gRPC server of ours.
            attacks = ATTACKS.values() if door == "server" else (rapid_reset, continuations, settings)
            for attack in attacks:
                with self.subTest(door=door, attack=attack.__name__):
                    self.honest(port)
                    before = self.rss(program)
                    mallory = f"mallory-{attack.__name__}"
                    attacker, lines = self.attacker(attack, port, mallory)
                    try:
                        if attack is not settings:  # Which has nothing to say before its end.
                            s.wait_until("it has begun", lambda: os.path.getsize(lines) > 0)
                        times = [self.honest(port) for _ in range(3)]
                        # gRPC's own rules: --grpc.min-ping-interval and --grpc.max-metadata-size.
                        if attack in (pings, hpack_bomb):
                            s.wait_until("it is cut off", lambda: b"cut off" in open(lines, "rb").read())
                        else:
                            s.wait_until("it is cut off", lambda: self.is_cut_off(mallory, program), timeout=120)
                        times += [self.honest(port) for _ in range(3)]
                        grown = self.rss(program) - before
                    finally:
                        attacker.kill()
                        attacker.wait()
                    self.assertTrue(program.alive())
                    with open(lines) as f:
                        cut = f.read().count("cut off")
                    print(f"{door}, {attack.__name__}: honest calls in {max(times):.2f} s at most, the attacker's cut off {cut} "
                          f"times, {grown / MIB:+.1f} MiB")
                    # A second of its own on an idle machine; this one has other things to do.
                    self.assertLess(max(times), 10)
                    self.assertLess(grown, 512 * MIB)  # What a second or two bring.
                    if attack is rapid_reset:
                        self.assertIn(f"{mallory} makes more than 200 a second", program.text())
                        self.assertIn("cut off: it began", program.text())
            self.assertIn("cut off: it has sent", program.text())
            self.assertRegex(program.text(), "more than any question takes|most of them no call and no message")
            self.assertGreaterEqual(self.counted(door, "cut_off") + self.counted(door, "handshake_refused"),
                                    len(set(attacks) - {pings, hpack_bomb}))

    @staticmethod
    def is_cut_off(mallory, program):
        """For what comes on a connection; or for making a new one so often that no look finds any of them."""
        return any(mallory in line and ("connection of" in line or "--grpc.max-reconnects-per-second" in line)
                   for line in program.text().splitlines())

    def test_who_floods_the_enrolment_door_keeps_nobody_from_joining(self):
        st = self.stack
        attacker, lines = self.attacker(anonymous_calls, self.enrol, "", "127.0.0.2")
        try:
            s.wait_until("it has begun", lambda: os.path.getsize(lines) > 0)
            for i in range(3):
                name = f"node{i}"
                token = st.write(f"{name}.token", subprocess.run(
                    [s.CTL, "token", "create", "--dir", st.tls, "--role", "agent", "--name", name],
                    check=True, stdout=subprocess.PIPE, text=True).stdout)
                subprocess.run([s.CTL, "join", "--server", f"127.0.0.1:{self.enrol}", "--name", name, "--token-file", token,
                                "--out", st.path(name)], check=True, stdout=subprocess.DEVNULL, timeout=120)
            s.wait_until("it is cut off", lambda: "somebody without a certificate at ipv4:127.0.0.2" in self.server.text())
        finally:
            attacker.kill()
            attacker.wait()
        self.assertNotIn("somebody without a certificate at ipv4:127.0.0.1", self.server.text())
        self.assertTrue(self.server.alive())

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
                with connect(tls, port, "many") as peer:
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
                        call(b"x" * (2 * MIB), timeout=30)
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


ATTACKS = {f.__name__: f for f in (rapid_reset, continuations, empty_continuations, hpack_bomb, pings, settings,
                                   window_updates, priorities, empty_data)}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        flood(sys.argv[3], int(sys.argv[4]), globals()[sys.argv[2]], sys.argv[5], sys.argv[6])
    xml_unittest.main()
