"""Who may do what, agents and running queries, in a real Chromium: a server that asks for a password, with an
agent of its own."""

import json
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.error

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import AGENT, WebTest, free_port  # noqa: E402

# Of the password "look", at bcrypt's lowest cost.
HASH = "$2b$04$abcdefghijklmnopqrstuuGrx/tTPJ.4b3OesYY.uiK4aodfIuBOe"
OPERATOR, VIEWER = "olga:look", "vera:look"
RULES = """groups:
- name: g
  interval: 1s
  rules: [{alert: AlwaysFiring, expr: vector(1), labels: {severity: critical}}]
"""
BOARD = {"uid": "small", "title": "Small one", "panels": []}
# Everything that a viewer would be refused, by page.
BUTTONS = {
    "/alerts": "[data-silence-link]",
    "/": "a[href*='/silences/new']",
    "/alerting": "[data-silence-filter], a[href*='/silences/new']",
    "/silences": "a[href*='/silences/new'], [data-expire]",
    "/dashboards": "[data-upload], [data-delete]",
    "/queries": "[data-kill]",
}
# Many seconds of sorting, or more than the server's patience on a slow machine.
SLOW = " + ".join("quantile_over_time(0.%d, sin(vector(time()))[10000s:1s])" % i for i in range(1, 9))


class AccessTest(WebTest):
    user = OPERATOR
    rules = RULES

    @classmethod
    def prepare(cls):
        with open(cls.home + "/web.yml", "w") as f:
            f.write("basic_auth_users: {olga: '%s', vera: '%s'}\nbasic_auth_roles: {vera: viewer}\n" % (HASH, HASH))
        cls.args = ["--web.config.file=" + cls.home + "/web.yml"]
        cls.agent_port = free_port()
        agent = subprocess.Popen([AGENT, "--grpc.insecure", "--grpc.listen-address=127.0.0.1:%d" % cls.agent_port, "--web.listen-address=127.0.0.1:%d" % free_port()],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cls.home)
        cls.addClassCleanup(lambda: (agent.terminate(), agent.wait(60)))
        cls.config = ("global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n- job_name: node\n  scheme: grpc\n  tls_config: {insecure_skip_verify: true}\n"
                      "  static_configs: [{targets: ['127.0.0.1:%d']}]\n" % cls.agent_port)

    def setUp(self):
        super().setUp()
        self.until(lambda: json.load(self.fetch("/api/v2/alerts")), "an alert")

    def slow_query(self):
        """Asks what takes long; says what became of it."""
        outcome = []

        def run():
            now = int(time.time())
            try:
                self.api("query_range", query=SLOW, start=now - 10000, end=now, step=1)
                outcome.append(200)
            except urllib.error.HTTPError as e:
                outcome.append(e.code)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, outcome

    def test_the_server_says_the_role(self):
        for user, role in ((OPERATOR, "operator"), (VIEWER, "viewer")):
            with self.fetch("/api/v1/features", user=user) as answer:
                self.assertEqual(json.load(answer)["data"]["vedette"]["role"], role)

    def test_a_viewer_is_refused_and_sees_no_button_that_would_be(self):
        self.post("/api/dashboards/db", {"dashboard": BOARD, "overwrite": True})
        now = time.time()
        iso = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        silence = {"matchers": [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}], "startsAt": iso(now), "endsAt": iso(now + 3600), "createdBy": "x", "comment": "y"}
        ident = self.post("/api/v2/silences", silence)["silenceID"]
        for path, method, body in (("/api/v2/silences", "POST", silence), ("/api/v2/silence/" + ident, "DELETE", None), ("/api/dashboards/db", "POST", {"dashboard": BOARD}),
                                   ("/api/dashboards/uid/small", "PUT", BOARD), ("/api/dashboards/uid/small", "DELETE", None), ("/api/v1/queries/1/kill", "POST", {})):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.fetch(path, body, method, user=VIEWER)
            self.assertEqual(refused.exception.code, 403, path)
        # What only looks is not refused.
        self.assertEqual(self.fetch("/api/v1/rehearse", {"rules": RULES}, user=VIEWER).status, 200)
        self.assertEqual(self.fetch("/api/v2/silences/preview", silence, user=VIEWER).status, 200)
        thread = None
        try:
            for path, selector in BUTTONS.items():
                with self.subTest(path):
                    if path == "/queries":
                        thread, _ = self.slow_query()
                    operator = self.open(path)
                    operator.wait("document.querySelector(%s)" % json.dumps(selector))
                    viewer = self.open(path, user=VIEWER)
                    settled = "document.querySelector('[data-page]') && !document.querySelector('[aria-busy=true]')"
                    if path == "/queries":
                        settled = "document.querySelector('[data-query]')"
                    viewer.wait(settled)
                    viewer.wait("[...performance.getEntriesByType('resource')].some(e => e.name.endsWith('/features') && e.responseEnd > 0)")
                    viewer.wait("!document.querySelector(%s)" % json.dumps(selector))
        finally:
            self.kill_all()
            if thread:
                thread.join(60)
            self.fetch("/api/v2/silence/" + ident, method="DELETE")

    def kill_all(self):
        queries = self.api("queries")["data"]
        for q in queries if isinstance(queries, list) else queries["queries"]:
            try:
                self.fetch("/api/v1/queries/%s/kill" % q["id"], {}, "POST")
            except urllib.error.HTTPError:
                pass  # It has ended by itself.

    def test_a_running_query_is_seen_and_ended(self):
        thread, outcome = self.slow_query()
        page = self.open("/queries")
        page.wait("document.querySelector('[data-query]')?.textContent.includes('quantile_over_time')")
        page.click("[data-query] [data-kill]")
        thread.join(90)
        self.assertFalse(thread.is_alive())
        self.assertNotEqual(outcome, [200])
        page.wait("document.querySelector('[data-queries=\"0\"]')")

    def test_agents_show_version_collectors_and_filled_gaps(self):
        self.until(lambda: self.api("query", query="vedette_collector_success == 1")["data"]["result"], "collectors")
        self.stop_server()
        time.sleep(3)  # The gap itself: what the agent takes meanwhile is fetched afterwards.
        self.start_server()
        agent = lambda: [t for t in self.api("targets", state="active")["data"]["activeTargets"] if t.get("snapshotsFilled")]
        self.until(agent, "a filled gap")
        page = self.open("/agents")
        page.wait("document.querySelector('[data-agent][data-health=up]')")
        page.wait(r"/0\.\d+\.\d+/.test(document.querySelector('[data-agent]').cells[2].textContent)")
        page.wait("Number(document.querySelector('[data-agent]').cells[6].firstChild.textContent) > 0")
        page.click("[data-agent] .expand")
        page.wait("[...document.querySelectorAll('.collector.ok')].some(e => e.textContent.includes('meminfo'))")

    def test_a_dashboard_is_deleted_after_a_question(self):
        self.post("/api/dashboards/db", {"dashboard": dict(BOARD, uid="gone", title="To go"), "overwrite": True})
        page = self.open("/dashboards")
        page.click("[data-delete=gone]")
        page.click("[data-delete-now]")
        page.wait("!document.querySelector('[data-delete=gone]')")
        with self.assertRaises(urllib.error.HTTPError):
            self.fetch("/api/dashboards/uid/gone")


if __name__ == "__main__":
    unittest.main()
