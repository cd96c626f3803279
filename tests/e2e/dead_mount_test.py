"""File systems whose server is gone, as a dead NFS server's: each costs its own series, and nobody waits for it. The file systems
are real (FUSE, served by this test), in mount and PID namespaces of their own together with the agent."""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
MOUNTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "hanging_mounts.py")
COUNT = 3


class DeadMounts(unittest.TestCase):
    def setUp(self):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK) or subprocess.call([*UNSHARE, "true"], stderr=subprocess.DEVNULL) != 0:
            self.skipTest("needs root, /dev/fuse and namespaces")
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("agent", "agent")
        self.folder = self.stack.path("fuse")

    def dead(self, i, dead):
        path = f"{self.folder}/dead{i}"
        open(path, "w").close() if dead else os.unlink(path)

    def start(self):
        self.port = s.free_port()
        program = self.stack.run("agent", [
            *UNSHARE, sys.executable, MOUNTS, self.folder, str(COUNT), "--", s.AGENT, f"--web.listen-address=127.0.0.1:{self.port}",
            f"--grpc.listen-address=127.0.0.1:{s.free_port()}", *self.stack.tls_flags("agent")])
        s.wait_until("the agent answers", lambda: program.alive() and self.shown())

    def shown(self):
        """{family: {mount point: value}} of the file systems, and how many other host families there are."""
        out, others = {}, set()
        for line in self.stack.get_text(f"http://127.0.0.1:{self.port}/metrics").splitlines():
            if line.startswith("node_filesystem_"):
                labels = line[line.index("{") + 1:line.index("}")]
                point = labels.split('mountpoint="')[1].split('"')[0]
                out.setdefault(line.split("{")[0], {})[point] = float(line.rsplit(" ", 1)[1])
            elif line.startswith("node_"):
                others.add(line.split("{")[0].split(" ")[0])
        return out, len(others)

    def mount(self, i):
        return f"{self.folder}/mount{i}"

    def test_dead_mounts_cost_their_own_series(self):
        os.makedirs(self.folder)
        self.dead(0, True)  # Dead when the agent starts.
        self.start()
        shown, others = self.shown()
        errors, sizes = shown["node_filesystem_device_error"], shown["node_filesystem_size_bytes"]
        self.assertEqual(errors[self.mount(0)], 1)
        self.assertNotIn(self.mount(0), sizes)
        for i in (1, 2):
            self.assertEqual(errors[self.mount(i)], 0)
            self.assertEqual(sizes[self.mount(i)], 1000 * 4096)
            self.assertEqual(shown["node_filesystem_avail_bytes"][self.mount(i)], 500 * 4096)
        self.assertEqual(errors["/"], 0)
        self.assertGreater(others, 200)

        # Another one dies: it says so once --collector.filesystem.mount-timeout is over, and all else is there at each look.
        self.dead(1, True)
        since, looks = time.monotonic(), 0
        while True:
            shown, count = self.shown()
            looks += 1
            self.assertGreaterEqual(count, others - 5)
            self.assertEqual(shown["node_filesystem_device_error"]["/"], 0)
            self.assertEqual(shown["node_filesystem_device_error"][self.mount(2)], 0)
            if shown["node_filesystem_device_error"][self.mount(1)] == 1:
                break
            self.assertLess(time.monotonic() - since, 60, "a dead mount is not seen")
            time.sleep(0.5)
        self.assertGreater(looks, 1)
        self.assertNotIn(self.mount(1), shown["node_filesystem_size_bytes"])

        # Their servers come back.
        self.dead(0, False)
        self.dead(1, False)
        s.wait_until("both answer again", lambda: all(self.shown()[0]["node_filesystem_size_bytes"].get(self.mount(i)) == 1000 * 4096 for i in range(COUNT)))


if __name__ == "__main__":
    xml_unittest.main()
