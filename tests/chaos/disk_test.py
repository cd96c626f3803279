"""A full disk and a disk that fails, under a whole server: writes refused with 503, queries answered, a
start while it is full, writing again by itself, nothing lost that was acknowledged; /-/healthy says so.

The data directory is a small tmpfs: where mounting is not allowed the test says so and is skipped."""
import os
import random
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
from stack import ROOT, SERVER, Stack, free_port, wait_until  # noqa: E402
import xml_unittest  # noqa: E402

MIB = 1 << 20


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


class Asker(threading.Thread):
    """Asks all the time; what was not answered is in `refused`. Pauses while the program is not there."""

    def __init__(self, url):
        super().__init__(daemon=True)
        expression = urllib.parse.quote("count(count_over_time(disk[2h]))")
        self.url, self.asked, self.refused = f"{url}/api/v1/query?query={expression}", 0, []
        self.may_ask, self.stop, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.may_ask.set()

    def run(self):
        while not self.stop.is_set():
            self.may_ask.wait()
            with self.lock:
                if not self.may_ask.is_set():
                    continue
                try:
                    status, text = status_of(self.url)
                except OSError as e:
                    status, text = 0, str(e)
                self.asked += 1
                if status != 200:
                    self.refused.append(f"{status} {text[:200]}")
            time.sleep(0.02)

    def pause(self):
        self.may_ask.clear()
        with self.lock:  # The last question is answered.
            pass

    def end(self):
        self.stop.set()
        self.may_ask.set()
        self.join()


