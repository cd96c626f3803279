"""Hours at a set load: is memory steady, are descriptors, is a scrape missed?

    soak.py HOURS [PLOT.svg]

One server, one agent pulled every second, ten text targets of a thousand series each every second, a rule group, and a
query every second. The targets are a process of their own. Every five seconds the server's and the agent's resident
memory and descriptors are read, and what the server says its memory is used for.

The first WARM_UP seconds are not judged: caches fill up, and memory tables are written out for the first time. After
them it is not steady

  - where a program's resident memory grows by more than 5 %, the last fifth's median against the first fifth's, and the
    highest point of the second half against that of the first. The server's block cache fills up for an hour or two, to a
    size that is known: in a run of less than CACHE_FULL seconds what it takes is left out, and said;
  - where a part of the storage's memory (vedette_tsdb_memory_bytes) is over its limit;
  - where descriptors grow, the second half's highest against the first's. Tables of the storage are counted apart: there
    are as many open as there are tables;
  - where a scrape is missed or failed. Which, and how long it took, is printed; with it the longest that a thread waited
    which only sleeps: on a machine that is busy with something else it was not the server that was late.

A run of less than three times WARM_UP says that it was too short to judge."""
import multiprocessing
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
from exporter import Exporter  # noqa: E402

TARGETS, SERIES, EVERY = 10, 1000, 5
MIB = 1 << 20
WARM_UP = 600
CACHE_FULL = 5 * 3600
# The most that each part may take: defaults of the column cache and the block cache; of memory tables what five minutes
# bring, twice while one is written; head, index and instants grow with the series and the windows.
LIMITS = {"column_cache": 64 * MIB, "memtables": 40 * MIB, "block_cache": 17 * MIB, "table_readers": 16 * MIB,
          "instants": 12 * MIB, "head": 32 * MIB, "index": 16 * MIB}


