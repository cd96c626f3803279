"""SECURITY.md tells the truth about itself: each flag in its tables is in a program's --help, each metric is one that a
program shows or is made to show, and each test is in its BUILD file."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

# There from the first event on: not in this test's quiet world.
LATER = {"vedette_tsdb_series_refused_total"}


def rows():
    """[(promise, limit, flag, metric, test)]"""
    out = []
    with open(os.path.join(s.ROOT, "SECURITY.md")) as f:
        for line in f:
            if not line.startswith("| ") or line.startswith("| promise "):
                continue
            out.append([c.strip() for c in line.strip().strip("|").split(" | ")])
    return out


class SecurityPage(unittest.TestCase):
    def test_every_row_has_its_five_columns_and_a_test(self):
        self.assertGreater(len(rows()), 50)
        for row in rows():
            with self.subTest(row[0]):
                self.assertEqual(len(row), 5, row)
                self.assertRegex(row[4], r"`//[a-z0-9/_]+:[a-z0-9_]+`")

    def test_every_flag_is_one(self):
        for row in rows():
            programs = [s.CTL] if "vedettectl" in row[2] else [s.SERVER, s.AGENT]
            for flag in re.findall(r"`(--[a-z.-]+)`", " ".join(row[1:4])):
                with self.subTest(flag):
                    self.assertTrue(any(self.has(program, flag) for program in programs), flag)

    def has(self, program, flag):
        # vedettectl's are of its commands.
        commands = [["--help"]] if program != s.CTL else [["snapshot", "restore", "--help"]]
        pattern = r"--(\[no-\])?" + re.escape(flag[2:]) + r"(?![a-z.-])"
        return any(re.search(pattern, subprocess.run(
            [program, *c], capture_output=True, text=True, check=False).stdout) for c in commands)

    def test_every_test_exists(self):
        tree = os.path.dirname(os.path.realpath(os.path.join(s.ROOT, "SECURITY.md")))
        named = {label for row in rows() for label in re.findall(r"`//([a-z0-9/_]+:[a-z0-9_]+)`", row[4])}
        self.assertGreater(len(named), 30)
        for label in sorted(named):
            with self.subTest(label):
                package, name = label.split(":")
                with open(os.path.join(tree, package, "BUILD.bazel")) as f:
                    self.assertIn(f'"{name}"', f.read())

    def test_every_metric_is_one(self):
        with s.Stack() as st:
            st.make_ca()
            st.issue("server", "server")
            st.issue("agent", "agent")
            st.agent()
            st.server(st.write("prometheus.yml", "scrape_configs: []\n"), "--web.enable-remote-write-receiver")
            pages = [st.get_text(f"http://127.0.0.1:{port}/metrics") for port in (st.http, st.agent_http)]
        shown = {line.split(" ")[2] for page in pages for line in page.splitlines() if line.startswith("# TYPE ")}
        # Of the families with labels the first event brings the line.
        for row in rows():
            for name in re.findall(r"`((?:vedette|prometheus)_[a-z_]+)", row[3]):
                with self.subTest(name):
                    self.assertTrue(name in shown or name in LATER, name)


if __name__ == "__main__":
    xml_unittest.main()
