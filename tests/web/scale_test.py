"""Many of everything: 10,000 targets, 50,000 metric names, 5,000 alerts, 200 series of 1,000 points. What must
hold is asserted (rows, filters, few elements in the document); how long it takes, and the budgets of the
design of the web interface, are printed into this test's log, because a busy machine is slow."""

import json
import os
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import Exposition, WebTest, query  # noqa: E402

TARGETS, NAMES, ALERTS = 10000, 50000, 5000


def say(text):
    print("BUDGET " + text, flush=True)


class ScaleTest(WebTest):
    @classmethod
    def prepare(cls):
        body = "".join("metric_%05d_total 1\n" % i for i in range(NAMES - 1)) + "".join('many{i="%d"} 1\n' % i for i in range(ALERTS))
        cls.many = Exposition(lambda: body)
        cls.addClassCleanup(cls.many.shutdown)
        # A day between scrapes: 10,000 targets of this host that are hardly ever asked, and refuse.
        with open(cls.home + "/targets.json", "w") as f:
            json.dump([{"targets": ["127.9.%d.%d:1" % (i // 256, i % 256) for i in range(TARGETS - 2)], "labels": {"env": "prod"}}], f)
        cls.config = ("global: {scrape_interval: 5s, evaluation_interval: 1s}\nscrape_configs:\n- job_name: many\n  scrape_interval: 15s\n  scrape_timeout: 15s\n  sample_limit: 100000\n  static_configs: [{targets: ['%s']}]\n"
                      "- job_name: self\n  static_configs: [{targets: ['SELF']}]\n"
                      "- job_name: idle\n  scrape_interval: 1d\n  scrape_timeout: 1s\n  file_sd_configs: [{files: [%s/targets.json]}]\n" % (cls.many.address, cls.home))
        cls.rules = "groups:\n- name: g\n  interval: 5s\n  rules:\n  - alert: Many\n    expr: last_over_time(many[30m])\n"

    def nodes(self, page):
        return page.eval("document.querySelectorAll('*').length")

    def cost(self, page):
        return {m["name"]: m["value"] for m in page.call("Performance.getMetrics")["metrics"]}

    def measured(self, page, what, true):
        begun = time.monotonic()
        page.wait(true, 120)
        say("%s: %.2f s, %d elements" % (what, time.monotonic() - begun, self.nodes(page)))

    def test_13_ten_thousand_targets(self):
        self.until(lambda: len(self.api("targets", state="active")["data"]["activeTargets"]) == TARGETS, "targets", 120)
        page = self.open("/targets")
        self.measured(page, "first row of 10,000 targets", "document.querySelector('[data-target]')")
        self.assertLess(self.nodes(page), 2000)
        page.wait("document.body.textContent.includes('of 10000 up')")
        page.eval("document.querySelector('[data-search]').focus()")
        page.text("127.9.33.7:1")
        page.wait("[...document.querySelectorAll('[data-target]')].map(e => e.dataset.target).join() === '127.9.33.7:1'")
        page.eval("scrollTo(0, document.body.scrollHeight)")
        self.assertLess(self.nodes(page), 2000)

    def test_10_fifty_thousand_metric_names(self):
        self.until(lambda: len(self.api("label/__name__/values")["data"]) >= NAMES, "names", 120)
        page = self.open("/query")
        page.click("[aria-label='Metric explorer']")
        self.measured(page, "metric explorer of 50,000 names", "document.querySelector('.metric-row')")
        self.assertLess(self.nodes(page), 2000)
        page.eval("document.querySelector('dialog [data-search]').focus()")
        before = self.cost(page)["TaskDuration"]
        page.text("04242")
        page.wait("document.querySelectorAll('.metric-row').length === 1 && document.querySelector('.metric-row').textContent.includes('metric_04242_total')")
        say("filter of 50,000 names: %.0f ms of the page's thread" % (1000 * (self.cost(page)["TaskDuration"] - before)))
        self.assertLess(self.nodes(page), 2000)

    def test_11_two_hundred_series(self):
        self.until(lambda: len(self.api("query", query="many")["data"]["result"]) == ALERTS, "many", 120)
        now = int(time.time())
        page = self.open("/status")
        page.wait("document.querySelector('[data-page=status]')")
        expr = "sum by (i) (label_replace(many{i=~\"1?[0-9]{1,2}\"} @ %d, \"x\", \"\", \"\", \"\")) * scalar(sin(vector(time() / 97)))" % now
        page.open(self.base + query(expr, more="&g0.range_input=1000s&g0.res_type=fixed&g0.res_step=1"))
        self.measured(page, "200 series of 1,000 points, from address to painted", "document.querySelector('[data-panel-state=ok] [data-series-count=\"200\"] canvas')")
        x, y, w, h = page.eval("(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()")
        before = self.cost(page)["TaskDuration"]
        for i in range(60):
            page.mouse("mouseMoved", x + w * (0.2 + 0.01 * i), y + h * 0.5)
        page.eval("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        say("60 moves of the mouse over 200 series: %.1f ms each" % (1000 * (self.cost(page)["TaskDuration"] - before) / 60))
        self.assertTrue(page.eval("!document.querySelector('.chart-tip').hidden && document.querySelectorAll('.tip-row').length <= 13"))

    def test_15_five_thousand_alerts(self):
        self.until(lambda: len(self.api("alerts")["data"]["alerts"]) >= ALERTS, "alerts", 120)
        page = self.open("/alerts")
        self.measured(page, "a rule with 5,000 alerts", "document.querySelector('[data-alert=Many][data-state=firing]')")
        self.assertLess(self.nodes(page), 2500)
        page.click("[data-alert=Many] .expand")
        page.wait("document.querySelectorAll('[data-alert-state=firing]').length >= 20")
        self.assertLess(self.nodes(page), 4000)

    def test_budgets_of_bytes(self):
        with urllib.request.urlopen(self.base + "/") as answer:
            index = answer.read().decode()

        def size(path, coding):
            request = urllib.request.Request(self.base + "/" + path, headers={"Accept-Encoding": coding})
            with urllib.request.urlopen(request) as answer:
                return len(answer.read())

        for path, wanted in (("/query", "document.querySelector('.cm-content')"), ("/d/none", "document.querySelector('[data-page]')")):
            page = self.open(path)
            page.wait(wanted)
            assets = sorted({r.split(self.base + "/")[1].split("?")[0] for r in page.requests if "/assets/" in r})
            js = {a: size(a, "gzip") for a in assets if a.endswith(".js")}
            editor = sum(v for a, v in js.items() if "codemirror" in a)
            css = sum(size(a, "gzip") for a in assets if a.endswith(".css"))
            say("%s: JavaScript %.1f kB gz without the editor, editor %.1f kB gz, CSS %.1f kB gz; all %.1f kB gz, %.1f kB br" % (
                path, (sum(js.values()) - editor) / 1000, editor / 1000, css / 1000, (sum(js.values()) + css) / 1000,
                sum(size(a, "br") for a in assets if not a.endswith("woff2")) / 1000))
            self.assertLess(sum(js.values()) - editor, 60000 if path == "/query" else 90000)
            self.assertLess(css, 15000)
            self.assertLess(editor, 150000)
        self.assertIn("<base", index)
        page = self.open("/query")
        page.wait("performance.getEntriesByName('first-contentful-paint').length")
        say("first contentful paint of /query: %.0f ms" % page.eval("performance.getEntriesByName('first-contentful-paint')[0].startTime"))


if __name__ == "__main__":
    unittest.main()
