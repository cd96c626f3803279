"""Pushes by Python's prometheus_client, beside Debian's Pushgateway where it is installed: what the one says of a
push, the other says, and what a Pushgateway would show, queries find."""
import gzip
import json
import os
import shutil
import sys
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

try:
    import prometheus_client as pc
except ImportError:
    pc = None


def request(method, url, body=b"", headers=None):
    """(status, body), whatever the status."""
    r = urllib.request.Request(url, data=body if method != "DELETE" else None, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(r, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


class Push(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        config = self.stack.write("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\n")
        self.config = config
        self.start()

    def start(self):
        st = self.stack
        st.http = s.free_port()
        os.makedirs(st.path("data"), exist_ok=True)
        self.program = st.run("server", [s.SERVER, f"--config.file={self.config}", f"--storage.tsdb.path={st.path('data')}",
                                         f"--web.listen-address=127.0.0.1:{st.http}", "--web.enable-admin-api"])
        st.wait_ready(self.program)
        self.url = f"http://127.0.0.1:{st.http}"

    @unittest.skipUnless(pc, "python3-prometheus-client is not installed")
    def test_prometheus_client_pushes_and_deletes(self):
        st, gateway = self.stack, f"127.0.0.1:{self.stack.http}"
        registry = pc.CollectorRegistry()
        last = pc.Gauge("job_last_success_unixtime", "When the job last succeeded.", registry=registry)
        last.set(1234.5)
        seconds = pc.Histogram("job_seconds", "What it took.", ["step"], registry=registry, buckets=(1, 10))
        seconds.labels("copy").observe(3)
        pc.push_to_gateway(gateway, job="backup", registry=registry, grouping_key={"path": "/var/tmp", "empty": ""})
        self.assertEqual(st.value('job_last_success_unixtime{job="backup",path="/var/tmp",instance=""}'), 1234.5)
        self.assertEqual(st.value('job_seconds_bucket{job="backup",step="copy",le="10.0"}'), 1)
        self.assertIsNotNone(st.value('push_time_seconds{job="backup"}'))
        self.assertEqual(st.value('push_failure_time_seconds{job="backup"}'), 0)

        other = pc.CollectorRegistry()
        pc.Counter("job_runs", "How often it ran.", registry=other).inc(3)
        pc.pushadd_to_gateway(gateway, job="backup", registry=other, grouping_key={"path": "/var/tmp", "empty": ""})
        self.assertEqual(st.value('job_runs_total{job="backup"}'), 3)
        self.assertEqual(st.value('job_last_success_unixtime{job="backup"}'), 1234.5)
        pc.push_to_gateway(gateway, job="backup", registry=other, grouping_key={"path": "/var/tmp", "empty": ""})
        s.wait_until("what a PUT leaves out is gone", lambda: st.query('job_last_success_unixtime{job="backup"}') == [])
        pc.delete_from_gateway(gateway, job="backup", grouping_key={"path": "/var/tmp", "empty": ""})
        s.wait_until("the group is gone", lambda: st.query('{job="backup"}') == [])

        pc.push_to_gateway(gateway, job="ip", registry=other, grouping_key=pc.instance_ip_grouping_key())
        self.assertEqual(st.value('job_runs_total{job="ip",instance!=""}'), 3)

    def test_curl_and_encodings_and_codes(self):
        st = self.stack
        form = {"Content-Type": "application/x-www-form-urlencoded"}  # curl --data-binary
        self.assertEqual(request("POST", self.url + "/metrics/job/curl", b'm{a="50% of b&c=d"} 3.14\n', form)[0], 200)
        self.assertEqual(st.value('m{job="curl",a="50% of b&c=d"}'), 3.14)
        body = gzip.compress(b"zipped 1\n")
        self.assertEqual(request("PUT", self.url + "/metrics/job/gz", body, {"Content-Encoding": "gzip"})[0], 200)
        self.assertEqual(st.value('zipped{job="gz"}'), 1)
        # The sender's job and instance are the group's, whatever the body says.
        self.assertEqual(request("PUT", self.url + "/metrics/job/a/instance/i", b'm2{job="liar",instance="x"} 1\n')[0], 200)
        self.assertEqual(st.value('m2{job="a",instance="i"}'), 1)
        for path, body, code in [
            ("/metrics/job/", b"m 1\n", 400), ("/metrics/job/a/b", b"m 1\n", 400), ("/metrics/job/a", b"no exposition", 400),
            ("/metrics/job/a", b"m 1 1700000000000\n", 400), ("/metrics/job/a?ttl=soon", b"m 1\n", 400),
            ("/metrics/job/new", b"# TYPE m2 counter\nm2 1\n", 400), ("/metrics/job/a", b"", 200),
        ]:
            with self.subTest(path=path, body=body):
                self.assertEqual(request("PUT", self.url + path, body)[0], code)
        self.assertGreater(st.value('push_failure_time_seconds{job="new"}'), 0)
        self.assertEqual(request("DELETE", self.url + "/metrics/job/nobody")[0], 202)
        self.assertEqual(request("PUT", self.url + "/metrics/job/short?ttl=2s", b"brief 1\n")[0], 200)
        self.assertEqual(st.value("brief"), 1)
        s.wait_until("the group's time is over", lambda: st.query("brief") == [])
        groups = s.http_json(self.url + "/api/v1/metrics")
        self.assertEqual(groups["status"], "success")
        self.assertIn("zipped", {n for g in groups["data"] for n in g})
        self.assertIn('zipped{instance="",job="gz"} 1', st.get_text(self.url + "/pushed"))
        self.assertEqual(request("PUT", self.url + "/api/v1/admin/wipe")[0], 202)
        self.assertEqual(s.http_json(self.url + "/api/v1/metrics")["data"], [])

    def test_pushes_survive_a_kill_and_stay_visible(self):
        st = self.stack
        self.assertEqual(request("PUT", self.url + "/metrics/job/kept", b"# TYPE kept counter\nkept 7\n")[0], 200)
        self.program.kill9()
        self.start()
        self.assertEqual(st.value('kept{job="kept"}'), 7)
        s.wait_until("it is stored again and again", lambda: (st.value('count_over_time(kept[30s])') or 0) >= 4)

    @unittest.skipUnless(shutil.which("prometheus-pushgateway"), "Debian's prometheus-pushgateway is not installed")
    def test_beside_debians_pushgateway(self):
        port = s.free_port()
        self.stack.run("pushgateway", ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"])
        peer = f"http://127.0.0.1:{port}"
        s.wait_until("the Pushgateway answers", lambda: self.stack.get_text(peer + "/-/ready"))
        calls = [
            ("PUT", "/metrics/job/j/instance/i", b"# HELP a A.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n"),
            ("POST", "/metrics/job/j/instance/i", b"# TYPE b gauge\nb 3\n"),
            ("PUT", "/metrics/job/k", b"# TYPE a counter\na 5\nuntyped_one 1e9\n"),
            ("PUT", "/metrics/job/k", b"# TYPE a gauge\na 5\n"),
            ("PUT", "/metrics/job/dup", b"d 1\nd 2\n"),
            ("PUT", "/metrics/job/time", b"d 1 1700000000000\n"),
            ("PUT", "/metrics/job/h", b"# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
            ("PUT", "/metrics/job/bad", b"}{\n"),
            ("PUT", "/metrics/job/nonl", b"m 1"),
            ("PUT", "/metrics/job@base64/YS9i/p@base64/=", b"m 1\n"),
            ("PUT", "/metrics/job/x/__name__/y", b"m 1\n"),
            ("PUT", "/metrics/job/x/a-b/y", b"m 1\n"),
            ("PUT", "/metrics/job/x/y", b"m 1\n"),
            ("POST", "/metrics/job/touched", b""),
            ("DELETE", "/metrics/job/touched", b""),
            ("DELETE", "/metrics/job/j/instance/none", b""),
        ]
        different = []
        for method, path, body in calls:
            ours, theirs = request(method, self.url + path, body)[0], request(method, peer + path, body)[0]
            if ours != theirs:
                different.append((method, path, body, ours, theirs))
        # The one difference that is meant: a text without a last newline is whole enough for us.
        self.assertEqual([d for d in different if "nonl" not in d[1]], [])
        def shown(base):
            out = {}
            for g in s.http_json(base + "/api/v1/metrics")["data"]:
                g.pop("last_push_successful", None)
                # A label without a value is none here, and an empty text there.
                key = json.dumps({k: v for k, v in g.pop("labels").items() if v}, sort_keys=True)
                for f in g.values():
                    for m in f.get("metrics", []):
                        m["labels"] = {k: v for k, v in m["labels"].items() if v}
                for f in g.values():
                    f.pop("time_stamp", None)
                    f.pop("help", None)
                g.pop("push_time_seconds", None)
                g.pop("push_failure_time_seconds", None)
                out[key] = g
            return out
        def wanted():
            theirs = shown(peer)
            theirs.pop('{"job": "nonl"}', None)
            return theirs
        ours = shown(self.url)
        ours.pop('{"job": "nonl"}', None)
        s.wait_until("the Pushgateway has done its queue", lambda: '{"job": "touched"}' not in shown(peer))
        theirs = wanted()
        def plain(value):  # le="1.0" and le="1" name one bucket.
            return json.loads(json.dumps(value, sort_keys=True).replace('"1.0"', '"1"'))
        self.assertEqual(plain(ours).keys(), plain(theirs).keys())
        self.assertEqual(plain(ours), plain(theirs))


if __name__ == "__main__":
    xml_unittest.main()
