"""Explore in a real Chromium: checks 1 to 12 of the design of the web interface, by their numbers."""

import json
import os
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import Exposition, WebTest, query  # noqa: E402

NODE = """# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="user"} %d
node_cpu_seconds_total{cpu="0",mode="idle"} %d
"""
PAINTED = ("(() => { const c = document.querySelector('.uplot canvas'); if (!c || !c.width) return false;"
           " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
           " return d.some((v, i) => i % 4 === 3 && v > 0); })()")


class ExploreTest(WebTest):
    @classmethod
    def prepare(cls):
        begun = time.time()
        cls.node = Exposition(lambda: NODE % (time.time() - begun, 3 * (time.time() - begun)))
        cls.addClassCleanup(cls.node.shutdown)
        cls.config = ("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: node\n"
                      "  static_configs: [{targets: ['%s']}]\n" % cls.node.address)

    def setUp(self):
        super().setUp()
        self.until_drawn("up")

    def editor(self, page):
        page.wait("document.querySelector('.cm-content')")
        page.click(".cm-content")

    def test_01_an_old_graph_address_ends_on_the_graph(self):
        page = self.open("/graph?g0.expr=up&g0.tab=0&g0.range_input=1h")
        self.panel(page, "g0", "ok")
        self.assertTrue(page.eval("location.pathname").endswith("/query"))
        page.wait(PAINTED)

    def test_02_the_table_is_what_the_api_says(self):
        page = self.open(query("up", "1"))
        self.panel(page, "g0", "ok")
        want = [(s["metric"]["instance"], s["value"][1]) for s in self.api("query", query="up")["data"]["result"]]
        rows = page.eval("[...document.querySelectorAll('.result tbody tr')].map(r => [r.cells[0].textContent, r.lastElementChild.textContent])")
        self.assertEqual(len(rows), len(want))
        for instance, value in want:
            self.assertTrue(any('instance="%s"' % instance in r[0] and r[1] == value for r in rows), rows)

    def test_03_panels_live_in_the_address(self):
        page = self.open("/query?g0.expr=up&g1.expr=" + urllib.parse.quote("vector(1)"))
        self.panel(page, "g0", "ok")
        self.panel(page, "g1", "ok")
        page.click("[data-add-panel]")
        page.wait("document.querySelectorAll('[data-panel-id]').length === 3")
        page.open(page.eval("location.href"))
        page.wait("document.querySelectorAll('[data-panel-id]').length === 3")

    def test_04_completion_knows_metrics_labels_and_values(self):
        page = self.open("/query")
        self.editor(page)
        page.type("node_cpu_se")
        page.wait("[...document.querySelectorAll('.cm-tooltip-autocomplete li')].some(e => e.textContent.includes('node_cpu_seconds_total'))")
        page.wait("document.querySelector('.cm-tooltip-autocomplete').textContent.includes('counter')")
        page.key("Escape")
        page.type("conds_total{mo")
        page.wait("[...document.querySelectorAll('.cm-tooltip-autocomplete li')].some(e => e.textContent.includes('mode'))")
        page.key("Escape")
        page.type('de="')
        page.wait("[...document.querySelectorAll('.cm-tooltip-autocomplete li')].some(e => e.textContent.includes('idle'))")

    def test_05_an_error_has_the_servers_words_and_its_place(self):
        page = self.open(query("sum(up) +* 2", "1"))
        self.panel(page, "g0", "error")
        self.assertIn("parse error", page.eval("document.querySelector('[role=alert]').textContent"))
        page.wait("document.querySelector('[data-error-at]')")

    def test_06_a_drag_zooms_and_back_restores(self):
        page = self.open(query("up", more="&g0.range_input=5m"))
        self.panel(page, "g0", "ok")
        page.wait(PAINTED)
        before = page.eval("location.search")
        x, y, w = page.wait("(() => { const r = document.querySelector('.u-over').getBoundingClientRect();"
                            " return r.width > 100 && [r.x, r.y + r.height / 2, r.width]; })()")
        page.drag(x + w * 0.4, y, x + w * 0.6, y)
        page.wait("location.search.includes('end_input')")
        page.wait("/step 1s/.test(document.querySelector('[data-query-stats]')?.textContent)")
        page.eval("history.back()")
        page.wait("location.search === %s" % json.dumps(before))

    def test_07_statistics_stand_beside_every_answer(self):
        page = self.open(query("up"))
        self.panel(page, "g0", "ok")
        page.wait(r"/\d+ series · step \d+\w.* ms/.test(document.querySelector('[data-query-stats]').textContent)")

    def test_08_explain_shows_the_tree_with_counts(self):
        page = self.open(query("sum by (job) (rate(node_cpu_seconds_total[5m])) / on (job) up", "explain"))
        page.wait("document.querySelectorAll('[data-tree-node]').length >= 4")
        page.wait("[...document.querySelectorAll('[data-tree-count]')].every(e => /series|error/.test(e.textContent))")
        self.assertFalse(any("error" in t for t in self.texts(page, "[data-tree-count]")))

    def test_09_history_stays_and_can_be_cleared(self):
        page = self.open("/query")
        for expr in ("vector(1)", "vector(2)", "vector(3)"):
            page.open(self.base + query(expr, "table"))
            self.panel(page, "g0", "ok")
        page.open(self.base + "/query")
        self.editor(page)
        for want in ("vector(3)", "vector(2)", "vector(1)"):
            page.key("ArrowUp")
            page.wait("document.querySelector('.cm-content').textContent === %s" % json.dumps(want))
        page.click("[aria-label=History]")
        page.wait("document.querySelectorAll('.menu-body .mono').length >= 3")
        page.click(".menu-body .danger")
        page.click("[aria-label=History]")
        page.wait("document.querySelector('.menu-body').textContent.includes('Nothing asked yet')")

    def test_12_the_legend_has_the_colour_of_the_line_and_isolates(self):
        page = self.open(query("node_cpu_seconds_total", more="&g0.range_input=1m"))
        self.panel(page, "g0", "ok")
        page.wait("document.querySelectorAll('.legend-row').length === 2")
        page.wait(PAINTED)
        same = ("(() => { const rgb = c => { const x = document.createElement('canvas').getContext('2d'); x.fillStyle = c; x.fillRect(0, 0, 1, 1); return x.getImageData(0, 0, 1, 1).data; };"
                " const want = rgb(getComputedStyle(document.querySelector('.legend-row .swatch')).backgroundColor);"
                " const c = document.querySelector('.uplot canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
                " for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && Math.abs(d[i] - want[0]) < 6 && Math.abs(d[i + 1] - want[1]) < 6 && Math.abs(d[i + 2] - want[2]) < 6) return true; return false; })()")
        page.wait(same)
        page.click(".legend-row")
        page.wait("document.querySelector('[data-series-count]').dataset.seriesCount === '1'")
        page.click(".legend-row:nth-child(2)", modifiers=2)
        page.wait("document.querySelector('[data-series-count]').dataset.seriesCount === '2'")

    def test_raw_samples_are_those_that_were_scraped(self):
        page = self.open(query("up", "raw"))
        page.wait("Number(document.querySelector('[data-raw-samples]')?.dataset.rawSamples) >= 2")
        self.assertIn("up{", self.texts(page, "[data-raw]")[0])

    def test_live_asks_for_what_is_new_only(self):
        page = self.open(query("up", more="&g0.range_input=5m"))
        self.panel(page, "g0", "ok")
        page.click("[data-live]")
        page.wait("document.querySelector('[data-live]').dataset.live === 'on' && location.search.includes('refresh=live')")
        self.until(lambda: len([r for r in page.bodies if "query=up" in r]) >= 3, "three queries")
        spans = [dict(urllib.parse.parse_qsl(r)) for r in page.bodies if "query=up" in r]
        lengths = [float(s["end"]) - float(s["start"]) for s in spans]
        self.assertLess(min(lengths[1:]), lengths[0] / 4, lengths)
        self.panel(page, "g0", "ok")


if __name__ == "__main__":
    unittest.main()
