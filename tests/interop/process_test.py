"""Groups of processes beside Debian's process-exporter: the same configuration, the same processes, the same families, groups and
values. The processes are the test's own and stand still while they are compared. Process-exporter can tell threads by their names,
too (-threads), which the agent does not."""
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

LOAD = """
import os, sys, threading, time
held = bytearray(os.urandom(8 << 20))
for i in range(int(sys.argv[2])): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
files = [open(os.devnull) for _ in range(20)]
child = os.fork()
if child == 0:
    time.sleep(600)
    os._exit(0)
with open(sys.argv[1], "wb") as f:
    f.write(held); f.flush(); os.fsync(f.fileno())
end = time.process_time() + 0.3
while time.process_time() < end: sum(range(1000))
with open(sys.argv[1] + ".new", "w") as f: f.write(str(child))
os.rename(sys.argv[1] + ".new", sys.argv[1] + ".ready")
time.sleep(600)
"""
CONFIG = """
process_names:
  - name: "worker:{{.Matches.Kind}}"
    exe: [%s]
    cmdline: ['--kind=(?P<Kind>\\w+)']
  - name: "{{.Comm}}"
    comm: [sleep]
    cmdline: ['987654']
"""
# An exporter's own accounts, what it reads of single threads, and states: there it counts a process and each of its threads, too.
NOT_COMPARED = ("namedprocess_scrape_", "namedprocess_namegroup_threads_wchan", "namedprocess_namegroup_states")


class Processes(unittest.TestCase):
    def setUp(self):
        if shutil.which("prometheus-process-exporter") is None:
            self.skipTest("Debian's prometheus-process-exporter is not installed")
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("agent", "agent")
        self.pids, self.children = [], []
        self.addCleanup(self.end)

    def end(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)  # Those that stand still, too.
        for child in self.children:
            child.wait()

    def start(self, kind, threads):
        path = self.stack.path(f"load-{kind}-{threads}")
        p = subprocess.Popen([sys.executable, "-c", LOAD, path, str(threads), f"--kind={kind}"])
        self.children.append(p)
        self.pids.append(p.pid)
        return path

    def shown(self, url):
        types, series = {}, {}
        for line in self.stack.get_text(url).splitlines():
            if line.startswith("# TYPE namedprocess_"):
                types[line.split(" ")[2]] = line.split(" ")[3]
            elif line.startswith("namedprocess_"):
                key, value = line.rsplit(" ", 1)
                name, _, labels = key.partition("{")
                series[(name, *sorted(re.findall(r'(\w+)="([^"]*)"', labels)))] = float(value)
        keep = lambda name: not name.startswith(NOT_COMPARED)  # noqa: E731
        return {k: v for k, v in types.items() if keep(k)}, {k: v for k, v in series.items() if keep(k[0])}

    def test_the_same_groups_with_the_same_values(self):
        ready = [self.start("web", 3), self.start("web", 5), self.start("db", 2)]
        sleeper = subprocess.Popen(["sleep", "987654"])
        self.children.append(sleeper)
        self.pids.append(sleeper.pid)
        for path in ready:
            s.wait_until("the load runs", lambda path=path: os.path.exists(path + ".ready"))
            with open(path + ".ready") as f:
                self.pids.append(int(f.read()))
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        config = self.stack.write("groups.yml", CONFIG % os.path.basename(sys.executable))
        port = s.free_port()
        self.stack.run("process_exporter", ["prometheus-process-exporter", "-threads=false", f"-config.path={config}", f"-web.listen-address=127.0.0.1:{port}"])
        reference = f"http://127.0.0.1:{port}/metrics"
        s.wait_until("process-exporter answers", lambda: self.shown(reference)[1])
        self.stack.agent(f"--process.config={config}", "--process.smaps", "--collector.disable-defaults", "--no-collector.container")
        ours = f"http://127.0.0.1:{self.stack.agent_http}/metrics?source[]=process"

        def compare():
            (types, want), (our_types, got) = self.shown(reference), self.shown(ours)
            groups = {dict(k[1:]).get("groupname") for k in want} - {None}
            self.assertEqual(groups, {"worker:web", "worker:db", "sleep"})
            self.last = ({k: (v, our_types.get(k)) for k, v in types.items() if our_types.get(k) != v},
                         {k: (v, got.get(k)) for k, v in want.items() if got.get(k) is None or abs(got[k] - v) > 1e-6 * abs(v)},
                         {k: v for k, v in got.items() if k not in want})
            return not any(self.last)
        states = [line for line in self.stack.get_text(ours).splitlines() if 'groupname="worker:web",state="Other"' in line]
        self.assertEqual([float(line.split()[-1]) for line in states], [4], "two that stand still, each with a child")
        try:
            s.wait_until("both say the same", compare, timeout=15)
        except AssertionError as e:
            self.fail(f"{e}\n(process-exporter, agent): types {self.last[0]}\nvalues {self.last[1]}\nnot in process-exporter: {self.last[2]}")


if __name__ == "__main__":
    xml_unittest.main()
