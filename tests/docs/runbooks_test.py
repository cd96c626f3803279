"""Every command of every runbook is run: whatever stands as `inline code` in docs/runbooks/*.md.

SQL goes to a real MariaDB, paths of the API and vedettectl to a live server with an agent, everything else through
bash on this machine. Placeholders and the places of an installed Vedette are put right first, and what would change
the machine is aimed at something that is not there, or at what it is already. Three things can become of a command:

- it ran, and ended well;
- its program took it, but this machine has nothing for it (no systemd, no Docker, no disk behind /dev): the
  program's own words for that are listed in shell_commands.py, and any other failure is one;
- the program is not installed: it is named at the end, and never counted as run."""
import collections
import concurrent.futures
import http.server
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import shell_commands as shell  # noqa: E402
from shell_commands import UNIT, Outcome  # noqa: E402

RUNBOOKS = sorted(p for p in pathlib.Path("docs/runbooks").glob("*.md") if p.stem != "README")
SQL = re.compile(r"(SELECT|SHOW|EXPLAIN|SET|KILL|START) ")
APPLICATION = "".join(
    f'http_requests_total{{path="/",status="{status}"}} {n}\n'
    f'http_request_duration_seconds_bucket{{path="/",status="{status}",le="1"}} {n}\n'
    f'http_request_duration_seconds_bucket{{path="/",status="{status}",le="+Inf"}} {n}\n'
    for status, n in (("200", 90), ("500", 10)))


def commands(page):
    text = page.read_text().partition("## Look")[2]
    return re.findall(r"`([^`]+)`", text)