def counters(seed):
    """The pages of a target: SERIES counters, of which a tenth grow from one to the next."""
    rng, values = random.Random(seed), [0] * SERIES
    page = "# TYPE soak_total counter\n" + "".join(f'soak_total{{i="{i}"}} %d\n' for i in range(SERIES))

    def next_page(_):
        for i in rng.sample(range(SERIES), SERIES // 10):
            values[i] += rng.randrange(1000)
        return page % tuple(values)
    return next_page


def serve(ports):
    """The process of the targets: sends their ports, and ends when the other side does."""
    ports.send([Exporter(counters(i)).port for i in range(TARGETS)])
    try:
        ports.recv()
    except EOFError:
        pass


class Sleeper:
    """How much too late a thread was woken that does nothing but sleep: [(when, seconds)] of the worst in each second."""

    def __init__(self):
        self.late = {}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            begin = time.monotonic()
            time.sleep(0.05)
            late = time.monotonic() - begin - 0.05
            if late > 0.1:
                second = int(time.time())
                self.late[second] = max(late, self.late.get(second, 0))

    def worst(self, t):
        return max((late for second, late in self.late.items() if t - 3 <= second <= t + 2), default=0)


def look(program):
    """Resident bytes, descriptors but for tables, tables, CPU seconds."""
    pid = program.process.pid
    with open(f"/proc/{pid}/statm") as f:
        rss = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    tables = others = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue  # Closed meanwhile.
        tables, others = (tables + 1, others) if ".sst" in target else (tables, others + 1)
    return rss, others, tables, cpu


def median(values):
    return sorted(values)[len(values) // 2]


def polyline(points, box, top, color):
    x0, y0, width, height = box
    last = points[-1][0] or 1
    text = " ".join(f"{x0 + width * t / last:.1f},{y0 + height * (1 - v / top):.1f}" for t, v in points)
    return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{text}"/>'


def plot(path, rows, words):
    """Two panels: resident memory and descriptors of both programs over the hours."""
    panels = [("resident memory, MiB; the storage's own part", [("server", "#3267c8", 1), ("agent", "#c85a32", 3),
                                                             ("storage", "#7f9ed8", 5)], MIB),
              ("open descriptors but for tables", [("server", "#3267c8", 2), ("agent", "#c85a32", 4)], 1)]
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


def judge(rows, faults, words):
    """Of rows after the warm-up: what has grown that should not."""
    fifth, half = max(1, len(rows) // 5), max(1, len(rows) // 2)
    if rows[-1][0] < CACHE_FULL:
        before, after = (median([r[7] for r in part]) / MIB for part in (rows[:fifth], rows[-fifth:]))
        words.append(f"server: beside the block cache, {before:.1f} -> {after:.1f} MiB, which fills up meanwhile:")
        rows = [(r[0], r[1] - r[7], *r[2:]) for r in rows]
    for name, rss, fds in (("server", 1, 2), ("agent", 3, 4)):
        before, after = (median([r[rss] for r in part]) for part in (rows[:fifth], rows[-fifth:]))
        high, higher = (max(r[rss] for r in part) for part in (rows[:half], rows[half:]))
        change, change_of_highest = (100 * (b / a - 1) for a, b in ((before, after), (high, higher)))
        words.append(f"{name}: resident {before / MIB:.1f} -> {after / MIB:.1f} MiB ({change:+.1f} %), highest "
                     f"{high / MIB:.1f} -> {higher / MIB:.1f} MiB ({change_of_highest:+.1f} %)")
        if max(change, change_of_highest) > 5:
            faults.append(f"the {name}'s memory grew by {max(change, change_of_highest):.1f} %")
        least, most, later = min(r[fds] for r in rows), max(r[fds] for r in rows[:half]), max(r[fds] for r in rows[half:])
        words.append(f"{name}: descriptors {least} to {max(most, later)}")
        if later > most:
            faults.append(f"the {name}'s descriptors grew from {most} to {later}")
    words.append(f"server: open tables {min(r[6] for r in rows)} to {max(r[6] for r in rows)}; of the storage "
                 f"{median([r[5] for r in rows[:fifth]]) / MIB:.1f} -> {median([r[5] for r in rows[-fifth:]]) / MIB:.1f} MiB")


def missed_scrapes(st, hours, sleeper):
    """A line for each scrape that brought nothing."""
    lines = []
    for series in st.query(f"(up == 0)[{int(hours * 3600) + 60}s:1s]"):
        for t, _ in series["values"]:
            name = "{instance=\"" + series["metric"]["instance"] + "\"}"
            took = st.value(f"scrape_duration_seconds{name}", time=t)
            lines.append(f"{time.strftime('%H:%M:%S', time.gmtime(t))} {series['metric']['instance']} "
                         f"took {took or 0:.2f} s; a sleeping thread was woken {sleeper.worst(t):.2f} s too late")
    return lines


def main():
    hours = float(sys.argv[1])
    mine, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=serve, args=(theirs,), daemon=True).start()
    ports, sleeper = mine.recv(), Sleeper()
    with s.Stack() as st:
        st.make_ca()
        st.issue("server", "server")
        st.issue("agent", "node")
        agent = st.agent(name="node")
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
    static_configs: [{{targets: [{", ".join(f"'127.0.0.1:{port}'" for port in ports)}]}}]
""")
        server = st.server(config)
        s.wait_until("everything is scraped", lambda: st.value("sum(up)") == TARGETS + 1)

        def metrics():
            return [l for l in st.get_text(f"http://127.0.0.1:{st.http}/metrics").splitlines() if not l.startswith("#")]

        def metric(name):
            return next(float(l.split()[1]) for l in metrics() if l.startswith(name + " "))

        def storage():
            return {l.split('part="')[1].split('"')[0]: float(l.rsplit(" ", 1)[1])
                    for l in metrics() if l.startswith("vedette_tsdb_memory_bytes{")}
        names = [f"vedette_target_{n}_total" for n in ("scrapes_missed", "scrapes_failed", "samples_scraped")]
        first, cpu_before = {n: metric(n) for n in names}, look(server)[3]
        begin, rows, next_look, most_of = time.monotonic(), [], 0, {}
        while (now := time.monotonic() - begin) < hours * 3600:
            st.query("sum by (instance) (rate(soak_total[1m]))")
            if now >= next_look:
                next_look += EVERY
                a, b, parts = look(server), look(agent), storage()
                rows.append((now, a[0], a[1], b[0], b[1], sum(parts.values()), a[2], parts["block_cache"]))
                most_of = {k: max(v, most_of.get(k, 0)) for k, v in parts.items()}
            time.sleep(1)
        cpu, seconds = look(server)[3] - cpu_before, time.monotonic() - begin
        grown = {n: metric(n) - v for n, v in first.items()}
        faults, words = [], []
        if rows[-1][0] >= 3 * WARM_UP:
            words.append(f"after {WARM_UP / 60:.0f} minutes, which are not judged:")
            judge([r for r in rows if r[0] > WARM_UP], faults, words)
        else:
            words.append(f"shorter than {3 * WARM_UP / 60:.0f} minutes: too short to judge memory and descriptors")
        words.append("server: at most " + ", ".join(f"{k} {v / MIB:.1f}" for k, v in sorted(most_of.items())) + " MiB")
        faults += [f"the {k} took {v / MIB:.1f} MiB" for k, v in most_of.items() if v > LIMITS.get(k, 0)]
        missed, failed, samples = (grown[n] for n in names)
        words.append(f"{samples:.0f} samples in {seconds / 3600:.2f} h ({samples / seconds:.0f}/s), {missed:.0f} scrapes "
                     f"missed, {failed:.0f} failed, {cpu:.1f} CPU s of the server")
        if missed + failed > 0:
            faults.append(f"{missed + failed:.0f} scrapes were missed or failed")
            words += missed_scrapes(st, hours, sleeper)
        print("\n".join(words))
        if len(sys.argv) > 2:
            plot(sys.argv[2], rows, f"{hours:g} hours: {TARGETS} text targets of {SERIES} series and an agent, every second")
            print(f"plotted into {sys.argv[2]}")
        for fault in faults:
            print("NOT STEADY: " + fault)
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
