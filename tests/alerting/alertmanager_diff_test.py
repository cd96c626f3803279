"""The same configuration and the same alerts for Debian's prometheus-alertmanager and for Vedette: the
same notifications, group by group. Both tell a webhook sink; time is compressed by short intervals."""
import json
import os
import shutil
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import stack  # noqa: E402
import xml_unittest  # noqa: E402

CONFIG = """
global: {{resolve_timeout: 10m}}
route:
  receiver: all
  group_by: [alertname, cluster]
  group_wait: 1s
  group_interval: 3s
  repeat_interval: 1h
  routes:
  - matchers: ['team!=""', 'severity=~"page|critical"']
    receiver: pager
    group_by: ['...']
    continue: true
  - matchers: [team="db"]
    receiver: db
    routes:
    - matchers: ['service="none"']
      receiver: quiet
    - matchers: [quiet="yes"]
      receiver: db
      mute_time_intervals: [always]
    - matchers: [kind="small"]
      receiver: small
      group_by: [team]
  - match_re: {{region: 'eu-.*'}}
    receiver: firing_only
inhibit_rules:
- source_matchers: [alertname="HostDown"]
  target_matchers: ['severity="warning"']
  equal: [instance, cluster]
- source_match: {{severity: critical}}
  target_match: {{severity: minor}}
  equal: [alertname]
time_intervals:
- name: always
  time_intervals: [{{}}]
receivers:
- name: all
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/all'}}]
- name: pager
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/pager'}}]
- name: db
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/db'}}, {{url: 'http://127.0.0.1:{port}/db2', send_resolved: false}}]
- name: quiet
- name: small
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/small', max_alerts: 2}}]
- name: firing_only
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/firing_only', send_resolved: false}}]
"""

SETTLE = 8.0  # Over two group intervals: whatever is to be told has been told.


def alert(_name, _end=None, _text="", **labels):
    out = {"labels": dict(alertname=_name, **labels), "generatorURL": "http://p/graph"}
    if _text:
        out["annotations"] = {"summary": _text, "runbook": "r"}
    if _end:
        out["endsAt"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        out["startsAt"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    return out


def told(sink):
    """{(path, groupKey): [what was told, in order]}; a message that says the same again is left out."""
    groups = {}
    for _, path, status, body in list(sink.received):
        if status != 200:
            continue
        seen = {
            "status": body["status"],
            "receiver": body["receiver"],
            "groupLabels": body["groupLabels"],
            "commonLabels": body["commonLabels"],
            "commonAnnotations": body["commonAnnotations"],
            "truncatedAlerts": body["truncatedAlerts"],
            "alerts": [(a["status"], a["fingerprint"], a["labels"], a["annotations"]) for a in body["alerts"]],
        }
        if body["truncatedAlerts"]:  # Which ones are left out depends on when each was inserted.
            seen["alerts"] = len(seen["alerts"])
            seen.pop("commonAnnotations")
        else:
            seen["alerts"].sort(key=lambda a: a[1])
        queue = groups.setdefault((path, body["groupKey"]), [])
        if not queue or queue[-1] != seen:
            queue.append(seen)
    return groups


class Side:
    """One Alertmanager with a sink of its own."""

    def __init__(self, s, name):
        self.sink = stack.Sink()
        self.port = stack.free_port()
        work = os.path.join(s.work, name)
        os.mkdir(work)
        config = os.path.join(work, "am.yml")
        with open(config, "w") as f:
            f.write(CONFIG.format(port=self.sink.port))
        address = f"127.0.0.1:{self.port}"
        if name == "vedette":
            with open(os.path.join(work, "p.yml"), "w") as f:
                f.write("global: {evaluation_interval: 1h}\n")
            argv = [stack.SERVER, f"--config.file={work}/p.yml", f"--alertmanager.config.file={config}",
                    f"--storage.tsdb.path={work}/data", f"--web.listen-address={address}"]
        else:
            argv = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={work}/data",
                    f"--web.listen-address={address}", "--cluster.listen-address="]
        self.program = stack.Program(name, argv, s.work)
        s.programs.append(self.program)
        self.url = f"http://{address}/api/v2"

    def ready(self):
        stack.wait_until(self.url, lambda: stack.http_json(self.url + "/status"))

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), method="POST",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as r:
            text = r.read()
        return json.loads(text) if text else None


