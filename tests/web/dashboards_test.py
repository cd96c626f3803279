"""Dashboards in a real Chromium: checks 19 to 22 of the design of the web interface, every panel type, and
hostile text wherever a file or a label can bring it."""

import json
import os
import shutil
import sys
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import CONFORMANCE, DASHBOARDS, Exposition, WebTest, query  # noqa: E402

# Twenty kinds of markup that would run a script where text is taken for a page.
HOSTILE = ["<script>boom()</script>", "<img src=x onerror=boom()>", "<svg onload=boom()>", "\"><script>boom()</script>", "'><img src=x onerror=boom()>", "<iframe srcdoc='<script>parent.boom()</script>'></iframe>",
           "<a href=javascript:boom()>x</a>", "javascript:boom()", "<body onload=boom()>", "<details open ontoggle=boom()>", "<input autofocus onfocus=boom()>", "<math><a xlink:href=javascript:boom()>x</a></math>",
           "<object data=javascript:boom()>", "<embed src=javascript:boom()>", "<style>@import 'javascript:boom()'</style>", "</script><script>boom()</script>", "<video><source onerror=boom()></video>", "<template><script>boom()</script></template>",
           "[x](javascript:boom())", "{{constructor.constructor('boom()')()}} ${boom()} `${boom()}`"]
TARGET = {"refId": "A", "expr": "up"}


def panel(ident, kind, expr="vector(5)", **more):
    return dict({"id": ident, "type": kind, "title": kind, "gridPos": {"x": (ident % 4) * 6, "y": ident // 4 * 6, "w": 6, "h": 6},
                 "targets": [{"refId": "A", "expr": expr}]}, **more)


KINDS = [
    panel(1, "timeseries", options={"legend": {"displayMode": "table", "calcs": ["mean", "lastNotNull"]}}),
    panel(2, "graph", yaxes=[{"format": "bytes"}, {}], seriesOverrides=[{"alias": "/x/", "transform": "negative-Y"}]),
    panel(3, "stat", fieldConfig={"defaults": {"unit": "bytes"}, "overrides": []}),
    panel(4, "singlestat", format="percent", valueName="current"),
    panel(5, "gauge"), panel(6, "bargauge"), panel(7, "table", "up"), panel(8, "table-old", "up", styles=[]),
    panel(9, "heatmap", "label_replace(vector(1), 'le', '1', '', '') or label_replace(vector(3), 'le', '2', '', '')"),
    panel(10, "histogram"), panel(11, "piechart", "label_replace(vector(1), 'a', 'x', '', '') or label_replace(vector(3), 'a', 'y', '', '')"),
    panel(12, "state-timeline"), panel(13, "status-history"), panel(14, "barchart"),
    panel(19, "xychart"), panel(22, "trend"), panel(23, "candlestick"),
    {"id": 15, "type": "text", "gridPos": {"x": 0, "y": 40, "w": 6, "h": 4}, "options": {"mode": "markdown", "content": "# Head\n\n* a\n* **b**"}},
    {"id": 16, "type": "dashlist", "gridPos": {"x": 6, "y": 40, "w": 6, "h": 4}, "options": {}},
    {"id": 17, "type": "alertlist", "gridPos": {"x": 12, "y": 40, "w": 6, "h": 4}, "options": {}},
    {"id": 18, "type": "logs", "gridPos": {"x": 18, "y": 40, "w": 6, "h": 4}, "options": {}},
]
SMALL = {"uid": "small", "title": "Small one", "schemaVersion": 39, "panels": [
    {"id": 8, "type": "no-such-panel", "title": "Odd", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}},
    panel(9, "timeseries", "vector($which)", repeat="which"),
    panel(10, "stat", "vector(7)"),
], "templating": {"list": [{"name": "which", "type": "custom", "query": "1,2,3", "multi": True, "current": {"value": ["1", "2"], "text": ["1", "2"]}},
                           {"name": "chained", "type": "query", "query": "label_values(up{job=~\"$which|.*\"}, job)", "refresh": 1}]}}


EXPR = {"type": "__expr__", "uid": "__expr__"}


def single(ident, targets, **more):
    return panel(ident, "stat", **dict({"targets": targets, "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none"}}, **more))


def labelled(*pairs):
    return " or ".join("label_replace(vector(%s), '%s', '%s', '', '')" % (value, name, text) for name, text, value in pairs)


