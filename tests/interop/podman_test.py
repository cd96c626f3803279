"""Containers of a real podman, with their names, images, labels and health from its socket and their numbers from the kernel's
files. Podman has its store and its socket in a folder of the test's; its containers' groups are in the machine's own hierarchy."""
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

CGROUP = "/sys/fs/cgroup"
IMAGE = "localhost/vedette/busybox:1"
BUSY = ["sh", "-c", "x=0; while [ $x -lt 20000000 ]; do x=$((x+1)); done; sleep 1000"]


def read(path):
    with open(path) as f:
        return f.read().strip()


def busybox_image():
    """An image of nothing but busybox, as a tar file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(os.path.realpath(shutil.which("busybox")), "bin/busybox")
        for name in ("sh", "sleep", "true", "false", "test"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
    return out.getvalue()


class Podman:
    # Every limit that a container would otherwise get may be more than this machine allows.
    LIMITS = ["--network=none", "--ulimit=nofile=512:512", "--ulimit=nproc=100:100"]

    def __init__(self, stack):
        self.stack, self.socket = stack, stack.path("podman.sock")
        self.argv = ["podman", "--root", stack.path("pod"), "--runroot", stack.path("run"), "--tmpdir", stack.path("tmp"), "--storage-driver=vfs",
                     "--cgroup-manager=cgroupfs", "--events-backend=file"]

    def run(self, *args, stdin=None):
        done = subprocess.run([*self.argv, *args], input=stdin, capture_output=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"podman {' '.join(args)}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def start(self):
        self.run("import", "-", IMAGE, stdin=busybox_image())
        # crun refuses a machine that has both versions of control groups.
        for runtime in ("crun", "runc"):
            if shutil.which(runtime) is None:
                continue
            self.argv += ["--runtime", runtime]
            try:
                self.run("run", "--rm", *self.LIMITS, IMAGE, "true")
                break
            except RuntimeError as e:
                self.argv, reason = self.argv[:-2], str(e)
        else:
            raise unittest.SkipTest(f"podman can run no container here: {reason}")
        self.service()

    def service(self):
        self.program = self.stack.run("podman", [*self.argv, "system", "service", "--time=0", f"unix://{self.socket}"])
        s.wait_until("podman's socket", lambda: os.path.exists(self.socket))

    def close(self):
        for name in self.run("ps", "--all", "--quiet").split():
            self.run("rm", "--force", "--time=0", name)
        for tree in os.listdir(CGROUP) + ["."]:
            try:
                os.rmdir(f"{CGROUP}/{tree}/libpod_parent")
            except OSError:
                pass  # Not there, or another podman's containers are in it.


class PodmanContainers(unittest.TestCase):
    def setUp(self):
        if shutil.which("podman") is None or shutil.which("busybox") is None or os.geteuid() != 0:
            self.skipTest("needs root, podman and busybox")
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.podman = Podman(self.stack)
        self.podman.start()
        self.addCleanup(self.podman.close)
        self.stack.make_ca()
        self.stack.issue("agent", "agent")
        self.stack.agent(f"--container.podman-socket={self.podman.socket}", "--container.docker-socket=", "--container.cri-socket=")

    def shown(self, container):
        """{family: {labels: value}} of a container, by its id."""
        out = {}
        for line in self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/metrics?collect[]=container").splitlines():
            if not line.startswith("#") and container in line:
                series, value = line.rsplit(" ", 1)
                name, labels = series.rstrip("}").split("{", 1)
                out.setdefault(name, {})[labels] = float(value)
        return out

    def one(self, container, family):
        values = list(self.shown(container).get(family, {}).values())
        return values[0] if len(values) == 1 else None

    def file(self, container, controller, name):
        version2 = os.path.exists(f"{CGROUP}/cgroup.controllers")
        return read(f"{CGROUP}/{'' if version2 else controller}/libpod_parent/libpod-{container}/{name}")

    def test_names_numbers_and_health(self):
        version2 = os.path.exists(f"{CGROUP}/cgroup.controllers")
        web = self.podman.run("run", "--detach", "--name=web", *self.podman.LIMITS, "--memory=64m", "--pids-limit=50", "--cpu-shares=512",
                              "--label=app=shop", "--label=tier=front.end", IMAGE, *BUSY)
        shown = s.wait_until("the container has a name", lambda: (lambda x: 'name="web"' in str(x) and x)(self.shown(web)))
        for family, series in shown.items():
            for labels in series:
                self.assertIn('name="web"', labels, family)
                self.assertIn(f'image="{IMAGE}"', labels)
                self.assertIn('container_label_app="shop"', labels)
                self.assertIn('container_label_tier="front.end"', labels)
                self.assertIn(f'id="/libpod_parent/libpod-{web}"', labels)
        self.assertEqual(self.one(web, "container_spec_memory_limit_bytes"), 64 << 20)
        self.assertEqual(self.one(web, "container_threads_max"), 50)
        self.assertLess(abs(self.one(web, "container_spec_cpu_shares") - 512), 60)  # A weight of version 2 is coarser.
        s.wait_until("its process is counted", lambda: self.one(web, "container_processes") == 1)
        self.assertEqual(self.one(web, "container_health_state"), -1)
        started = float(self.podman.run("inspect", "--format={{.State.StartedAt.Unix}}", web))
        self.assertEqual(self.one(web, "container_start_time_seconds"), started)

        # The numbers of the files, once it stands still.
        self.podman.run("pause", web)
        usage = lambda: (float(self.file(web, "cpu", "cpu.stat").split("usage_usec ")[1].split()[0]) / 1e6 if version2  # noqa: E731
                         else float(self.file(web, "cpuacct", "cpuacct.usage")) / 1e9)

        def compare():
            want = {"container_cpu_usage_seconds_total": usage(),
                    "container_memory_usage_bytes": float(self.file(web, "memory", "memory.current" if version2 else "memory.usage_in_bytes"))}
            got = self.shown(web)
            return all(abs(sum(got[k].values()) - v) <= 1e-6 * v for k, v in want.items()) and want["container_cpu_usage_seconds_total"] > 0
        s.wait_until("the numbers of the files", compare)
        self.podman.run("unpause", web)

        # Health, which podman's list of containers does not have.
        sick = self.podman.run("run", "--detach", "--name=sick", *self.podman.LIMITS, "--health-cmd=test -f /tmp/well", "--health-interval=disable",
                               "--health-retries=1", IMAGE, *BUSY)
        s.wait_until("it is starting", lambda: self.one(sick, "container_health_state") == 0)
        self.podman.run("exec", "sick", "sh", "-c", "echo > /tmp/well")
        self.podman.run("healthcheck", "run", "sick")
        s.wait_until("it is healthy", lambda: self.one(sick, "container_health_state") == 1)

    def test_one_that_is_gone_and_a_socket_that_is_gone(self):
        up = lambda: next((line.split()[-1] for line in self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/metrics?collect[]=container").splitlines()  # noqa: E731
                           if line.startswith('vedette_container_runtime_up{runtime="podman"')), None)
        self.assertEqual(up(), "1")
        short = self.podman.run("run", "--detach", "--name=short", *self.podman.LIMITS, IMAGE, *BUSY)
        time.sleep(8)  # Long enough to be looked at on a busy machine, and nobody scrapes meanwhile.
        self.podman.run("rm", "--force", "--time=0", "short")
        after = s.wait_until("its last values are shown", lambda: self.shown(short))
        self.assertIn('name="short"', str(after))
        self.assertGreater(sum(after["container_cpu_usage_seconds_total"].values()), 0)
        self.podman.program.stop()
        if os.path.exists(self.podman.socket):  # Nobody listens on it any more.
            s.wait_until("the socket does not answer", lambda: up() == "0")
            os.unlink(self.podman.socket)
        s.wait_until("no socket, nothing to say", lambda: up() is None)
        self.podman.service()
        s.wait_until("it is back", lambda: up() == "1")


if __name__ == "__main__":
    xml_unittest.main()
