"""The agent's own alarm: nobody scrapes it, so it tells a webhook by itself; a scrape ends it."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class AgentAlarm(unittest.TestCase):
    def test_nobody_scrapes_and_then_somebody_does(self):
        with s.Stack() as st:
            sink = s.Sink()
            self.addCleanup(sink.close)
            sink.plan = [(503, {})]  # The first message gets lost: it is told again.
            st.make_ca()
            st.issue("agent", "db1")
            st.write("hook", f"http://127.0.0.1:{sink.port}/hook\n")
            port, http = s.free_port(), s.free_port()
            agent = st.run("agent", [s.AGENT, f"--grpc.listen-address=127.0.0.1:{port}",
                                     f"--web.listen-address=127.0.0.1:{http}", *st.tls_flags("db1"),
                                     f"--alarm.webhook-url-file={st.path('hook')}", "--alarm.after=2s",
                                     "--alarm.repeat=1h"])
            s.wait_until("the alarm", lambda: agent.alive() and sink.accepted("/hook"), timeout=90)
            firing = sink.accepted("/hook")[0]
            self.assertEqual((firing["version"], firing["status"]), ("4", "firing"))
            alert = firing["alerts"][0]
            self.assertEqual(alert["labels"]["alertname"], "AgentUnscraped")
            self.assertIn("db1", alert["labels"].values())

            # A real server comes: its pull ends the alarm.
            st.issue("server", "server")
            config = st.write("prometheus.yml", f"""
scrape_configs:
  - job_name: node
    scrape_interval: 1s
    scheme: grpc
    tls_config: {st.tls_config("db1")}
    static_configs: [{{targets: ['localhost:{port}']}}]
""")
            st.server(config)
            s.wait_until("the alarm is over", lambda: [
                b for b in sink.accepted("/hook") if b["status"] == "resolved"], timeout=90)
            self.assertEqual([b["status"] for b in sink.accepted("/hook")], ["firing", "resolved"])


if __name__ == "__main__":
    xml_unittest.main()
