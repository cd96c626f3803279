"""The same random questions to Vedette and to Debian's Prometheus (2.42), over the same samples. No sample lies on a whole
second, and no question on one either, so that ranges closed on the left (2.42) and open (3.x) hold the same samples,
those of subqueries too.

  bazel test --test_env=VEDETTE_SEED=7 --test_env=VEDETTE_QUERIES=2000 ... asks more; a failure names its seed."""
import math
import os
import random
import shutil
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

SEED = int(os.environ.get("VEDETTE_SEED", "1"))
QUERIES = int(os.environ.get("VEDETTE_QUERIES", "150"))
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
MINUTES = 120
# Ranges do not reach back to where the series begin: Prometheus 3 extrapolates less there than 2.42.
FROM = 40 * 60


def samples(start_ms):
    """Counters with resets, gauges with gaps and ends, classic buckets."""
    r = random.Random(42)
    out = []
    for job in ("api", "db"):
        for instance in ("a", "b", "c"):
            offset = r.randrange(100, 900)
            times = [start_ms + i * 15_000 + offset for i in range(MINUTES * 4)]
            labels = {"job": job, "instance": instance}
            total, points = 0.0, []
            for t in times:
                total = 0.0 if r.random() < 0.004 else total + r.choice((0, 1, 5, 12.5))
                points.append((t, total))
            out.append(({"__name__": "requests_total", **labels}, points))
            points = [(t, round(r.gauss(50, 20), 3)) for t in times if r.random() > 0.05]
            if instance == "c":
                points = points[: len(points) // 2] + [(points[len(points) // 2][0], STALE)]
            out.append(({"__name__": "load", **labels}, points))
            sums = [0.0] * 4
            buckets = [[] for _ in sums]
            for t in times:
                for i in range(4):
                    sums[i] += r.randrange(0, 3) if i == 0 else 0
                    sums[i] = max(sums[i], sums[i - 1] + r.randrange(0, 2)) if i else sums[i]
                    buckets[i].append((t, sums[i]))
            for bound, points in zip(("0.1", "0.5", "2", "+Inf"), buckets):
                out.append(({"__name__": "latency_bucket", "le": bound, **labels}, points))
    return out


class Questions:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def selector(self, name):
        matchers = self.r.choice(("", "", '{job="api"}', '{instance=~"a|b"}', '{job!="db",instance="c"}',
                                  '{instance!~"b.*"}', '{nothing=""}', '{job="none"}'))
        offset = self.r.choice(("", "", "", " offset 5m", " offset -90s"))
        return name + matchers + "%s" + offset

    def range(self, name):
        if self.r.random() < 0.2:
            return f"({self.selector(name) % ''})[10m:{self.r.choice(('30s', '1m', ''))}]"
        return self.selector(name) % f"[{self.r.choice(('1m', '5m', '17m'))}]"

    def vector(self, depth):
        r = self.r
        pick = r.randrange(8 if depth > 0 else 3)
        if pick == 0:
            return self.selector(r.choice(("load", "requests_total"))) % ""
        if pick == 1:
            return f"{r.choice(('rate', 'increase', 'irate', 'resets', 'changes'))}({self.range('requests_total')})"
        if pick == 2:
            f = r.choice(("avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
                          "last_over_time", "stddev_over_time", "delta", "idelta", "deriv", "present_over_time"))
            return f"{f}({self.range('load')})"
        inner = self.vector(depth - 1)
        if pick == 3:
            op = r.choice(("sum", "avg", "min", "max", "count", "group", "stddev"))
            by = r.choice(("", " by (job)", " without (instance)", " by (instance, nothing)"))
            return f"{op}{by} ({inner})"
        if pick == 4:
            return f"{r.choice(('abs', 'ceil', 'floor', 'sgn', 'sqrt', 'exp', 'timestamp', 'absent'))}({inner})"
        if pick == 5:
            op = r.choice(("+", "-", "*", "/", "%", ">", "<=", "== bool", "!="))
            return f"({inner} {op} {r.choice(('2', '-0.5', 'time()', 'scalar(sum(load))'))})"
        if pick == 6:
            op = r.choice(("+", "/", ">", "and", "or", "unless"))
            return f"(sum by (job, instance) ({inner}) {op} sum by (job, instance) ({self.vector(0)}))"
        return f"histogram_quantile({r.choice(('0.5', '0.9', '0'))}, sum by (le, job) (rate(latency_bucket[5m])))"


def close(a, b):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-9)


def shape(answer):
    """What of an answer counts: label sets with their values by time, or the kind of its error."""
    if answer["status"] != "success":
        return answer["errorType"]
    out = {}
    for series in answer["data"]["result"]:
        values = series["values"] if "values" in series else [series["value"]]
        out[tuple(sorted(series["metric"].items()))] = {t: float(v) for t, v in values}
    return out


def difference(ours, theirs):
    if isinstance(ours, str) or isinstance(theirs, str):
        return None if ours == theirs else f"{ours!r} and {theirs!r}"
    if ours.keys() != theirs.keys():
        return f"series {sorted(ours.keys() ^ theirs.keys())[:3]} are on one side only"
    for key, values in ours.items():
        if values.keys() != theirs[key].keys():
            return f"{key}: points {sorted(values.keys() ^ theirs[key].keys())[:3]} are on one side only"
        for t, v in values.items():
            if not close(v, theirs[key][t]):
                return f"{key} at {t}: {v!r} and {theirs[key][t]!r}"
    return None


class Differential(unittest.TestCase):
    @unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
    def test_the_peer_gives_the_same_answers(self):
        with s.Stack() as st:
            config = st.write("prometheus.yml", "global: {evaluation_interval: 1m}\n"
                              "storage: {tsdb: {out_of_order_time_window: 1d}}\n")
            ours, theirs = s.free_port(), s.free_port()
            flags = ["--web.enable-remote-write-receiver"]
            programs = [st.run("vedette", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('v')}",
                                           f"--web.listen-address=127.0.0.1:{ours}", *flags]),
                        st.run("peer", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={st.path('p')}",
                                        f"--web.listen-address=127.0.0.1:{theirs}", *flags])]
            urls = [f"http://127.0.0.1:{port}" for port in (ours, theirs)]
            for program, url in zip(programs, urls):
                s.wait_until(f"{program.name} is ready", lambda u=url: st.get_text(u + "/-/ready"))
            end = int(time.time()) // 60 * 60 - 120
            start = end - MINUTES * 60
            for url in urls:
                for labels, points in samples(start * 1000):
                    remote_write.write(url, [(labels, points)])
            questions = Questions(SEED)
            for i in range(QUERIES):
                query = questions.vector(2)
                if i % 2:
                    params = {"query": query, "time": start + 0.5 + questions.r.randrange(FROM, MINUTES * 60)}
                    path = "/api/v1/query"
                else:
                    at = start + 0.5 + questions.r.randrange(FROM, MINUTES * 60 - 1800)
                    params = {"query": query, "start": at, "end": at + 1800, "step": questions.r.choice((30, 60, 77))}
                    path = "/api/v1/query_range"
                got = [s.http_json(url + path, data=params) for url in urls]
                found = difference(shape(got[0]), shape(got[1]))
                self.assertIsNone(found, f"seed {SEED}, question {i}: {params}: Vedette and the peer: {found}")


if __name__ == "__main__":
    xml_unittest.main()