class FullDisk(unittest.TestCase):
    SIZE = "160m"

    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.close)
        self.data = self.stack.path("data")
        os.mkdir(self.data)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", self.data],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"no mount allowed here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.data], check=False)
        config = self.stack.write("prometheus.yml", """
scrape_configs:
  - job_name: self
    scrape_interval: 500ms
    scrape_timeout: 500ms
    static_configs: [{targets: ['127.0.0.1:PORT']}]
""")
        self.stack.http = free_port()
        with open(config) as f:
            text = f.read().replace("PORT", str(self.stack.http))
        self.stack.write("prometheus.yml", text)
        self.program = self.stack.run("server", [
            SERVER, f"--config.file={config}", f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.stack.http}", "--web.enable-remote-write-receiver"])
        self.stack.wait_ready(self.program)
        self.url = f"http://127.0.0.1:{self.stack.http}"
        self.acknowledged, self.random = {}, random.Random(1)
        self.next_t = int(time.time() * 1000) - 3_000_000

    def write(self):
        """One write of 50 samples; its status. What is acknowledged is remembered."""
        self.next_t += 100
        batch = {(i, self.next_t): float(self.next_t % 9973 * 100 + i) for i in range(50)}
        # Room in the log: RocksDB reserves it ahead, and it must be used up before a full disk shows.
        padding = [({"__name__": "padding", "text": self.random.randbytes(2000).hex()}, [(self.next_t, 1)])
                   for _ in range(30)]
        status, text = remote_write.post(self.url + "/api/v1/write", remote_write.snappy(remote_write.message(
            [({"__name__": "disk", "n": str(i)}, [(t, v)]) for (i, t), v in batch.items()] + padding)),
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
             "X-Prometheus-Remote-Write-Version": "0.1.0"})
        if status // 100 == 2:
            self.acknowledged.update(batch)
        self.last_answer = text
        return status

    def fill(self):
        """Fills the disk with a file of somebody else."""
        with open(os.path.join(self.data, "FILLER"), "ab", buffering=0) as f:
            for piece in (MIB, 4096, 512):
                try:
                    while True:
                        f.write(b"\xa5" * piece)
                except OSError:
                    pass

    def empty(self):
        os.remove(os.path.join(self.data, "FILLER"))

    def assert_nothing_lost(self):
        got = {}
        for series in self.stack.query("disk[2h]"):
            for t, v in series["values"]:
                key = (int(series["metric"]["n"]), round(t * 1000))
                self.assertNotIn(key, got, "doubled")
                got[key] = float(v)
        lost = {k: v for k, v in self.acknowledged.items() if got.get(k) != v}
        self.assertEqual(lost, {})
        return got

    def metric(self, name):
        text = self.stack.get_text(self.url + "/metrics")
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), None)

    def test_a_full_disk_refuses_writes_answers_queries_and_starts(self):
        for _ in range(20):
            self.assertEqual(self.write() // 100, 2, self.last_answer)
        self.assertEqual(status_of(self.url + "/-/healthy")[0], 200)
        asker = Asker(self.url)
        asker.start()
        self.addCleanup(asker.end)
        for round_ in range(3):
            self.fill()
            wait_until("writes are refused", lambda: self.write() == 503, every=0)
            self.assertIn("refuses writes", self.last_answer)
            status, text = status_of(self.url + "/-/healthy")
            self.assertEqual(status, 503, text)
            self.assertRegex(text, "(?i)space|full")
            self.assertEqual(self.metric("vedette_tsdb_writable"), 0)
            self.assert_nothing_lost()
            if round_ == 1:  # It starts on the full disk, and answers.
                asker.pause()
                self.program.kill9()
                self.program.start()
                self.stack.wait_ready(self.program)
                asker.may_ask.set()
                self.assertEqual(self.write(), 503)
                self.assertEqual(status_of(self.url + "/-/healthy")[0], 503)
                self.assert_nothing_lost()
            self.empty()
            begin = time.monotonic()
            wait_until("it writes again by itself", lambda: self.write() // 100 == 2, every=0.05)
            seconds = time.monotonic() - begin
            print(f"{self.SIZE}, round {round_}: writing again {seconds:.2f} s after room was made")
            self.assertLess(seconds, 10)  # Two on a machine that has nothing else to do.
            wait_until("healthy", lambda: status_of(self.url + "/-/healthy")[0] == 200)
            self.assertEqual(self.metric("vedette_tsdb_writable"), 1)
            self.assert_nothing_lost()
        self.assertTrue(self.program.alive())
        asker.end()
        print(f"{self.SIZE}: {asker.asked} queries meanwhile, {len(asker.refused)} without an answer")
        self.assertEqual(asker.refused, [])
        self.program.kill9()
        self.program.start()
        self.stack.wait_ready(self.program)
        self.assert_nothing_lost()


class SmallFullDisk(FullDisk):
    """Smaller than what RocksDB wants free before it goes on by itself."""
    SIZE = "48m"


class FailingDisk(unittest.TestCase):
    """Every write and sync below the data directory fails with EIO while a switch is on."""

    def test_io_errors_are_errors_and_no_death(self):
        stack = Stack()
        self.addCleanup(stack.close)
        config = stack.write("prometheus.yml", "scrape_configs: []\n")
        switch = stack.path("switch")
        stack.http = free_port()
        os.mkdir(stack.path("data"))
        program = stack.run("server", [
            SERVER, f"--config.file={config}", f"--storage.tsdb.path={stack.path('data')}",
            f"--web.listen-address=127.0.0.1:{stack.http}", "--web.enable-remote-write-receiver"],
            env={**os.environ, "LD_PRELOAD": os.path.join(ROOT, "tests/chaos/libeio.so"),
                 "EIO_BELOW": stack.path("data"), "EIO_SWITCH": switch})
        stack.wait_ready(program)
        url = f"http://127.0.0.1:{stack.http}"
        disk = FullDisk("test_a_full_disk_refuses_writes_answers_queries_and_starts")
        disk.stack, disk.url, disk.acknowledged, disk.random = stack, url, {}, random.Random(2)
        disk.next_t = int(time.time() * 1000) - 3_000_000
        for round_ in range(3):
            for _ in range(10):
                wait_until("it writes", lambda: disk.write() // 100 == 2)
            with open(switch, "w"):
                pass
            wait_until("writes are refused", lambda: disk.write() == 503)
            wait_until("it is red", lambda: status_of(url + "/-/healthy")[0] == 503)
            self.assertIn("refuses writes", status_of(url + "/-/healthy")[1])
            self.assertEqual(disk.metric("vedette_tsdb_writable"), 0)
            disk.assert_nothing_lost()
            os.remove(switch)
            begin = time.monotonic()
            wait_until("it writes again by itself", lambda: disk.write() // 100 == 2, every=0.05)
            print(f"round {round_}: writing again {time.monotonic() - begin:.2f} s after the disk was well")
            wait_until("it is green", lambda: status_of(url + "/-/healthy")[0] == 200)
            disk.assert_nothing_lost()
        self.assertTrue(program.alive())
        program.kill9()
        program.start()
        stack.wait_ready(program)
        disk.assert_nothing_lost()


if __name__ == "__main__":
    xml_unittest.main()
