"""kill -9 under load through both doors, scrape and remote write: nothing that was acknowledged is
lost, nothing is doubled, nothing is invented, and every start succeeds.

VEDETTE_KILLS says how often (tools/chaos: 100), VEDETTE_SEED from which seed."""
import http.server
import os
import random
import struct
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from stack import SERVER, Stack, free_port, wait_until  # noqa: E402
import xml_unittest  # noqa: E402

KILLS = int(os.environ.get("VEDETTE_KILLS", "3"))
SEED = int(os.environ.get("VEDETTE_SEED", "1"))
SERIES = 40


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def write_request(series):
    """[(labels, t_ms, value)] as a remote write 1.0 body: protobuf in one snappy literal."""
    body = b""
    for labels, t_ms, value in series:
        one = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        one += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t_ms))
        body += field(1, one)
    out = varint(len(body))
    for at in range(0, len(body), 60000):
        part = body[at:at + 60000]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return out


class Target:
    """Serves SERIES gauges whose value counts the scrapes, and knows what it has served."""

    def __init__(self):
        self.served = 0
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                target.served += 1
                body = "".join(f'chaos_scraped{{n="{i}"}} {target.served * 1000 + i}\n' for i in range(SERIES)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Writer(threading.Thread):
    """Writes until told to stop; `asked` and `acknowledged` are {(series, t_ms): value}."""

    def __init__(self, url, asked, acknowledged):
        super().__init__(daemon=True)
        self.url, self.asked, self.acknowledged = url, asked, acknowledged
        self.stop = threading.Event()
        self.refused = []

    def run(self):
        last = 0
        while not self.stop.is_set():
            t = int(time.time() * 1000)
            if t == last:  # Never ahead of the clock: a question about now would not see it.
                time.sleep(0.0005)
                continue
            last = t
            batch = {(i, t): float((t * 31 + i) % 100003) for i in range(SERIES)}
            self.asked.update(batch)
            body = write_request([({"__name__": "chaos_written", "n": str(i)}, t, v) for (i, t), v in batch.items()])
            request = urllib.request.Request(self.url, data=body, method="POST", headers={
                "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0"})
            try:
                with urllib.request.urlopen(request, timeout=30):
                    self.acknowledged.update(batch)
            except urllib.error.HTTPError as e:
                self.refused.append(f"{e.code} {e.read()[:200]}")
            except OSError:
                time.sleep(0.02)


class KillTest(unittest.TestCase):
    def raw(self, name):
        """{(n, t_ms): value} of everything under a name; fails where an instant is there twice."""
        out = {}
        for s in self.stack.query(f"{name}[1d]"):  # A hundred kills take an hour on a busy machine.
            for t, v in s["values"]:
                key = (int(s["metric"]["n"]), round(t * 1000))
                self.assertNotIn(key, out, "doubled")
                out[key] = float(v)
        return out

    def test_nothing_acknowledged_is_lost(self):
        rng = random.Random(SEED)
        with Stack() as stack:
            self.stack = stack
            target = Target()
            config = stack.write("prometheus.yml", f"""
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: chaos
    static_configs: [{{targets: ['127.0.0.1:{target.port}']}}]
""")
            stack.http = free_port()
            program = stack.run("server", [
                SERVER, f"--config.file={config}",
                f"--storage.tsdb.path={stack.path('data')}", f"--web.listen-address=127.0.0.1:{stack.http}",
                "--web.enable-remote-write-receiver"])
            asked, acknowledged, seen = {}, {}, {}
            for kill in range(KILLS):
                stack.wait_ready(program)
                writer = Writer(f"http://127.0.0.1:{stack.http}/api/v1/write", asked, acknowledged)
                before = len(acknowledged)
                served = target.served
                writer.start()
                wait_until("both doors are in use", lambda: len(acknowledged) > before + 5 * SERIES and target.served > served + 2)
                time.sleep(rng.uniform(0, 1))
                seen.update(self.raw("chaos_scraped"))  # What can be read has been taken.
                time.sleep(rng.uniform(0, 0.3))
                program.kill9()
                writer.stop.set()
                writer.join()
                self.assertEqual(writer.refused, [])
                program.start()
                stack.wait_ready(program)

                written = self.raw("chaos_written")
                for key, value in acknowledged.items():
                    self.assertEqual(written.get(key), value, f"kill {kill}: {key} was acknowledged")
                for key, value in written.items():
                    self.assertEqual(asked.get(key), value, f"kill {kill}: {key} was never written")
                scraped = self.raw("chaos_scraped")
                for key, value in seen.items():
                    self.assertEqual(scraped.get(key), value, f"kill {kill}: {key} could be read before")
                for (n, _), value in scraped.items():
                    self.assertEqual(value % 1000, n)
                    self.assertLessEqual(value // 1000, target.served)
            self.assertGreater(len(acknowledged), KILLS * 5 * SERIES - 1)
            print(f"{KILLS} kills: {len(acknowledged)} samples acknowledged, {len(seen)} scraped ones seen, 0 lost")


if __name__ == "__main__":
    xml_unittest.main()
