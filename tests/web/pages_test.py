"""The other pages in a real Chromium: checks 13, 14, 18 and 23 to 25 of the design of the web interface,
the last ones also behind a route prefix."""

import json
import os
import sys
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import WebTest  # noqa: E402

CONFIG = """global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs:
- job_name: self
  metrics_path: PREFIX/metrics
  static_configs: [{targets: ['SELF']}]
- job_name: gone
  static_configs: [{targets: ['127.0.0.1:1']}]
- job_name: some
  static_configs: [{targets: ['127.0.0.1:2']}]
  relabel_configs: [{source_labels: [__address__], regex: '.*', action: drop}]
"""
RULES = """groups:
- name: g
  interval: 1s
  rules:
  - alert: AlwaysFiring
    expr: vector(1)
    labels: {severity: critical}
    annotations: {summary: '<img src=x onerror=alert(1)>'}
"""
BOARD = """{ "uid": "small", "title": "Small one",  "schemaVersion": 39, "panels": [
 {"id": 7, "type": "stat", "title": "Seven", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 6},
  "targets": [{"refId": "A", "expr": "vector(7) * 1024"}], "fieldConfig": {"defaults": {"unit": "bytes"}, "overrides": []}}]}
"""
PAGES = ["/", "/query?g0.expr=up&g0.tab=graph", "/query?g0.expr=up&g0.tab=table", "/query?g0.expr=up&g0.tab=explain", "/query?g0.expr=up&g0.tab=raw", "/alerting?view=sent", "/alerting?view=fired", "/silences/new", "/dashboards", "/d/small", "/alerts", "/rules", "/alerting", "/silences", "/rehearse",
         "/targets", "/service-discovery", "/agents", "/status", "/tsdb-status", "/queries", "/flags", "/config", "/alertmanager-discovery"]
SETTLED = "document.querySelector('[data-page]') && !document.querySelector('[aria-busy=true]')"
AXE = os.path.join(os.environ.get("VEDETTE_WEB", ""), "node_modules", "axe-core", "axe.min.js")


