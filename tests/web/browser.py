"""A headless Chromium driven over its DevTools pipe: nothing but Python's standard library.

    with Browser() as browser:
        page = browser.page()
        page.open(url)
        page.wait("document.querySelector('h1')")

Messages are JSON, ended by a zero byte, written to the browser's descriptor 3 and read from 4.
"""

import base64
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
    "--remote-debugging-pipe",
]


def find_chromium():
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium", path="/usr/bin")


class Browser:
    def __init__(self):
        self._home = tempfile.mkdtemp(prefix="vedette-chromium-")
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()

        def descriptors():
            # High numbers first, so that neither end is overwritten before it has been copied.
            a, b = os.dup2(to_read, 70), os.dup2(from_write, 71)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self._process = subprocess.Popen(
            [find_chromium(), "--user-data-dir=" + self._home] + FLAGS,
            preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=self._home))
        os.close(to_read)
        os.close(from_write)
        self._lock = threading.Lock()
        self._next = 0
        self._answers = {}
        self.listeners = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        pending = b""
        while True:
            try:
                part = os.read(self._from, 1 << 20)
            except OSError:
                return
            if not part:
                return
            pending += part
            *whole, pending = pending.split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    answer = self._answers.pop(message["id"], None)
                    if answer is not None:
                        answer.put(message)
                else:
                    listener = self.listeners.get(message.get("sessionId"))
                    if listener is not None:
                        listener(message["method"], message["params"])

    def call(self, method, params=None, session=None, timeout=120):
        answer = queue.Queue()
        with self._lock:
            self._next += 1
            message = {"id": self._next, "method": method, "params": params or {}}
            if session:
                message["sessionId"] = session
            self._answers[self._next] = answer
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self._to, data):]
        got = answer.get(timeout=timeout)
        if "error" in got:
            raise RuntimeError(method + ": " + got["error"]["message"])
        return got["result"]

    def page(self, width=1360, height=860, theme="dark"):
        context = self.call("Target.createBrowserContext")["browserContextId"]
        return Page(self, context, width, height, theme)

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    """One tab in a browser profile of its own. Keeps what went wrong in it."""

    def __init__(self, browser, context, width, height, theme):
        self._browser = browser
        self._context = context
        target = browser.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        self._session = browser.call("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})["sessionId"]
        self.errors = []
        self.requests = []
        self.bodies = []
        browser.listeners[self._session] = self._event
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        # Costs in seconds of the processor, not of the clock: other people's work does not count.
        self.call("Performance.enable", {"timeDomain": "threadTicks"})
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.theme(theme)

    def call(self, method, params=None):
        return self._browser.call(method, params, self._session)

    def _event(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["source"] == "security":
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["method"] + " " + params["request"]["url"])
            self.bodies.append(params["request"].get("postData", ""))

    def theme(self, theme):
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})

    def open(self, url):
        if self.eval("location.href") != "about:blank":
            self.eval("window.left = true")
        self.call("Page.navigate", {"url": url})
        self.wait("!window.left && document.readyState !== 'loading' && location.href !== 'about:blank'")

    def eval(self, expression):
        got = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"].get("exception", {}).get("description", "exception"))
        return got["result"].get("value")

    def wait(self, expression, timeout=60):
        """Until the expression is true; returns its value."""
        until = time.monotonic() + timeout
        while True:
            try:
                # An element has no value of its own outside of the page.
                value = self.eval("(v => v instanceof Node ? true : v)(%s)" % expression)
            except RuntimeError:
                value = None  # Between two documents.
            if value:
                return value
            if time.monotonic() > until:
                raise AssertionError("never became true: " + expression)
            time.sleep(0.05)

    def text(self, keys):
        self.call("Input.insertText", {"text": keys})

    def type(self, keys):
        """Key by key, as a person does: completion listens to that."""
        for key in keys:
            self.call("Input.dispatchKeyEvent", {"type": "keyDown", "text": key, "key": key})
            self.call("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})

    def key(self, key, modifiers=0):
        code = {"Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "Tab": 9}.get(key, ord(key[0].upper()))
        event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers,
                 "code": key if len(key) > 1 else "Key" + key.upper()}
        if len(key) == 1 and not modifiers:
            event["text"] = key
        if key == "Enter":
            event["text"] = "\r"
        self.call("Input.dispatchKeyEvent", dict(event, type="keyDown"))
        self.call("Input.dispatchKeyEvent", dict(event, type="keyUp", text=""))

    def mouse(self, kind, x, y, button="none", modifiers=0):
        self.call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": button,
                                               "buttons": 1 if button == "left" else 0,
                                               "clickCount": 1 if kind != "mouseMoved" else 0, "modifiers": modifiers})

    def click(self, selector, modifiers=0):
        place = ("(() => { const e = document.querySelector(%s); if (!e) return null; e.scrollIntoView({block: 'center'});"
                 " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()" % json.dumps(selector))
        # Where it stands still: a page that is still being laid out would be clicked beside it.
        x, y = self.wait(place)
        for _ in range(20):
            before = (x, y)
            time.sleep(0.05)
            x, y = self.wait(place)
            if (x, y) == before:
                break
        self.mouse("mouseMoved", x, y, modifiers=modifiers)
        self.mouse("mousePressed", x, y, "left", modifiers)
        self.mouse("mouseReleased", x, y, "left", modifiers)

    def hover_all(self, selector):
        for x, y in self.eval("[...document.querySelectorAll(%s)].map(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width * .7, r.y + r.height / 2]; })" % json.dumps(selector)):
            self.mouse("mouseMoved", x, y)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def drag(self, x0, y0, x1, y1):
        self.mouse("mouseMoved", x0, y0)
        self.mouse("mousePressed", x0, y0, "left")
        for i in range(1, 6):
            self.mouse("mouseMoved", x0 + (x1 - x0) * i / 5, y0 + (y1 - y0) * i / 5, "left")
        self.mouse("mouseReleased", x1, y1, "left")

    def close(self):
        self._browser.listeners.pop(self._session, None)
        self._browser.call("Target.disposeBrowserContext", {"browserContextId": self._context})

    def screenshot(self, path):
        """PNG, or WebP where the name says so: a third of the bytes."""
        form = {"format": "webp", "quality": 85} if path.endswith(".webp") else {"format": "png"}
        data = self.call("Page.captureScreenshot", form)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
