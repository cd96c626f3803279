"""Alerts in a real Chromium: checks 15 to 17 of the design of the web interface, and what surrounds them:
evidence, history, silences in hours of the week, the rehearsal of an edited rule."""

import http.server
import json
import os
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import Exposition, WebTest  # noqa: E402

RULES = """groups:
- name: shop
  interval: 1s
  rules:
  - alert: AlwaysFiring
    expr: vector(1)
    labels: {severity: critical}
    annotations: {summary: '<img src=x onerror=alert(1)>', runbook_url: 'javascript:alert(1)'}
  - alert: Switched
    expr: switch > 0.5
    labels: {severity: warning}
    annotations: {summary: 'switched to {{ $value }}'}
""" + "".join("  - alert: Quiet%02d\n    expr: up > %d\n    for: 5m\n    labels: {severity: info}\n" % (i, 100 + i) for i in range(28))
ALERTMANAGER = """route:
  receiver: team
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes: [{matchers: ['severity="warning"'], receiver: nobody}]
receivers:
- name: team
  webhook_configs: [{url: 'http://HOOK/'}]
- name: nobody
  webhook_configs: [{url: 'http://127.0.0.1:1/'}]
"""


class Hook(http.server.ThreadingHTTPServer):
    """Takes webhooks and says thanks."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class AlertsTest(WebTest):
    rules = RULES
    switch = 0

    @classmethod
    def prepare(cls):
        cls.target = Exposition(lambda: "switch %d\n" % AlertsTest.switch)
        cls.addClassCleanup(cls.target.shutdown)
        cls.hook = Hook()
        cls.addClassCleanup(cls.hook.shutdown)
        cls.config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n- job_name: target\n  static_configs: [{targets: ['%s']}]\n" % cls.target.address
        with open(cls.home + "/alertmanager.yml", "w") as f:
            f.write(ALERTMANAGER.replace("HOOK", cls.hook.address))
        cls.args = ["--alertmanager.config.file=" + cls.home + "/alertmanager.yml"]

    def setUp(self):
        super().setUp()
        AlertsTest.switch = 0
        self.until(lambda: any(a["labels"]["alertname"] == "AlwaysFiring" and a["status"]["state"] != "unprocessed" for a in json.load(self.fetch("/api/v2/alerts"))), "an alert")

    def silences(self):
        return [s for s in json.load(self.fetch("/api/v2/silences")) if s["status"]["state"] != "expired"]

    def tearDown(self):
        for s in self.silences():
            self.fetch("/api/v2/silence/" + s["id"], method="DELETE")
        super().tearDown()

    def test_15_a_firing_alert_appears_without_a_reload(self):
        page = self.open("/alerts")
        page.wait("document.querySelector('[data-alert=Switched][data-state=inactive]')")
        page.eval("window.same = true")
        AlertsTest.switch = 1
        page.wait("document.querySelector('[data-alert=Switched][data-state=firing]')")
        AlertsTest.switch = 0
        page.wait("document.querySelector('[data-alert=Switched][data-state=inactive]')")
        self.assertTrue(page.eval("window.same"))

    def test_15_thirty_rules_on_two_pages(self):
        page = self.open("/alerts")
        page.wait("document.querySelectorAll('[data-alert]').length === 30")
        lowest = page.eval("Math.max(...[...document.querySelectorAll('[data-alert]')].map(e => e.getBoundingClientRect().bottom))")
        self.assertLess(lowest, 2 * 860, "30 rules take more than two pages")

    def test_15_an_opened_alert_shows_its_evidence_and_markup_is_text(self):
        page = self.open("/alerts")
        page.click("[data-alert=AlwaysFiring] .expand")
        page.wait("document.querySelector('[data-evidence=\"1\"] canvas')")
        page.wait("[...document.querySelectorAll('[data-alert-state=firing]')].some(e => e.textContent.includes('onerror') && e.textContent.includes('javascript:alert'))")
        self.assertEqual(page.eval("document.querySelectorAll('main img, main a[href^=javascript]').length"), 0)

    def test_16_an_alert_is_silenced_with_a_preview(self):
        page = self.open("/alerts")
        page.click("[data-alert-state=firing] [data-silence-link]")
        page.wait("document.querySelector('[aria-label=Matchers]')?.value.includes('AlwaysFiring')")
        page.wait("document.querySelector('[data-silence-preview=\"1\"]')?.textContent.includes('AlwaysFiring')")
        self.fill(page, "Author", "me")
        self.fill(page, "Comment", "because")
        page.wait("!document.querySelector('.silence-form [type=submit]').disabled")
        page.click(".silence-form [type=submit]")
        page.wait("document.querySelector('[data-silence][data-state=active]')")
        sent = [json.loads(b) for r, b in zip(page.requests, page.bodies) if r == "POST %s/api/v2/silences" % self.base]
        self.assertEqual({m["name"] for m in sent[0]["matchers"]}, {"alertname", "severity"})
        self.assertTrue(all(m["isEqual"] and not m["isRegex"] for m in sent[0]["matchers"]))
        for key in ("startsAt", "endsAt", "createdBy", "comment"):
            self.assertIn(key, sent[0])
        self.until(lambda: any(a["labels"]["alertname"] == "AlwaysFiring" and a["status"]["silencedBy"] for a in json.load(self.fetch("/api/v2/alerts"))), "silenced")
        page.open(self.base + "/alerting")
        page.wait("document.querySelector('[data-alert-state=suppressed]')?.textContent.includes('silenced')")
        page.open(self.base + "/silences")
        page.click("[data-silence][data-state=active] [data-expire]")
        page.wait("!document.querySelector('[data-silence][data-state=active]')")

    def test_17_a_filter_becomes_the_matchers_of_a_silence(self):
        page = self.open("/alerting?filter=" + urllib.parse.quote('{severity="critical", alertname=~"Always.*"}'))
        page.click("[data-silence-filter]")
        page.wait("document.querySelector('[aria-label=Matchers]')?.value === 'severity=\"critical\", alertname=~\"Always.*\"'")
        self.fill(page, "Author", "me")
        self.fill(page, "Comment", "because")
        page.wait("!document.querySelector('.silence-form [type=submit]').disabled")
        page.click(".silence-form [type=submit]")
        page.wait("document.querySelector('[data-silence]')")
        self.assertEqual(sorted((m["name"], m["value"], m["isRegex"], m["isEqual"]) for m in self.silences()[0]["matchers"]),
                         [("alertname", "Always.*", True, True), ("severity", "critical", False, True)])

    def test_a_silence_in_hours_of_the_week(self):
        page = self.open("/silences/new?filter=" + urllib.parse.quote('{severity="critical"}'))
        page.wait("document.querySelector('[data-silence-preview=\"1\"]')")
        page.click("[data-recurring]")
        self.fill(page, "From", "22:00")
        self.fill(page, "Reminder", "1h")
        self.fill(page, "Author", "me")
        self.fill(page, "Comment", "weekends")
        page.wait("!document.querySelector('.silence-form [type=submit]').disabled")
        page.click(".silence-form [type=submit]")
        page.wait("document.querySelector('[data-silence]')?.textContent.includes('every saturday, sunday, 22:00 to 24:00')")
        made = self.silences()[0]
        self.assertEqual(made["recurrence"]["weekdays"], ["saturday", "sunday"])
        self.assertEqual(made["recurrence"]["times"], [{"start_time": "22:00", "end_time": "24:00"}])

    def test_history_says_what_was_sent_and_what_fired(self):
        AlertsTest.switch = 1
        page = self.open("/alerting?view=sent")
        page.wait("document.querySelector('[data-outcome=sent]')?.textContent.includes('team')")
        page.wait("[...document.querySelectorAll('[data-outcome=failed]')].some(e => e.textContent.includes('nobody') && e.textContent.includes('127.0.0.1:1'))")
        AlertsTest.switch = 0
        page.open(self.base + "/alerting?view=fired&filter=" + urllib.parse.quote('{alertname="Switched"}'))
        page.wait("document.querySelector('[data-event=resolved]')?.textContent.includes('Switched')")
        self.assertFalse(page.eval("[...document.querySelectorAll('[data-event]')].some(e => e.textContent.includes('AlwaysFiring'))"))
        page.click("[data-event] a")
        page.wait("location.pathname.endsWith('/query') && location.search.includes('switch')")

    def test_an_edited_rule_is_rehearsed_beside_the_old_one(self):
        page = self.open("/alerts?search=AlwaysFiring")
        page.click("[data-alert=AlwaysFiring] .expand")
        page.click("[data-rehearse-link]")
        page.wait("document.querySelector('[aria-label=Rules]')?.value.includes('AlwaysFiring')")
        text = page.eval("document.querySelector('[aria-label=Rules]').value")
        self.fill(page, "Rules", text.replace("vector(1)", "vector(1) > 2"))
        self.fill(page, "How far back", "1m")
        page.click("[data-rehearse]")
        page.wait("document.querySelector('[data-rehearsed=\"0\"][data-rehearsed-before=\"1\"]')?.textContent.includes('no longer')")
        self.fill(page, "Rules", "groups: [")
        page.click("[data-rehearse]")
        page.wait("document.querySelector('[role=alert]')?.textContent.includes('rules')")


if __name__ == "__main__":
    unittest.main()
