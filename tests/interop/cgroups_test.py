"""What the agent says of control groups beside the kernel's own files: groups made by this test, in whichever version the machine
has, with real processes that compute, hold memory, write and are throttled. They are stopped before they are compared, so that
nothing moves and the numbers have to be the same; then one group runs out of memory and one ends between two looks."""
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

CGROUP = "/sys/fs/cgroup"
NO_LIMIT = 1 << 62
LOAD = """
import os, sys, threading, time
held = bytearray(os.urandom(12 << 20))
with open(sys.argv[1], "wb") as f:
    f.write(held); f.flush(); os.fsync(f.fileno())
for _ in range(3): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
open(sys.argv[1] + ".ready", "w").close()
while True: sum(i * i for i in range(10000))
"""


def read(path):
    with open(path) as f:
        return f.read().strip()


class Groups:
    """Control groups below one of the test's own, in every tree of the machine."""

    def __init__(self, name):
        self.version2 = os.path.exists(f"{CGROUP}/cgroup.controllers")
        names = ["."] if self.version2 else ["cpu", "cpuacct", "memory", "pids", "blkio"]
        # "cpu,cpuacct" is one tree, with links for its two names.
        self.trees = {n: os.path.realpath(f"{CGROUP}/{n}") for n in names if os.path.isdir(f"{CGROUP}/{n}")}
        self.base, self.made = "/" + name, []

    def make(self, name):
        group = f"{self.base}/{name}"
        for tree in dict.fromkeys(self.trees.values()):
            for part in (self.base, group):
                if not os.path.isdir(tree + part):
                    os.mkdir(tree + part)
                    self.made.append(tree + part)
                if self.version2 and part == self.base:
                    with open(f"{tree}{part}/cgroup.subtree_control", "w") as f:
                        f.write("+cpu +memory +pids +io")
        return group

    def write(self, group, controller, name, value):
        with open(f"{self.trees['.' if self.version2 else controller]}{group}/{name}", "w") as f:
            f.write(str(value))

    def path(self, group, controller, name):
        return f"{self.trees['.' if self.version2 else controller]}{group}/{name}"

    def flat(self, group, controller, name):
        return {k: float(v) for k, v in (line.split() for line in read(self.path(group, controller, name)).splitlines())}

    def enter(self, group):
        for tree in dict.fromkeys(self.trees.values()):
            with open(f"{tree}{group}/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))

    def remove(self):
        for path in reversed(self.made):
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.05)


