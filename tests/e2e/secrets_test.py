"""Plants secrets wherever a configuration has room for one, makes every one of them be used (and fail, so that
errors are written, by peers who answer with what they were asked), and searches for them in pages, API answers,
metrics, logs, the data directory and what vedettectl prints."""
import base64
import http.server
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

NAMES = """basic bearer urluser file rwpassword rwurl rwheader slack webhook pagerduty oauth mysql sigv4 proxy param
proxyheader header cookie endpointparam label relabel targeturl rrpassword ampassword consul dockertoken urltoken
slacktoken slackglobal smtppassword smtpsecret opsgenie victorops pushuser pushtoken telegram discord msteams msteamsv2
webex sns wechat jira rockettoken rocketid mattermost incidentio pagerdutyold webhookbasic webhookfile webhookquery
alarm appurl apppassword brokenurl""".split()
SECRETS = {name: f"pl4nted-{name}-s3cret" for name in NAMES}

PATHS = """/ /targets /config /alerts /status /api/v1/status/config /api/v1/status/flags /api/v1/status/runtimeinfo
/api/v1/targets /api/v1/targets?state=any /api/v1/targets/metadata /api/v1/scrape_pools
/api/v1/scrape_pools/config?scrapePool=basic /api/v1/scrape_pools/config?scrapePool=param /api/v1/alertmanagers
/api/v1/rules /api/v1/alerts /api/v1/status/tsdb /api/v2/status /api/v2/receivers /api/v2/alerts /api/v2/alerts/groups
/metrics /api/v1/series?match[]={__name__=~".%2B"} /api/v1/labels /federate?match[]={__name__=~".%2B"} /api/v1/metadata
/api/v1/status/self_metrics /api/v1/notifications /api/v1/history/alerts /api/v1/history/notifications
/api/v1/features /api/v1/openapi.yaml""".split()


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses everything with what it was asked: path, headers and body come back in the answer."""
    asked = set()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Echo.asked.add(self.path.split("?")[0].split("/")[1])
        text = (f"refused: {self.path} " + " ".join(f"{k}={v}" for k, v in self.headers.items())).encode() + body
        self.send_response(400)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args):
        pass


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


def prometheus_yml(x, port, redirect):
    target = f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
    return f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - basic_auth: {{username: u, password: {x['ampassword']}}}
      {target}
scrape_configs:
  - job_name: basic
    basic_auth: {{username: u, password: {x['basic']}}}
    {target}
  - job_name: param
    params: {{api_token: [{x['param']}], module: [shown]}}
    http_headers:
      X-Api-Key: {{values: [{x['header']}]}}
      Cookie: {{values: [{x['cookie']}]}}
    static_configs:
      - targets: ['127.0.0.1:{port}']
        labels: {{__param_auth_key: {x['label']}, __param_target: 'http://u:{x['targeturl']}@127.0.0.1/'}}
    relabel_configs:
      - {{target_label: __param_session, replacement: {x['relabel']}}}
  - job_name: bearer
    authorization: {{credentials: {x['bearer']}}}
    proxy_url: http://u:{x['proxy']}@127.0.0.1:{port}
    proxy_connect_header: {{X-Way: [{x['proxyheader']}]}}
    {target}
  - job_name: file
    authorization: {{credentials_file: secret-file}}
    {target}
  - job_name: oauth
    oauth2:
      {{client_id: i, client_secret: {x['oauth']}, token_url: 'http://127.0.0.1:{port}/t',
        endpoint_params: {{client_assertion: {x['endpointparam']}}}}}
    {target}
  - job_name: moved
    metrics_path: /start
    basic_auth: {{username: u, password: {x['basic']}}}
    static_configs: [{{targets: ['127.0.0.1:{redirect}']}}]
  - job_name: discovered
    http_sd_configs:
      - {{url: 'http://u:{x['urluser']}@127.0.0.1:{port}/sd?token={x['urltoken']}', refresh_interval: 1s}}
    consul_sd_configs: [{{server: '127.0.0.1:{port}', token: {x['consul']}, services: [a]}}]
    docker_sd_configs: [{{host: 'http://127.0.0.1:{port}', authorization: {{credentials: {x['dockertoken']}}}}}]
remote_write:
  - url: http://u:{x['rwurl']}@127.0.0.1:{port}/w
    headers: {{X-Token: {x['rwheader']}}}
  - url: http://127.0.0.1:{port}/w2
    basic_auth: {{username: u, password: {x['rwpassword']}}}
  - url: http://127.0.0.1:{port}/w3
    sigv4: {{region: r, access_key: a, secret_key: {x['sigv4']}}}
remote_read:
  - {{url: 'http://127.0.0.1:{port}/rr', basic_auth: {{username: u, password: {x['rrpassword']}}}}}
"""


