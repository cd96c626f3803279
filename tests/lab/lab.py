#!/usr/bin/env python3
"""The three machines of terraform/, on this one: each a Debian tree with its own systemd (systemd-nspawn) in
its own network namespace, running the very user data that Terraform renders. From nothing to targets up, a Slack
alert on a stopped database, a silence, recovery, a partition without a gap, a killed server.

  tests/lab/lab.py --release FILE.tar.gz [--work DIR] [--keep]

FILE is what tools/release makes. DIR (default: a temporary one) keeps the base tree between runs: making it takes
some minutes. --keep leaves the machines running, for looking around:
  nsenter -t PID -a /bin/bash     (the PID is printed)
Needs root, systemd-nspawn, debootstrap and ip; where one is missing, or namespaces are not allowed, it says so and
ends with 0."""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "tests/terraform"))
sys.path.insert(0, str(TREE / "tests/support"))
BRIDGE, PREFIX = "10.77.0.1", "vlab"
NODES = {"server": "10.77.0.10", "app": "10.77.0.11", "db": "10.77.0.12"}
PACKAGES = ("systemd systemd-sysv dbus iproute2 procps curl ca-certificates openssl adduser mariadb-server python3-flask "
            "python3-prometheus-client").split()
SCRAPE_S = 15  # As the user data has it.
FAST_S = 3
PARTITION_S = 180


def say(*words):
    print(f"[{time.monotonic() - START:6.1f} s]", *words, flush=True)