# One panel for each thing that files may say and that is not plain; the text that stands there in the end.
VARIED = [
    (single(1, [{"refId": "A", "expr": "vector(3)", "hide": True}, {"refId": "B", "datasource": EXPR, "type": "math", "expression": "$A * $C"}, {"refId": "C", "datasource": EXPR, "type": "math", "expression": "2", "hide": True}]), ["6"]),
    ({"id": 2, "gridPos": {"x": 12, "y": 0, "w": 6, "h": 6}, "libraryPanel": {"uid": "shared", "name": "Shared"}}, ["7 s"]),
    (single(3, [{"refId": "A", "expr": "vector(${VAR_N})"}]), ["42"]),
    (panel(4, "bargauge", targets=[{"refId": "A", "format": "heatmap", "legendFormat": "{{le}}", "expr": labelled(("le", "10", 5), ("le", "1", 2), ("le", "+Inf", 9))}]), ["2", "3", "4"]),
    (single(5, [{"refId": "A", "format": "table", "instant": True, "expr": labelled(("host", "a", 1), ("host", "b", 2))}], options={"reduceOptions": {"values": True}, "textMode": "value_and_name", "graphMode": "none"}), ["1", "2"]),
    (single(6, [{"refId": "A", "expr": "vector($late)"}]), ["8"]),
    (single(7, [{"refId": "A", "expr": "vector(4)", "instant": True}], options={"reduceOptions": {"calcs": ["max", "count"]}, "graphMode": "none"}), ["4", "1"]),
    (single(8, [{"refId": "A", "expr": "vector(0.5)", "instant": True}], fieldConfig={"defaults": {"unit": "percentunit", "mappings": [{"type": "range", "options": {"from": 0.4, "to": 0.6, "result": {"text": "half"}}}]}, "overrides": []}), ["half"]),
    (single(9, [{"refId": "A", "expr": "vector(5)"}], type="singlestat", format="bytes", valueName="current", tableColumn="gone"), ["5 B"]),
    (single(10, [{"refId": "A", "instant": True, "expr": labelled(("mode", "idle", 3))}], fieldConfig={"defaults": {"unit": "short"}, "overrides": [{"matcher": {"id": "byRegexp", "options": "idl"}, "properties": [{"id": "unit", "value": "s"}]}, {"matcher": {"id": "byRegexp", "options": "/idl/"}, "properties": [{"id": "unit", "value": "m"}]}]}), ["3 min"]),
]
VARIED_BOARD = {"uid": "varied", "title": "Varied", "timezone": "utc", "__inputs": [{"name": "VAR_N", "type": "constant", "value": "42"}, {"name": "DS_LOKI", "type": "datasource", "pluginId": "loki"}],
                "__elements": {"shared": {"uid": "shared", "kind": 1, "model": {"type": "stat", "title": "Shared", "targets": [{"refId": "A", "expr": "vector(7)"}], "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []}}}},
                # The first needs the second.
                "templating": {"list": [{"name": "late", "type": "query", "query": "query_result(vector($early + 5))", "regex": "/ ([0-9.]+) /"}, {"name": "early", "type": "custom", "query": "3"}]},
                "panels": [p for p, _ in VARIED] + [
                    {"id": 20, "type": "timeseries", "datasource": "${DS_LOKI}", "gridPos": {"x": 0, "y": 30, "w": 6, "h": 6}, "targets": [{"refId": "A", "expr": "rate({app=\"x\"}[5m])"}]},
                    {"id": 21, "type": "text", "gridPos": {"x": 6, "y": 30, "w": 6, "h": 6}, "options": {"mode": "html", "content": "<img src='data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='><img src='https://elsewhere.example/logo.png'>"}},
                    panel(22, "timeseries", "vector(1)", timeFrom="2h", timeShift="1d"), panel(23, "timeseries", "vector(1)", timeFrom="2h", hideTimeOverride=True),
                    panel(24, "table", targets=[{"refId": "A", "instant": True, "expr": labelled(("host", "a", 1), ("host", "b", 2))}],
                          transformations=[{"id": "labelsToFields", "options": {}}, {"id": "merge", "options": {}}, {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "Used"}, "indexByName": {"host": 0}}}])]}


# Panels whose options are none of what a drawing expects.
ODD = [dict(p, id=100 + i, fieldConfig={"defaults": {"unit": 5, "custom": "x", "mappings": "x", "links": [None, 5, {"url": {}}], "thresholds": {"steps": "x"}, "color": [], "min": "a", "decimals": {}}, "overrides": [{"matcher": {"id": "byRegexp", "options": {}}, "properties": [None, {"id": "custom", "value": 7}]}]},
            options={"legend": 5, "reduceOptions": {"calcs": "x", "fields": 5, "limit": "x"}, "orientation": {}, "tooltip": [], "sortBy": [None], "footer": {"show": True, "reducer": 5}, "color": 7, "yAxis": "x", "content": {}, "text": [], "displayLabels": "name", "showValue": {}, "rowHeight": "x", "calculation": 1},
            transformations=[{"id": "organize", "options": 5}, None], timeFrom={}, links=["x", {"url": 7}]) for i, p in enumerate(KINDS)]


class DashboardsTest(WebTest):
    @classmethod
    def prepare(cls):
        cls.hostile = Exposition(lambda: "".join('evil{n="%d",text=%s} %d\n' % (i, json.dumps(t), i + 1) for i, t in enumerate(HOSTILE)))
        cls.addClassCleanup(cls.hostile.shutdown)
        cls.config = ("global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n- job_name: self\n  static_configs: [{targets: ['SELF']}]\n"
                      "- job_name: evil\n  static_configs: [{targets: ['%s']}]\n" % cls.hostile.address)
        cls.rules = "groups:\n- name: g\n  interval: 1s\n  rules:\n" + "".join(
            "  - alert: Evil%d\n    expr: vector(1)\n    labels: {text: %s}\n    annotations: {summary: %s}\n"
            % (i, json.dumps(t.replace("{{", "(").replace("}}", ")")), json.dumps(t.replace("{{", "(").replace("}}", ")"))) for i, t in enumerate(HOSTILE))
        for name in os.listdir(DASHBOARDS):
            if name.endswith(".json"):
                shutil.copy(os.path.join(DASHBOARDS, name), cls.home + "/boards/" + name)
        evil = {"uid": "evil", "title": HOSTILE[0], "tags": HOSTILE[:3], "panels": [], "links": [{"type": "link", "title": t, "url": t} for t in HOSTILE],
                "templating": {"list": [{"name": "v", "label": HOSTILE[1], "type": "query", "query": "label_values(evil, text)", "refresh": 1, "multi": True, "includeAll": True, "current": {"value": ["$__all"]}},
                                        {"name": "t", "type": "textbox", "query": HOSTILE[2], "current": {"value": HOSTILE[2]}}]},
                "annotations": {"list": [{"name": HOSTILE[3], "expr": "evil", "enable": True, "titleFormat": "{{text}}", "textFormat": HOSTILE[4]}]}}
        kinds = ["timeseries", "stat", "gauge", "bargauge", "table", "piechart", "state-timeline", "barchart", "heatmap"]
        for i, kind in enumerate(kinds):
            evil["panels"].append(panel(i + 1, kind, "evil", description=HOSTILE[i], links=[{"title": t, "url": t} for t in HOSTILE],
                                        fieldConfig={"defaults": {"displayName": "${__field.labels.text}", "unit": HOSTILE[i], "links": [{"title": HOSTILE[i], "url": HOSTILE[7]}],
                                                                  "mappings": [{"type": "value", "options": {"1": {"text": HOSTILE[1], "color": "url(javascript:boom())"}}}]}, "overrides": []}))
            evil["panels"][-1]["title"] = HOSTILE[i] + " $v $t"
            evil["panels"][-1]["targets"][0].update(legendFormat="{{text}}", format="table" if kind == "table" else "time_series")
        # Every way to draw a cell of text.
        for i, cell in enumerate(("markdown", "image", "json-view", "pill", "data-links", "color-background", "auto")):
            evil["panels"].append(panel(30 + i, "table", "evil", fieldConfig={"defaults": {"custom": {"cellOptions": {"type": cell, "wrapText": True}}, "links": [{"title": HOSTILE[i], "url": "${__value.raw}"}]}, "overrides": []}))
            evil["panels"][-1]["targets"][0].update(format="table", instant=True)
        for i, mode in enumerate(("markdown", "html")):
            evil["panels"].append({"id": 20 + i, "type": "text", "gridPos": {"x": 0, "y": 60 + i * 4, "w": 24, "h": 4}, "options": {"mode": mode, "content": "\n\n".join(HOSTILE)}})
        for name, board in (("kinds", {"uid": "kinds", "title": "Kinds", "panels": KINDS}), ("small", SMALL), ("evil", evil), ("varied", VARIED_BOARD), ("odd", {"uid": "odd", "title": "Odd", "panels": ODD})):
            with open(cls.home + "/boards/%s.json" % name, "w") as f:
                json.dump(board, f, indent=1)
        nef = os.path.join(CONFORMANCE, "dashboards", "core", "node-exporter-full.json")
        cls.nef = nef if CONFORMANCE and os.path.exists(nef) else None
        if cls.nef:
            shutil.copy(cls.nef, cls.home + "/boards/nef.json")

    def setUp(self):
        super().setUp()
        self.until_drawn("up{job='self'}", 1)

    def settle(self, page):
        """Opens every row and brings every panel into sight until all have said how they are."""
        page.wait("document.querySelector('[data-panel-id]')")
        page.wait("(async () => { for (const b of document.querySelectorAll('[data-row-toggle][aria-expanded=false]')) b.click();"
                  " let open = 0; for (const e of document.querySelectorAll('[data-panel-id]')) if (!/^(ok|error|nodata)$/.test(e.dataset.panelState)) { open++; e.scrollIntoView({block: 'center'}); await new Promise(r => setTimeout(r, 20)); }"
                  " return open === 0 && !document.querySelector('[data-row-toggle][aria-expanded=false]'); })()", 180)

    def states(self, page):
        return page.eval("Object.fromEntries([...document.querySelectorAll('[data-panel-id]')].map(e => [e.dataset.panelId, e.dataset.panelState]))")

    def test_19_the_dashboards_that_are_shipped_open(self):
        for name in sorted(os.listdir(DASHBOARDS)):
            if not name.endswith(".json"):
                continue
            with open(os.path.join(DASHBOARDS, name)) as f:
                uid = json.load(f)["uid"]
            with self.subTest(uid):
                page = self.open("/d/%s?from=now-5m&to=now" % uid)
                self.settle(page)
                self.assertNotIn("error", self.states(page).values())

    def test_19_node_exporter_full_opens(self):
        if not self.nef:
            self.skipTest("no file of Node Exporter Full here")
        page = self.open("/d/rYdddlPWk?from=now-5m&to=now")
        self.settle(page)
        states = self.states(page)
        self.assertEqual(len(states), 125)
        self.assertNotIn("error", states.values())
        for name in ("job", "nodename", "node"):
            self.assertTrue(page.eval("!!document.querySelector('[data-variable=\"%s\"]')" % name), name)

    def test_20_a_variable_lives_in_the_address(self):
        page = self.open("/d/small?from=now-5m&to=now")
        self.panel(page, "10", "ok")
        page.wait("document.querySelectorAll('[data-panel-id=\"9\"][data-panel-state=ok]').length === 2")
        asked = len([b for b in page.bodies if "vector%287%29" in b])
        page.click("[data-variable=which] button")
        page.wait("document.querySelectorAll('.option').length === 3")
        page.click(".option:nth-child(3)")
        page.wait("new URLSearchParams(location.search).getAll('var-which').length === 3")
        page.wait("document.querySelectorAll('[data-panel-id=\"9\"][data-panel-state=ok]').length === 3")
        # A panel that does not name the variable is not asked again.
        self.assertEqual(len([b for b in page.bodies if "vector%287%29" in b]), asked)
        page = self.open("/d/small?var-which=3&from=now-5m&to=now")
        page.wait("document.querySelectorAll('[data-panel-id=\"9\"]').length === 1")

    def test_21_repeats_and_unknown_panels(self):
        page = self.open("/d/small?from=now-5m&to=now")
        self.panel(page, "8", "error")
        self.assertIn("no-such-panel", page.eval("document.querySelector('[data-panel-id=\"8\"] [role=alert]').textContent"))
        page.wait("document.querySelectorAll('[data-panel-id=\"9\"]').length === 2")
        self.assertEqual(page.eval("[...document.querySelectorAll('[data-panel-id=\"9\"]')].map(e => e.dataset.panelRepeat)"), ["1", "2"])

    def test_22_the_download_is_the_file(self):
        for name in ("small", "vedette-host"):
            with urllib.request.urlopen(self.base + "/api/dashboards/uid/%s/raw" % name) as answer:
                got = answer.read()
            with open(self.home + "/boards/%s.json" % ("host" if name == "vedette-host" else name), "rb") as f:
                self.assertEqual(got, f.read())

    def test_every_type_of_panel_draws(self):
        page = self.open("/d/kinds?from=now-5m&to=now")
        self.settle(page)
        self.assertEqual({k: v for k, v in self.states(page).items() if v != "ok"}, {})
        self.assertEqual(page.eval("document.querySelector('[data-panel-id=\"3\"] [data-panel-value]').textContent"), "5 B")
        self.assertEqual(page.eval("document.querySelector('[data-panel-id=\"4\"] [data-panel-value]').textContent"), "5%")
        self.assertIn("not available", page.eval("document.querySelector('[data-panel-id=\"18\"]').textContent"))

    def test_what_files_may_say_besides(self):
        page = self.open("/d/varied?from=now-5m&to=now")
        self.settle(page)
        self.assertEqual({k: v for k, v in self.states(page).items() if v != "ok"}, {})
        for p, want in VARIED:
            with self.subTest(p["id"]):
                self.assertEqual(self.texts(page, "[data-panel-id='%d'] [data-panel-value]" % p["id"]), want)
        body = lambda ident: page.eval("document.querySelector('[data-panel-id=\"%d\"]').textContent" % ident)  # noqa: E731
        self.assertIn("Loki", body(20))
        self.assertEqual(page.eval("document.querySelector('[data-panel-id=\"21\"] img').naturalWidth"), 1)
        self.assertEqual(self.texts(page, "[data-panel-id='21'] a"), ["logo.png"])
        self.assertIn("last 2h, 1d earlier", body(22))
        self.assertNotIn("2h", body(23))
        rows = page.eval("[...document.querySelectorAll('[data-panel-id=\"24\"] tr')].map(r => [...r.children].map(c => c.textContent))")
        self.assertEqual(rows, [["host", "Used"], ["a", "1"], ["b", "2"]])

    def test_odd_options_hurt_one_panel_at_most(self):
        page = self.open("/d/odd?from=now-5m&to=now")
        self.settle(page)
        states = self.states(page)
        self.assertEqual(len(states), len(ODD))
        for ident, state in states.items():
            if state == "error":
                self.assertIn("This panel cannot be", page.eval("document.querySelector('[data-panel-id=\"%s\"] [role=alert]').textContent" % ident))

    def test_a_dashboard_is_taken_in_and_shown(self):
        board = {"uid": "sent", "title": "Sent", "panels": [panel(1, "stat", "vector(3)")]}
        self.assertEqual(self.post("/api/dashboards/db", {"dashboard": board, "overwrite": True})["uid"], "sent")
        page = self.open("/d/sent")
        self.panel(page, "1", "ok")

    def test_hostile_text_runs_nowhere(self):
        self.until_drawn("evil", 1)
        for path in ("/d/evil?from=now-5m&to=now", "/dashboards", "/alerts", "/rules", "/", "/tsdb-status", query("evil", "table"), query("evil"),
                     query("evil", "raw"), "/targets?search=" + urllib.parse.quote(HOSTILE[1]), "/alerting?filter=" + urllib.parse.quote(HOSTILE[0]), "/d/" + urllib.parse.quote(HOSTILE[1], safe="")):
            with self.subTest(path):
                page = self.browser.page()
                self.pages.append(page)
                page.call("Page.addScriptToEvaluateOnNewDocument", {"source": "window.ran = 0; window.boom = () => { window.ran++; };"})
                page.open(self.base + path)
                page.wait("document.querySelector('[data-page]') && !document.querySelector('[aria-busy=true]')")
                if path.startswith("/d/evil"):
                    self.settle(page)
                    self.assertEqual({k: v for k, v in self.states(page).items() if v != "ok"}, {})
                    page.hover_all(".u-over, .timeline, .heatmap")
                page.wait("document.readyState === 'complete'")
                self.assertEqual(page.eval("window.ran"), 0)
                bad = "[...document.querySelectorAll('a[href], area, form, iframe, object, embed, script:not([src])')].filter(e => e.tagName !== 'A' || !/^(https?|mailto):$/.test(e.protocol)).map(e => e.outerHTML.slice(0, 200))"
                self.assertEqual(page.eval(bad), [])
                self.assertEqual(page.eval("[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/.test(a.name))).length"), 0)


if __name__ == "__main__":
    unittest.main()
