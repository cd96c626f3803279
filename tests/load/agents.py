"""One server and a thousand agents: bazel run //tests/load:agents_load -- [--agents N] [--interval S] [--series N]
[--moving PERCENT] [--seconds S]

Prints what was missed, what it cost, and how many bytes a sample took on the wire."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--agents", type=int, default=1000)
    ap.add_argument("--interval", type=int, default=10)
    ap.add_argument("--series", type=int, default=500)
    ap.add_argument("--moving", type=int, default=10, help="percent of the series that move")
    ap.add_argument("--seconds", type=int, default=60)
    a = ap.parse_args()
    with s.Stack() as st:
        port = s.free_port()
        sim = st.run("agents", [os.path.join(s.ROOT, "tests/load/agents"), str(port), str(a.series), str(a.moving)])
        addresses = ", ".join(f"'127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}'" for i in range(a.agents))
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: {a.interval}s, scrape_timeout: {a.interval}s}}
scrape_configs:
  - job_name: load
    scheme: grpc
    tls_config: {{insecure_skip_verify: true}}
    static_configs: [{{targets: [{addresses}]}}]
""")
        st.http = s.free_port()
        os.makedirs(st.path("data"))
        server = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                                   f"--web.listen-address=127.0.0.1:{st.http}"])
        st.wait_ready(server)

        def metrics():
            out = {}
            for line in st.get_text(f"http://127.0.0.1:{st.http}/metrics").splitlines():
                if line and not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    out[name] = float(value)
            return out

        def sent():
            words = sim.text().strip().splitlines()[-1].split()
            return int(words[3]), int(words[5])
        # Every agent has been asked twice: layouts are known.
        s.wait_until("all agents are scraped twice",
                     lambda: metrics()["vedette_target_scrapes_total"] >= 2 * a.agents, timeout=12 * a.interval)
        before, cpu, samples_bytes = metrics(), cpu_seconds(server.process.pid), sent()
        begin = time.time()
        time.sleep(a.seconds)
        after, took = metrics(), time.time() - begin
        used = cpu_seconds(server.process.pid) - cpu
        samples, size = (x - y for x, y in zip(sent(), samples_bytes))
        def grew(name):
            return after[name] - before[name]
        scrapes = grew("vedette_target_scrapes_total")
        print(f"agents {a.agents}, every {a.interval} s, {a.series} series each, {a.moving} % of them move, {took:.0f} s:")
        print(f"  scrapes {scrapes:.0f} of {a.agents * took / a.interval:.0f}, missed {grew('vedette_target_scrapes_missed_total'):.0f}, "
              f"failed {grew('vedette_target_scrapes_failed_total'):.0f}")
        print(f"  up at the end {st.value('sum(up)'):.0f}, least samples of an agent's up "
              f"{st.value(f'min(count_over_time(up[{int(took)}s]))'):.0f}")
        print(f"  server: {used:.1f} CPU seconds ({100 * used / took:.0f} % of a core), {1e6 * used / max(samples, 1):.2f} us a sample, "
              f"{resident_mib(server.process.pid):.0f} MiB resident")
        print(f"  wire: {size / max(samples, 1):.3f} bytes a sample")
    return 0


if __name__ == "__main__":
    sys.exit(main())
