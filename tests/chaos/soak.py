"""Hours at a set load: is memory steady, are descriptors, is a scrape missed?

    soak.py HOURS [PLOT.svg]

One server, one agent pulled every second, ten text targets of a thousand series each every second, a rule group,
and a query every second. Every five seconds the server's and the agent's resident memory and open descriptors
are read, and what the server says its memory is used for (vedette_tsdb_memory_bytes).

What is warm-up and what is a leak is told apart by that: memory tables and caches fill up to a size that is known
beforehand, a leak is in no book. So it fails where resident memory *beside* what is in the books ends more than 5 % of
it above what it was after the first tenth; where a book is over its limit; where, after WARM_UP seconds (the memory table
of the log has been full once), all of it grows by more than 5 %, highest point against highest point; where descriptors
grow; or where a scrape is missed. A run of less than three times WARM_UP says that it did not see the third."""
import http.server
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402

TARGETS, SERIES, EVERY = 10, 1000, 5
MIB = 1 << 20
WARM_UP = 2400
# The most that each part may take: the column cache's default, three memory tables of the log and one of each other
# family with the block cache; head and index grow with the series alone, of which there are no new ones.
LIMITS = {"column_cache": 64 * MIB, "store": 140 * MIB, "head": 32 * MIB, "index": 16 * MIB}