class TlsDoor:
    """Shows a certificate to whoever comes."""

    def __init__(self, certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

        def serve():
            while True:
                peer, _ = self.socket.accept()
                try:
                    with context.wrap_socket(peer, server_side=True) as talk:
                        talk.recv(1)
                except OSError:
                    pass
        threading.Thread(target=serve, daemon=True).start()


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(APPLICATION.encode())

    def log_message(self, *args):
        pass


class Runbooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role in ("server", "agent", "operator"):
            st.issue(role, role)
        os.makedirs(st.path("bin"))
        shutil.copy(s.CTL, st.path("bin"))
        _, cls.mysql_port, user, password = st.mariadb()
        st.write("mysql.password", password)
        st.agent(f"--mysql.address=127.0.0.1:{cls.mysql_port}", f"--mysql.user={user}",
                 f"--mysql.password-file={st.path('mysql.password')}")
        application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
        cls.addClassCleanup(application.shutdown)
        threading.Thread(target=application.serve_forever, daemon=True).start()
        cls.application = application.server_address[1]
        cls.sink = s.Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.enrol = s.free_port()
        os.makedirs(st.path("etc"))
        am = st.write("etc/alertmanager.yml", "route: {receiver: hook, group_wait: 1s}\nreceivers: [{name: hook, "
                      f"webhook_configs: [{{url: 'http://127.0.0.1:{cls.sink.port}/'}}]}}]\n")
        config = st.write("etc/prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ['{s.ROOT}/rules/*.yml']
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("agent")}
    static_configs: [{{targets: ['localhost:{st.agent_port}']}}]
  - job_name: app
    static_configs: [{{targets: ['127.0.0.1:{cls.application}']}}]
  - job_name: vedette
    static_configs: [{{targets: ['PORT']}}]
""")
        st.server(config, f"--alertmanager.config.file={am}", "--web.enable-admin-api",
                  f"--enrol.listen-address=127.0.0.1:{cls.enrol}", f"--enrol.ca-dir={st.tls}")
        text = pathlib.Path(config).read_text().replace("PORT", f"127.0.0.1:{st.http}")
        st.write("etc/prometheus.yml", text)
        subprocess.run(["curl", "-sf", "-X", "POST", f"http://127.0.0.1:{st.http}/-/reload"], check=True, timeout=60)
        cls.prepare()
        s.wait_until("all targets are up", lambda: st.value('count(up == 1)') == 3 and st.value("mysql_up") == 1)

    @classmethod
    def prepare(cls):
        """What the pages take for granted."""
        st = cls.stack
        cls.env = dict(
            os.environ, PATH=st.path("bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", HOME=st.path("home"), CURL_HOME=st.path("home"),
            USER="olga", LC_ALL="C.UTF-8", VEDETTE_URL=f"http://localhost:{st.http}", VEDETTE_SERVER=f"localhost:{st.grpc}",
            VEDETTE_CA=f"{st.tls}/ca.crt", VEDETTE_CERT=f"{st.tls}/operator.crt", VEDETTE_KEY=f"{st.tls}/operator.key")
        os.makedirs(st.path("home"))
        st.write("home/.curlrc", "fail\n")  # An error of HTTP is a failure.

        def ctl(command):
            return subprocess.run(["bash", "-c", command], cwd=st.work, env=cls.env, check=True, timeout=60,
                                  capture_output=True, text=True).stdout.strip()
        # A node that has joined.
        ctl(f"vedettectl token create --dir {st.tls} --role agent --name localhost --ttl 1h >token")
        ctl(f"vedettectl join --server 127.0.0.1:{cls.enrol} --token-file token --name localhost --out agentlib/tls")
        # A snapshot, in the data directory and where it was copied to.
        name = ctl("vedettectl snapshot create").splitlines()[-1].split()[-1]
        for folder in ("serverlib/data/snapshots", "backup"):
            shutil.copytree(st.path("data", "snapshots", name), st.path(folder, name))
        # A filesystem to check, a folder to look into, a slow log, a process.
        cls.image = st.path("disk.img")
        with open(cls.image, "wb") as f:
            f.truncate(8 << 20)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", cls.image], check=True, timeout=60, stdout=subprocess.DEVNULL)
        for folder in ("mount/a", "journal"):
            os.makedirs(st.path(folder))
        st.write("mount/a/file", "x")
        slow = st.path("slow.log")
        done = st.sql(f"SET GLOBAL slow_query_log_file='{slow}'; SET GLOBAL slow_query_log=1; SET long_query_time=0; SELECT SLEEP(0.01)")
        assert done.returncode == 0, done.stderr
        sleeper = st.run("sleeper", ["sleep", "3600"])
        tls = TlsDoor(f"{st.tls}/server.crt", f"{st.tls}/server.key")
        disk = next((d for d in ("/dev/vda", "/dev/sda", "/dev/xvda", "/dev/nvme0n1") if os.path.exists(d)), cls.image)
        cls.here = (
            ("http://localhost:9090", f"http://localhost:{st.http}"),
            ("http://localhost:9100", f"http://localhost:{st.agent_http}"),
            ("HOST:9465", f"localhost:{st.agent_port}"),
            ("HOST:443", f"localhost:{tls.port}"),
            ("/etc/vedette/", st.path("etc") + "/"),
            ("/var/lib/vedette-agent/", st.path("agentlib") + "/"),
            ("/var/lib/vedette-server/", st.path("serverlib") + "/"),
            ("/snapshots/NAME", f"/snapshots/{name}"),
            ("/backup/NAME", st.path("backup", name)),
            ("/var/lib/mysql", st.path("mysql")),
            ("HOST", "localhost"), ("ADDRESS", f"127.0.0.1:{cls.application}"), ("JOB", "app"), ("NAME", UNIT),
            ("PID", str(sleeper.process.pid)), ("MOUNT", st.path("mount")), ("INTERFACE", "lo"),
            ("ARRAY", "/dev/" + UNIT), ("QUERY", "up"),
        )
        cls.of_program = {"smartctl": ("DEVICE", disk), "fsck": ("DEVICE", cls.image), "mdadm": ("DEVICE", cls.image),
                          "mysqldumpslow": ("FILE", slow), "vedettectl": ("FILE", s.ROOT + "/rules/host.yml")}

    def put_right(self, command):
        program = command.split()[0]
        if program in self.of_program:
            command = re.sub(rf"\b{self.of_program[program][0]}\b", self.of_program[program][1], command)
        for there, here in self.here:
            command = re.sub(rf"(?<![A-Z]){re.escape(there)}(?![A-Z])", lambda _, h=here: h, command)
        # What would change the machine.
        command = shell.leave_the_machine_alone(command)
        command = command.replace("apt-get clean", "apt-get --simulate clean")
        command = command.replace("journalctl --vacuum", f"journalctl --directory={self.stack.path('journal')} --vacuum")
        command = re.sub(r"^chronyc", f"chronyc -h 127.0.0.1 -p {s.free_port()}", command)
        setting = re.match(r"sysctl -w ([\w.]+)=\d+$", command)
        if setting:
            path = "/proc/sys/" + setting[1].replace(".", "/")
            if os.path.exists(path):
                command = f"sysctl -w {setting[1]}={pathlib.Path(path).read_text().strip()}"
        return command

    def run_sql(self, command):
        command = command.replace("BYTES", str(64 << 20)).replace("EXPLAIN QUERY", "EXPLAIN SELECT user FROM mysql.user")
        if command.startswith("KILL CONNECTION"):
            st = self.stack
            st.run("idle", ["mariadb", "--no-defaults", f"--socket={st.path('mysql.sock')}", "-uroot", "-e", "SELECT SLEEP(600)"])
            wanted = "SELECT max(id) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'"
            s.wait_until("a connection to end", lambda: st.sql(wanted).stdout.strip().isdigit())
            command = command.replace("ID", st.sql(wanted).stdout.strip())
        done = self.stack.sql(command)
        if done.returncode != 0 and command == "START REPLICA" and "ERROR 1200" in done.stderr:
            return Outcome("nothing here", "no replica")
        return Outcome("ran" if done.returncode == 0 else "failed", done.stderr.strip())

    def run_path(self, path):
        try:
            text = self.stack.get_text(f"http://127.0.0.1:{self.stack.http}{path}")
        except OSError as e:
            return Outcome("failed", str(e))
        bad = path.startswith("/api/v1/") and '"status":"success"' not in text
        return Outcome("failed" if bad else "ran", text[:300])

    def run_shell(self, command):
        return shell.run(self.put_right(command), self.stack.work, self.env)

    def run_command(self, command):
        if SQL.match(command):
            return self.run_sql(command)
        if command.startswith("/"):
            return self.run_path(command)
        return self.run_shell(command)

    def test_every_command(self):
        where = collections.defaultdict(list)
        for page in RUNBOOKS:
            for command in commands(page):
                where[command].append(page.stem)
        outcomes = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            # Most of the time goes into programs that look for some seconds.
            for command, outcome in zip(where, pool.map(self.run_command, where)):
                outcomes[command] = outcome
        for command, outcome in outcomes.items():
            with self.subTest(page=where[command][0], command=command):
                self.assertNotEqual(outcome.kind, "failed", outcome.detail)
        print(f"{len(RUNBOOKS)} runbooks")
        by_kind = shell.report(outcomes)
        # Ours, and what a Debian always has, must really run.
        for command, outcome in outcomes.items():
            if outcome.kind == "not installed":
                self.assertNotIn(outcome.detail, ("vedettectl", "curl", "openssl", "df", "du", "find", "ps", "awk", "systemctl"), command)
        self.assertGreater(by_kind["ran"], len(outcomes) / 2)

    def test_every_page_has_commands_and_marks_them(self):
        bare = re.compile(r"\b(vedettectl|journalctl|systemctl|docker|curl|sysctl|SELECT|SHOW|EXPLAIN|smartctl|iostat|topk|rate)\b[ (]")
        self.assertGreater(len(RUNBOOKS), 60)
        for page in RUNBOOKS:
            with self.subTest(page=page.stem):
                self.assertTrue(commands(page))
                self.assertNotRegex(re.sub(r"`[^`]+`", "", page.read_text()), bare)

    def test_queries_ask_for_metrics_that_exist(self):
        """Live, or described in the pages of collectors and self-metrics, which have tests of their own."""
        live = set(self.stack.api("/api/v1/label/__name__/values")["data"])
        text = "".join(pathlib.Path("docs", page).read_text() for page in ("collectors.md", "self-metrics.md"))
        # node_x_{a,b}_total, mysql_y_*
        patterns = {re.sub(r"\{([\w,]*)\}", lambda m: "(" + m[1].replace(",", "|") + ")", name).replace("*", r"\w+")
                    for name in re.findall(r"[a-z]+_(?:\w|\*|\{[\w,]*\})+", text)}
        known = re.compile("|".join(f"(?:{p})" for p in sorted(patterns)))

        def names(node):
            if isinstance(node, dict):
                if node.get("type", "").endswith("Selector") and node.get("name"):
                    yield node["name"]
                for part in node.values():
                    yield from names(part)
            elif isinstance(node, list):
                for part in node:
                    yield from names(part)
        asked = 0
        for page in RUNBOOKS:
            for command in commands(page):
                query = re.match(r"vedettectl query (?:instant|range) '([^']+)'", command)
                if not query or query[1] == "QUERY":
                    continue
                found = list(names(self.stack.api("/api/v1/parse_query", query=query[1])["data"]))
                for name in found:
                    with self.subTest(page=page.stem, metric=name):
                        self.assertTrue(name in live or known.fullmatch(name) or known.fullmatch(re.sub(r"_(bucket|sum|count)$", "", name)))
                asked += len(found)
        self.assertGreater(asked, 60)


if __name__ == "__main__":
    xml_unittest.main()
