"""Mail through real SMTP on loopback: STARTTLS, PLAIN, LOGIN and CRAM-MD5, a relay that says 'later', and
one that offers no TLS where it is required."""
import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

USER, PASSWORD = "olga", "pass word+1"

CONFIG = """
global: {{smtp_from: 'Vedette <alerts@example.com>', smtp_hello: hub.example.com}}
route:
  receiver: tls
  group_wait: 1s
  group_interval: 20s
  routes:
  - {{matchers: [way="tls"], receiver: tls}}
  - {{matchers: [way="login"], receiver: login}}
  - {{matchers: [way="cram"], receiver: cram}}
  - {{matchers: [way="later"], receiver: later}}
  - {{matchers: [way="none"], receiver: none}}
receivers:
- name: tls
  email_configs:
  - to: 'Ops <ops@example.com>, dev@example.com'
    smarthost: 'localhost:{tls}'
    auth_username: {user}
    auth_password: '{password}'
    tls_config: {{ca_file: cert.pem}}
    text: 'in words: {{{{ .GroupLabels.alertname }}}}'
    headers: {{Subject: 'Über {{{{ .CommonLabels.instance }}}}'}}
- name: login
  email_configs: [{{to: ops@example.com, smarthost: '127.0.0.1:{login}', require_tls: false, auth_username: {user}, auth_password: '{password}'}}]
- name: cram
  email_configs: [{{to: ops@example.com, smarthost: '127.0.0.1:{cram}', require_tls: false, auth_username: {user}, auth_secret: '{password}'}}]
- name: later
  email_configs: [{{to: ops@example.com, smarthost: '127.0.0.1:{later}', require_tls: false}}]
- name: none
  email_configs: [{{to: ops@example.com, smarthost: '127.0.0.1:{none}'}}]
"""


