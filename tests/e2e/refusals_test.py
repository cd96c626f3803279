"""Who is refused: every port of every program against every kind of bad certificate, and what is revoked
while a stream stands."""
import datetime
import os
import socket
import ssl
import subprocess
import sys
import unittest
import urllib.request

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

HEALTH = "/grpc.health.v1.Health/Check"


def stamp(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role, name in (("server", "server"), ("agent", "agent"), ("operator", "olga"), ("viewer", "vera"),
                           ("operator", "fired"), ("server", "oldhub")):
            st.issue(role, name)
        other = st.path("other")
        st.make_ca(other)
        st.issue("operator", "stranger", other)
        st.issue("server", "strangehub", other)
        cls.make("late", -10, -1)
        cls.make("early", 1, 10)
        cls.ctl("ca", "revoke", "fired", "--dir", st.tls)
        # The web doors: client certificates of this CA, one name allowed.
        web = st.write("web.yml", f"""
tls_server_config:
  cert_file: {st.tls}/server.crt
  key_file: {st.tls}/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {st.tls}/ca.crt
  client_allowed_sans: [olga]
""")
        cls.agent_port, cls.agent_http = s.free_port(), s.free_port()
        cls.server_http, cls.server_grpc, cls.enrol = s.free_port(), s.free_port(), s.free_port()
        flags = [f"--grpc.tls.crl={st.tls}/ca.crl", f"--web.config.file={web}"]
        cls.agent = st.run("agent", [s.AGENT, f"--grpc.listen-address=127.0.0.1:{cls.agent_port}",
                                     f"--web.listen-address=127.0.0.1:{cls.agent_http}", *st.tls_flags("agent"), *flags])
        cls.config = st.path("prometheus.yml")
        cls.write_config("agent")
        cls.server = st.run("server", [
            s.SERVER, f"--config.file={cls.config}", f"--storage.tsdb.path={st.path('data')}",
            f"--web.listen-address=127.0.0.1:{cls.server_http}", f"--grpc.listen-address=127.0.0.1:{cls.server_grpc}",
            f"--enrol.listen-address=127.0.0.1:{cls.enrol}", f"--enrol.ca-dir={st.tls}", f"--web.config.file={web}",
            *st.tls_flags("server")])
        cls.grpc_ports = {"agent gRPC": cls.agent_port, "server gRPC": cls.server_grpc}
        cls.web_ports = {"agent HTTP": cls.agent_http, "server HTTP": cls.server_http}
        for name, port in cls.grpc_ports.items():
            s.wait_until(name, lambda port=port: cls.call(port, st.tls, "olga") == "OK")
        for name, port in cls.web_ports.items():
            s.wait_until(name, lambda port=port: cls.get(port, st.tls, "olga") == 200)

    @classmethod
    def write_config(cls, agent_name):
        cls.stack.write("prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {cls.stack.tls_config(agent_name)}
    static_configs: [{{targets: ['127.0.0.1:{cls.agent_port}']}}]
""")

    @staticmethod
    def ctl(*args):
        subprocess.run([s.CTL, *args], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def make(cls, name, first_day, last_day):
        """An operator's certificate of our CA for other days than vedettectl would give it."""
        folder = cls.stack.path("openssl")
        os.makedirs(folder, exist_ok=True)
        conf = os.path.join(folder, "ca.cnf")
        with open(conf, "w") as f:
            f.write(f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
                    "default_md=sha256\npolicy=p\nunique_subject=no\nx509_extensions=e\n[p]\ncommonName=supplied\n"
                    "[e]\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                    f"subjectAltName=URI:spiffe://vedette/role/operator/name/{name},DNS:{name}\n")
        open(os.path.join(folder, "index"), "a").close()
        key, csr, out = (os.path.join(cls.stack.tls, name + e) for e in (".key", ".csr", ".crt"))
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}", "-keyout", key, "-out", csr], **quiet)
        subprocess.run(["openssl", "ca", "-batch", "-config", conf, "-cert", f"{cls.stack.tls}/ca.crt", "-keyfile",
                        f"{cls.stack.tls}/ca.key", "-in", csr, "-out", out, "-notext", "-startdate", stamp(first_day),
                        "-enddate", stamp(last_day)], **quiet)

    @classmethod
    def call(cls, port, folder=None, name=None, method=HEALTH, target="server"):
        """The code of a gRPC call with that certificate."""
        read = lambda path: open(path, "rb").read()  # noqa: E731
        pair = (read(f"{folder}/{name}.key"), read(f"{folder}/{name}.crt")) if name else (None, None)
        credentials = grpc.ssl_channel_credentials(read(f"{cls.stack.tls}/ca.crt"), *pair)
        with grpc.secure_channel(f"localhost:{port}", credentials, [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                channel.unary_unary(method)(b"", timeout=10)
                return "OK"
            except grpc.RpcError as e:
                return e.code().name

    @classmethod
    def get(cls, port, folder=None, name=None):
        context = ssl.create_default_context(cafile=f"{cls.stack.tls}/ca.crt")
        if name:
            context.load_cert_chain(f"{folder}/{name}.crt", f"{folder}/{name}.key")
        with urllib.request.urlopen(f"https://localhost:{port}/metrics", context=context, timeout=10) as r:
            return r.status

    def test_bad_certificates_get_nowhere_over_grpc(self):
        st = self.stack
        for door, port in self.grpc_ports.items():
            for what, folder, name in (("no certificate", None, None), ("another CA", st.path("other"), "stranger"),
                                       ("expired", st.tls, "late"), ("not yet valid", st.tls, "early"),
                                       ("revoked", st.tls, "fired")):
                with self.subTest(door=door, certificate=what):
                    self.assertIn(self.call(port, folder, name), ("UNAVAILABLE", "UNAUTHENTICATED"))
        # The enrolment door takes a stranger's request to join, and nothing else from strangers.
        for what, folder, name in (("no certificate", None, None), ("another CA", st.path("other"), "stranger"),
                                   ("expired", st.tls, "late"), ("revoked", st.tls, "fired")):
            with self.subTest(door="enrolment", certificate=what):
                self.assertIn(self.call(self.enrol, folder, name), ("UNAVAILABLE", "UNAUTHENTICATED"))

    def test_a_role_may_do_only_what_it_may(self):
        st = self.stack
        for door, port, name, method in (
            ("agent", self.agent_port, "olga", "/vedette.v1.AgentService/Pull"),
            ("agent", self.agent_port, "agent", "/vedette.v1.AgentService/Pull"),
            ("server", self.server_grpc, "agent", "/vedette.v1.QueryService/Query"),
            ("enrolment", self.enrol, "vera", "/vedette.v1.EnrolService/Nothing"),
        ):
            with self.subTest(door=door, name=name, method=method):
                self.assertEqual(self.call(port, st.tls, name, method), "PERMISSION_DENIED")

    def test_bad_certificates_get_nowhere_over_http(self):
        st = self.stack
        for door, port in self.web_ports.items():
            for what, folder, name in (("no certificate", None, None), ("another CA", st.path("other"), "stranger"),
                                       ("expired", st.tls, "late"), ("not yet valid", st.tls, "early"),
                                       ("a name that is not allowed", st.tls, "vera")):
                with self.subTest(door=door, certificate=what):
                    with self.assertRaises(OSError):
                        self.get(port, folder, name)

    def test_old_tls_and_plain_text_get_nowhere(self):
        for door, port in {**self.grpc_ports, **self.web_ports, "enrolment": self.enrol}.items():
            with self.subTest(door=door, what="TLS 1.1"):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
                with socket.create_connection(("127.0.0.1", port), 10) as raw:
                    raw.settimeout(10)
                    with self.assertRaises(OSError):
                        context.wrap_socket(raw).close()
            with self.subTest(door=door, what="plain text"):
                with socket.create_connection(("127.0.0.1", port), 10) as raw:
                    raw.settimeout(20)
                    raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                    answer = b""
                    try:
                        while chunk := raw.recv(4096):
                            answer += chunk
                    except OSError:
                        pass
                    self.assertNotIn(b"200 OK", answer)
                    self.assertNotIn(b"# HELP", answer)

    def up(self):
        context = ssl.create_default_context(cafile=f"{self.stack.tls}/ca.crt")
        context.load_cert_chain(f"{self.stack.tls}/olga.crt", f"{self.stack.tls}/olga.key")
        import json
        with urllib.request.urlopen(f"https://localhost:{self.server_http}/api/v1/targets", context=context, timeout=10) as r:
            target = json.load(r)["data"]["activeTargets"][0]
        return target["health"], target["lastError"]

    def test_z1_what_is_revoked_ends_within_scrapes_although_the_stream_stands(self):
        st = self.stack
        s.wait_until("the agent is scraped", lambda: self.up()[0] == "up")
        # The agent's certificate, as the server sees it.
        self.ctl("ca", "revoke", "agent", "--dir", st.tls)
        s.wait_until("the server believes the agent no more", lambda: self.up()[0] == "down" and "revoked" in self.up()[1], 20)
        self.ctl("ca", "issue", "--dir", st.tls, "--role", "agent", "--name", "agent", "--san", "localhost", "--san",
                 "127.0.0.1", "--out", st.tls, "--replace")
        s.wait_until("the agent has a new certificate", lambda: self.up()[0] == "up", 60)
        # The server's, as the agent sees it: the stream ends, and no other is let in.
        self.ctl("ca", "revoke", "server", "--dir", st.tls)
        s.wait_until("the agent answers the server no more", lambda: self.up()[0] == "down", 20)
        self.ctl("ca", "issue", "--dir", st.tls, "--role", "server", "--name", "server", "--san", "localhost", "--san",
                 "127.0.0.1", "--out", st.tls, "--replace")
        s.wait_until("the server has a new certificate", lambda: self.up()[0] == "up", 60)

    def test_z2_an_agent_cannot_speak_for_another_node(self):
        self.write_config("db1")
        self.server.process.send_signal(1)
        s.wait_until("the name is refused", lambda: self.up()[0] == "down" and "db1" in self.up()[1], 30)


if __name__ == "__main__":
    xml_unittest.main()
