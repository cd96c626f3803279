"""Every shipped rule file can be loaded, every alert has a unit test and a runbook, and the tests pass
with vedettectl."""
import glob
import os
import re
import subprocess
import sys
import unittest

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

RULES = sorted(glob.glob(os.path.join(stack.ROOT, "rules/*.yml")))
TESTS = sorted(glob.glob(os.path.join(stack.ROOT, "rules/tests/*_test.yml")))


def ctl(*arguments):
    return subprocess.run([stack.CTL, *arguments], capture_output=True, text=True, timeout=120)


def alerts():
    for path in RULES:
        with open(path) as f:
            for group in yaml.safe_load(f)["groups"]:
                for rule in group["rules"]:
                    if "alert" in rule:
                        yield os.path.basename(path), rule


class ShippedRules(unittest.TestCase):
    def test_they_load(self):
        done = ctl("check", "rules", "--lint-fatal", *RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("SUCCESS"), len(RULES))

    def test_they_do_what_their_tests_say(self):
        junit = os.path.join(os.environ.get("TEST_TMPDIR", "/tmp"), "rules.xml")
        done = ctl("test", "rules", "--junit", junit, *TESTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(junit) as f:
            self.assertGreater(f.read().count("<testcase"), 100)

    def test_a_wrong_expectation_is_told(self):
        # The test of the tests: with another severity none of them may pass.
        with open(TESTS[0]) as f:
            text = f.read().replace("severity: 'page'", "severity: 'other'")
        text = text.replace("  - ../", "  - " + os.path.join(stack.ROOT, "rules/"))
        path = os.path.join(os.environ.get("TEST_TMPDIR", "/tmp"), "wrong_test.yml")
        with open(path, "w") as f:
            f.write(text)
        done = ctl("test", "rules", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED", done.stdout)
        self.assertIn('severity="other"', done.stdout)

    def test_every_alert_is_tested_and_says_what_to_do(self):
        tested = set()
        for path in TESTS:
            with open(path) as f:
                tested |= set(re.findall(r"- name: (\w+) fires", f.read()))
        count = 0
        for path, rule in alerts():
            count += 1
            name, notes = rule["alert"], rule["annotations"]
            self.assertIn(name, tested, path)
            self.assertIn(rule["labels"]["severity"], ("page", "ticket", "none"), name)
            self.assertGreater(len(notes["description"]), 20, name)
            self.assertEqual(notes["runbook"], f"docs/runbooks/{name}.md")
            self.assertTrue(os.path.exists(os.path.join(stack.ROOT, notes["runbook"])), notes["runbook"])
        self.assertGreaterEqual(count, 60)


if __name__ == "__main__":
    xml_unittest.main()
