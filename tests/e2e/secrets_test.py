"""Plants secrets wherever a configuration has room for one, makes every one of them be used (and fail, so that
errors are written), and searches for them in pages, API answers, metrics, logs and the data directory."""
import http.server
import os
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

SECRETS = {name: f"pl4nted-{name}-s3cret" for name in (
    "basic", "bearer", "urluser", "file", "rwpassword", "rwurl", "rwheader", "slack", "webhook", "pagerduty", "oauth",
    "mysql", "sigv4", "proxy", "param")}

PATHS = """/ /targets /api/v1/status/config /api/v1/status/flags /api/v1/status/runtimeinfo /api/v1/targets
/api/v1/targets?state=any /api/v1/targets/metadata /api/v1/scrape_pools /api/v1/scrape_pools/config?scrapePool=basic
/api/v1/alertmanagers /api/v1/rules /api/v1/alerts /api/v1/status/tsdb /api/v2/status /api/v2/receivers /api/v2/alerts
/metrics /api/v1/series?match[]={__name__=~".%2B"} /api/v1/labels /federate?match[]={__name__=~".%2B"} /api/v1/metadata
/api/v1/status/self_metrics /api/v1/notifications""".split()


class Redirect(http.server.BaseHTTPRequestHandler):
    """A target that sends whoever asks to another host, and that host, which keeps what it was told."""
    told = []

    def do_GET(self):
        if self.path.startswith("/start"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/elsewhere")
            self.end_headers()
            return
        Redirect.told.append(str(self.headers))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"moved 1\n")

    def log_message(self, *args):
        pass


class Secrets(unittest.TestCase):
    def setUp(self):
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        self.redirect = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
        threading.Thread(target=self.redirect.serve_forever, daemon=True).start()
        self.addCleanup(self.redirect.shutdown)

    def test_none_is_found_anywhere(self):
        st, x, port = self.stack, SECRETS, s.free_port()
        st.write("secret-file", x["file"] + "\n")
        st.write("rules.yml", "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}]\n")
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: basic
    basic_auth: {{username: u, password: {x['basic']}}}
    params: {{api_token: [{x['param']}], module: [shown]}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  - job_name: bearer
    authorization: {{credentials: {x['bearer']}}}
    proxy_url: http://u:{x['proxy']}@127.0.0.1:{port}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  - job_name: file
    authorization: {{credentials_file: secret-file}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  - job_name: oauth
    oauth2: {{client_id: i, client_secret: {x['oauth']}, token_url: 'http://127.0.0.1:{port}/t'}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  - job_name: moved
    metrics_path: /start
    basic_auth: {{username: u, password: {x['basic']}}}
    static_configs: [{{targets: ['127.0.0.1:{self.redirect.server_address[1]}']}}]
  - job_name: discovered
    http_sd_configs: [{{url: 'http://u:{x['urluser']}@127.0.0.1:{port}/sd', refresh_interval: 1s}}]
remote_write:
  - url: http://u:{x['rwurl']}@127.0.0.1:{port}/w
    headers: {{X-Token: {x['rwheader']}}}
  - url: http://127.0.0.1:{port}/w2
    basic_auth: {{username: u, password: {x['rwpassword']}}}
  - url: http://127.0.0.1:{port}/w3
    sigv4: {{region: r, access_key: a, secret_key: {x['sigv4']}}}
""")
        alerts = st.write("alertmanager.yml", f"""
route: {{receiver: all, group_wait: 1s, group_interval: 1s}}
receivers:
  - name: all
    slack_configs: [{{api_url: 'http://127.0.0.1:{port}/services/{x['slack']}', channel: c}}]
    webhook_configs: [{{url: 'http://127.0.0.1:{port}/hook/{x['webhook']}'}}]
    pagerduty_configs: [{{routing_key: {x['pagerduty']}, url: 'http://127.0.0.1:{port}/pd'}}]
""")
        st.write("mysql-password", x["mysql"])
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        agent = st.agent(f"--mysql.address=127.0.0.1:{port};user=u;password-file={st.path('mysql-password')}")
        server = st.server(config, f"--alertmanager.config.file={alerts}", "--log.level=debug")
        s.wait_until("everything has been tried", lambda: all(
            t["health"] != "unknown" for t in st.api("/api/v1/targets")["data"]["activeTargets"]) and Redirect.told)
        time.sleep(3)  # Notifications and remote writes fail meanwhile, and say so.
        found, shown = [], ""

        def search(where, text):
            found.extend(f"{name} in {where}" for name, value in SECRETS.items() if value in text)
        for path in PATHS:
            try:
                text = st.get_text(f"http://127.0.0.1:{st.http}{path}")
                search(path, text)
                shown += text
            except urllib.error.HTTPError as e:
                search(path, e.read().decode(errors="replace"))
        for path in ("/", "/metrics"):
            search("agent " + path, st.get_text(f"http://127.0.0.1:{st.agent_http}{path}"))
        for program in (agent, server):
            search(program.name + "'s log", program.text())
            with open(f"/proc/{program.process.pid}/cmdline", errors="replace") as f:
                search(program.name + "'s command line", f.read())
        server.stop()
        for folder, _, names in os.walk(st.path("data")):
            for name in names:
                with open(os.path.join(folder, name), errors="replace") as f:
                    search(f"data/{name}", f.read())
        self.assertEqual(found, [])
        self.assertIn("module=shown", shown)
        # What was meant for one host is not told to the next.
        self.assertNotIn("Authorization", "".join(Redirect.told))


if __name__ == "__main__":
    xml_unittest.main()
