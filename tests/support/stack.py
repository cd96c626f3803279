"""Real programs on loopback for the end-to-end tests: Vedette's own, a MariaDB, a Flask application,
a sink for webhooks. Everything lives in one temporary folder and ends with the test."""
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.environ.get("TEST_SRCDIR") and os.path.join(os.environ["TEST_SRCDIR"], "vedette") or os.getcwd()
AGENT = os.path.join(ROOT, "agent/vedette-agent")
SERVER = os.path.join(ROOT, "server/vedette-server")
CTL = os.path.join(ROOT, "ctl/vedettectl")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, ask, timeout=60, every=0.2):
    """Asks until the answer is true; the last answer is in the error."""
    end = time.monotonic() + timeout
    while True:
        try:
            last = ask()
        except (OSError, KeyError, IndexError, ValueError) as e:
            last = e
        if last and not isinstance(last, Exception):
            return last
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}; last answer: {last!r}")
        time.sleep(every)


def http_json(url, data=None, method=None, headers=None):
    body = urllib.parse.urlencode(data).encode() if isinstance(data, dict) else data
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            return json.load(r)
    except urllib.error.HTTPError as e:
        text = e.read().decode(errors="replace")
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"{url}: {e.code} {text[:200]}") from e


class Program:
    """One started program; its output is in NAME.log."""

    def __init__(self, name, argv, work, env=None, cwd=None):
        self.name, self.argv, self.log = name, argv, os.path.join(work, name + ".log")
        self._env, self._cwd = env, cwd
        self.process = None
        self.start()

    def start(self):
        out = open(self.log, "ab")
        self.process = subprocess.Popen(
            self.argv, stdout=out, stderr=subprocess.STDOUT, env=self._env, cwd=self._cwd, start_new_session=True
        )
        out.close()

    def alive(self):
        return self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=20):
        if self.alive():
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError(f"{self.name} did not stop within {timeout} s")
        return self.process.returncode

    def kill9(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


class Sink:
    """Takes webhooks. `plan` holds the answers to give first: (status, headers); then 200."""

    def __init__(self):
        self.received, self.plan, self._lock = [], [], threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with sink._lock:
                    status, headers = sink.plan.pop(0) if sink.plan else (200, {})
                    sink.received.append((time.time(), self.path, status, json.loads(body)))
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def accepted(self, path):
        with self._lock:
            return [body for _, p, status, body in self.received if p == path and status == 200]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stack:
    """A folder, and the programs started in it. Use as a context manager."""

    def __init__(self):
        # Not below TEST_TMPDIR: the path of a unix socket may have 107 characters.
        self.work = tempfile.mkdtemp(prefix="vedette.")
        self.tls = os.path.join(self.work, "tls")
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.dump_logs()
        self.close()

    def dump_logs(self):
        for p in self.programs:
            print(f"--- {p.name}: {' '.join(p.argv)}\n{p.text()[-6000:]}", file=sys.stderr)

    def close(self):
        for p in reversed(self.programs):
            if p.alive():
                p.kill9()
        shutil.rmtree(self.work, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def write(self, name, text):
        path = self.path(name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.replace(path + ".new", path)
        return path

    def run(self, name, argv, **kw):
        p = Program(name, argv, self.work, **kw)
        self.programs.append(p)
        return p

    # --- certificates

    def make_ca(self, folder=None):
        subprocess.run([CTL, "ca", "init", "--dir", folder or self.tls], check=True, stdout=subprocess.DEVNULL)

    def issue(self, role, name, folder=None, *more):
        folder = folder or self.tls
        subprocess.run(
            [CTL, "ca", "issue", "--dir", folder, "--role", role, "--name", name, "--san", "localhost",
             "--san", "127.0.0.1", "--out", folder, *more],
            check=True, stdout=subprocess.DEVNULL,
        )

    def tls_flags(self, name):
        return [f"--grpc.tls.ca={self.tls}/ca.crt", f"--grpc.tls.cert={self.tls}/{name}.crt",
                f"--grpc.tls.key={self.tls}/{name}.key"]

    def tls_config(self, server_name, name="server"):
        """The tls_config of a scrape_config, as one line of YAML."""
        return (f"{{ca_file: {self.tls}/ca.crt, cert_file: {self.tls}/{name}.crt, "
                f"key_file: {self.tls}/{name}.key, server_name: {server_name}}}")

    # --- Vedette

    def agent(self, *flags, name="agent"):
        self.agent_port, self.agent_http = free_port(), free_port()
        p = self.run(name, [AGENT, f"--grpc.listen-address=127.0.0.1:{self.agent_port}",
                            f"--web.listen-address=127.0.0.1:{self.agent_http}", *self.tls_flags(name), *flags])
        wait_until("the agent answers", lambda: p.alive() and self.get_text(f"http://127.0.0.1:{self.agent_http}/metrics"))
        return p

    def server(self, config, *flags, name="server", data="data"):
        self.http, self.grpc = free_port(), free_port()
        os.makedirs(self.path(data), exist_ok=True)
        p = self.run(name, [SERVER, f"--config.file={config}", f"--storage.tsdb.path={self.path(data)}",
                            f"--web.listen-address=127.0.0.1:{self.http}",
                            f"--grpc.listen-address=127.0.0.1:{self.grpc}", "--web.enable-lifecycle",
                            *self.tls_flags("server"), *flags])
        self.wait_ready(p)
        return p

    def wait_ready(self, program):
        def ready():
            if not program.alive():
                raise AssertionError(f"{program.name} ended with {program.process.returncode}:\n{program.text()[-3000:]}")
            return self.get_text(f"http://127.0.0.1:{self.http}/-/ready")
        wait_until("the server is ready", ready)

    def get_text(self, url):
        with urllib.request.urlopen(url, timeout=20) as r:
            return r.read().decode()

    def api(self, path, **params):
        query = "?" + urllib.parse.urlencode(params, doseq=True) if params else ""
        return http_json(f"http://127.0.0.1:{self.http}{path}{query}")

    def query(self, expression, **params):
        answer = self.api("/api/v1/query", query=expression, **params)
        if answer["status"] != "success":
            raise ValueError(f"{expression}: {answer}")
        return answer["data"]["result"]

    def value(self, expression, **params):
        """The one value of an answer of one element; None when there is none."""
        result = self.query(expression, **params)
        if isinstance(result, list) and result and isinstance(result[0], dict):
            return float(result[0]["value"][1])
        return None

    # --- the world around it

    def mariadb(self, name="mysql", *flags):
        """A server of its own on a socket and a port, with more flags; returns (program, port, user, password)."""
        daemon = shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
        data, sock, port = self.path(name), self.path(f"{name}.sock"), free_port()
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                        "--skip-test-db", "--user=root"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        p = self.run(f"mariadb-{name}", [daemon, "--no-defaults", f"--datadir={data}", f"--socket={sock}", "--user=root",
                                 "--bind-address=127.0.0.1", f"--port={port}", "--innodb-buffer-pool-size=32M",
                                 "--innodb-flush-log-at-trx-commit=0", *flags])
        def sql(text):
            return subprocess.run(["mariadb", "--no-defaults", f"--socket={sock}", "-uroot", "-N", "-e", text],
                                  capture_output=True, text=True, check=False)
        wait_until("MariaDB answers", lambda: p.alive() and sql("SELECT 1").returncode == 0)
        done = sql("CREATE USER 'vedette'@'%' IDENTIFIED BY 'only-for-this-test';"
                   "GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'vedette'@'%';")
        assert done.returncode == 0, done.stderr
        self.sql = sql
        return p, port, "vedette", "only-for-this-test"

    def flask(self):
        port = free_port()
        p = self.run("flask", ["/usr/bin/python3", os.path.join(ROOT, "tests/e2e/flask_app.py"), str(port)])
        wait_until("the Flask application answers", lambda: p.alive() and self.get_text(f"http://127.0.0.1:{port}/"))
        return p, port
