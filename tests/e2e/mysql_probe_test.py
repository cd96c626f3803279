"""/probe?target=&auth_module= against two real MariaDBs, as a Prometheus with mysqld_exporter's relabel_configs asks; and the
same through our own server."""
import os
import sys
import unittest
import urllib.error
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class MysqlProbe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        st.make_ca()
        for role in ("server", "agent"):
            st.issue(role, role)
        _, cls.first, user, password = st.mariadb("first")
        cls.on_first = staticmethod(st.sql)
        _, cls.second, _, _ = st.mariadb("second")
        cls.on_second = staticmethod(st.sql)
        assert cls.on_second(f"ALTER USER '{user}'@'%' IDENTIFIED BY 'another'").returncode == 0
        cls.cnf = st.write("my.cnf", f"[client]\nuser={user}\npassword={password}\n[client.second]\npassword=another\n"
                                     "[client.wrong]\npassword=not-this-one\n")
        st.agent(f"--mysql.probe-config-file={cls.cnf}", "--collect.info_schema.processlist")
        cls.quiet = s.free_port()
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: mysql
    metrics_path: /probe
    params: {{auth_module: [client.second]}}
    static_configs: [{{targets: ['127.0.0.1:{cls.second}']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:{st.agent_http}'}}
""")
        st.server(config)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.stack.dump_logs()

    def probe(self, **query):
        url = f"http://127.0.0.1:{self.stack.agent_http}/probe?{urllib.parse.urlencode(query, doseq=True)}"
        samples = {}
        for line in self.stack.get_text(url).splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                samples[series] = float(value)
        return samples

    def test_each_target_is_asked_with_its_own_account(self):
        first = self.probe(target=f"127.0.0.1:{self.first}", auth_module="client")
        second = self.probe(target=f"127.0.0.1:{self.second}", auth_module="client.second")
        for name, seen, port in (("first", first, self.first), ("second", second, self.second)):
            with self.subTest(name):
                self.assertEqual(seen["mysql_up"], 1)
                self.assertEqual(seen["mysql_global_variables_port"], port)
                self.assertEqual(seen['mysql_exporter_collector_success{collector="collect.global_status"}'], 1)
                # Switched on by --collect.NAME.
                self.assertEqual(seen['mysql_exporter_collector_success{collector="collect.info_schema.processlist"}'], 1)
        # Without a word about what kind of probe: this agent has accounts of MySQL and no other modules.
        self.assertEqual(self.probe(target=f"127.0.0.1:{self.first}")["mysql_up"], 1)

    def test_a_wrong_password_and_a_port_that_nobody_listens_on_are_down(self):
        for target, module in ((self.first, "client.wrong"), (self.quiet, "client")):
            seen = self.probe(target=f"127.0.0.1:{target}", auth_module=module)
            self.assertEqual(seen["mysql_up"], 0)
            self.assertEqual(seen['mysql_exporter_collector_success{collector="connection"}'], 0)

    def test_the_collectors_of_one_probe_can_be_chosen(self):
        seen = self.probe(**{"target": f"127.0.0.1:{self.first}", "auth_module": "client", "collect[]": ["global_variables"]})
        self.assertEqual(seen["mysql_up"], 1)
        self.assertIn("mysql_global_variables_port", seen)
        self.assertFalse(any(k.startswith("mysql_global_status_") for k in seen))

    def test_the_connection_is_kept(self):
        target = {"target": f"127.0.0.1:{self.first}", "auth_module": "client", "collect[]": ["global_status"]}
        before = self.probe(**target)["mysql_global_status_connections"]
        for _ in range(5):
            after = self.probe(**target)["mysql_global_status_connections"]
        self.assertEqual(after, before)

    def test_mistakes_in_the_request_are_answered(self):
        for query, want in ((f"target=127.0.0.1:{self.first}&auth_module=client.nosuch", "[client.nosuch]"),
                            ("auth_module=client", "target is required"),
                            ("target=x;password-file=/etc/shadow&auth_module=client", "expected host, host:port"),
                            ("target=x&auth_module=client&collect[]=nosuch", "nosuch"),
                            ("target=x&auth_module=client&module=http_2xx", "give one")):
            with self.subTest(query), self.assertRaises(urllib.error.HTTPError) as caught:
                self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/probe?{query}")
            self.assertEqual(caught.exception.code, 400)
            self.assertIn(want, caught.exception.read().decode())
        # The other kind of probe is still there.
        url = f"http://127.0.0.1:{self.stack.agent_http}/probe?module=tcp_connect&target=127.0.0.1:{self.first}"
        self.assertIn("\nprobe_success 1\n", self.stack.get_text(url))

    def test_the_target_arrives_at_the_server_under_its_own_name(self):
        s.wait_until("the probe arrives",
                     lambda: self.stack.value(f'mysql_up{{job="mysql",instance="127.0.0.1:{self.second}"}}') == 1)


if __name__ == "__main__":
    xml_unittest.main()
