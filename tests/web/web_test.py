"""The page, in a real Chromium, from a real vedette-server. What is numbered is a check of the design
of the web interface. Skipped, with a reason, where there is no Chromium."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser, find_chromium  # noqa: E402

SERVER = os.environ.get("VEDETTE_SERVER", "server/vedette-server")
DASHBOARDS = os.environ.get("VEDETTE_DASHBOARDS", "dashboards")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@unittest.skipIf(find_chromium() is None, "no chromium on this machine")
class WebTest(unittest.TestCase):
    prefix = ""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="vedette-web-")
        cls.port = free_port()
        cls.base = "http://127.0.0.1:%d%s" % (cls.port, cls.prefix)
        with open(cls.home + "/rules.yml", "w") as f:
            f.write("groups:\n- name: g\n  interval: 1s\n  rules:\n"
                    "  - alert: AlwaysFiring\n    expr: vector(1)\n    labels: {severity: critical}\n"
                    "    annotations: {summary: '<img src=x onerror=alert(1)>'}\n")
        with open(cls.home + "/config.yml", "w") as f:
            f.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s/rules.yml]\n"
                    "scrape_configs:\n- job_name: self\n  metrics_path: %s/metrics\n"
                    "  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
                    "- job_name: gone\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
                    "- job_name: some\n  static_configs: [{targets: ['127.0.0.1:2']}]\n"
                    "  relabel_configs: [{source_labels: [__address__], regex: '.*', action: drop}]\n"
                    % (cls.home, cls.prefix, cls.port))
        boards = cls.home + "/boards"
        shutil.copytree(DASHBOARDS, boards)
        os.chmod(boards, 0o755)
        with open(boards + "/small.json", "w") as f:
            f.write('{ "uid": "small", "title": "Small one",  "schemaVersion": 39, "panels": ['
                    '{"id": 7, "type": "stat", "title": "Seven", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 6},'
                    ' "targets": [{"refId": "A", "expr": "vector(7) * 1024"}],'
                    ' "fieldConfig": {"defaults": {"unit": "bytes"}, "overrides": []}},'
                    '{"id": 8, "type": "no-such-panel", "title": "Odd", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}},'
                    '{"id": 9, "type": "timeseries", "repeat": "which", "title": "$which", "gridPos": {"x": 0, "y": 6, "w": 24, "h": 6},'
                    ' "targets": [{"refId": "A", "expr": "vector($which)"}]}],'
                    ' "templating": {"list": [{"name": "which", "type": "custom", "query": "1,2,3", "multi": true,'
                    ' "current": {"value": ["1", "2"], "text": ["1", "2"]}}]}}\n')
        cls.start_server()
        cls.browser = Browser()

    @classmethod
    def start_server(cls):
        args = [SERVER, "--config.file=" + cls.home + "/config.yml", "--storage.tsdb.path=" + cls.home + "/data",
                "--web.listen-address=127.0.0.1:%d" % cls.port, "--web.dashboards=" + cls.home + "/boards"]
        if cls.prefix:
            args.append("--web.route-prefix=" + cls.prefix)
        cls.log = open(cls.home + "/log", "ab")
        cls.server = subprocess.Popen(args, stdout=cls.log, stderr=cls.log)
        until = time.monotonic() + 20
        while True:
            try:
                if cls.api("query", query="count(up)")["data"]["result"]:
                    return
            except OSError:
                pass
            if time.monotonic() > until:
                raise AssertionError(open(cls.home + "/log").read())
            time.sleep(0.1)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.server.terminate()
        cls.server.wait(20)
        cls.log.close()
        shutil.rmtree(cls.home, ignore_errors=True)

    @classmethod
    def api(cls, path, **params):
        with urllib.request.urlopen(cls.base + "/api/v1/" + path + "?" + urllib.parse.urlencode(params)) as answer:
            return json.load(answer)

    def open(self, path):
        page = self.browser.page()
        page.open(self.base + path)
        self.pages.append(page)
        return page

    def setUp(self):
        self.pages = []

    # Check 24: no page error, no CSP violation, no request that leaves the origin, in every test.
    def tearDown(self):
        for page in self.pages:
            self.assertEqual(page.errors, [])
            origin = "http://127.0.0.1:%d/" % self.port
            foreign = [r for r in page.requests if not re.match(r"\w+ (data:|blob:|about:|" + re.escape(origin) + ")", r)]
            self.assertEqual(foreign, [])

    def panel(self, page, name, state, timeout=15):
        page.wait("document.querySelector('[data-panel-id=\"%s\"][data-panel-state=\"%s\"]')" % (name, state), timeout)

    def test_01_an_old_graph_address_ends_on_the_graph(self):
        page = self.open("/graph?g0.expr=up&g0.tab=0&g0.range_input=1h")
        self.panel(page, "g0", "ok")
        self.assertTrue(page.eval("location.pathname").endswith("/query"))
        self.assertTrue(page.wait("(() => { const c = document.querySelector('.uplot canvas'); if (!c) return false;"
                                  " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
                                  " return d.some((v, i) => i % 4 === 3 && v > 0); })()"))

    def test_02_the_table_is_what_the_api_says(self):
        page = self.open("/query?g0.expr=" + urllib.parse.quote("vector(42.5)") + "&g0.tab=1")
        self.panel(page, "g0", "ok")
        rows = page.eval("[...document.querySelectorAll('.result tbody tr')].map(r => r.lastElementChild.textContent)")
        self.assertEqual(rows, ["42.5"])

    def test_03_two_panels_live_in_the_address(self):
        page = self.open("/query?g0.expr=up&g1.expr=" + urllib.parse.quote("vector(1)"))
        self.panel(page, "g0", "ok")
        self.panel(page, "g1", "ok")
        page.click("[data-add-panel]")
        page.wait("document.querySelectorAll('[data-panel-id]').length === 3")
        page.open(page.eval("location.href"))
        page.wait("document.querySelectorAll('[data-panel-id]').length === 3")

    def test_05_an_error_has_the_servers_words_and_its_place(self):
        page = self.open("/query?g0.expr=" + urllib.parse.quote("sum(up") + "&g0.tab=1")
        self.panel(page, "g0", "error")
        self.assertIn("parse error", page.eval("document.querySelector('[role=alert]').textContent"))

    def test_06_a_drag_zooms_and_back_restores(self):
        page = self.open("/query?g0.expr=up&g0.tab=graph&g0.range_input=1h")
        self.panel(page, "g0", "ok")
        before = page.eval("location.search")
        x, y, w = page.wait("(() => { const e = document.querySelector('.u-over'); if (!e) return null;"
                            " const r = e.getBoundingClientRect(); return [r.x, r.y + r.height / 2, r.width]; })()")
        page.drag(x + w * 0.4, y, x + w * 0.6, y)
        page.wait("location.search.includes('end_input')")
        self.panel(page, "g0", "ok")
        page.eval("history.back()")
        page.wait("location.search === %s" % json.dumps(before))

    def test_07_statistics_stand_beside_every_answer(self):
        page = self.open("/query?g0.expr=up&g0.tab=graph")
        self.panel(page, "g0", "ok")
        self.assertRegex(page.wait("document.querySelector('[data-query-stats]').textContent"), r"series · step \d+s.* ms")

    def test_08_explain_shows_the_tree_with_counts(self):
        page = self.open("/query?g0.tab=explain&g0.expr=" + urllib.parse.quote("sum by (job) (rate(up[5m])) / on (job) up"))
        page.wait("document.querySelectorAll('[data-tree-node]').length >= 4")
        page.wait("[...document.querySelectorAll('[data-tree-count]')].every(e => /series|error/.test(e.textContent))")

    def test_13_targets_filter_and_say_why(self):
        page = self.open("/targets?health=down")
        page.wait("document.querySelector('[data-target]')")
        self.assertEqual(page.eval("[...document.querySelectorAll('[data-target]')].map(e => e.dataset.target)"), ["127.0.0.1:1"])
        self.assertTrue(page.eval("document.querySelector('[data-target] .bad-text').textContent"))

    def test_14_discovery_shows_what_was_dropped(self):
        page = self.open("/service-discovery")
        page.wait("document.querySelector('[data-dropped=true]')")

    def test_15_a_firing_alert_appears_and_markup_in_it_is_text(self):
        page = self.open("/alerts")
        page.wait("document.querySelector('[data-alert=AlwaysFiring][data-state=firing]')")
        page.click("[data-alert=AlwaysFiring] .expand")
        page.wait("document.body.textContent.includes('onerror')")
        self.assertFalse(page.eval("!!document.querySelector('main img')"))

    def test_19_a_dashboard_of_the_directory_opens(self):
        page = self.open("/d/vedette-self?from=now-5m&to=now")
        self.panel(page, "1", "ok")
        self.assertEqual(page.eval("document.querySelectorAll('[data-panel-state=error]').length"), 0)

    def test_21_repeats_and_unknown_panels(self):
        page = self.open("/d/small?from=now-5m&to=now")
        self.panel(page, "7", "ok")
        self.assertEqual(page.eval("document.querySelector('[data-panel-id=\"7\"] [data-panel-value]').textContent"), "7 KiB")
        self.panel(page, "8", "error")
        self.assertEqual(page.eval("[...document.querySelectorAll('[data-panel-id=\"9\"]')].map(e => e.dataset.panelRepeat)"), ["1", "2"])
        page.open(self.base + "/d/small?var-which=3")
        page.wait("document.querySelectorAll('[data-panel-id=\"9\"]').length === 1")

    def test_22_the_download_is_the_file(self):
        with urllib.request.urlopen(self.base + "/api/dashboards/uid/small/raw") as answer:
            got = answer.read()
        with open(self.home + "/boards/small.json", "rb") as f:
            self.assertEqual(got, f.read())

    def test_23_the_theme_follows_the_system_and_a_choice_stays(self):
        page = self.open("/status")
        page.wait("document.documentElement.dataset.theme === 'dark'")
        page.wait("document.querySelector('[data-theme-toggle]')")
        page.click("[data-theme-toggle]")
        page.wait("document.documentElement.dataset.theme === 'light'")
        page.open(self.base + "/flags")
        page.wait("document.documentElement.dataset.theme === 'light'")

    def test_25_a_dashboard_opens_by_keys_alone(self):
        page = self.open("/status")
        page.wait("document.querySelector('[data-page=status]')")
        page.key("k", 2)
        page.wait("document.querySelector('.palette-input') === document.activeElement")
        page.text("Small one")
        page.wait("[...document.querySelectorAll('.palette li')].some(e => e.textContent.includes('Small one'))")
        page.key("Enter")
        page.wait("location.pathname.endsWith('/d/small')")
        self.panel(page, "7", "ok")

    def test_all_pages_draw(self):
        for path in ("/", "/rules", "/alerting", "/silences", "/tsdb-status", "/flags", "/config", "/dashboards",
                     "/alertmanager-discovery"):
            page = self.open(path)
            page.wait("document.querySelector('[data-page]') && !document.querySelector('[aria-busy=true]')")
            self.assertEqual(page.eval("document.querySelectorAll('[role=alert]').length"), 0, path)


class PrefixTest(WebTest):
    prefix = "/x"


if __name__ == "__main__":
    unittest.main()
