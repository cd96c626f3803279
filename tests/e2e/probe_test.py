"""What the agent looks at beside its own machine, and how closely: probes beside a real blackbox_exporter, groups of processes
beside a real process-exporter, a host that is watched for a while."""
import http.server
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

MODULES = """
modules:
  ok: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
  words: {{prober: http, http: {{preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ['well']}}}}
  sick: {{prober: http, http: {{preferred_ip_protocol: ip4, valid_status_codes: [503]}}}}
  tls: {{prober: http, http: {{preferred_ip_protocol: ip4, fail_if_not_ssl: true, tls_config: {{ca_file: {ca}, server_name: localhost}}}}}}
  strict: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
  port: {{prober: tcp, tcp: {{preferred_ip_protocol: ip4}}}}
  port_tls: {{prober: tcp, tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{ca_file: {ca}, server_name: localhost}}}}}}
  ping: {{prober: icmp, icmp: {{preferred_ip_protocol: ip4}}}}
  health: {{prober: grpc, grpc: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}, server_name: localhost}}}}}}
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"all is well\n"
        self.send_response(503 if self.path == "/sick" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def parse(text):
    """{family: (type, {labels: value})} of an exposition."""
    types, samples = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
            samples.setdefault(name, {})[tuple(sorted(labels.items()))] = float(value)
    return {name: (types[name], samples.get(name, {})) for name in types}


class Probes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role in ("server", "agent", "operator", "viewer"):
            st.issue(role, role)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{st.tls}/agent.crt", f"{st.tls}/agent.key")
        cls.plain, cls.secure = serve(), serve(context)
        cls.addClassCleanup(cls.plain.shutdown)
        cls.addClassCleanup(cls.secure.shutdown)
        cls.modules = st.write("blackbox.yml", MODULES.format(ca=f"{st.tls}/ca.crt", cert=f"{st.tls}/operator.crt",
                                                              key=f"{st.tls}/operator.key"))
        cls.sleepers = [st.run(f"sleep{i}", ["sleep", "1000"]) for i in range(3)]
        cls.groups = st.write("groups.yml", "process_names:\n  - name: '{{.Comm}}-{{.Matches.N}}'\n    comm: [sleep]\n"
                                            "    cmdline: ['sleep (?P<N>1000)']\n")
        url = f"http://127.0.0.1:{cls.plain.server_address[1]}"
        st.agent(f"--probe.config={cls.modules}", f"--probe.target=ok={url}/", f"--probe.target=sick={url}/",
                 f"--process.config={cls.groups}")
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 15s, scrape_timeout: 10s}}
scrape_configs:
  - job_name: node
    scheme: grpc
    scrape_interval: 1s
    scrape_timeout: 1s
    tls_config: {st.tls_config("agent")}
    static_configs: [{{targets: ['localhost:{st.agent_port}']}}]
""")
        st.server(config)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.stack.dump_logs()

    def probe(self, module, target, port=None):
        query = urllib.parse.urlencode({"module": module, "target": target})
        return parse(self.stack.get_text(f"http://127.0.0.1:{port or self.stack.agent_http}/probe?{query}"))

    def test_probes_and_groups_arrive_at_the_server(self):
        st = self.stack
        s.wait_until("the probes arrive", lambda: st.value('probe_success{module="ok"}') == 1)
        self.assertEqual(st.value('probe_success{module="sick"}'), 0)
        self.assertEqual(st.value('probe_http_status_code{module="ok"}'), 200)
        s.wait_until("the group arrives", lambda: st.value('namedprocess_namegroup_num_procs{groupname="sleep-1000"}') == 3)
        # The agent's own metrics are there once and not with each of its sources.
        self.assertEqual(st.value("count(vedette_agent_ring_bytes)"), 1)
        self.assertEqual(st.value("count(node_exporter_build_info)"), 1)

    def test_a_certificates_end_is_what_openssl_says(self):
        target = f"https://127.0.0.1:{self.secure.server_address[1]}/"
        seen = self.probe("tls", target)
        end = subprocess.run(["openssl", "x509", "-enddate", "-noout", "-in", f"{self.stack.tls}/agent.crt"],
                             capture_output=True, text=True, check=True).stdout.strip().partition("=")[2]
        self.assertEqual(seen["probe_success"][1][()], 1)
        self.assertEqual(seen["probe_http_ssl"][1][()], 1)
        self.assertEqual(seen["probe_ssl_earliest_cert_expiry"][1][()], ssl.cert_time_to_seconds(end))
        # Nobody's CA signed it: the probe fails and says so.
        self.assertEqual(self.probe("strict", target)["probe_success"][1][()], 0)
        query = urllib.parse.urlencode({"module": "strict", "target": target, "debug": "true"})
        text = self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/probe?{query}")
        self.assertIn("certificate", text)

    def test_mistakes_in_the_request_are_answered(self):
        for query, want in (("module=nosuch&target=x", "nosuch"), ("module=ok", "arget")):
            with self.assertRaises(s.urllib.error.HTTPError) as caught:
                self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/probe?{query}")
            self.assertEqual(caught.exception.code, 400)
            self.assertIn(want, caught.exception.read().decode())

    def compare(self, ours, theirs, moving):
        for name, (kind, samples) in theirs.items():
            self.assertIn(name, ours)
            self.assertEqual(ours[name][0], kind, name)
            self.assertEqual(set(ours[name][1]), set(samples), name)
            if not any(name.startswith(m) for m in moving):
                self.assertEqual(ours[name][1], samples, name)

    @unittest.skipUnless(shutil.which("prometheus-blackbox-exporter"), "Debian's prometheus-blackbox-exporter is not installed")
    def test_probes_say_what_blackbox_exporter_says(self):
        st, port = self.stack, s.free_port()
        st.run("blackbox", ["prometheus-blackbox-exporter", f"--config.file={self.modules}", f"--web.listen-address=127.0.0.1:{port}"])
        s.wait_until("blackbox_exporter answers", lambda: st.get_text(f"http://127.0.0.1:{port}/metrics"))
        plain, secure = (f"127.0.0.1:{x.server_address[1]}" for x in (self.plain, self.secure))
        closed = f"127.0.0.1:{s.free_port()}"
        for module, target in (("ok", f"http://{plain}/"), ("ok", f"http://{plain}/sick"), ("words", f"http://{plain}/"),
                               ("sick", f"http://{plain}/sick"), ("ok", f"http://{closed}/"), ("tls", f"https://{secure}/"),
                               ("strict", f"https://{secure}/"), ("port", plain), ("port", closed), ("port_tls", secure),
                               ("ping", "127.0.0.1"), ("health", f"127.0.0.1:{st.agent_port}"), ("ok", "http://nosuch.invalid/")):
            with self.subTest(module=module, target=target):
                theirs, ours = self.probe(module, target, port), self.probe(module, target)
                if module == "ping" and theirs["probe_success"][1][()] != 1:
                    self.skipTest("no right to ping here")
                self.compare(ours, theirs, ["probe_duration", "probe_dns_lookup", "probe_http_duration", "probe_icmp_duration",
                                            "probe_grpc_duration", "probe_ip_addr_hash"])

    @unittest.skipUnless(shutil.which("prometheus-process-exporter"), "Debian's prometheus-process-exporter is not installed")
    def test_groups_say_what_process_exporter_says(self):
        st, port = self.stack, s.free_port()
        st.run("process_exporter", ["prometheus-process-exporter", "-gather-smaps=false", f"-config.path={self.groups}", f"-web.listen-address=127.0.0.1:{port}"])
        s.wait_until("process-exporter answers", lambda: "sleep-1000" in st.get_text(f"http://127.0.0.1:{port}/metrics"))
        def groups(at):
            return {k: v for k, v in parse(st.get_text(f"http://127.0.0.1:{at}/metrics")).items() if k.startswith("namedprocess_")}
        theirs = {k: (t, {l: v for l, v in found.items() if not any(x.startswith("thread") for _, x in l)})
                  for k, (t, found) in groups(port).items() if "scrape" not in k and "thread_" not in k}
        self.compare(groups(st.agent_http), theirs, ["namedprocess_namegroup_memory", "namedprocess_namegroup_context",
                                                     "namedprocess_namegroup_cpu", "namedprocess_namegroup_minor",
                                                     "namedprocess_namegroup_oldest"])

    def ctl(self, *args, role="operator"):
        st = self.stack
        return subprocess.run([s.CTL, *args, "--server", f"localhost:{st.grpc}", "--ca", f"{st.tls}/ca.crt",
                               "--cert", f"{st.tls}/{role}.crt", "--key", f"{st.tls}/{role}.key"], capture_output=True, text=True)

    def test_a_watched_host_is_scraped_ten_times_a_second(self):
        st = self.stack
        refused = self.ctl("watch", "localhost", role="viewer")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("may not call", refused.stderr)
        for more, want in ((["--interval", "10ms"], "100"), (["--for", "1h"], "600")):
            wrong = self.ctl("watch", "localhost", *more)
            self.assertNotEqual(wrong.returncode, 0)
            self.assertIn(want, wrong.stderr)
        self.assertIn("nosuch", self.ctl("watch", "nosuch").stderr)
        done = self.ctl("watch", "localhost", "--interval", "100ms", "--for", "60s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("every 100ms", done.stdout)
        s.wait_until("far more than a scrape a second", lambda: (st.value('count_over_time(up{job="node"}[5s])') or 0) > 15)
        stopped = self.ctl("watch", "localhost", "--stop")
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        s.wait_until("a scrape a second again", lambda: (st.value('count_over_time(up{job="node"}[5s])') or 99) <= 6)


if __name__ == "__main__":
    xml_unittest.main()