def alertmanager_yml(x, port):
    at = f"http://127.0.0.1:{port}"
    return f"""
global:
  slack_api_url: '{at}/globalslack/{x['slackglobal']}'
  smtp_smarthost: 127.0.0.1:{port}
  smtp_from: a@example.org
  smtp_auth_username: u
  smtp_auth_password: {x['smtppassword']}
  smtp_auth_secret: {x['smtpsecret']}
  smtp_require_tls: false
route: {{receiver: all, group_wait: 1s, group_interval: 1s}}
receivers:
  - name: all
    slack_configs:
      - {{api_url: '{at}/services/{x['slack']}', channel: c}}
      - {{channel: c}}
      - {{app_token: {x['slacktoken']}, app_url: '{at}/slackapp', channel: c}}
    webhook_configs:
      - {{url: '{at}/hook/{x['webhook']}'}}
      - {{url: '{at}/hookbasic', http_config: {{basic_auth: {{username: u, password: {x['webhookbasic']}}}}}}}
      - {{url_file: webhook-url}}
      - {{url: '{at}/hookquery?sig={x['webhookquery']}'}}
    pagerduty_configs:
      - {{routing_key: {x['pagerduty']}, url: '{at}/pd'}}
      - {{service_key: {x['pagerdutyold']}, url: '{at}/pdold'}}
    email_configs: [{{to: b@example.org}}]
    opsgenie_configs: [{{api_key: {x['opsgenie']}, api_url: '{at}/opsgenie/'}}]
    victorops_configs: [{{api_key: {x['victorops']}, api_url: '{at}/victorops/', routing_key: r}}]
    pushover_configs: [{{user_key: {x['pushuser']}, token: {x['pushtoken']}}}]
    telegram_configs: [{{bot_token: {x['telegram']}, chat_id: 1, api_url: '{at}/telegram'}}]
    discord_configs: [{{webhook_url: '{at}/discord/{x['discord']}'}}]
    msteams_configs: [{{webhook_url: '{at}/msteams/{x['msteams']}'}}]
    msteamsv2_configs: [{{webhook_url: '{at}/msteamsv2/{x['msteamsv2']}'}}]
    webex_configs:
      - {{room_id: r, api_url: '{at}/webex', http_config: {{authorization: {{credentials: {x['webex']}}}}}}}
    sns_configs:
      - {{topic_arn: 'arn:aws:sns:r:1:t', api_url: '{at}/sns',
          sigv4: {{region: r, access_key: a, secret_key: {x['sns']}}}}}
    wechat_configs: [{{api_secret: {x['wechat']}, corp_id: c, api_url: '{at}/wechat/'}}]
    jira_configs:
      - {{api_url: '{at}/jira', project: P, issue_type: Bug,
          http_config: {{basic_auth: {{username: u, password: {x['jira']}}}}}}}
    rocketchat_configs: [{{token: {x['rockettoken']}, token_id: {x['rocketid']}, api_url: '{at}/rocket', channel: c}}]
    mattermost_configs: [{{webhook_url: '{at}/mattermost/{x['mattermost']}'}}]
    incidentio_configs: [{{url: '{at}/incidentio', alert_source_token: {x['incidentio']}}}]
"""


