"""The commands in the pages of docs/ are run, page by page, in a folder of its own, against a live server with an agent:

- every line of a ```sh block, continued lines put together (a block is sh, yaml, or has a reason to be no command);
- `vedettectl ...` within a sentence: with --help where it is only named, as it stands where it has options;
- `GET /path`, `POST /path`, `PUT /path`, asked of the server.

What is written for other machines' names, ports and folders is put right for this one first, and systemctl aims at a unit
that is not there."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import shell_commands as shell  # noqa: E402

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
    "FILE": "correct horse battery staple\n",
}
# Ends that a page itself foretells.
FORETOLD = {"--step finish": "still hold"}


def in_blocks(text):
    for indent, block in re.findall(r"^( *)```sh\n(.*?)^\1```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.strip().startswith("#"):
                yield line.strip()


def in_sentences(text):
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)
    for command in re.findall(r"`(vedettectl [^`]+)`", text):
        if not re.search(r"…|\.\.\.", command):
            yield command if re.search(r" --|[A-Z]{2}", command) else command + " --help"


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = st = s.Stack()
        cls.addClassCleanup(st.close)
        cls.bin = st.path("bin")
        os.makedirs(cls.bin)
        shutil.copy(s.CTL, cls.bin)
        st.make_ca()
        for role in ("server", "operator", "agent"):
            st.issue(role, role)
        st.agent()
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
            ("HOST:9465", f"localhost:{st.agent_port}"),
            # The live server's CA, where a page talks to it.
            ("--ca pki/ca.crt --cert operator/operator.crt --key operator/operator.key",
             f"--ca {st.tls}/ca.crt --cert {st.tls}/operator.crt --key {st.tls}/operator.key"),
            ("runuser -u vedette -- ", ""),
            ("~/.config", "config"),
            ("hub.example.com:9467", f"127.0.0.1:{enrol}"),
            ("hub:9467", f"127.0.0.1:{enrol}"),
            ("--dir DIR", "--dir var/lib/vedette-agent/tls"),
            ("seconds=30", "seconds=1"),
        )
        cls.env = dict(os.environ, PATH=cls.bin + ":/usr/sbin:/usr/bin:/sbin:/bin", VEDETTE_URL=f"http://localhost:{st.http}",
                       VEDETTE_SERVER=f"localhost:{st.grpc}", VEDETTE_CA=f"{st.tls}/ca.crt",
                       VEDETTE_CERT=f"{st.tls}/operator.crt", VEDETTE_KEY=f"{st.tls}/operator.key")

    def snapshot(self):
        """The folder of a snapshot of the live server."""
        name = subprocess.run(["vedettectl", "snapshot", "create"], env=self.env, check=True, capture_output=True, text=True,
                              timeout=60).stdout.split()[-1]
        return self.stack.path("data", "snapshots", name)

    def folder_of(self, page):
        folder = pathlib.Path(self.stack.path("page-" + page))
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text.replace("PORT", str(self.stack.http)))
        (folder / "backup").mkdir()
        shutil.copytree("deploy/examples", folder / "etc/vedette")
        shutil.copytree(self.snapshot(), folder / "var/lib/vedette-server/data")
        if page == "operations":  # Which speaks of a CA and does not make it.
            subprocess.run("vedettectl ca init --dir pki && vedettectl ca issue --dir pki --role agent --name db1", shell=True,
                           cwd=folder, env=self.env, check=True, capture_output=True, timeout=60)
        if shutil.which("promtool"):
            subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "old.om", folder / "var/lib/prometheus"],
                           check=True, capture_output=True, timeout=60)
        return folder

    def put_right(self, command, snapshot):
        for there, here in self.here:
            command = command.replace(there, here)
        command = command.replace("/var/lib/vedette-server/data/snapshots/NAME", snapshot)
        command = command.replace("/backup/NAME", "/backup/" + os.path.basename(snapshot))
        command = command.replace("--label NAME", "--label job").replace("ca revoke NAME", "ca revoke db1")
        command = re.sub(r"(?<![\w.])/(var/lib/(vedette-|prometheus)|etc/vedette/|backup/)", r"\1", command)
        return shell.leave_the_machine_alone(command)

    def run_page(self, page):
        text = pathlib.Path("docs", page + ".md").read_text()
        for language in re.findall(r"^ *```(\w*)$", text, re.M)[::2]:
            self.assertIn(language, ("sh", "yaml"), "a block that says not what it is")
        folder, snapshot, outcomes = self.folder_of(page), self.snapshot(), {}
        env = dict(self.env, HOME=str(folder))
        for line in [*in_blocks(text), *in_sentences(text)]:
            command = self.put_right(line, snapshot)
            if " join " in command:  # The page's own CA is not the one of the live server.
                command = command.replace("db1.token", "live.token")
                subprocess.run(f"vedettectl token create --dir {self.stack.tls} --role agent --name db1 --san 10.0.0.7 "
                               "--ttl 1h >live.token", shell=True, cwd=folder, env=env, check=True, timeout=60)
            with self.subTest(page=page, command=line):
                outcome = outcomes[line] = shell.run(command, folder, env)
                foretold = next((words for part, words in FORETOLD.items() if part in line), None)
                if foretold and outcome.kind == "failed" and foretold in outcome.detail:
                    outcome = outcomes[line] = shell.Outcome("ran", outcome.detail)
                self.assertNotEqual(outcome.kind, "failed", outcome.detail)
                if outcome.kind == "not installed":
                    self.assertNotIn(outcome.detail, ("vedettectl", "curl"))
                if " doctor --url" in command:  # Here, a target is down.
                    self.assertIn("down", outcome.detail)
                if command.startswith("curl"):
                    self.assertNotIn('"status":"error"', outcome.detail)
        for method, path in re.findall(r"`(GET|POST|PUT) (/[^`…\s]*)`", text):
            with self.subTest(page=page, ask=path):
                url = f"http://127.0.0.1:{self.stack.http}{path.replace('seconds=30', 'seconds=1')}"
                with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=120) as answer:
                    self.assertEqual(answer.status, 200)
                outcomes[method + " " + path] = shell.Outcome("ran", "")
        return outcomes

    def test_every_page(self):
        for page in PAGES:
            outcomes = self.run_page(page)
            print(f"docs/{page}.md:")
            shell.report(outcomes)
            self.assertGreater(sum(o.kind == "ran" for o in outcomes.values()), 0, page)


if __name__ == "__main__":
    xml_unittest.main()
