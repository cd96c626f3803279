"""Every key of the page, in a real Chromium, and what the server remembers of how a reader likes it."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stack import WebTest, query  # noqa: E402

BOARD = {"uid": "keys", "title": "Keys", "time": {"from": "now-1h", "to": "now"}, "panels": [
    {"id": 1, "type": "timeseries", "title": "One", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, "targets": [{"refId": "A", "expr": "vector(1)"}]},
    {"id": 2, "type": "stat", "title": "Two", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8}, "targets": [{"refId": "A", "expr": "vector(2)"}]}]}
HERE = "location.pathname + location.search"
PARAM = "new URLSearchParams(location.search).get('%s')"


class KeyboardTest(WebTest):
    @classmethod
    def prepare(cls):
        with open(cls.home + "/boards/keys.json", "w") as f:
            json.dump(BOARD, f)

    def board(self):
        page = self.open("/d/keys")
        self.panel(page, "1", "ok")
        self.panel(page, "2", "ok")
        return page

    def hover(self, page, ident):
        x, y = page.eval("(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('[data-panel-id=\"%s\"]').getBoundingClientRect())" % ident)
        page.mouse("mouseMoved", x, y)
        page.wait("document.querySelector('[data-panel-id=\"%s\"]:hover')" % ident)

    def test_g_and_a_letter_go_to_a_page(self):
        page = self.open("/status")
        page.wait("document.querySelector('[data-page=status]')")
        for letter, path in (("o", "/"), ("e", "/query"), ("d", "/dashboards"), ("a", "/alerts"), ("t", "/targets"), ("s", "/status")):
            page.key("g")
            page.key(letter)
            page.wait("location.pathname === %s" % json.dumps(path))

    def test_a_question_mark_lists_all_keys(self):
        page = self.open("/")
        page.wait("document.querySelector('[data-page=overview]')")
        page.key("?")
        page.wait("document.querySelector('dialog[open] .keys-table')")
        keys = set(self.texts(page, ".keys-table kbd"))
        self.assertEqual(set("/ g o e d a t s r l [ ] - = 0 v ? Ctrl K Esc Enter Shift ↑ ↓".split()) - keys, set())

    def test_a_slash_goes_to_the_search_or_the_query(self):
        page = self.open("/targets")
        page.wait("document.querySelector('[data-search]')")
        page.key("/")
        page.wait("document.activeElement.matches('[data-search]')")
        # While somebody types, keys are letters.
        page.type("gd?")
        self.assertEqual(page.eval("document.activeElement.value"), "gd?")
        self.assertEqual(page.eval("location.pathname"), "/targets")
        page = self.open("/query")
        page.wait("document.querySelector('.cm-content')")
        page.eval("document.activeElement.blur()")
        page.key("/")
        page.wait("document.activeElement.matches('.cm-content')")

    def test_the_range_of_a_dashboard_moves_grows_and_comes_back(self):
        page = self.board()
        page.key("[")
        page.wait(PARAM % "from")
        first = [int(page.eval(PARAM % p)) for p in ("from", "to")]
        page.key("]")
        page.wait("%s !== '%d'" % (PARAM % "from", first[0]))
        self.assertAlmostEqual(int(page.eval(PARAM % "from")) - first[0], (first[1] - first[0]) / 2, delta=2)
        page.key("-")
        page.wait("%s - %s > %d" % (PARAM % "to", PARAM % "from", 1.9 * (first[1] - first[0])))
        page.key("=")
        page.wait("%s - %s < %d" % (PARAM % "to", PARAM % "from", 1.1 * (first[1] - first[0])))
        page.key("0")
        page.wait("%s === null" % (PARAM % "from"))
        page.key("l")
        page.wait("document.querySelector('[data-live=on]')")
        page.key("l")
        page.wait("document.querySelector('[data-live=off]')")

    def test_t_opens_the_times_and_arrows_choose(self):
        page = self.board()
        page.key("t")
        page.wait("document.activeElement.closest('.menu-body')")
        page.key("ArrowDown")
        page.wait("document.activeElement.textContent === 'Last 15 minutes'")
        page.key("ArrowUp")
        page.key("ArrowUp")
        page.wait("document.activeElement.textContent === 'Last 90 days'")
        page.key("Escape")
        page.wait("!document.querySelector('.menu-body') && document.activeElement.title === 'Time range'")
        page.key("t")
        page.wait("document.activeElement.closest('.menu-body')")
        page.key("Enter")
        page.wait("%s === 'now-5m'" % (PARAM % "from"))

    def test_v_e_and_escape_on_the_panel_under_hand(self):
        page = self.board()
        self.hover(page, "2")
        page.key("v")
        page.wait("%s === '2' && document.querySelectorAll('[data-panel-id]').length === 1" % (PARAM % "viewPanel"))
        page.key("Escape")
        page.wait("%s === null && document.querySelectorAll('[data-panel-id]').length === 2" % (PARAM % "viewPanel"))
        page.mouse("mouseMoved", 2, 2)
        page.wait("!document.querySelector('.panel:hover')")
        # Without a pointer: the panel that has the focus.
        page.eval("document.querySelector('[data-panel-id=\"1\"] .menu > button').focus()")
        page.key("e")
        page.wait("location.pathname === '/query' && %s === 'vector(1)'" % (PARAM % "g0.expr"))

    def test_r_asks_again_everywhere(self):
        for path, asked in (("/d/keys", "query_range"), ("/targets", "/api/v1/targets"), (query("vector(1)"), "query_range")):
            with self.subTest(path):
                page = self.open(path)
                page.wait("document.querySelector('[data-page]') && !document.querySelector('[aria-busy=true]')")
                count = lambda: len([r for r in page.requests if asked in r])  # noqa: E731
                self.until(lambda: count() > 0, "a first answer of " + path)
                before = count()
                page.eval("document.activeElement.blur()")
                page.key("r")
                self.until(lambda: count() > before, "a second question of " + path)

    def test_d_is_remembered_by_the_server_for_this_browser(self):
        page = self.open("/")
        page.wait("document.querySelector('[data-page=overview]') && document.documentElement.dataset.theme === 'dark'")
        page.key("d")
        page.wait("document.documentElement.dataset.theme === 'light'")
        profile = json.loads(page.eval("localStorage.getItem('vedette.profile')"))

        def kept():
            with self.fetch("/api/v1/preferences?profile=" + profile) as answer:
                return json.load(answer)["data"].get("theme") == "light"
        self.until(kept, "the theme on the server")
        # All that this browser still has is its id.
        page.eval("localStorage.removeItem('vedette.settings')")
        page.open(self.base + "/targets")
        page.wait("document.documentElement.dataset.theme === 'light'")


if __name__ == "__main__":
    unittest.main()
