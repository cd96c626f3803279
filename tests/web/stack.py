"""A vedette-server of its own for a test, and pages of a real Chromium on it.

    class ExploreTest(WebTest):
        def test_something(self):
            page = self.open("/query")

Every page is checked at the end of its test: no exception, no violation of the content security
policy, no request that left the server. Waits have a minute: a busy machine is slow, not wrong.
"""

import base64
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser, find_chromium  # noqa: E402

SERVER = os.environ.get("VEDETTE_SERVER", "server/vedette-server")
AGENT = os.path.abspath(os.environ.get("VEDETTE_AGENT", "agent/vedette-agent"))  # Runs in a folder of its own.
DASHBOARDS = os.environ.get("VEDETTE_DASHBOARDS", "dashboards")
CONFORMANCE = os.environ.get("VEDETTE_CONFORMANCE", "")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Exposition(http.server.ThreadingHTTPServer):
    """A target whose samples the test says: text() is asked at each scrape."""

    def __init__(self, text):
        self.text = text

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                body = text().encode()
                handler.send_response(200)
                handler.send_header("Content-Type", "text/plain; version=0.0.4")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                try:
                    handler.wfile.write(body)
                except BrokenPipeError:
                    pass  # The scrape was given up: the machine is busy.

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


@unittest.skipIf(find_chromium() is None, "no chromium on this machine")
class WebTest(unittest.TestCase):
    prefix = ""

    # What a test class says about its server.
    args = []
    user = None  # "name:password" that the server asks for.
    config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs: []\n"
    rules = ""

    @classmethod
    def prepare(cls):
        """Before the server starts: files in cls.home, cls.config."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="vedette-web-")
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)
        cls.port = free_port()
        cls.base = "http://127.0.0.1:%d%s" % (cls.port, cls.prefix)
        os.makedirs(cls.home + "/boards")
        cls.prepare()
        with open(cls.home + "/rules.yml", "w") as f:
            f.write(cls.rules)
        with open(cls.home + "/config.yml", "w") as f:
            f.write(cls.config.replace("SELF", "127.0.0.1:%d" % cls.port).replace("PREFIX", cls.prefix))
            if cls.rules:
                f.write("rule_files: [%s/rules.yml]\n" % cls.home)
        cls.start_server()
        cls.addClassCleanup(cls.stop_server)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def start_server(cls):
        args = [SERVER, "--config.file=" + cls.home + "/config.yml", "--storage.tsdb.path=" + cls.home + "/data",
                "--web.listen-address=127.0.0.1:%d" % cls.port, "--web.dashboards=" + cls.home + "/boards"]
        args += cls.args
        if cls.prefix:
            args.append("--web.route-prefix=" + cls.prefix)
        cls.log = open(cls.home + "/log", "ab")
        cls.server = subprocess.Popen(args, stdout=cls.log, stderr=cls.log)
        cls.until(lambda: cls.fetch("/-/ready").status == 200, "ready")

    @classmethod
    def stop_server(cls):
        cls.server.terminate()
        cls.server.wait(60)
        cls.log.close()

    @classmethod
    def until(cls, true, what, seconds=90):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                with open(cls.home + "/log", errors="replace") as f:
                    raise AssertionError("never: %s\n%s" % (what, f.read()[-3000:]))
            time.sleep(0.1)

    @classmethod
    def fetch(cls, path, body=None, method=None, user=None):
        request = urllib.request.Request(cls.base + path, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
        if user or cls.user:
            request.add_header("Authorization", basic(user or cls.user))
        return urllib.request.urlopen(request, timeout=90)

    @classmethod
    def api(cls, path, **params):
        with cls.fetch("/api/v1/" + path + "?" + urllib.parse.urlencode(params)) as answer:
            return json.load(answer)

    @classmethod
    def until_drawn(cls, expr, points=2):
        """Until a graph of `expr` over the last minutes has some points."""
        def drawn():
            now = int(time.time()) // 5 * 5
            got = cls.api("query_range", query=expr, start=now - 300, end=now, step=5)["data"]["result"]
            return got and all(len(s["values"]) >= points for s in got)
        cls.until(drawn, "points of " + expr)

    @classmethod
    def post(cls, path, body):
        with cls.fetch(path, body) as answer:
            return json.load(answer)

    @classmethod
    def has(cls, path):
        try:
            with urllib.request.urlopen(cls.base + path):
                return True
        except urllib.error.HTTPError as e:
            return e.code != 404

    def setUp(self):
        self.pages = []

    def open(self, path, width=1360, height=860, theme="dark", user=None):
        page = self.browser.page(width, height, theme)
        self.pages.append(page)
        if user or self.user:
            page.call("Network.setExtraHTTPHeaders", {"headers": {"Authorization": basic(user or self.user)}})
        page.open(self.base + path)
        return page

    # Check 24, in every test.
    def tearDown(self):
        for page in self.pages:
            self.assertEqual(page.errors, [])
            origin = "http://127.0.0.1:%d/" % self.port
            foreign = [r for r in page.requests if not re.match(r"\w+ (data:|blob:|about:|" + re.escape(origin) + ")", r)]
            self.assertEqual(foreign, [])
            page.close()

    def fill(self, page, label, text):
        """Types into the field of that name what stands there afterwards."""
        page.wait("document.querySelector('[aria-label=\"%s\"]')" % label)
        page.eval("(e => { e.focus(); e.select(); })(document.querySelector('[aria-label=\"%s\"]'))" % label)
        page.text(text)

    def panel(self, page, name, state):
        page.wait("document.querySelector('[data-panel-id=\"%s\"][data-panel-state=\"%s\"]')" % (name, state))

    def count(self, page, selector):
        return page.eval("document.querySelectorAll(%s).length" % json.dumps(selector))

    def texts(self, page, selector):
        return page.eval("[...document.querySelectorAll(%s)].map(e => e.textContent.trim())" % json.dumps(selector))


def basic(user):
    return "Basic " + base64.b64encode(user.encode()).decode()


def query(expr, tab="graph", more=""):
    return "/query?g0.expr=%s&g0.tab=%s%s" % (urllib.parse.quote(expr), tab, more)
