"""The commands in the pages of docs/ are run: every line of a ```sh block that begins with vedettectl, curl or a
pipe into one, page by page, in a folder of its own, against a live server. What is written for other machines' names
and ports is put right for this one first."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

PAGES = ("install", "backup", "from-prometheus", "sizing", "security", "operations")
# What the pages take for granted.
FILES = {
    "prometheus.yml": "rule_files: [rules/*.yml]\nscrape_configs: [{job_name: self, "
                      "static_configs: [{targets: ['127.0.0.1:PORT']}]}]\n"
                      "storage: {tsdb: {out_of_order_time_window: 10y}}\n",
    "alertmanager.yml": "route: {receiver: page}\nreceivers: [{name: page}]\n",
    "rules/example.yml": "groups: [{name: g, rules: [{alert: Down, expr: up == 0, labels: {severity: page}}]}]\n",
    "rules/tests/example_test.yml":
        "rule_files: [../example.yml]\nevaluation_interval: 1m\ntests:\n"
        "  - input_series: [{series: 'up{job=\"a\"}', values: '0 0 0'}]\n"
        "    alert_rule_test: [{eval_time: 1m, alertname: Down, exp_alerts: "
        "[{exp_labels: {job: a, severity: page}}]}]\n",
    "old.om": "# TYPE old gauge\nold 1 1700000000\nold 2 1700000015\n# EOF\n",
}


def commands(page):
    """Each command of the page's ```sh blocks, continued lines put together."""
    text = pathlib.Path("docs", page + ".md").read_text()
    for indent, block in re.findall(r"^( *)```sh\n(.*?)^\1```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip()
            if re.match(r"(echo .*\| *)?(vedettectl|curl)\b", line):
                yield line


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        cls.bin = st.path("bin")
        os.makedirs(cls.bin)
        shutil.copy(s.CTL, cls.bin)
        st.make_ca()
        for role in ("server", "operator"):
            st.issue(role, role)
        enrol = s.free_port()
        config = st.write("live.yml", "scrape_configs: [{job_name: self, scrape_interval: 1s, static_configs: "
                                      "[{targets: ['127.0.0.1:1']}]}]\nstorage: {tsdb: {out_of_order_time_window: 10y}}\n")
        am = st.write("live-am.yml", FILES["alertmanager.yml"])
        st.server(config, f"--alertmanager.config.file={am}", "--web.enable-admin-api",
                  "--web.enable-remote-write-receiver", f"--enrol.listen-address=127.0.0.1:{enrol}",
                  f"--enrol.ca-dir={st.tls}")
        s.wait_until("the server has samples", lambda: st.query("up"))
        cls.here = (
            ("localhost:9090", f"localhost:{st.http}"),
            ("localhost:9466", f"localhost:{st.grpc}"),
            # The live server's CA, where a page talks to it.
            ("--ca pki/ca.crt --cert operator/operator.crt --key operator/operator.key",
             f"--ca {st.tls}/ca.crt --cert {st.tls}/operator.crt --key {st.tls}/operator.key"),
            ("/var/lib/", "var/lib/"),
            ("~/.config", "config"),
            ("hub:9467", f"127.0.0.1:{enrol}"),
            ("server:9467", f"127.0.0.1:{enrol}"),
        )

    def run_page(self, page):
        folder = pathlib.Path(self.stack.path("page-" + page))
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text.replace("PORT", str(self.stack.http)))
        env = dict(os.environ, PATH=self.bin + ":/usr/bin:/bin", HOME=str(folder),
                   VEDETTE_URL=f"http://localhost:{self.stack.http}")
        ran = 0
        for line in commands(page):
            command = line
            for there, here in self.here:
                command = command.replace(there, here)
            if " join " in command:  # The page's own CA is not the one of the live server.
                command = command.replace("--token-file db1.token", "--token-file live.token")
                subprocess.run(f"vedettectl token create --dir {self.stack.tls} --role agent --name db1 --san 10.0.0.7 "
                               "--ttl 1h >live.token", shell=True, cwd=folder, env=env, check=True, timeout=60)
            with self.subTest(page=page, command=line):
                done = subprocess.run(["bash", "-c", "set -o pipefail; " + command], cwd=folder, env=env,
                                      capture_output=True, text=True, check=False, timeout=120)
                said = done.stdout + done.stderr
                if " doctor " in command:  # It is there to find what is wrong: here, a target that is down.
                    self.assertRegex(said, r"\d+ checks, \d+ failed")
                    self.assertIn("down", said)
                else:
                    self.assertEqual(done.returncode, 0, f"{command}\n{said}")
                    if command.startswith("curl"):
                        self.assertNotIn('"status":"error"', said)
                ran += 1
        return ran

    def test_every_page(self):
        for page in PAGES:
            ran = self.run_page(page)
            print(f"docs/{page}.md: {ran} commands run")
            self.assertGreater(ran, 0, page)


if __name__ == "__main__":
    xml_unittest.main()
