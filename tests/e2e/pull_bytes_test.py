"""How many bytes a sample of a real agent's takes on the wire: a quiet part of the machine, and all of it while it works."""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class PullBytes(unittest.TestCase):
    def measure(self, *flags):
        """(bytes a sample, samples a scrape) of the scrapes after the first three."""
        with s.Stack() as st:
            st.make_ca()
            for role in ("server", "agent"):
                st.issue(role, role)
            st.agent(*flags)
            st.server(st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, extra_scrape_metrics: true}}
scrape_configs:
  - job_name: node
    scheme: grpc
    tls_config: {st.tls_config("agent")}
    static_configs: [{{targets: ['localhost:{st.agent_port}']}}]
"""))
            s.wait_until("three scrapes", lambda: (st.value("count_over_time(up[1m])") or 0) >= 3)
            begin = time.time()
            time.sleep(10)
            window = f"[{int(time.time() - begin)}s]"
            size = st.value(f"avg_over_time(scrape_body_size_bytes{window})")
            series = st.value(f"avg_over_time(scrape_samples_scraped{window})")
            return size / series, series

    def test_a_busy_host_takes_less_than_two_bytes_a_sample(self):
        stop = threading.Event()

        def work():
            while not stop.is_set():
                sum(i * i for i in range(10_000))
                with open("/dev/null", "wb") as f:
                    f.write(b"x" * 4096)
        threading.Thread(target=work, daemon=True).start()
        self.addCleanup(stop.set)
        cost, series = self.measure()
        print(f"busy: {cost:.3f} bytes a sample, {series:.0f} series")
        self.assertLess(cost, 2)

    def test_what_does_not_move_takes_less_than_half_a_byte_a_sample(self):
        """This machine is never quiet while it tests, so a recorded one that stands still is asked, with the agent's own
        metrics, whose durations move all the time."""
        data = os.path.join(s.ROOT, "agent/host/testdata")
        cost, series = self.measure(f"--path.procfs={data}/proc", f"--path.sysfs={data}/sys", f"--path.rootfs={data}/root",
                                    "--no-collector.container", "--no-collector.netdev.netlink")
        print(f"quiet: {cost:.3f} bytes a sample, {series:.0f} series")
        self.assertLess(cost, 0.5)


if __name__ == "__main__":
    xml_unittest.main()