class Secrets(unittest.TestCase):
    def setUp(self):
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        self.found = []

    def serve(self, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def search(self, where, text):
        for name, value in SECRETS.items():
            # Neither as it is, nor as the password of a Basic header.
            if value in text or base64.b64encode(b"u:" + value.encode()).decode() in text:
                self.found.append(f"{name} in {where}: ...{text[max(0, text.find(value) - 60):][:120]!r}")

    def fetch(self, url):
        try:
            with urllib.request.urlopen(url, timeout=20) as r:
                return r.read().decode(errors="replace")
        except urllib.error.HTTPError as e:
            return e.read().decode(errors="replace")

    def ctl(self, *argv):
        done = subprocess.run([s.CTL, *argv], capture_output=True, text=True, check=False, timeout=60)
        self.search("vedettectl " + " ".join(argv), done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_none_is_found_anywhere(self):
        st, x = self.stack, SECRETS
        port, redirect = self.serve(Echo), self.serve(Redirect)
        st.write("secret-file", x["file"] + "\n")
        st.write("webhook-url", f"http://127.0.0.1:{port}/hookfile/{x['webhookfile']}\n")
        st.write("rules.yml", "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}]\n")
        config = st.write("prometheus.yml", prometheus_yml(x, port, redirect))
        alerts = st.write("alertmanager.yml", alertmanager_yml(x, port))
        st.write("mysql-password", x["mysql"])
        st.write("app-password", x["apppassword"])
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        agent = st.agent(f"--mysql.address=127.0.0.1:{port};user=u;password-file={st.path('mysql-password')}",
                         f"--app.endpoint=shop=http://u:{x['appurl']}@127.0.0.1:{port}/app",
                         f"--app.endpoint=till=http://127.0.0.1:{port}/till;username=u;"
                         f"password-file={st.path('app-password')}",
                         f"--alarm.webhook-url=http://127.0.0.1:{port}/alarm/{x['alarm']}", "--alarm.after=1s",
                         "--log.level=debug")
        server = st.server(config, f"--alertmanager.config.file={alerts}", "--log.level=debug")
        s.wait_until("every target has been tried", lambda: Redirect.told and all(
            t["health"] != "unknown" for t in st.api("/api/v1/targets")["data"]["activeTargets"]))
        # Everybody has been told, has refused, and was tried again: the errors are written.
        receivers = ("services globalslack slackapp hook hookbasic hookfile hookquery pd pdold opsgenie victorops "
                     "telegram discord msteams msteamsv2 webex sns wechat jira rocket mattermost incidentio").split()
        others = "w w2 w3 t sd v1 metrics app till alarm".split()
        s.wait_until("everybody has been asked", lambda: not set(receivers + others) - Echo.asked or
                     self.fail_with(set(receivers + others) - Echo.asked))
        s.wait_until("the failures are counted", lambda: "alertmanager_notifications_failed_total" in
                     st.get_text(f"http://127.0.0.1:{st.http}/metrics"))
        time.sleep(2)
        shown = ""
        for path in PATHS:
            text = self.fetch(f"http://127.0.0.1:{st.http}{path}")
            self.search(path, text)
            shown += text
        for path in ("/", "/metrics"):
            self.search("agent " + path, self.fetch(f"http://127.0.0.1:{st.agent_http}{path}"))

        at = f"http://127.0.0.1:{st.http}"
        self.ctl("doctor", "--url", at)
        self.ctl("check", "config", config)
        self.ctl("check", "alertmanager", alerts)
        self.ctl("routes", "show", "--url", at)
        report = self.ctl("import", "prometheus", "--config.file", config, "--alertmanager.config.file", alerts)
        self.assertIn("taken as it is", report)
        # A mistake beside a secret is told without it, on the command line, over HTTP and in the log.
        st.write("prometheus.yml", prometheus_yml(x, port, redirect).replace(
            f"http://127.0.0.1:{port}/w2", f"htp://u:{x['brokenurl']}@127.0.0.1/"))
        self.assertIn("not a URL", self.ctl("check", "config", config))
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(at + "/-/reload", method="POST"), timeout=20)
        self.search("/-/reload", refused.exception.read().decode())

        for program in (agent, server):
            self.search(program.name + "'s log", program.text())
        server.stop()
        agent.stop()
        for folder, _, names in os.walk(st.path("data")):
            for name in names:
                with open(os.path.join(folder, name), errors="replace") as f:
                    self.search(f"data/{name}", f.read())
        self.assertEqual(self.found, [], "\n".join(self.found))
        self.assertIn("module=shown", shown)
        # What was meant for one host is not told to the next.
        self.assertNotIn("Authorization", "".join(Redirect.told))

    def fail_with(self, missing):
        raise ValueError(f"nobody has asked {sorted(missing)}")


if __name__ == "__main__":
    xml_unittest.main()
