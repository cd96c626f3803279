"""Vedette among foreigners: a real Prometheus reads the agent, the server reads a real node_exporter."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Interop(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        for role in ("server", "agent"):
            self.stack.issue(role, role)

    @unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
    def test_a_real_prometheus_scrapes_the_agent(self):
        st = self.stack
        st.agent()
        port = s.free_port()
        config = st.write("peer.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: agent
    static_configs: [{{targets: ['127.0.0.1:{st.agent_http}']}}]
""")
        st.run("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={st.path('peer')}",
                              f"--web.listen-address=127.0.0.1:{port}"])
        st.http = port

        def scraped():
            return st.value("count_over_time(up[1m])") or 0
        s.wait_until("eight scrapes by Prometheus", lambda: scraped() >= 8)
        self.assertEqual(st.value("min_over_time(up[1m])"), 1)
        self.assertGreater(st.value('count({__name__=~"node_.+"})'), 300)
        self.assertEqual(st.query('{__name__="node_cpu_seconds_total",mode="nosuch"}'), [])

    @unittest.skipUnless(shutil.which("prometheus-node-exporter"), "Debian's prometheus-node-exporter is not installed")
    def test_the_server_scrapes_a_real_node_exporter(self):
        st = self.stack
        port = s.free_port()
        st.run("node_exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"])
        s.wait_until("node_exporter answers", lambda: st.get_text(f"http://127.0.0.1:{port}/metrics"))
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
""")
        st.server(config)
        try:
            s.wait_until("eight scrapes by the server", lambda: (st.value('count_over_time(up{job="node"}[1m])') or 0) >= 8)
            self.assertEqual(st.value('min_over_time(up{job="node"}[1m])'), 1)
            self.assertEqual(st.value("count(node_exporter_build_info)"), 1)
            text = st.get_text(f"http://127.0.0.1:{port}/metrics")
            lines = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
            self.assertAlmostEqual(st.value('scrape_samples_scraped{job="node"}'), lines, delta=3)
        except AssertionError:
            st.dump_logs()
            raise


if __name__ == "__main__":
    xml_unittest.main()
