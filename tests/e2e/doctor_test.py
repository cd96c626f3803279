"""vedettectl doctor on a stack with something wrong everywhere, and on a healthy one; and the password
that hash-password makes is the one that the door takes."""
import base64
import gzip
import os
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Doctor(unittest.TestCase):
    def setUp(self):
        self.stack = st = s.Stack()
        self.addCleanup(st.close)
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        st.issue("agent", "short", None, "--days", "3")

    def doctor(self, *args, url=None):
        done = subprocess.run([s.CTL, "doctor", "--url", url or f"http://127.0.0.1:{self.stack.http}", *args],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def config(self, targets, rule):
        st = self.stack
        st.write("rules.yml", f"groups: [{{name: g, interval: 1s, rules: [{{alert: A, expr: '{rule}'}}]}}]\n")
        return st.write("prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: [{targets}]}}]
""")

    def test_what_is_wrong_is_found_and_has_a_remedy(self):
        st = self.stack
        port = s.free_port()
        am = st.write("am.yml", "route: {receiver: a}\nreceivers: [{name: a, pagerduty_configs: "
                      f"[{{routing_key: k, url: 'http://127.0.0.1:{port}/'}}]}}]\n")
        os.makedirs(st.path("dashboards"))
        st.write("dashboards/d.json", '{"uid": "u", "title": "Mine", "panels": [{"type": "timeseries", "targets": '
                 '[{"expr": "rate(no_such_total{job=~\\"$job\\"}[$__rate_interval])"}]}]}')
        st.server(self.config(f"'127.0.0.1:{s.free_port()}'", "nod_load1 > 1"), f"--alertmanager.config.file={am}",
                  f"--web.dashboards={st.path('dashboards')}")
        s.wait_until("the target is down", lambda: st.value("up") == 0)
        code, text = self.doctor("--certificate", f"{st.tls}/short.crt", "--certificate", "/nowhere.crt", "--data", st.work)
        self.assertEqual(code, 1, text)
        for line in ("ok    server: healthy", "FAIL  targets: 1 of 1 down", "Couldn't connect", "warn  metric names:",
                     "nod_load1 (A)", "2 days left", "/nowhere.crt cannot be read", "ok    disk:", "ok    clock:",
                     f"warn  receivers: not reached from here: 127.0.0.1:{port}: Connection refused",
                     "warn  dashboards:", "Mine: 1 (no_such_total)"):
            self.assertIn(line, text)
        self.assertGreaterEqual(text.count("      -> "), 3)

    def test_a_healthy_stack_has_nothing_to_say(self):
        st = self.stack
        st.agent()
        st.server(self.config(f"'127.0.0.1:{st.agent_http}'", "node_load1 > 1000"))
        s.wait_until("the target is up", lambda: st.value("up") == 1 and st.value("node_load1") is not None)
        code, text = self.doctor("--certificate", f"{st.tls}/server.crt")
        self.assertNotIn("FAIL", text)
        self.assertEqual(code, 0, text)

    def test_no_server_is_one_failure(self):
        self.stack.http = s.free_port()
        code, text = self.doctor()
        self.assertEqual(code, 1)
        self.assertIn("FAIL  server:", text)

    def test_a_door_with_tls_and_a_password_says_what_is_missing(self):
        st = self.stack
        done = subprocess.run([s.CTL, "hash-password", "--cost", "4"], input="open sesame\n", capture_output=True,
                              text=True, check=True)
        web = st.write("web.yml", f"tls_server_config: {{cert_file: {st.tls}/server.crt, key_file: {st.tls}/server.key}}\n"
                       f"basic_auth_users: {{admin: '{done.stdout.strip()}'}}\n")
        st.http = s.free_port()
        p = st.run("server", [s.SERVER, f"--config.file={self.config('', 'up == 0')}", f"--storage.tsdb.path={st.path('data')}",
                              f"--web.listen-address=127.0.0.1:{st.http}", f"--web.config.file={web}"])
        s.wait_until("the server listens", lambda: "msg=ready" in p.text())
        st.write("right", "open sesame\n")
        st.write("wrong", "sesame\n")
        https, ca = f"https://127.0.0.1:{st.http}", ["--ca", f"{st.tls}/ca.crt"]

        def user(password):
            return ["--username", "admin", "--password-file", st.path(password)]
        for url, args, words in ((None, user("right"), "https://"), (https, user("right"), "--ca FILE"),
                                 (https, ca, "give --username and --password-file"),
                                 (https, ca + user("wrong"), "it refuses this user")):
            code, text = self.doctor(*args, url=url)
            self.assertEqual(code, 1, text)
            self.assertIn(words, text)
            self.assertEqual(text.count("FAIL"), 1, text)
        _, text = self.doctor(*ca, *user("right"), url=https)
        self.assertNotIn("FAIL", text)

    def test_the_hash_of_a_password_opens_the_door(self):
        st = self.stack
        done = subprocess.run([s.CTL, "hash-password", "--cost", "4"], input="open sesame\n", capture_output=True,
                              text=True, check=True)
        web = st.write("web.yml", f"basic_auth_users: {{admin: '{done.stdout.strip()}', vera: '{done.stdout.strip()}'}}\n"
                       "basic_auth_roles: {vera: viewer}\n")
        st.http = s.free_port()
        st.run("server", [s.SERVER, f"--config.file={self.config('', 'up == 0')}", f"--storage.tsdb.path={st.path('data')}",
                          f"--web.listen-address=127.0.0.1:{st.http}", f"--web.config.file={web}", "--web.enable-lifecycle"])

        def status(password):
            token = base64.b64encode(f"admin:{password}".encode()).decode()
            request = urllib.request.Request(f"http://127.0.0.1:{st.http}/-/ready", headers={"Authorization": "Basic " + token})
            try:
                with urllib.request.urlopen(request, timeout=20) as r:
                    return r.status
            except urllib.error.HTTPError as e:
                return e.code
        s.wait_until("the right password", lambda: status("open sesame") == 200)
        request = urllib.request.Request(f"http://127.0.0.1:{st.http}/api/v1/query?query=up", headers={
            "Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        self.assertEqual(refused.exception.code, 401)
        # A viewer reads and queries, and changes nothing; an operator does.
        def code(user, path, data=None):
            token = base64.b64encode(f"{user}:open sesame".encode()).decode()
            request = urllib.request.Request(f"http://127.0.0.1:{st.http}{path}", data=data,
                                             headers={"Authorization": "Basic " + token})
            try:
                with urllib.request.urlopen(request, timeout=20) as r:
                    return r.status
            except urllib.error.HTTPError as e:
                return e.code
        self.assertEqual(code("vera", "/api/v1/query?query=1"), 200)
        self.assertEqual(code("vera", "/api/v1/query", b"query=1"), 200)
        self.assertEqual(code("vera", "/-/reload", b""), 403)
        self.assertEqual(code("vera", "/api/v1/admin/tsdb/snapshot", b""), 403)
        self.assertEqual(code("admin", "/-/reload", b""), 200)
        # Profiles and the level of the log are the operator's, too.
        self.assertEqual(code("vera", "/debug/pprof/profile?seconds=1"), 403)
        self.assertEqual(code("vera", "/-/log-level?level=debug", b""), 403)
        self.assertEqual(code("admin", "/-/log-level?level=loud", b""), 400)
        self.assertEqual(code("admin", "/-/log-level?level=debug", b""), 200)
        token = base64.b64encode(b"admin:open sesame").decode()
        request = urllib.request.Request(f"http://127.0.0.1:{st.http}/debug/pprof/profile?seconds=1",
                                         headers={"Authorization": "Basic " + token, "X-Request-Id": "profile-1"})
        with urllib.request.urlopen(request, timeout=60) as r:
            self.assertIn(b"nanoseconds", gzip.decompress(r.read()))
            self.assertEqual(r.headers["X-Request-Id"], "profile-1")
        # At debug level every request is a line, by its id.
        s.wait_until("the request is in the log", lambda: "request_id=profile-1" in st.programs[-1].text())
        # web.yml is looked at again at every request: vera is gone at once.
        st.write("web.yml", f"basic_auth_users: {{admin: '{done.stdout.strip()}'}}\n")
        self.assertEqual(code("vera", "/api/v1/query?query=1"), 401)
        self.assertEqual(code("admin", "/api/v1/query?query=1"), 200)
        empty = subprocess.run([s.CTL, "hash-password"], input="\n", capture_output=True, text=True, check=False)
        self.assertNotEqual(empty.returncode, 0)


if __name__ == "__main__":
    xml_unittest.main()