class PagesTest(WebTest):
    args = ["--web.enable-admin-api"]
    config = CONFIG
    rules = RULES

    @classmethod
    def prepare(cls):
        cls.config = CONFIG
        with open(cls.home + "/boards/small.json", "w") as f:
            f.write(BOARD)

    def setUp(self):
        super().setUp()
        self.until_drawn("up{job='self'}", 1)

    def test_13_targets_filter_and_say_why(self):
        self.until(lambda: any(t["lastError"] for t in self.api("targets")["data"]["activeTargets"]), "a failed scrape")
        page = self.open("/targets?health=down")
        page.wait("document.querySelector('[data-target]')")
        self.assertEqual(page.eval("[...document.querySelectorAll('[data-target]')].map(e => e.dataset.target)"), ["127.0.0.1:1"])
        self.assertTrue(page.eval("document.querySelector('[data-target] .bad-text').textContent"))
        page.open(self.base + "/targets?search=job%3Dself")
        page.wait("[...document.querySelectorAll('[data-target]')].length === 1")

    def test_14_discovery_shows_labels_and_what_dropped_them(self):
        page = self.open("/service-discovery")
        page.wait("document.querySelector('[data-dropped=true]')")
        self.assertIn("__address__", page.eval("document.querySelector('[data-dropped=true]').textContent"))
        page.wait("/rule 1: drop __address__/.test(document.querySelector('[data-drop-reason]')?.dataset.dropReason)")
        # What was kept shows what it was found with and what it became.
        page.wait("[...document.querySelectorAll('[data-dropped=false]')].some(r => r.textContent.includes('__scrape_interval__') && r.lastElementChild.textContent.includes('instance='))")
        page.click("[data-dropped=true] [data-steps]")
        page.wait("document.querySelector('[data-relabel-steps=\"1\"] [data-keep=false]')")

    def test_18_cardinality_is_what_the_api_says(self):
        page = self.open("/tsdb-status")
        page.wait("document.querySelector('[data-top=\"Series by metric\"] tbody tr')")
        shown = page.eval("[...document.querySelectorAll('[data-top=\"Series by metric\"] tbody tr')].map(r => r.cells[0].textContent.trim())")
        want = [c["name"] for c in self.api("status/tsdb")["data"]["seriesCountByMetricName"]]
        self.assertEqual(sorted(shown), sorted(want))
        page.click("[data-top=\"Series by metric\"] tbody a")
        page.wait("location.pathname.endsWith('/query') && location.search.includes('g0.expr=')")

    def test_levels_are_what_the_api_says(self):
        self.fetch("/api/v1/admin/tsdb/clean_tombstones", method="POST").close()  # Writes the memory tables out.
        self.until(lambda: self.api("status/tsdb")["data"]["store"]["levels"], "tables in RocksDB")
        page = self.open("/tsdb-status")
        page.wait("document.querySelector('[data-levels] [data-level]')")
        shown = page.eval("[...document.querySelectorAll('[data-level]')].map(r => r.dataset.level)")
        self.assertTrue(shown)
        for level in self.api("status/tsdb")["data"]["store"]["levels"]:
            self.assertGreater(level["files"], 0)
            self.assertGreater(level["bytes"], 0)
        self.assertIn("held back", page.eval("document.querySelector('[data-levels]').textContent"))

    def test_costs_are_what_the_api_says(self):
        page = self.open("/tsdb-status?cost=job")
        page.wait("document.querySelector('[data-cost=job] [data-cost-row=self]')")
        want = {r["name"]: r["series"] for r in self.api("status/cost", by="job")["data"]["rows"]}
        shown = page.eval("Object.fromEntries([...document.querySelectorAll('[data-cost-row]')].map(r => [r.dataset.costRow, Number(r.cells[1].textContent.replace(/\\D/g, ''))]))")
        self.assertEqual(set(shown), set(want))
        self.assertEqual(shown["gone"], want["gone"])
        # By label name, and from there to the values of one.
        page.open(self.base + "/tsdb-status?cost=label")
        page.click("[data-cost-row=job] button")
        page.wait("location.search.includes('label=job') && document.querySelector('[data-cost-row=self]')")

    def test_23_the_theme_follows_the_system_and_a_choice_stays(self):
        page = self.open("/status", theme="dark")
        page.wait("document.documentElement.dataset.theme === 'dark'")
        page.click("[data-theme-toggle]")
        page.wait("document.documentElement.dataset.theme === 'light'")
        page.open(self.base + "/flags")
        page.wait("document.documentElement.dataset.theme === 'light'")
        page = self.open("/status", theme="light")
        page.wait("document.documentElement.dataset.theme === 'light'")

    def test_24_every_page_draws_and_fits_a_telephone(self):
        page = self.open(PAGES[0])
        for path in PAGES:
            with self.subTest(path):
                page.size(1360, 860)
                page.open(self.base + path)
                page.wait(SETTLED)
                self.assertEqual(self.texts(page, "[role=alert]"), [])
                self.assertTrue(page.eval("document.title"))
                # 360 px wide, and 200 % zoom of the usual width: the page itself does not scroll sideways.
                for width in () if self.prefix else (360, 680):
                    page.size(width, 760)
                    page.wait("document.documentElement.clientWidth <= %d" % width)
                    over = page.eval("document.documentElement.scrollWidth - innerWidth")
                    self.assertLessEqual(over, 1, "%s is %d px too wide for %d" % (path, over, width))

    def test_23_axe_finds_nothing_serious(self):
        if not os.path.exists(AXE):
            self.skipTest("no axe-core: needs web/node_modules (npm ci)")
        with open(AXE) as f:
            axe = f.read()
        for theme in ("dark", "light"):
            page = self.open(PAGES[0], theme=theme)
            for path in PAGES:
                with self.subTest(path + " " + theme):
                    page.open(self.base + path)
                    page.wait(SETTLED)
                    page.eval(axe + "; 0")
                    found = page.eval("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then(r => r.violations"
                                      ".filter(v => v.impact === 'serious' || v.impact === 'critical')"
                                      ".map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')))")
                    self.assertEqual(found, [])

    def test_25_a_dashboard_opens_by_keys_alone(self):
        page = self.open("/status")
        page.wait("document.querySelector('[data-page=status]')")
        page.key("k", 2)
        page.wait("document.querySelector('.palette-input') === document.activeElement")
        # All there is has come when the metrics are there.
        page.wait("document.querySelectorAll('.palette li').length > 20")
        page.text("Small one")
        page.wait("document.querySelector('.palette [aria-selected=true]')?.textContent.includes('Small one')")
        page.key("Enter")
        page.wait("location.pathname.endsWith('/d/small')")
        self.panel(page, "7", "ok")

    def test_25_a_server_that_goes_and_comes_back(self):
        page = self.open("/targets")
        page.wait("document.querySelector('[data-target]')")
        self.stop_server()
        try:
            page.wait("document.querySelector('[data-offline]')")
            self.assertTrue(page.eval("!!document.querySelector('[data-target]')"))
        finally:
            self.start_server()
        page.wait("!document.querySelector('[data-offline]')")
        page.wait("document.querySelector('[data-target]')")


class PrefixTest(PagesTest):
    """The same behind --web.route-prefix; what does not depend on addresses is not asked twice."""
    prefix = "/x"
    test_23_axe_finds_nothing_serious = None
    test_25_a_server_that_goes_and_comes_back = None

    def test_the_root_leads_to_the_prefix(self):
        page = self.browser.page()
        self.pages.append(page)
        page.open("http://127.0.0.1:%d/" % self.port)
        page.wait("location.pathname === '/x/'")

    def test_old_addresses_lead_to_the_right_page(self):
        for old, new in (("/graph?g0.expr=up", "/x/query"), ("/new/alerts", "/x/alerts"), ("/classic/targets", "/x/targets"), ("/alerting/list", "/x/alerting"),
                         ("/#/alerts?filter=%7Ba%3D%22b%22%7D", "/x/alerting"), ("/#/silences/new?filter=%7Ba%3D%22b%22%7D", "/x/silences/new"), ("/dashboard/db/small-one", "/x/d/small-one")):
            with self.subTest(old):
                page = self.open(old)
                page.wait("location.pathname === %s && document.querySelector('[data-page]')" % json.dumps(new))


if __name__ == "__main__":
    unittest.main()