class Relay:
    """Speaks as much SMTP as a relay must. `auth`: what it offers; `later`: so many 451 first."""

    def __init__(self, auth="", tls=None, later=0):
        self.taken, self.sessions, self.later = [], 0, later
        relay = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")
                self.wfile.flush()

            def line(self):
                return self.rfile.readline(70000).decode("latin1").rstrip("\r\n")

            def login(self, words):
                if words[1] == "PLAIN":
                    text = words[2] if len(words) > 2 else (self.say("334 "), self.line())[1]
                    _, user, password = base64.b64decode(text).decode().split("\0")
                    return (user, password) == (USER, PASSWORD)
                if words[1] == "LOGIN":
                    user = words[2] if len(words) > 2 else (self.say("334 VXNlcm5hbWU6"), self.line())[1]
                    self.say("334 UGFzc3dvcmQ6")
                    return [base64.b64decode(x).decode() for x in (user, self.line())] == [USER, PASSWORD]
                challenge = b"<1.2@relay>"
                self.say("334 " + base64.b64encode(challenge).decode())
                user, digest = base64.b64decode(self.line()).decode().split(" ")
                return user == USER and digest == hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()

            def handle(self):
                relay.sessions += 1
                mail, secure = {"tls": False, "auth": None, "to": []}, False
                self.say("220 relay ESMTP")
                while True:
                    line = self.line()
                    words = line.split(" ")
                    verb = words[0].upper()
                    if verb == "EHLO":
                        mail["hello"] = words[1]
                        offers = ["relay", "8BITMIME"] + (["AUTH " + auth] if auth else [])
                        offers += ["STARTTLS"] if tls and not secure else []
                        for i, o in enumerate(offers):
                            self.say(("250 " if i == len(offers) - 1 else "250-") + o)
                    elif verb == "STARTTLS" and tls:
                        self.say("220 go")
                        self.connection = tls.wrap_socket(self.connection, server_side=True)
                        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                        secure = mail["tls"] = True
                    elif verb == "AUTH":
                        good = self.login(words)
                        mail["auth"] = words[1] if good else "wrong"
                        self.say("235 ok" if good else "535 no")
                    elif verb == "MAIL":
                        mail["from"] = line[10:]
                        if relay.later > 0:
                            relay.later -= 1
                            self.say("451 later")
                        else:
                            self.say("250 ok")
                    elif verb == "RCPT":
                        mail["to"].append(line[8:])
                        self.say("250 ok")
                    elif verb == "DATA":
                        self.say("354 go")
                        data = b""
                        while (l := self.rfile.readline(70000)) not in (b".\r\n", b""):
                            data += l[1:] if l.startswith(b"..") else l
                        mail["message"] = email.message_from_bytes(data, policy=email.policy.default)
                        relay.taken.append(mail)
                        self.say("250 taken")
                    elif verb == "QUIT" or not line:
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Mail(unittest.TestCase):
    def test_every_way_to_a_relay(self):
        with stack.Stack() as s:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                            f"{s.work}/key.pem", "-out", f"{s.work}/cert.pem"], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{s.work}/cert.pem", f"{s.work}/key.pem")
            relays = {"tls": Relay("PLAIN LOGIN", tls=context), "login": Relay("LOGIN"), "cram": Relay("CRAM-MD5"),
                      "later": Relay(later=1), "none": Relay()}
            with open(f"{s.work}/am.yml", "w") as f:
                f.write(CONFIG.format(user=USER, password=PASSWORD, **{k: r.port for k, r in relays.items()}))
            with open(f"{s.work}/p.yml", "w") as f:
                f.write("global: {evaluation_interval: 1h}\n")
            port = stack.free_port()
            url = f"http://127.0.0.1:{port}"
            s.programs.append(stack.Program("server", [
                stack.SERVER, f"--config.file={s.work}/p.yml", f"--alertmanager.config.file={s.work}/am.yml",
                f"--storage.tsdb.path={s.work}/data", f"--web.listen-address=127.0.0.1:{port}"], s.work))
            stack.wait_until("the server", lambda: stack.http_json(url + "/api/v2/status"), timeout=120)
            body = json.dumps([{"labels": {"alertname": "A", "way": way, "instance": "straße <1>"},
                                "annotations": {"summary": ".\n.dots & <tags>"}} for way in relays]).encode()
            urllib.request.urlopen(urllib.request.Request(
                url + "/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}), timeout=30).read()
            for way in ("tls", "login", "cram", "later"):
                stack.wait_until(way, lambda: relays[way].taken)  # noqa: B023
            tls = relays["tls"].taken[0]
            self.assertEqual((tls["tls"], tls["auth"], tls["hello"]), (True, "PLAIN", "hub.example.com"))
            self.assertEqual(tls["to"], ["<ops@example.com>", "<dev@example.com>"])
            self.assertEqual(tls["from"].split(" ")[0], "<alerts@example.com>")
            self.assertEqual(tls["message"]["Subject"], "Über straße <1>")
            text, html = tls["message"].iter_parts()
            self.assertEqual(text.get_content().strip(), "in words:")
            self.assertIn("straße &lt;1&gt;", html.get_content())
            self.assertIn("&lt;tags&gt;", html.get_content())
            self.assertEqual(relays["login"].taken[0]["auth"], "LOGIN")
            self.assertEqual(relays["cram"].taken[0]["auth"], "CRAM-MD5")
            self.assertEqual(relays["later"].sessions, 2, "a 451 is tried again")
            # TLS was required and not offered: nothing went out, and history says why.
            failed = stack.wait_until("the failure", lambda: [
                e for e in stack.http_json(url + "/api/v1/history/notifications")["data"]
                if e["receiver"] == "none"])
            self.assertEqual(failed[0]["outcome"], "failed")
            self.assertIn("STARTTLS", failed[0]["error"])
            self.assertEqual(relays["none"].taken, [])


if __name__ == "__main__":
    xml_unittest.main()
