#!/usr/bin/env python3
"""Counts test cases that really ran, from the build event files of `bazel test`.

    tools/count_tests.py EVENTS.json [...]

Every test target's test.xml is opened and its cases are counted: GoogleTest writes one case a test,
a script test is one case. Prints the names of failed cases, then `N passed, N failed` (and skipped
where there are any). Exits 1 when a case failed, or when none ran.
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ET


def cases(event_file):
    """Yields (target, case, outcome) for the last attempt of each target."""
    results = {}
    for line in open(event_file, encoding="utf-8"):
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            break  # The run was ended while it wrote.
        result = event.get("testResult")
        if result is None:
            continue
        target = event["id"]["testResult"]["label"]
        xml = next((o["uri"] for o in result.get("testActionOutput", []) if o["name"] == "test.xml"), None)
        results[target] = (result.get("status"), xml)
    for target, (status, uri) in sorted(results.items()):
        path = urllib.parse.unquote(urllib.parse.urlparse(uri).path) if uri else None
        found = list(xml_cases(path)) if path else []
        failed_cases = any(outcome == "failed" for _, outcome in found)
        if status != "PASSED" and not failed_cases:
            yield target, status or "did not run", "failed"
        for case, outcome in found:
            yield target, case, outcome


def xml_cases(path):
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return
    for case in root.iter("testcase"):
        name = f'{case.get("classname", "")}.{case.get("name", "")}'
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.find("skipped") is not None or case.get("status") == "notrun" or case.get("result") == "skipped":
            yield name, "skipped"
        else:
            yield name, "passed"


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for event_file in sys.argv[1:]:
        for target, case, outcome in cases(event_file):
            count[outcome] += 1
            if outcome == "failed":
                print(f"FAILED {target} {case}")
    skipped = f', {count["skipped"]} skipped' if count["skipped"] else ""
    print(f'{count["passed"]} passed, {count["failed"]} failed{skipped}')
    sys.exit(1 if count["failed"] or not count["passed"] else 0)


if __name__ == "__main__":
    main()
