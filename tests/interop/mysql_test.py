"""A MariaDB and a replica of it, shown by the agent and by Debian's mysqld_exporter 0.14.0 with all collectors on: every family and
series of its is there with the same type and labels, and with the same value unless it moves by being looked at."""
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

FLAGS = ["--log-bin=bin", "--relay-log=relay", "--performance-schema=ON", "--performance-schema-instrument=%=ON", "--userstat=ON",
         "--innodb-monitor-enable=all", "--plugin-load-add=query_response_time", "--query-response-time-stats=ON"]
MORE = ["--collect.mysql.user.privileges", "--collect.info_schema.processlist.processes_by_user", "--collect.info_schema.processlist.processes_by_host"]
NOT_COMPARED = r"go_|process_|promhttp_|mysqld_exporter_build_info|mysql_exporter_collector_duration_seconds|mysql_exporter_scrapes_total"
# Series that are not there, or have another value, and why.
OTHERWISE = {
    r"mysql_exporter_(scrape_errors_total|last_scrape_error)": "what a server has not, such as TokuDB, is no error of the agent's",
    r"mysql_info_schema_processlist_.*": "each sees the connections of the other, and mysqld_exporter has several",
    r"mysql_global_status_(threads_(cached|connected)|connections|aborted_.*|max_used_connections.*)": "the same",
    r"mysql_info_schema_(client|user)_statistics_concurrent_connections": "the same",
    r"mysql_perf_schema_memory_events_used_bytes": "what the connections of each hold",
}


def parse(text):
    """({family: type}, {series: value}), labels in order of their names."""
    types, series = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            name, _, labels = key.partition("{")
            pairs = sorted(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', labels))
            series[(name, *pairs)] = float(value)
    drop = re.compile(f"({NOT_COMPARED})")
    return {k: v for k, v in types.items() if not drop.match(k)}, {k: v for k, v in series.items() if not drop.match(k[0])}


class Mysql(unittest.TestCase):
    def setUp(self):
        if shutil.which("prometheus-mysqld-exporter") is None:
            self.skipTest("Debian's prometheus-mysqld-exporter is not installed")
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        for name in ("primary", "replica"):
            self.stack.issue("agent", f"agent-{name}")

    def collectors(self):
        done = subprocess.run(["prometheus-mysqld-exporter", "--help"], capture_output=True, text=True)
        flags = {f.replace("[no-]", "") for f in re.findall(r"^ +(--(?:\[no-\])?collect\.[a-z_.]+)\s", done.stdout + done.stderr, re.M)}
        self.assertGreater(len(flags), 30)
        return sorted(f for f in flags if not any(f.startswith(g + ".") for g in flags) and f not in MORE and not f.endswith(".utc")) + MORE

    def servers(self):
        _, primary, user, password = self.stack.mariadb("primary", *FLAGS, "--server-id=1")
        on_primary = self.stack.sql
        _, replica, _, _ = self.stack.mariadb("replica", *FLAGS, "--server-id=2")
        on_replica = self.stack.sql

        def run(sql, text):
            done = sql(text)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        self.on = {"primary": on_primary, "replica": on_replica}
        for sql in self.on.values():
            run(sql, f"GRANT SLAVE MONITOR, REPLICATION MASTER ADMIN, BINLOG MONITOR ON *.* TO '{user}'@'%';")
        run(on_primary, "CREATE USER repl@'127.0.0.1' IDENTIFIED BY 're'; GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1';")
        position = run(on_primary, "SHOW MASTER STATUS").split()
        run(on_replica, f"CHANGE MASTER TO master_host='127.0.0.1', master_port={primary}, master_user='repl', master_password='re',"
                        f"master_log_file='{position[0]}', master_log_pos={position[1]}; START SLAVE;")
        run(on_primary, "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, sku VARCHAR(32), INDEX (sku));"
                        "CREATE DATABASE heartbeat; CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY);"
                        "INSERT INTO heartbeat.heartbeat VALUES (NOW(6), 1); INSERT INTO shop.orders (sku) VALUES ('a'), ('b');"
                        "UPDATE shop.orders SET sku = 'c' WHERE sku = 'b';")
        s.wait_until("the replica follows", lambda: on_replica("SELECT COUNT(*) FROM shop.orders WHERE sku = 'c'").stdout.strip() == "1")
        return {"primary": primary, "replica": replica}, user, password

    def test_every_series_is_there(self):
        ports, user, password = self.servers()
        flags = self.collectors()
        for name, port in ports.items():
            with self.subTest(name):
                cnf = self.stack.write(f"{name}.cnf", f"[client]\nuser={user}\npassword={password}\nhost=127.0.0.1\nport={port}\n")
                listen = s.free_port()
                exporter = self.stack.run(f"exporter-{name}", ["prometheus-mysqld-exporter", f"--config.my-cnf={cnf}", f"--web.listen-address=127.0.0.1:{listen}", *flags])
                agent = self.stack.agent("--collector.disable-defaults", "--no-collector.container", f"--config.my-cnf={cnf}", *flags, name=f"agent-{name}")
                reference = lambda: parse(self.stack.get_text(f"http://127.0.0.1:{listen}/metrics"))  # noqa: E731
                ours = lambda: parse(self.stack.get_text(f"http://127.0.0.1:{self.stack.agent_http}/metrics?collect[]=mysql"))  # noqa: E731
                s.wait_until("mysqld_exporter answers", reference)
                self.compare(name, reference, ours)
                exporter.stop()
                agent.stop()

    def compare(self, name, reference, ours):
        excused = re.compile("(" + "|".join(OTHERWISE) + ")$")
        wrong = {}
        # What moves by itself moves between any two looks: what is wrong is wrong each time.
        for _ in range(3):
            (types, first), (our_types, our_first), (_, second), (_, our_second) = reference(), ours(), reference(), ours()
            self.assertGreater(len(first), 2000)
            if name == "replica":
                self.assertTrue(any(k[0] == "mysql_slave_status_slave_sql_running" and v == 1 for k, v in first.items()))
            now = {k: (types[k], our_types.get(k)) for k in types if our_types.get(k) != types[k] and not excused.match(k)}
            for key, value in first.items():
                if excused.match(key[0]) or key not in second:
                    continue
                if key not in our_first and key not in our_second:
                    now[key] = (value, "missing")
                elif second[key] == value and our_first.get(key) == our_second.get(key) and our_first[key] != value and not value != value:
                    now[key] = (value, our_first[key])
            wrong = now if not wrong else {k: v for k, v in wrong.items() if k in now}
            if not wrong:
                return
        self.fail(f"{name}: {len(wrong)} of {len(first)} (mysqld_exporter, agent): {dict(list(wrong.items())[:20])}")


if __name__ == "__main__":
    xml_unittest.main()
