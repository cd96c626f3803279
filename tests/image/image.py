"""The container images, as a person would make and run them: deploy/Dockerfile built from packages, the
commands at the head of deploy/compose.yml run as they stand there, and then the page asked whether the
agent in its container is up and tells about this machine and not about the container.

    tools/package 0.1.0 .run/packages
    python3 tests/image/image.py --packages .run/packages

Wants root, Docker's daemon, docker-compose and debootstrap, and a Debian mirror; a daemon of its own is
started, with its own folder and socket, and everything goes away at the end. Where there is no way to
fetch debian:12-slim, it is made with debootstrap."""
import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

TREE = pathlib.Path(__file__).resolve().parents[2]
PAGE = "http://127.0.0.1:9090"


def reason_to_skip():
    if os.geteuid() != 0:
        return "not root"
    for tool in ("dockerd", "docker", "docker-compose", "debootstrap"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None


class Images:
    def __init__(self, packages):
        self.packages = packages
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="vedette-image."))
        self.env = dict(os.environ, DOCKER_HOST=f"unix://{self.work}/docker.sock", DOCKER_BUILDKIT="0")
        self.daemon = None
        # The project's folder as a person has it: compose.yml and what stands beside it.
        self.folder = self.work / "deploy"
        shutil.copytree(TREE / "deploy", self.folder)

    def run(self, *argv, **kw):
        print("$", shlex.join(map(str, argv)), flush=True)
        return subprocess.run(argv, check=True, env=self.env, **kw)

    def compose(self, *argv, check=True):
        line = ("docker-compose", "-p", "vedette", "-f", self.folder / "compose.yml", *argv)
        print("$", shlex.join(map(str, line)), flush=True)
        subprocess.run(line, check=check, env=self.env)

    def start_daemon(self):
        log = open(self.work / "dockerd.log", "w")
        self.daemon = subprocess.Popen(
            # With mounts that may be shared, as systemd sets them up on most machines.
            ["unshare", "--mount", "--propagation", "shared", "dockerd", "-H", self.env["DOCKER_HOST"], "--data-root",
             self.work / "data", "--exec-root", self.work / "exec", "--pidfile", self.work / "dockerd.pid"],
            stdout=log, stderr=log)
        self.wait("the daemon answers", lambda: subprocess.run(
            ["docker", "version"], env=self.env, capture_output=True).returncode == 0)

    def wait(self, what, ask, timeout=120):
        end = time.monotonic() + timeout
        while True:
            try:
                if ask():
                    print("ok:", what, flush=True)
                    return
                last = "not yet"
            except OSError as error:
                last = str(error)
            if time.monotonic() > end:
                raise SystemExit(f"not within {timeout} s: {what} ({last})")
            time.sleep(1)

    def base(self):
        if subprocess.run(["docker", "pull", "-q", "debian:12-slim"], env=self.env, capture_output=True).returncode == 0:
            return
        root = self.work / "root"
        self.run("debootstrap", "--variant=minbase", "bookworm", root, stdout=subprocess.DEVNULL)
        for path in ("etc/apt/sources.list.d", "etc/apt/apt.conf.d"):
            shutil.copytree("/" + path, root / path, dirs_exist_ok=True)
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        self.run("docker", "import", "-", "debian:12-slim", stdin=tar.stdout, stdout=subprocess.DEVNULL)

    def build(self):
        for target in ("server", "agent"):
            self.run("docker", "build", "--network=host", "--target", target, "-t", f"vedette-{target}", "-f",
                     self.folder / "Dockerfile", self.packages, stdout=subprocess.DEVNULL)
            size = self.run("docker", "image", "inspect", "-f", "{{.Size}}", f"vedette-{target}", capture_output=True, text=True)
            print(f"vedette-{target}: {int(size.stdout) / 1e6:.0f} MB")

    def first_run(self):
        text = (self.folder / "compose.yml").read_text()
        commands = re.findall(r"^#\s+docker compose (.*)$", text, re.M)
        if not commands:
            raise SystemExit("compose.yml tells no commands")
        for command in commands:
            self.compose(*shlex.split(command))

    def query(self, expression):
        url = f"{PAGE}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]["result"]

    def look(self):
        self.wait("both targets are up", lambda: len(self.query("up == 1")) == 2)
        names = {r["metric"]["nodename"] for r in self.query("node_uname_info")}
        here = os.uname().nodename
        memory = float(self.query("node_memory_MemTotal_bytes")[0]["value"][1])
        with open("/proc/meminfo") as f:
            really = int(f.readline().split()[1]) * 1024
        if memory != really:
            raise SystemExit(f"the agent sees {memory} bytes of memory and not this machine's {really}")
        if names != {here}:
            raise SystemExit(f"the agent says it runs on {names} and not on {here}")
        interfaces = {r["metric"]["device"] for r in self.query("node_network_up")}
        missing = {"docker0"} - interfaces
        if missing:
            raise SystemExit(f"the agent sees the interfaces {interfaces}, not {missing}")
        print("ok: memory, name and interfaces are this machine's")

    def restart(self):
        # Data and certificates are in volumes: a new container goes on where the old one was.
        def samples():
            found = self.query("count_over_time(up{job='node'}[1h])")
            return float(found[0]["value"][1]) if found else 0

        before = samples()
        self.compose("up", "-d", "--force-recreate")
        self.wait("new containers go on with the old data", lambda: samples() > before)

    def close(self):
        if self.daemon is not None:
            self.compose("logs", "--tail=20", check=False)
            self.compose("down", "-v", check=False)
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(60)
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", required=True, type=pathlib.Path, help="folder with the three packages")
    args = parser.parse_args()
    reason = reason_to_skip()
    if reason:
        print("skipped:", reason)
        return
    images = Images(args.packages.resolve())
    try:
        images.start_daemon()
        images.base()
        images.build()
        images.first_run()
        images.look()
        images.restart()
    finally:
        images.close()
    print("passed")


if __name__ == "__main__":
    sys.exit(main())
