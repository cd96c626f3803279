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

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "tests/terraform"))
sys.path.insert(0, str(TREE / "tests/support"))
BRIDGE, PREFIX = "10.77.0.1", "vlab"
NODES = {"server": "10.77.0.10", "app": "10.77.0.11", "db": "10.77.0.12"}
PACKAGES = ("systemd systemd-sysv dbus iproute2 procps curl ca-certificates openssl adduser mariadb-server python3-flask "
            "python3-prometheus-client").split()
SCRAPE_S = 15


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
    base = work / "base"
    if (base / ".done").exists():
        return base
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
    (base / ".done").touch()
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

    def api(self, path, data=None):
        password = self.nodes["server"].run("cat", "/etc/vedette/page-password").stdout.strip()
        argv = ["curl", "-sk", "--max-time", "20", "-u", f"admin:{password}", f"https://{NODES['server']}:9090{path}"]
        if data is not None:
            argv += ["-H", "Content-Type: application/json", "-d", json.dumps(data)]
        return json.loads(run("ip", "netns", "exec", f"{PREFIX}-switch", *argv).stdout)

    def query(self, expression):
        from urllib.parse import quote
        return self.api("/api/v1/query?query=" + quote(expression))["data"]["result"]

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
    db.run("systemctl", "stop", "mariadb")
    stopped = time.monotonic()
    alert = wait_until("Slack has the alert", lambda: [m for m in lab.slack_messages() if "MysqlDown" in json.dumps(m)], 600)
    say(f"Slack alert {time.monotonic() - stopped:.0f} s after MySQL stopped:", alert[0].get("attachments", [{}])[0].get("title"))
    stamp = lambda s: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s))  # noqa: E731
    silence = lab.api("/api/v2/silences", {
        "matchers": [{"name": "alertname", "value": "MysqlDown", "isRegex": False, "isEqual": True}],
        "startsAt": stamp(0), "endsAt": stamp(3600), "createdBy": "lab", "comment": "known"})
    say("silenced:", silence.get("silenceID"))
    db.run("systemctl", "start", "mariadb")
    wait_until("mysql_up is 1", lambda: lab.query("mysql_up == 1"), 120)

    say("a partition of 90 s")
    db.link("down")
    time.sleep(90)
    db.link("up")
    wait_until("the database node is up again", lambda: lab.query('up{node="db"} == 1'), 120)

    def no_gap():
        seen = lab.query('node_time_seconds{node="db"}[4m]')[0]["values"]
        times = [float(t) for t, _ in seen]
        return max(b - a for a, b in zip(times, times[1:])) < 1.9 * SCRAPE_S and len(times)
    say("samples across the partition, without a gap:", wait_until("the gap is filled", no_gap, 120))

    before = float(lab.query('count_over_time(node_time_seconds{node="app"}[1h])')[0]["value"][1])
    server.kill()
    server.start()
    wait_until("the server machine has come back", lambda: lab.query("up"), 180)
    after = float(lab.query('count_over_time(node_time_seconds{node="app"}[1h])')[0]["value"][1])
    assert after >= before, (before, after)
    say(f"samples before the server died {before:.0f}, after {after:.0f}")


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
