"""One table for each of Grafana's transformations, and panels of kinds that few dashboards have, as a browser shows
them. What the data are the queries say themselves, so that nothing but PromQL stands below."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import WebTest  # noqa: E402


def rows(name, pairs, **more):
    """A vector with one label, or with more that are the same on each row."""
    parts = []
    for text, value in pairs:
        part = "label_replace(vector(%s), '%s', '%s', '', '')" % (value, name, text)
        for key, said in more.items():
            part = "label_replace(%s, '%s', '%s', '', '')" % (part, key, said)
        parts.append(part)
    return " or ".join(parts)


def ask(ref, expr, table=True, instant=True):
    return {"refId": ref, "expr": expr, "format": "table" if table else "time_series", "instant": instant, "range": not instant}


USED = ask("A", rows("host", [("a", 1), ("b", 4)]))
FREE = ask("B", rows("host", [("a", 9), ("c", 6)]))
SERIES = ask("A", rows("host", [("a", 1), ("b", 4)]), table=False)
DISKS = ask("A", " or ".join("label_replace(label_replace(vector(%d), 'host', '%s', '', ''), 'disk', '%s', '', '')" % d for d in ((1, "a", "x"), (2, "b", "y"), (3, "a", "z"))))
BARE = {"id": "organize", "options": {"excludeByName": {"Time": True}}}

# What is asked, what is done with it, and the table that stands there in the end.
TABLES = [
    ([USED], [{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "Used"}, "indexByName": {"Value": 0, "host": 1}}}], [["Used", "host"], ["1", "a"], ["4", "b"]]),
    ([USED, FREE], [{"id": "joinByField", "options": {"byField": "host", "mode": "inner"}}, {"id": "filterFieldsByName", "options": {"include": {"names": ["host", "Value #A", "Value #B"]}}}], [["host", "Value #A", "Value #B"], ["a", "1", "9"]]),
    ([USED, FREE], [{"id": "seriesToColumns", "options": {"byField": "host"}}, {"id": "filterFieldsByName", "options": {"include": {"pattern": "host|Value.*"}}}], [["host", "Value #A", "Value #B"], ["a", "1", "9"], ["b", "4", ""], ["c", "", "6"]]),
    ([USED, FREE], [{"id": "filterByRefId", "options": {"include": "B"}}, BARE], [["host", "Value #B"], ["a", "9"], ["c", "6"]]),
    ([USED], [{"id": "filterByValue", "options": {"type": "include", "match": "any", "filters": [{"fieldName": "Value", "config": {"id": "greater", "options": {"value": 2}}}]}}, BARE], [["host", "Value"], ["b", "4"]]),
    ([USED], [{"id": "sortBy", "options": {"sort": [{"field": "Value", "desc": True}]}}, BARE], [["host", "Value"], ["b", "4"], ["a", "1"]]),
    ([DISKS], [{"id": "groupBy", "options": {"fields": {"host": {"operation": "groupby", "aggregations": []}, "Value": {"operation": "aggregate", "aggregations": ["sum", "count"]}}}}], [["host", "Value (sum)", "Value (count)"], ["a", "4", "2"], ["b", "2", "1"]]),
    ([SERIES], [{"id": "reduce", "options": {"reducers": ["max", "count"]}}], [["Field", "Max", "Count"], ['{host="a"}', "1", "1"], ['{host="b"}', "4", "1"]]),
    ([SERIES], [{"id": "labelsToFields", "options": {}}, {"id": "merge", "options": {}}, BARE], [["Value", "host"], ["1", "a"], ["4", "b"]]),
    ([USED], [{"id": "renameByRegex", "options": {"regex": "(ho)st", "renamePattern": "$1me"}}, {"id": "filterFieldsByName", "options": {"include": {"names": ["home", "Value"]}}}], [["home", "Value"], ["a", "1"], ["b", "4"]]),
    ([USED], [{"id": "calculateField", "options": {"mode": "binary", "alias": "twice", "binary": {"left": "Value", "operator": "*", "right": "2"}}}, BARE], [["host", "Value", "twice"], ["a", "1", "2"], ["b", "4", "8"]]),
    ([DISKS], [{"id": "groupingToMatrix", "options": {"columnField": "disk", "rowField": "host", "valueField": "Value"}}], [["host\\disk", "x", "y", "z"], ["a", "1", "", "3"], ["b", "", "2", ""]]),
    ([USED], [{"id": "limit", "options": {"limitField": 1}}, BARE], [["host", "Value"], ["a", "1"]]),
    ([USED], [{"id": "convertFieldType", "options": {"conversions": [{"targetField": "Value", "destinationType": "string"}]}}, BARE], [["host", "Value"], ["a", "1"], ["b", "4"]]),
    ([USED], [{"id": "formatString", "options": {"stringField": "host", "outputFormat": "Upper Case"}}, BARE], [["host", "Value"], ["A", "1"], ["B", "4"]]),
    ([USED], [BARE, {"id": "transpose", "options": {}}], [["Field", "a", "b"], ["Value", "1", "4"]]),
    ([USED], [{"id": "rowsToFields", "options": {}}, {"id": "filterFieldsByName", "options": {"include": {"names": ["a", "b"]}}}], [["a", "b"], ["1", "4"]]),
    ([ask("A", rows("say", [("load=3 up=yes", 1)]))], [{"id": "extractFields", "options": {"source": "say", "format": "kvp", "replace": True}}], [["load", "up"], ["3", "yes"]]),
    ([USED, FREE], [{"id": "concatenate", "options": {}}, {"id": "filterFieldsByName", "options": {"include": {"pattern": "Value.*"}}}], [["Value #A", "Value #B"], ["1", "9"], ["4", "6"]]),
    ([DISKS], [{"id": "partitionByValues", "options": {"fields": ["host"]}}, {"id": "merge", "options": {}}, {"id": "filterFieldsByName", "options": {"include": {"names": ["disk", "Value"]}}}], [["disk", "Value"], ["x", "1"], ["z", "3"], ["y", "2"]]),
    ([ask("A", "vector(70)"), ask("B", "vector(100)")], [{"id": "configFromData", "options": {"configRefId": "B", "mappings": [{"fieldName": "Value #B", "handlerKey": "max"}]}}, BARE], [["Value #A"], ["70"]]),
    ([SERIES], [{"id": "timeSeriesTable", "options": {}}], [["host", "Trend #A"], ["a", "1"], ["b", "4"]]),
    ([SERIES], [{"id": "seriesToRows", "options": {}}, BARE], [["Metric", "Value"], ['{host="a"}', "1"], ['{host="b"}', "4"]]),
    ([SERIES], [{"id": "prepareTimeSeries", "options": {"format": "wide"}}, BARE], [['{host="a"}', '{host="b"}'], ["1", "4"]]),
    ([USED], [{"id": "histogram", "options": {"bucketSize": 1}}], [["xMin", "xMax", "Value"], ["1", "2", "1"], ["4", "5", "1"]]),
]
WHOLE = {"from": "now-5m", "to": "now"}


def grid(i):
    return {"x": i % 3 * 8, "y": i // 3 * 6, "w": 8, "h": 6}


BOARD = {"uid": "transformations", "title": "Transformations", "time": WHOLE, "panels": [
    {"id": i + 1, "type": "table", "title": done[0]["id"], "gridPos": grid(i), "targets": asked, "transformations": done, "fieldConfig": {"defaults": {}, "overrides": []}, "options": {}}
    for i, (asked, done, _) in enumerate(TABLES)]}


def kind(ident, name, targets, **more):
    return dict({"id": ident, "type": name, "title": name, "gridPos": grid(ident), "targets": targets, "fieldConfig": {"defaults": {}, "overrides": []}, "options": {}}, **more)


def wave(ref, name, expr):
    return {"refId": ref, "expr": expr, "legendFormat": name, "interval": "5s"}


TIME = "vector(time())"
RARE = {"uid": "rare", "title": "Rare kinds", "time": WHOLE, "panels": [
    kind(1, "xychart", [wave("A", "x", "sin(%s / 20)" % TIME), wave("B", "y", "cos(%s / 20)" % TIME)], transformations=[{"id": "joinByField", "options": {"byField": "Time"}}]),
    kind(2, "trend", [ask("A", rows("rpm", [("1000", 5), ("2000", 8)]))], options={"xField": "rpm"}, transformations=[{"id": "convertFieldType", "options": {"conversions": [{"targetField": "rpm", "destinationType": "number"}]}}]),
    kind(3, "candlestick", [wave("A", "open", TIME), wave("B", "high", TIME + " + 3"), wave("C", "low", TIME + " - 3"), wave("D", "close", TIME + " + 1")], options={"mode": "candles"}),
    kind(4, "barchart", [USED, FREE], transformations=[{"id": "joinByField", "options": {"byField": "host"}}], options={"orientation": "horizontal", "showValue": "always", "stacking": "normal", "legend": {"showLegend": True, "calcs": ["max"]}}),
    kind(5, "grafana-clock-panel", []),
    kind(6, "jdbranham-diagram-panel", [SERIES]),
    kind(7, "table", [DISKS], transformations=[{"id": "groupToNestedTable", "options": {"fields": {"host": {"operation": "groupby", "aggregations": []}, "Value": {"operation": "aggregate", "aggregations": ["sum"]}}}}]),
    kind(8, "table", [wave("A", "", rows("host", [("a", "time()"), ("b", "1")]))], transformations=[{"id": "timeSeriesTable", "options": {"A": {"stat": "max"}}}], fieldConfig={"defaults": {}, "overrides": [{"matcher": {"id": "byName", "options": "Trend #A"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "sparkline"}}, {"id": "unit", "value": "none"}]}]}),
    kind(9, "table", [USED], transformations=[BARE], options={"footer": {"show": True, "reducer": ["sum"]}, "sortBy": [{"displayName": "Value", "desc": True}]}, fieldConfig={"defaults": {}, "overrides": [
        {"matcher": {"id": "byName", "options": "Value"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "color-background", "applyToRow": True}}, {"id": "thresholds", "value": {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 3}]}}]},
        {"matcher": {"id": "byName", "options": "host"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "pill"}}]}]}),
    kind(10, "geomap", []),
]}
# The same as a file of the schema after panels.
NEWER = {"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "metadata": {"name": "newer"}, "spec": {
    "title": "Newer", "timeSettings": {"from": "now-5m", "to": "now"},
    "variables": [{"kind": "CustomVariable", "spec": {"name": "n", "query": "7,8", "multi": True, "current": {"text": ["7", "8"], "value": ["7", "8"]}}}],
    "elements": {"one": {"kind": "Panel", "spec": {"id": 1, "title": "N $n", "data": {"kind": "QueryGroup", "spec": {"queries": [{"kind": "PanelQuery", "spec": {"refId": "A", "query": {"kind": "DataQuery", "group": "prometheus", "spec": {"expr": "vector($n)"}}}}], "transformations": [], "queryOptions": {}}},
                                                   "vizConfig": {"kind": "VizConfig", "group": "stat", "spec": {"options": {"graphMode": "none"}, "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []}}}}}},
    "layout": {"kind": "RowsLayout", "spec": {"rows": [{"kind": "RowsLayoutRow", "spec": {"title": "Row", "layout": {"kind": "GridLayout", "spec": {"items": [{"kind": "GridLayoutItem", "spec": {"x": 0, "y": 0, "width": 6, "height": 4, "element": {"kind": "ElementReference", "name": "one"}, "repeat": {"mode": "variable", "value": "n", "direction": "h"}}}]}}}}]}}}}


class TransformationsTest(WebTest):
    @classmethod
    def prepare(cls):
        for name, board in (("transformations", BOARD), ("rare", RARE), ("newer", NEWER)):
            with open(cls.home + "/boards/%s.json" % name, "w") as f:
                json.dump(board, f)

    def settled(self, uid, count):
        page = self.open("/d/" + uid)
        page.wait("(async () => { const l = [...document.querySelectorAll('[data-panel-id]')]; let open = 0; for (const e of l) if (!/^(ok|error|nodata)$/.test(e.dataset.panelState)) { open++; e.scrollIntoView({block: 'center'}); await new Promise(r => setTimeout(r, 20)); }"
                  " return l.length >= %d && open === 0; })()" % count, 120)
        return page

    def shown(self, page, ident):
        return page.eval("[...document.querySelectorAll('[data-panel-id=\"%d\"] tr')].map(r => [...r.children].map(c => c.textContent))" % ident)

    def state(self, page, ident):
        return page.eval("document.querySelector('[data-panel-id=\"%d\"]').dataset.panelState" % ident)

    def test_each_transformation(self):
        page = self.settled("transformations", len(TABLES))
        for i, (_, done, want) in enumerate(TABLES):
            with self.subTest(done[0]["id"]):
                got = self.shown(page, i + 1)
                # A vector has no order of its own; where a transformation makes one, it counts.
                ordered = done[0]["id"] in ("sortBy", "limit")
                self.assertEqual((got[:1], got[1:] if ordered else sorted(got[1:])), (want[:1], want[1:] if ordered else sorted(want[1:])))

    def test_kinds_that_few_have(self):
        page = self.settled("rare", len(RARE["panels"]))
        for p in RARE["panels"]:
            with self.subTest(p["type"]):
                self.assertEqual(self.state(page, p["id"]), "ok")
        self.assertGreater(self.count(page, "[data-panel-id='1'] .plot svg path"), 10)
        self.assertEqual(self.count(page, "[data-panel-id='2'] .plot svg path"), 1)
        self.assertGreater(self.count(page, "[data-panel-id='3'] .plot svg rect"), 10)
        self.assertEqual(self.texts(page, "[data-panel-id='4'] .bar-line > .clip"), ["a", "b", "c"])
        body = lambda ident: page.eval("document.querySelector('[data-panel-id=\"%d\"]').textContent" % ident)  # noqa: E731
        self.assertIn("grafana-clock-panel", body(5))
        self.assertIn("geomap", body(10))
        self.assertIn("jdbranham-diagram-panel", page.eval("document.querySelector('[data-panel-id=\"6\"] .panel-flag').title"))

    def test_tables_open_and_have_lines_and_feet(self):
        page = self.settled("rare", len(RARE["panels"]))
        self.assertEqual(self.shown(page, 7), [["Open", "host", "Value (sum)"], ["", "a", "4"], ["", "b", "2"]])
        page.click("[data-panel-id='7'] [data-open-row]")
        page.wait("document.querySelector('[data-panel-id=\"7\"] .nested')")
        self.assertEqual(self.texts(page, "[data-panel-id='7'] .nested tbody tr td:nth-child(2)"), ["x", "z"])
        self.assertEqual(self.count(page, "[data-panel-id='8'] td svg.spark path"), 4)
        self.assertEqual([r[0] for r in self.shown(page, 8)], ["host", "a", "b"])
        self.assertEqual(self.shown(page, 9), [["host", "Value"], ["b", "4"], ["a", "1"], ["Total", "5"]])
        self.assertEqual(page.eval("[...document.querySelectorAll('[data-panel-id=\"9\"] tbody tr')].map(r => r.style.background !== '')"), [True, True])
        self.assertEqual(self.count(page, "[data-panel-id='9'] td .label"), 2)

    def test_the_schema_after_panels(self):
        page = self.settled("newer", 2)
        self.assertEqual(self.texts(page, "[data-panel-id='1'] [data-panel-value]"), ["7 s", "8 s"])
        self.assertEqual(self.texts(page, "[data-panel-id='1'] h3"), ["N 7", "N 8"])
        with self.fetch("/api/dashboards/uid/newer/raw") as answer:
            self.assertEqual(json.load(answer), NEWER)


if __name__ == "__main__":
    unittest.main()
