"""What a fleet costs its server: bazel run //tests/load:fleet -- [--nodes 10,100,1000] [--protocol text,grpc] [--series N]
[--interval S] [--moving PERCENT] [--minutes M]

For each size and protocol one server on an empty directory, and so many simulated nodes: gRPC agents over mTLS, or exporters of
plain text. Prints, as rows of a table, the server's memory, its CPU as cores (its own seconds by the time they took), and its
bytes on disk for each sample stored, as they are at the end and after a compaction."""
import argparse
import http.server
import os
import random
import socketserver
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stack as s  # noqa: E402
from agents import cpu_seconds, resident_mib  # noqa: E402


class Exporters:
    """Every loopback address is a node of its own: counters, of which some move by a jittered step from page to page."""

    def __init__(self, series, moving_percent):
        self.pages, lock = {}, threading.Lock()
        families = [f"load_{f}_total" for f in range((series + 9) // 10)]
        parts = [line for f in families for line in
                 [f"# HELP {f} Of the load test.\n# TYPE {f} counter\n"] + [f'{f}{{part="{p}"}} %d\n' for p in range(10)]]
        template = "".join(parts)
        count = 10 * len(families)
        moving = [i for i in range(count) if i % 100 < moving_percent]
        exporters = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.headers["Host"]
                with lock:
                    values = exporters.pages.get(host)
                    if values is None:
                        values = exporters.pages[host] = [random.randrange(1_000_000) for _ in range(count)]
                    for i in moving:
                        values[i] += random.randrange(100)
                    body = (template % tuple(values)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads, request_queue_size = True, 1024
        server = Server(("0.0.0.0", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()


def disk_bytes(folder):
    """Blocks taken, a file with several names once."""
    seen = {}
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                info = os.lstat(os.path.join(at, name))
            except FileNotFoundError:
                continue
            seen[info.st_ino] = info.st_blocks * 512
    return sum(seen.values())


def own(st, name):
    """A metric of the server itself, its series added up."""
    lines = st.get_text(f"http://127.0.0.1:{st.http}/metrics").splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))


def measure(protocol, nodes, a):
    with s.Stack() as st:
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        if protocol == "grpc":
            port = s.free_port()
            st.run("agents", [os.path.join(s.ROOT, "tests/load/agents"), str(port), str(a.series), str(a.moving),
                              f"{st.tls}/agent.crt", f"{st.tls}/agent.key", f"{st.tls}/ca.crt"])
            more = f"scheme: grpc\n    tls_config: {st.tls_config('agent')}"
        else:
            # A process of its own: its CPU is not the server's, and Python's lock is not this one's.
            exporters = st.run("exporters", [sys.executable, os.path.abspath(__file__), "--serve", f"{a.series},{a.moving}"])
            port = int(s.wait_until("the exporters say their port", lambda: exporters.text().strip()))
            more = "metrics_path: /metrics"
        addresses = ", ".join(f"'127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}'" for i in range(nodes))
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: {a.interval}s, scrape_timeout: {a.interval}s}}
scrape_configs:
  - job_name: load
    {more}
    static_configs: [{{targets: [{addresses}]}}]
""")
        begin = time.monotonic()
        server = st.server(config, "--web.enable-admin-api")
        pid = server.process.pid
        # The first round makes every series; what is measured is what comes after it.
        s.wait_until("every node has been scraped", lambda: st.value("count(up == 1)") == nodes, timeout=20 * a.interval, every=2)
        at_start = time.monotonic()
        cpu = cpu_seconds(pid)
        time.sleep(a.minutes * 60)
        cores = (cpu_seconds(pid) - cpu) / (time.monotonic() - at_start)
        memory = resident_mib(pid)
        stored, series = own(st, "prometheus_tsdb_head_samples_appended_total"), own(st, "prometheus_tsdb_head_series")
        missed = own(st, "vedette_target_scrapes_failed_total") + own(st, "vedette_target_scrapes_missed_total")
        before = disk_bytes(st.path("data"))
        subprocess.run(["curl", "-sf", "-o", "/dev/null", "-X", "POST", f"http://127.0.0.1:{st.http}/api/v1/admin/tsdb/compact"],
                       check=True, timeout=600)
        after = disk_bytes(st.path("data"))
        print(f"| {nodes:,} | {protocol} | {series:,.0f} | {memory:,.0f} | {cores:.4f} | {stored / 1e6:,.2f} | "
              f"{before / stored:.2f} | {after / stored:.2f} | {missed:.0f} |   ({time.monotonic() - begin:.0f} s)", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--nodes", default="10,100,1000", help="sizes of fleets")
    ap.add_argument("--protocol", default="text,grpc", help="text, grpc or both")
    ap.add_argument("--series", type=int, default=1000, help="of each node")
    ap.add_argument("--interval", type=int, default=15, help="seconds between two samples of a series")
    ap.add_argument("--moving", type=int, default=40, help="percent of the series that move")
    ap.add_argument("--minutes", type=float, default=5, help="measured, after the first round")
    ap.add_argument("--serve", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.serve:
        print(Exporters(*map(int, a.serve.split(","))).port, flush=True)
        threading.Event().wait()
    print("| nodes | by | series | MiB resident | cores | million samples | bytes a sample | compacted | failed scrapes |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for protocol in a.protocol.split(","):
        for nodes in a.nodes.split(","):
            measure(protocol, int(nodes), a)
    return 0


if __name__ == "__main__":
    sys.exit(main())
