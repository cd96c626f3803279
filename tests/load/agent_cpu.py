"""What a scrape costs the agent, beside node_exporter: bazel run //tests/load:agent_cpu -- [--scrapes N] [--interval S]

One node_exporter with its default collectors, one agent with its own (host and containers), asked in turns for text, plain as
a real Prometheus without compression asks and with gzip as it asks by default; then the agent alone, pulled by a
vedette-server. Prints milliseconds of CPU (user and system, of the whole process) a scrape, and the ratio."""
import argparse
import gzip
import http.client
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402


def cpu_ms(pid):
    """By the process's CPU clock (clock_getcpuclockid(3)): to the nanosecond, where /proc/PID/stat counts ticks."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


CONNECTIONS = {}


def scrape(port, encoding):
    """On a connection that is kept, as Prometheus does it."""
    if port not in CONNECTIONS:
        CONNECTIONS[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        CONNECTIONS[port].request("GET", "/metrics", headers={"Accept-Encoding": encoding})
        answer = CONNECTIONS[port].getresponse()
    except (OSError, http.client.HTTPException):
        CONNECTIONS.pop(port).close()
        raise
    body = answer.read()
    return gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body


def series(body):
    return sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--scrapes", type=int, default=60)
    ap.add_argument("--interval", type=float, default=1.0, help="seconds between two scrapes of one program")
    a = ap.parse_args()
    if shutil.which("prometheus-node-exporter") is None:
        sys.exit("Debian's prometheus-node-exporter is not installed")
    with s.Stack() as st:
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        port = s.free_port()
        reference = st.run("node_exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"])
        s.wait_until("node_exporter answers", lambda: scrape(port, "identity"))
        agent = st.agent()
        both = {"node_exporter": (reference.process.pid, port), "agent": (agent.process.pid, st.agent_http)}
        print(f"{a.scrapes} scrapes, {a.interval} s apart; milliseconds of CPU a scrape")
        for encoding in ("identity", "gzip"):
            count = {}
            for _ in range(2):
                for name, (_, at) in both.items():
                    count[name] = series(scrape(at, encoding))
            # Over the whole time, so that what a program does behind a scrape counts as well.
            before = {name: cpu_ms(pid) for name, (pid, _) in both.items()}
            for _ in range(a.scrapes):
                for _, at in both.values():
                    scrape(at, encoding)
                time.sleep(a.interval)
            each = {name: (cpu_ms(pid) - before[name]) / a.scrapes for name, (pid, _) in both.items()}
            print(f"  text, {encoding}: node_exporter {each['node_exporter']:.2f} ({count['node_exporter']} series), "
                  f"agent {each['agent']:.2f} ({count['agent']} series), ratio {each['agent'] / each['node_exporter']:.2f}")
        reference.stop()
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: {int(a.interval * 1000)}ms, scrape_timeout: {int(a.interval * 1000)}ms}}
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("agent")}
    static_configs: [{{targets: ['localhost:{st.agent_port}']}}]
""")
        st.server(config)
        s.wait_until("the agent is pulled", lambda: (st.value('count_over_time(up{job="node"}[1m])') or 0) >= 3)
        pulls = lambda: sum(float(line.split()[-1]) for line in st.get_text(f"http://127.0.0.1:{st.http}/metrics").splitlines()
                            if line.startswith("vedette_target_scrapes_total"))
        before, begun = cpu_ms(agent.process.pid), pulls()
        time.sleep(a.scrapes * a.interval)
        ms, number = cpu_ms(agent.process.pid) - before, pulls() - begun
        print(f"  pull over mTLS: agent {ms / number:.2f} ({st.value('scrape_samples_scraped'):.0f} series, {number:.0f} pulls)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