class AlertmanagerDiff(unittest.TestCase):
    def test_the_same_notifications_group_by_group(self):
        if not shutil.which("prometheus-alertmanager"):
            self.fail("prometheus-alertmanager is not installed (tools/packages.sh)")
        with stack.Stack() as s:
            sides = [Side(s, "alertmanager"), Side(s, "vedette")]
            for side in sides:
                side.ready()

            def both(path, make):
                body = make()
                return [side.post(path, body) for side in sides]

            # Every way through the tree, at once.
            both("/alerts", lambda: [
                alert("HostDown", instance="a", cluster="x", severity="page", _text="down"),
                alert("Slow", instance="a", cluster="x", severity="warning", _text="held down by HostDown"),
                alert("Slow", instance="b", cluster="x", severity="warning", _text="told"),
                alert("Slow", instance="c", cluster="y", severity="warning"),
                alert("Deadlock", team="db", severity="page", instance="d1", _text="both receivers"),
                alert("Deadlock", team="db", severity="low", instance="d2", _text="one"),
                alert("Backup", team="db", quiet="yes"),
                alert("Any", team="db", service="none"),
                alert("T1", team="db", kind="small"), alert("T2", team="db", kind="small"),
                alert("T3", team="db", kind="small"),
                alert("Region", region="eu-1", instance="r1"), alert("Region", region="eu-2", instance="r2"),
                alert("Minor", severity="critical", n="1"), alert("Minor", severity="minor", n="2"),
                alert("Plain", z="ü<&>\"\\"),
            ])
            time.sleep(SETTLE)
            # News in a group; one resolved; the inhibitor resolves, so its target is told.
            both("/alerts", lambda: [
                alert("Slow", instance="e", cluster="x", severity="warning", _text="new in its group"),
                alert("HostDown", instance="a", cluster="x", severity="page", _text="down", _end=True),
                alert("Deadlock", team="db", severity="page", instance="d1", _text="both receivers", _end=True),
            ])
            time.sleep(SETTLE)
            # A silence, then an alert under it and one beside it.
            now = time.time()
            iso = lambda t: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t))  # noqa: E731
            silence = {"matchers": [{"name": "instance", "value": "s.*", "isRegex": True, "isEqual": True}],
                       "startsAt": iso(now - 1), "endsAt": iso(now + 3600), "createdBy": "t", "comment": "c"}
            ids = both("/silences", lambda: silence)
            both("/alerts", lambda: [alert("Held", instance="s1"), alert("Held", instance="t1")])
            time.sleep(SETTLE)
            # The end of the silence, and the end of everything else.
            for side, made in zip(sides, ids):
                urllib.request.urlopen(urllib.request.Request(
                    f"{side.url}/silence/{made['silenceID']}", method="DELETE"), timeout=20).read()
            both("/alerts", lambda: [
                alert("Slow", instance=i, cluster="x", severity="warning", _text=t, _end=True)
                for i, t in (("a", "held down by HostDown"), ("b", "told"), ("e", "new in its group"))
            ] + [
                alert("Region", region="eu-1", instance="r1", _end=True),
                alert("Region", region="eu-2", instance="r2", _end=True),
                alert("Deadlock", team="db", severity="low", instance="d2", _text="one", _end=True),
            ])
            time.sleep(SETTLE)
            # A second life of a group that was over.
            both("/alerts", lambda: [alert("Region", region="eu-1", instance="r1")])
            time.sleep(SETTLE)

            want, got = (told(side.sink) for side in sides)
            self.assertEqual(sorted(want), sorted(got), "the groups that were told")
            for key in sorted(want):
                self.assertEqual(want[key], got[key], key)
            self.assertGreaterEqual(len(want), 10)
            print(f"{len(want)} groups, {sum(map(len, want.values()))} notifications, all the same")

            # What the API shows of it.
            def shown(side):
                alerts = stack.http_json(side.url + "/alerts")
                return sorted((a["fingerprint"], a["status"]["state"], sorted(a["status"]["inhibitedBy"]),
                               sorted(r["name"] for r in a["receivers"]), a["labels"].get("alertname")) for a in alerts
                              # Later Alertmanagers, and we, call what a time interval mutes suppressed.
                              if a["labels"].get("quiet") != "yes")

            self.assertEqual(shown(sides[0]), shown(sides[1]))
            groups = [sorted((g["receiver"]["name"], json.dumps(g["labels"], sort_keys=True), len(g["alerts"]))
                             for g in stack.http_json(side.url + "/alerts/groups")) for side in sides]
            self.assertEqual(groups[0], groups[1])
            for side in sides:
                side.sink.close()


if __name__ == "__main__":
    xml_unittest.main()
