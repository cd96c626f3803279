"""unittest with the report that Bazel collects: every test method is one counted case.

    if __name__ == "__main__":
        xml_unittest.main()
"""
import os
import sys
import time
import unittest
import xml.etree.ElementTree as ET


class _Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = []

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.cases.append((test, time.monotonic() - self._started))


def main():
    program = unittest.main(
        module="__main__", exit=False, testRunner=unittest.TextTestRunner(verbosity=2, resultclass=_Result)
    )
    result = program.result
    bad = {id(t): text for t, text in result.failures + result.errors}
    skipped = {id(t): why for t, why in result.skipped}
    suite = ET.Element("testsuite", name=os.path.basename(sys.argv[0]))
    listed = set()
    for test, seconds in result.cases:
        listed.add(id(test))
        case = ET.SubElement(
            suite, "testcase", classname=type(test).__name__, name=test._testMethodName, time=f"{seconds:.3f}"
        )
        if id(test) in bad:
            ET.SubElement(case, "failure").text = bad[id(test)]
        elif id(test) in skipped:
            ET.SubElement(case, "skipped").text = skipped[id(test)]
    # A set-up of a whole class that failed or skipped has no test of its own.
    for where, tag in ((bad, "failure"), (skipped, "skipped")):
        for key in where.keys() - listed:
            case = ET.SubElement(suite, "testcase", classname="setUpClass", name=str(key))
            ET.SubElement(case, tag).text = where[key]
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        ET.ElementTree(suite).write(path)
    sys.exit(0 if result.wasSuccessful() else 1)