class Cgroups(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.groups = Groups(f"vedette-test-{os.getpid()}")
        self.addCleanup(self.groups.remove)
        try:
            self.groups.make("busy")
        except OSError as e:
            self.skipTest(f"no control groups can be made here: {e}")
        self.stack.make_ca()
        self.stack.issue("agent", "agent")

    def start(self, group, *argv):
        p = subprocess.Popen(argv, preexec_fn=lambda: self.groups.enter(group), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def shown(self, group):
        """{family: {labels but the id: value}} of a group."""
        out = {}
        for line in self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/metrics?collect[]=container").splitlines():
            if line.startswith("#") or f'id="{group}"' not in line:
                continue
            series, value = line.rsplit(" ", 1)
            name, labels = series.rstrip("}").split("{", 1)
            rest = ",".join(x for x in labels.split(",") if not x.startswith("id=") and not x.endswith('=""'))
            out.setdefault(name, {})[rest] = float(value)
        return out

    def limit(self, path):
        text = read(path)
        return 0.0 if text == "max" or float(text) > NO_LIMIT else float(text)

    def wanted(self, group):
        """What the files say, under the agent's names."""
        g = self.groups
        if g.version2:
            cpu, memory = g.flat(group, ".", "cpu.stat"), g.flat(group, ".", "memory.stat")
            quota, period = read(g.path(group, ".", "cpu.max")).split()
            return {"container_cpu_user_seconds_total": cpu["user_usec"] / 1e6, "container_cpu_system_seconds_total": cpu["system_usec"] / 1e6,
                    "container_cpu_cfs_periods_total": cpu["nr_periods"], "container_cpu_cfs_throttled_periods_total": cpu["nr_throttled"],
                    "container_cpu_cfs_throttled_seconds_total": cpu["throttled_usec"] / 1e6, "container_spec_cpu_quota": float(quota),
                    "container_spec_cpu_period": float(period), "container_memory_usage_bytes": float(read(g.path(group, ".", "memory.current"))),
                    "container_memory_rss": memory["anon"], "container_memory_cache": memory["file"], "container_memory_mapped_file": memory["file_mapped"],
                    "container_spec_memory_limit_bytes": self.limit(g.path(group, ".", "memory.max")), "container_threads": float(read(g.path(group, ".", "pids.current"))),
                    "container_threads_max": self.limit(g.path(group, ".", "pids.max"))}, cpu["usage_usec"] / 1e6
        acct, cpu, memory = g.flat(group, "cpuacct", "cpuacct.stat"), g.flat(group, "cpu", "cpu.stat"), g.flat(group, "memory", "memory.stat")
        return {"container_cpu_user_seconds_total": acct["user"] / 100, "container_cpu_system_seconds_total": acct["system"] / 100,
                "container_cpu_cfs_periods_total": cpu["nr_periods"], "container_cpu_cfs_throttled_periods_total": cpu["nr_throttled"],
                "container_cpu_cfs_throttled_seconds_total": cpu["throttled_time"] / 1e9,
                "container_spec_cpu_quota": float(read(g.path(group, "cpu", "cpu.cfs_quota_us"))), "container_spec_cpu_period": float(read(g.path(group, "cpu", "cpu.cfs_period_us"))),
                "container_spec_cpu_shares": float(read(g.path(group, "cpu", "cpu.shares"))),
                "container_memory_usage_bytes": float(read(g.path(group, "memory", "memory.usage_in_bytes"))), "container_memory_rss": memory["total_rss"],
                "container_memory_cache": memory["total_cache"], "container_memory_mapped_file": memory["total_mapped_file"],
                "container_memory_max_usage_bytes": float(read(g.path(group, "memory", "memory.max_usage_in_bytes"))),
                "container_memory_failcnt": float(read(g.path(group, "memory", "memory.failcnt"))),
                "container_memory_working_set_bytes": max(0.0, float(read(g.path(group, "memory", "memory.usage_in_bytes"))) - memory["total_inactive_file"]),
                "container_spec_memory_limit_bytes": self.limit(g.path(group, "memory", "memory.limit_in_bytes")),
                "container_threads": float(read(g.path(group, "pids", "pids.current"))), "container_threads_max": self.limit(g.path(group, "pids", "pids.max"))
                }, float(read(g.path(group, "cpuacct", "cpuacct.usage"))) / 1e9

    def set_limits(self, group, memory, quota):
        g = self.groups
        if g.version2:
            g.write(group, ".", "memory.max", memory)
            g.write(group, ".", "cpu.max", f"{quota} 50000")
            g.write(group, ".", "pids.max", 50)
        else:
            g.write(group, "memory", "memory.limit_in_bytes", memory)
            g.write(group, "cpu", "cpu.cfs_period_us", 50000)
            g.write(group, "cpu", "cpu.cfs_quota_us", quota)
            g.write(group, "cpu", "cpu.shares", 512)
            g.write(group, "pids", "pids.max", 50)

    def test_numbers_are_the_kernels(self):
        busy = self.groups.make("busy")
        self.set_limits(busy, 64 << 20, 5000)
        file = self.stack.path("written")
        p = self.start(busy, sys.executable, "-c", LOAD, file)
        s.wait_until("the load runs", lambda: os.path.exists(file + ".ready"))
        s.wait_until("it is throttled", lambda: self.wanted(busy)[0]["container_cpu_cfs_throttled_periods_total"] > 3)
        self.stack.agent("--collector.container")
        p.send_signal(signal.SIGSTOP)

        def compare():
            want, usage = self.wanted(busy)
            got = self.shown(busy)
            if (want, usage) != self.wanted(busy):
                return None  # It moved meanwhile: the page cache was written back, or the last period ended.
            wrong = {k: (v, got.get(k)) for k, v in want.items() if not got.get(k) or abs(list(got[k].values())[0] - v) > 1e-9 * abs(v)}
            total = sum(got.get("container_cpu_usage_seconds_total", {}).values())
            if abs(total - usage) > 1e-6 * usage:
                wrong["container_cpu_usage_seconds_total"] = (usage, total)
            self.last = wrong
            return not wrong and got
        try:
            got = s.wait_until("the numbers of the files", compare, timeout=20)
        except AssertionError:
            self.fail(f"(file, agent): {self.last}")
        self.assertGreater(got["container_memory_rss"][""], 12 << 20)
        self.assertEqual(got["container_processes"][""], 1)
        self.assertGreaterEqual(got["container_threads"][""], 4)
        self.assertEqual(got["container_spec_cpu_quota"][""], 5000)
        self.assertEqual(got["container_spec_memory_limit_bytes"][""], 64 << 20)
        self.assertLess(abs(got["container_last_seen"][""] - time.time()), 60)

    def test_version_2_alone(self):
        """A machine with both versions has one tree of version 2: the agent is shown nothing else. Which controllers it has depends on
        the machine; CPU time, pressure and processes are always there."""
        tree = next((t for t in (CGROUP, f"{CGROUP}/unified") if os.path.exists(f"{t}/cgroup.controllers")), None)
        if tree is None:
            self.skipTest("this machine has no control groups of version 2")
        name = f"/vedette-v2-{os.getpid()}"
        folder = tree + name
        os.makedirs(f"{folder}/below")

        def remove():
            for path in (f"{folder}/below", folder):
                s.wait_until(f"{path} is removed", lambda path=path: os.rmdir(path) or True)
        self.addCleanup(remove)

        def enter():
            with open(f"{folder}/below/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))
        p = subprocess.Popen([sys.executable, "-c", LOAD, self.stack.path("written")], preexec_fn=enter)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        s.wait_until("the load runs", lambda: os.path.exists(self.stack.path("written.ready")))
        s.wait_until("it has computed", lambda: float(read(f"{folder}/below/cpu.stat").split("user_usec ")[1].split()[0]) > 300000)
        self.stack.agent(f"--path.cgroup={tree}")
        p.send_signal(signal.SIGSTOP)

        def wanted(group):
            cpu = {k: float(v) / 1e6 for k, v in (line.split() for line in read(f"{tree}{group}/cpu.stat").splitlines())}
            out = {"container_cpu_usage_seconds_total": cpu["usage_usec"], "container_cpu_user_seconds_total": cpu["user_usec"],
                   "container_cpu_system_seconds_total": cpu["system_usec"]}
            for what in ("cpu", "memory", "io"):
                for line in read(f"{tree}{group}/{what}.pressure").splitlines():
                    word = {"some": "waiting", "full": "stalled"}[line.split()[0]]
                    out[f"container_pressure_{what}_{word}_seconds_total"] = float(line.split("total=")[1]) / 1e6
            return out
        for group in (name, f"{name}/below"):
            def compare(group=group):
                want, got = wanted(group), self.shown(group)
                self.last = {k: (v, got.get(k)) for k, v in want.items() if not got.get(k) or abs(sum(got[k].values()) - v) > 1e-9 * v}
                return not self.last and got
            try:
                got = s.wait_until("the numbers of the files", compare, timeout=30)
            except AssertionError:
                self.fail(f"{group}: (file, agent): {self.last}")
            self.assertEqual(got["container_processes"][""], 1 if group != name else 0)
            self.assertLess(abs(got["container_start_time_seconds"][""] - os.stat(tree + group).st_mtime), 1)

    def test_a_group_that_ran_out_of_memory_and_one_that_ended(self):
        small = self.groups.make("small")
        self.set_limits(small, 16 << 20, 100000)
        self.stack.agent("--collector.container")
        keeper = self.start(small, "sleep", "600")
        eater = self.start(small, sys.executable, "-c", "import os\nx = []\nwhile True: x.append(os.urandom(1 << 20))")
        eater.wait(60)
        self.assertIsNone(keeper.poll())
        s.wait_until("the kill is counted", lambda: self.shown(small).get("container_oom_events_total", {}).get("", 0) >= 1)
        # Named as runtimes name theirs, made after a scrape and gone before the next.
        self.assertEqual(self.shown("/nothing"), {})
        short = self.groups.make("%064x" % os.getpid())
        p = self.start(short, sys.executable, "-c", "import time\nx = bytearray(b'x') * (8 << 20)\ntime.sleep(600)")
        time.sleep(2)
        p.kill()
        p.wait()
        for path in [m for m in self.groups.made if m.endswith(short)]:
            s.wait_until(f"{path} is removed", lambda path=path: not os.path.exists(path) or os.rmdir(path) or True)
        after = s.wait_until("its last values are shown", lambda: self.shown(short))
        self.assertGreater(after["container_memory_rss"][""], 8 << 20)
        self.assertGreater(sum(after["container_cpu_usage_seconds_total"].values()), 0)
        self.assertLessEqual(after["container_last_seen"][""], time.time())


if __name__ == "__main__":
    xml_unittest.main()
