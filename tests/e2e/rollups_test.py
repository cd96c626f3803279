"""Roll-ups from the configuration to the answer: two servers are told the same for three days, one rolls up."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import remote_write  # noqa: E402
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

DAY = 86400
HOSTS = 4


def fill(url, first, end):
    """A counter with resets and a gauge of every host, each minute."""
    for begin in range(first, end, 6 * 3600):
        series = []
        for host in range(HOSTS):
            counter, gauge = [], []
            for t in range(begin, min(begin + 6 * 3600, end), 60):
                minute = (t - first) // 60
                counter.append((t * 1000, float((minute % 1000) * (host + 1))))
                gauge.append((t * 1000, ((minute * 7919) % 1013) / 8))
            series.append(({"__name__": "work_total", "host": str(host)}, counter))
            series.append(({"__name__": "heat", "host": str(host)}, gauge))
        remote_write.write(url, series)


class RollupsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = s.Stack()
        cls.stack.make_ca()
        cls.stack.issue("server", "server")
        cls.end = int(time.time()) // DAY * DAY
        cls.urls = {}
        for name, rollups in (("with", "rollups: [5m, 1h]"), ("without", "out_of_order_time_window: 0s")):
            config = cls.stack.write(f"{name}.yml", f"storage: {{tsdb: {{{rollups}}}}}\n")
            cls.stack.server(config, "--web.enable-remote-write-receiver", "--web.enable-admin-api", name=name, data=name)
            url = cls.urls[name] = f"http://127.0.0.1:{cls.stack.http}"
            fill(url, cls.end - 3 * DAY, cls.end + 600)
            s.http_json(f"{url}/api/v1/admin/tsdb/compact", method="POST")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def ask(self, name, query, start, end, step):
        self.stack.http = int(self.urls[name].rsplit(":", 1)[1])
        answer = self.stack.api("/api/v1/query_range", query=query, start=start, end=end, step=step, stats="true")["data"]
        values = {tuple(sorted(r["metric"].items())): r["values"] for r in answer["result"]}
        return values, answer["stats"]["samples"]["totalQueryableSamples"]

    def compare(self, query, start, end, step):
        got, read = self.ask("with", query, start, end, step)
        want, all_of_them = self.ask("without", query, start, end, step)
        self.assertTrue(want, query)
        self.assertEqual(got.keys(), want.keys(), query)
        for series, values in want.items():
            self.assertEqual([t for t, _ in got[series]], [t for t, _ in values], query)
            for (t, a), (_, b) in zip(got[series], values):
                self.assertAlmostEqual(float(a), float(b), delta=1e-9 * max(1, abs(float(b))), msg=f"{query} at {t}")
        return read / all_of_them

    def test_large_graphs_read_a_fraction_and_say_the_same(self):
        for function in ("rate", "increase"):
            self.assertLess(self.compare(f"{function}(work_total[1h])", self.end - 3 * DAY + 3600, self.end, 3600), 0.1)
        for function in ("sum", "avg", "count", "min", "max", "last", "first"):
            self.assertLess(self.compare(f"{function}_over_time(heat[1h])", self.end - 3 * DAY + 3600, self.end, 3600), 0.1)
            self.assertLess(self.compare(f"{function}_over_time(heat[10m])", self.end - DAY, self.end, 300), 0.5)

    def test_others_read_the_samples(self):
        for query, start in (("irate(work_total[1h])", self.end - 2 * DAY), ("rate(work_total[1h])", self.end - 2 * DAY + 7),
                             ("quantile_over_time(0.9, heat[1h])", self.end - 2 * DAY)):
            self.assertEqual(self.compare(query, start, start + DAY, 3600), 1, query)

    def test_a_roll_up_that_divides_no_day_is_refused(self):
        config = self.stack.write("odd.yml", "storage:\n  tsdb:\n    rollups: [7m]\n")
        odd = self.stack.run("odd", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={self.stack.path('odd')}",
                                     "--web.listen-address=127.0.0.1:0"])
        s.wait_until("it gives up", lambda: not odd.alive())
        self.assertIn("divides a day", odd.text())


if __name__ == "__main__":
    xml_unittest.main()