def run(*argv, check=True, **kw):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, **kw)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def why_not():
    """The reason why this machine cannot be a lab, or None."""
    if os.geteuid() != 0:
        return "not root"
    for program in ("systemd-nspawn", "debootstrap", "ip", "nsenter"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            return f"{program} is not installed"
    if run("unshare", "-n", "-m", "true", check=False).returncode:
        return "namespaces are not allowed here"
    return None


def wait_until(what, ask, timeout, every=1.0):
    end, last = time.monotonic() + timeout, None
    while time.monotonic() < end:
        try:
            last = ask()
        except (RuntimeError, ValueError, KeyError, IndexError) as e:
            last = e
        if last and not isinstance(last, Exception):
            say("seen:", what)
            return last
        time.sleep(every)
    raise AssertionError(f"not within {timeout} s: {what}; last: {last!r}")


def make_base(work, runtime):
    base, done = work / "base", work / "base/.done"
    needs = "\n".join(sorted(runtime))
    if done.exists() and done.read_text() == needs:
        return base
    if not done.exists():
        say("making the base tree (debootstrap)")
        shutil.rmtree(base, ignore_errors=True)
        suite = run("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME").stdout.strip()
        run("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), suite, base)
    for path in pathlib.Path("/etc/apt/apt.conf.d").glob("*proxy*"):
        shutil.copy(path, base / "etc/apt/apt.conf.d")
    shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
    # What install.sh would fetch: a lab has no way out.
    run("chroot", base, "sh", "-c", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y "
        "--no-install-recommends " + " ".join(runtime))
    run("chroot", base, "systemctl", "disable", "mariadb", check=False)
    done.write_text(needs)
    return base


class Node:
    def __init__(self, name, lab):
        self.name, self.lab, self.address = name, lab, NODES[name]
        self.root, self.netns = lab.work / name / "root", f"{PREFIX}-{name}"
        self.process = None

    def seed(self, user_data):
        for folder in ("root", "upper", "scratch"):
            (self.lab.work / self.name / folder).mkdir(parents=True, exist_ok=True)
        self.mount()
        (self.root / "root/user-data").write_text(user_data)
        (self.root / "etc/hostname").write_text(self.name + "\n")
        # Without one systemd enables every unit there is at the first boot, among them a socket that starts a
        # stopped MariaDB again.
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in NODES.items()))
        unit = self.root / "etc/systemd/system/first-boot.service"
        unit.write_text("[Unit]\nAfter=network.target dbus.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                        "ExecStart=/bin/bash /root/user-data\nTimeoutStartSec=1500\n[Install]\nWantedBy=multi-user.target\n")
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        if not (wants / unit.name).is_symlink():
            (wants / unit.name).symlink_to("../first-boot.service")

    def mount(self):
        here = self.lab.work / self.name
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={self.lab.base},upperdir={here}/upper,workdir={here}/scratch", self.root)

    def start(self):
        log = open(self.lab.work / f"{self.name}.console", "ab")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--boot", "--console=pipe", f"--directory={self.root}",
             f"--machine={self.name}", f"--network-namespace-path=/run/netns/{self.netns}", "--resolv-conf=off",
             "--timezone=off", "--link-journal=no", "--private-users=no", "--settings=no", "--notify-ready=no",
             # As on a machine of its own; what Vedette's units forbid is still forbidden.
             "--system-call-filter=adjtimex clock_adjtime",
             f"--bind-ro={self.lab.artifacts}:/mnt/artifacts"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def init(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            raise RuntimeError(f"{self.name} is not up")
        return children[0]

    def run(self, *argv, check=True):
        return run("nsenter", "-t", self.init(), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i",
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", *argv, check=check)

    def kill(self):
        """As when the power goes."""
        init = self.init()
        os.kill(int(init), 9)
        self.process.wait()

    def make_worse(self):
        """A bad line, by netem; where the kernel has none, packets dropped by nftables and a link so narrow that they
        queue. Says which."""
        switch = ("ip", "netns", "exec", f"{PREFIX}-switch", "tc", "qdisc", "replace", "dev", f"p-{self.name}", "root")
        if run(*switch, "netem", "delay", "150ms", "50ms", "loss", "10%", check=False).returncode == 0:
            return "10 % loss, 150 ms of delay (netem)"
        run(*switch, "tbf", "rate", "400kbit", "burst", "4kb", "latency", "400ms")
        here = ("ip", "netns", "exec", self.netns, "nft")
        run(*here, "add table ip worse")
        run(*here, "add chain ip worse in { type filter hook input priority 0; }")
        run(*here, "add rule ip worse in iif eth0 numgen random mod 10 == 0 drop")
        return "10 % loss (nftables), 400 kbit/s with a queue of 400 ms (tbf)"

    def make_good(self):
        run("ip", "netns", "exec", f"{PREFIX}-switch", "tc", "qdisc", "del", "dev", f"p-{self.name}", "root")
        run("ip", "netns", "exec", self.netns, "nft", "delete table ip worse", check=False)

    def link(self, state):
        run("ip", "netns", "exec", f"{PREFIX}-switch", "ip", "link", "set", f"p-{self.name}", state)


class Lab:
    def __init__(self, work, release):
        self.work, self.artifacts = work, work / "artifacts"
        self.artifacts.mkdir(parents=True, exist_ok=True)
        shutil.copy(release, self.artifacts / "vedette.tar.gz")
        with tarfile.open(release) as tar:
            name = next(n for n in tar.getnames() if n.endswith("runtime-packages.txt"))
            runtime = tar.extractfile(name).read().decode().split()
        self.base = make_base(work, runtime)
        self.nodes = {name: Node(name, self) for name in NODES}
        for name in NODES:  # Machines of an earlier run.
            shutil.rmtree(work / name, ignore_errors=True)
        self.slack = []

    def user_data(self):
        import terraform_test
        os.chdir(TREE)
        terraform_test.VALUES.update(
            url="file:///mnt/artifacts/vedette.tar.gz", server=NODES["server"],
            sha256=hashlib.sha256((self.artifacts / "vedette.tar.gz").read_bytes()).hexdigest())
        out = {}
        for name in NODES:
            terraform_test.VALUES.update(name=name, address=NODES[name],
                                         token=terraform_test.VALUES[name + "_token"] if name != "server" else "")
            out[name] = dict(terraform_test.rendered())[name]
        return out

    def network(self):
        switch = f"{PREFIX}-switch"
        run("ip", "netns", "add", switch)
        inside = ("ip", "netns", "exec", switch, "ip")
        run(*inside, "link", "add", "br0", "type", "bridge")
        run(*inside, "addr", "add", f"{BRIDGE}/24", "dev", "br0")
        for link in ("br0", "lo"):
            run(*inside, "link", "set", link, "up")
        for name, address in NODES.items():
            there = f"{PREFIX}-{name}"
            run("ip", "netns", "add", there)
            run("ip", "link", "add", f"p-{name}", "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", there)
            run(*inside, "link", "set", f"p-{name}", "master", "br0", "up")
            for words in (("link", "set", "lo", "up"), ("addr", "add", f"{address}/24", "dev", "eth0"),
                          ("link", "set", "eth0", "up")):
                run("ip", "netns", "exec", there, "ip", *words)

    def serve_slack(self):
        """Where Slack would be: on the bridge, so that only the machines reach it."""
        out = self.work / "slack.jsonl"
        out.write_text("")
        code = ("import http.server,sys\nclass H(http.server.BaseHTTPRequestHandler):\n"
                " def do_POST(self):\n"
                "  body=self.rfile.read(int(self.headers['Content-Length']))\n"
                "  open(sys.argv[1],'ab').write(body.replace(b'\\n',b' ')+b'\\n')\n"
                "  self.send_response(200);self.end_headers();self.wfile.write(b'ok')\n"
                " def log_message(self,*a): pass\n"
                f"http.server.ThreadingHTTPServer(('{BRIDGE}',8080),H).serve_forever()\n")
        self.sink = subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-switch", sys.executable, "-c", code, str(out)])

    def slack_messages(self):
        return [json.loads(line) for line in (self.work / "slack.jsonl").read_text().splitlines()]

    def api(self, path, data=None, *headers):
        password = self.nodes["server"].run("cat", "/etc/vedette/page-password").stdout.strip()
        argv = ["curl", "-sk", "--max-time", "20", "-u", f"admin:{password}", f"https://{NODES['server']}:9090{path}"]
        if data is not None:
            argv += ["-H", "Content-Type: application/json", "-d", json.dumps(data)]
        for header in headers:
            argv += ["-H", header]
        text = run("ip", "netns", "exec", f"{PREFIX}-switch", *argv).stdout
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"{path}: not JSON: {text[:300]!r}") from None

    def query(self, expression):
        from urllib.parse import quote
        return self.api("/api/v1/query?query=" + quote(expression))["data"]["result"]

    def count(self, node):
        return float(self.query(f'count_over_time(node_time_seconds{{node="{node}"}}[1h])')[0]["value"][1])

    def no_gap(self, what, node, began, ended):
        """Every scrape of that time is there, none twice; waits for what is filled in late."""
        def whole():
            span = int(time.time() - began) + 30
            seen = [float(t) for t, _ in self.query(f'node_time_seconds{{node="{node}"}}[{span}s]')[0]["values"]]
            inside = [t for t in seen if began <= t <= ended]
            widest, at = max((b - a, a) for a, b in zip(seen, seen[1:]))
            # A span holds one more or less by where it begins; a busy machine takes a sample late, now and then.
            if len(inside) < 0.95 * (ended - began) / FAST_S - 1 or widest > 5 * FAST_S:
                raise ValueError(f"{len(inside)} samples in {ended - began:.0f} s, the widest step {widest:.1f} s, "
                                 f"{at - began:.0f} s after the beginning")
            return len(inside), widest
        samples, widest = wait_until(f"no gap: {what}", whole, 180)
        say(f"{what}: {samples} samples of {node} in {ended - began:.0f} s, the widest step {widest:.2f} s")

    def down(self):
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                try:
                    node.kill()
                except (OSError, RuntimeError):
                    node.process.kill()
            run("umount", "-l", node.root, check=False)
        if getattr(self, "sink", None):
            self.sink.kill()
        for name in (*NODES, "switch"):
            run("ip", "netns", "del", f"{PREFIX}-{name}", check=False)


def scenario(lab):
    server, db = lab.nodes["server"], lab.nodes["db"]
    for name, text in lab.user_data().items():
        lab.nodes[name].seed(text)
    lab.network()
    lab.serve_slack()
    for node in lab.nodes.values():
        node.start()

    def first_boot(node):
        state = node.run("systemctl", "show", "-p", "ActiveState,Result", "first-boot", check=False).stdout
        if "failed" in state:
            log = node.run("journalctl", "-u", "first-boot", "-n", "15", "--no-pager", "-o", "cat").stdout
            raise AssertionError(f"the user data of {node.name} failed:\n{log}")
        return "ActiveState=active" in state
    for node in lab.nodes.values():
        wait_until(f"{node.name}: its user data has run", lambda node=node: first_boot(node), 900)
    wait_until("every target is up", lambda: (up := lab.query("up")) and len(up) >= 3 and
               all(t["value"][1] == "1" for t in up), 180)
    failing = lab.query("vedette_collector_success == 0")
    assert not failing, failing
    assert lab.query("mysql_up == 1"), "the agent cannot log in to MariaDB"
    say("targets:", sorted(t["metric"].get("job", "") + "/" + t["metric"].get("node", "") for t in lab.query("up")))

    say("running the user data once more changes nothing")
    for node in lab.nodes.values():
        node.run("bash", "/root/user-data")

    server.run("sh", "-c", f"printf %s http://{BRIDGE}:8080/slack >/etc/vedette/slack-url")
    server.run("systemctl", "restart", "vedette-server")
    wait_until("the server is back", lambda: lab.query("up"), 60)
    db.run("sh", "-c", "systemctl stop mariadb.socket 2>/dev/null; systemctl stop mariadb")
    stopped = time.monotonic()
    alert = wait_until("Slack has the alert", lambda: [m for m in lab.slack_messages() if "MysqlDown" in json.dumps(m)], 600)
    say(f"Slack alert {time.monotonic() - stopped:.0f} s after MySQL stopped:", alert[0].get("attachments", [{}])[0].get("title"))
    stamp = lambda s: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s))  # noqa: E731
    # As the page does it: the same call, with the headers that a browser sends along.
    silence = lab.api("/api/v2/silences", {
        "matchers": [{"name": "alertname", "value": "MysqlDown", "isRegex": False, "isEqual": True}],
        "startsAt": stamp(-5), "endsAt": stamp(3600), "createdBy": "lab", "comment": "known"},
        f"Origin: https://{NODES['server']}:9090", "Sec-Fetch-Site: same-origin")
    wait_until("the alert is silenced", lambda: [
        a for a in lab.api("/api/v2/alerts") if a["labels"]["alertname"] == "MysqlDown"
        and a["status"]["silencedBy"] == [silence["silenceID"]]], 60)
    db.run("systemctl", "start", "mariadb")
    wait_until("MySQL is up again", lambda: lab.query("mysql_up == 1"), 120)
    wait_until("the alert is over", lambda: not lab.query('ALERTS{alertname="MysqlDown"}'), 120)

    say(f"from here on a scrape every {FAST_S} s, so that {PARTITION_S} s hold what "
        f"{PARTITION_S * SCRAPE_S / FAST_S / 60:.0f} minutes hold at {SCRAPE_S} s")
    server.run("sed", "-i", f"s/scrape_interval: {SCRAPE_S}s/scrape_interval: {FAST_S}s/", "/etc/vedette/prometheus.yml")
    server.run("systemctl", "reload", "vedette-server")
    time.sleep(10 * FAST_S)

    began = time.time()
    db.link("down")
    wait_until("the server misses the database node", lambda: lab.query('up{node="db"} == 0'), 60)
    time.sleep(max(0, PARTITION_S - (time.time() - began)))
    db.link("up")
    ended = time.time()
    wait_until("the database node is up again", lambda: lab.query('up{node="db"} == 1'), 120)
    lab.no_gap("a partition", "db", began, ended)

    began = time.time()
    how = [lab.nodes[name].make_worse() for name in ("app", "db")][0]
    time.sleep(60)
    for name in ("app", "db"):
        lab.nodes[name].make_good()
    lab.no_gap(how, "app", began, time.time())

    # Both sides get new certificates while they talk.
    began = time.time()
    ends = lab.query("vedette_agent_certificate_expiry_timestamp_seconds")
    pki = "/var/lib/vedette-server/pki"
    as_vedette = ("runuser", "-u", "vedette", "--", "vedettectl")
    server.run(*as_vedette, "ca", "issue", "--dir", pki, "--role", "server", "--name", "server", "--san", NODES["server"],
               "--san", "localhost", "--replace")
    for name in ("app", "db"):  # As the timer does when two thirds of the life are over.
        lab.nodes[name].run(*as_vedette, "renew", "--dir", "/var/lib/vedette-agent/tls", "--force")
    wait_until("both agents show new certificates", lambda: (now := lab.query(
        "vedette_agent_certificate_expiry_timestamp_seconds")) and
        {t["metric"]["node"]: t["value"][1] for t in now}.items().isdisjoint(
            {t["metric"]["node"]: t["value"][1] for t in ends}.items()), 90)
    time.sleep(10)
    for name in ("app", "db"):
        lab.no_gap("new certificates", name, began, time.time())
    failed = lab.query("sum(vedette_grpc_events_total{event=~'.*refused.*'})")
    say("handshakes and calls refused meanwhile:", failed[0]["value"][1] if failed else "0")

    # The programs are replaced in place, the server's first.
    began = time.time()
    for node in (server, lab.nodes["app"], db):
        node.run("sh", "-c", "rm -rf /root/new && mkdir /root/new && tar -xzf /mnt/artifacts/vedette.tar.gz -C /root/new "
                 "--strip-components=1 && /root/new/deploy/install.sh --from /root/new --no-packages")
    server.run("systemctl", "restart", "vedette-server")
    wait_until("the upgraded server", lambda: lab.query('up{node="app"} == 1'), 60)
    lab.no_gap("an upgrade of the server", "app", began, time.time())
    for name in ("app", "db"):
        lab.nodes[name].run("systemctl", "restart", "vedette-agent")
    wait_until("upgraded agents", lambda: len(lab.query('up{job="node"} == 1')) == 2, 60)

    # The server's machine dies, and comes back.
    began = time.time()
    before = lab.count("app")
    server.kill()
    server.start()
    wait_until("the server's machine has come back", lambda: lab.query('up{node="app"} == 1'), 180)
    lab.no_gap("the server's machine killed", "app", began - 30, time.time() - 5)

    # Its data are replaced by a snapshot.
    server.run("sed", "-i", "s/^FLAGS=/FLAGS=--web.enable-admin-api /", "/etc/vedette/server.env")
    server.run("systemctl", "restart", "vedette-server")
    wait_until("the server is back", lambda: lab.query("up"), 60)
    name = lab.api("/api/v1/admin/tsdb/snapshot", {})["data"]["name"]
    server.run("sh", "-c", "systemctl stop vedette-server && cd /var/lib/vedette-server && "
               f"mv data/snapshots/{name} restored && rm -r data && mv restored data && systemctl start vedette-server")
    wait_until("a server on the snapshot", lambda: lab.query('up{node="app"} == 1'), 60)
    after = lab.count("app")
    assert after >= before, (before, after)
    say(f"samples before the server's machine died {before:.0f}, now {after:.0f}")
    lab.no_gap("a server from a snapshot", "app", began - 30, time.time() - 5)
    assert [s for s in lab.api("/api/v2/silences") if s["id"] == silence["silenceID"]], "the silence is gone"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", required=True)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    reason = why_not()
    if reason:
        print("skipped:", reason)
        return 0
    work = args.work or pathlib.Path(tempfile.mkdtemp(prefix="vedette-lab."))
    lab = Lab(work.resolve(), args.release)
    try:
        scenario(lab)
        say("all of it has been seen")
        return 0
    finally:
        if args.keep:
            for node in lab.nodes.values():
                say(f"{node.name}: nsenter -t {node.init()} -a /bin/bash")
        else:
            lab.down()
            if not args.work:
                shutil.rmtree(work, ignore_errors=True)


START = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