class Exporter:
    """SERIES counters that grow by what is random and seeded."""

    def __init__(self, seed):
        rng, values, lock = random.Random(seed), [0] * SERIES, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with lock:
                    for i in rng.sample(range(SERIES), SERIES // 10):
                        values[i] += rng.randrange(1000)
                    body = ("# TYPE soak_total counter\n" + "".join(
                        f'soak_total{{i="{i}"}} {v}\n' for i, v in enumerate(values))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def look(program):
    pid = program.process.pid
    with open(f"/proc/{pid}/statm") as f:
        rss = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return rss, len(os.listdir(f"/proc/{pid}/fd")), cpu


def median(values):
    return sorted(values)[len(values) // 2]


def polyline(points, box, top, color):
    x0, y0, width, height = box
    last = points[-1][0] or 1
    text = " ".join(f"{x0 + width * t / last:.1f},{y0 + height * (1 - v / top):.1f}" for t, v in points)
    return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{text}"/>'


def plot(path, rows, words):
    """Two panels: resident memory and descriptors of both programs over the hours."""
    panels = [("resident memory, MiB; in the server's books", [("server", "#3267c8", 1), ("agent", "#c85a32", 3),
                                                               ("books", "#7f9ed8", 5)], MIB),
              ("open descriptors", [("server", "#3267c8", 2), ("agent", "#c85a32", 4)], 1)]
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 470" font-family="sans-serif" font-size="12">',
           '<rect width="760" height="470" fill="#ffffff"/>', f'<text x="60" y="22" font-size="14">{words}</text>']
    for at, (title, lines, unit) in enumerate(panels):
        box = (60, 60 + at * 210, 640, 150)
        top = max(r[c] / unit for r in rows for _, _, c in lines) * 1.15
        out.append(f'<text x="60" y="{box[1] - 8}">{title}</text>')
        for part in range(5):
            y = box[1] + box[3] * part / 4
            out.append(f'<line x1="60" x2="700" y1="{y}" y2="{y}" stroke="#dddddd"/>'
                       f'<text x="54" y="{y + 4}" text-anchor="end">{top * (4 - part) / 4:.0f}</text>')
        for name, color, column in lines:
            points = [(r[0], r[column] / unit) for r in rows]
            out.append(polyline(points, box, top, color))
            out.append(f'<text x="704" y="{box[1] + box[3] * (1 - points[-1][1] / top) + 4:.0f}" fill="{color}">{name}</text>')
        for part in range(5):
            minutes = rows[-1][0] * part / 4 / 60
            out.append(f'<text x="{60 + 160 * part}" y="{box[1] + box[3] + 16}" text-anchor="middle">{minutes:.0f} min</text>')
    out.append("</svg>\n")
    with open(path, "w") as f:
        f.write("\n".join(out))


def main():
    hours = float(sys.argv[1])
    with s.Stack() as st:
        st.make_ca()
        st.issue("server", "server")
        st.issue("agent", "node")
        agent = st.agent(name="node")
        targets = [Exporter(i) for i in range(TARGETS)]
        st.write("rules.yml", """
groups:
  - name: soak
    interval: 5s
    rules:
      - {record: 'instance:soak:rate1m', expr: 'sum by (instance) (rate(soak_total[1m]))'}
      - {alert: Never, expr: 'up == 2', for: 1m}
""")
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("node")}
    static_configs: [{{targets: ['127.0.0.1:{st.agent_port}']}}]
  - job_name: text
    static_configs: [{{targets: [{", ".join(f"'127.0.0.1:{t.port}'" for t in targets)}]}}]
""")
        server = st.server(config)
        s.wait_until("everything is scraped", lambda: st.value("sum(up)") == TARGETS + 1)

        def metric(name):
            text = st.get_text(f"http://127.0.0.1:{st.http}/metrics")
            return next(float(l.split()[1]) for l in text.splitlines() if l.startswith(name + " "))

        def books():
            text = st.get_text(f"http://127.0.0.1:{st.http}/metrics")
            return {l.split('part="')[1].split('"')[0]: float(l.rsplit(" ", 1)[1])
                    for l in text.splitlines() if l.startswith("vedette_tsdb_memory_bytes{")}
        begin, rows, next_look, most_of = time.monotonic(), [], 0, {}
        first = {n: metric(n) for n in ("vedette_target_scrapes_missed_total", "vedette_target_scrapes_failed_total",
                                        "vedette_target_samples_scraped_total")}
        cpu_before = look(server)[2] + 0
        while (now := time.monotonic() - begin) < hours * 3600:
            st.query("sum by (instance) (rate(soak_total[1m]))")
            if now >= next_look:
                next_look += EVERY
                a, b = look(server), look(agent)
                parts = books()
                rows.append((now, a[0], a[1], b[0], b[1], sum(parts.values())))
                most_of = {k: max(v, most_of.get(k, 0)) for k, v in parts.items()}
            time.sleep(1)
        cpu = look(server)[2] - cpu_before
        grown = {n: metric(n) - v for n, v in first.items()}
        warm = rows[len(rows) // 10:]
        fifth = max(1, len(warm) // 5)
        faults, words = [], []
        for name, rss, fds in (("server", 1, 2), ("agent", 3, 4)):
            before, after = (median([r[rss] for r in part]) for part in (warm[:fifth], warm[-fifth:]))
            change = 100 * (after / before - 1)
            most, least = (f([r[fds] for r in warm]) for f in (max, min))
            words.append(f"{name}: resident {before / MIB:.1f} -> {after / MIB:.1f} MiB ({change:+.1f} %), "
                         f"descriptors {least} to {most}")
            if name == "agent" and change > 5:
                faults.append(f"the agent's memory grew by {change:.1f} %")
            if median([r[fds] for r in warm[-fifth:]]) > median([r[fds] for r in warm[:fifth]]):
                faults.append(f"the {name}'s descriptors grew")
        beside = [median([r[1] - r[5] for r in part]) for part in (warm[:fifth], warm[-fifth:])]
        all_of_it = median([r[1] for r in warm[:fifth]])
        words.append(f"server: in no book {beside[0] / MIB:.1f} -> {beside[1] / MIB:.1f} MiB; at most in the books: " +
                     ", ".join(f"{k} {v / MIB:.1f}" for k, v in sorted(most_of.items())))
        if beside[1] - beside[0] > 0.05 * all_of_it:
            faults.append(f"{(beside[1] - beside[0]) / MIB:.1f} MiB of the server's memory are in no book")
        faults += [f"the {k} took {v / MIB:.1f} MiB" for k, v in most_of.items() if v > LIMITS.get(k, 0)]
        if rows[-1][0] >= 3 * WARM_UP:
            late = [r for r in rows if r[0] > WARM_UP]
            high = [max(r[1] for r in part) for part in (late[:len(late) // 2], late[len(late) // 2:])]
            words.append(f"server: highest after the warm-up {high[0] / MIB:.1f} -> {high[1] / MIB:.1f} MiB "
                         f"({100 * (high[1] / high[0] - 1):+.1f} %)")
            if high[1] > 1.05 * high[0]:
                faults.append(f"the server's memory grew by {100 * (high[1] / high[0] - 1):.1f} % after the warm-up")
        else:
            words.append(f"shorter than {3 * WARM_UP} s: memory tables may not have been full")
        missed = grown["vedette_target_scrapes_missed_total"] + grown["vedette_target_scrapes_failed_total"]
        samples = grown["vedette_target_samples_scraped_total"]
        seconds = time.monotonic() - begin
        words.append(f"{samples:.0f} samples in {seconds / 3600:.2f} h ({samples / seconds:.0f}/s), "
                     f"{missed:.0f} scrapes missed or failed, {cpu:.1f} CPU s of the server")
        if missed > 0:
            faults.append(f"{missed:.0f} scrapes were missed or failed")
        print("\n".join(words))
        if len(sys.argv) > 2:
            plot(sys.argv[2], rows, f"{hours:g} hours: {TARGETS} text targets of {SERIES} series and an agent, every second")
            print(f"plotted into {sys.argv[2]}")
        for fault in faults:
            print("NOT STEADY: " + fault)
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
