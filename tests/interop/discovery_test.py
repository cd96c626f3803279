"""Discovery beside Debian's Prometheus 2.42: both ask the same stand-ins for EC2 and Docker, the same HTTP list and the same
files, and have to find the same targets with the same labels, before and after a change. Debian builds its Prometheus without
Consul and Kubernetes; `tests/e2e/discovery_test.py` has those."""
import http.server
import json
import os
import re
import shutil
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402


class Door:
    """An HTTP server; `handle(path, query, body)` gives (status, headers, body)."""

    def __init__(self, handle):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def work(self):
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, headers, text = handle(path, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), body)
                data = text.encode()
                self.send_response(status)
                for k, v in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_HEAD = work

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


JSON = {"Content-Type": "application/json"}


def xml(value, item="item"):
    """Lists are <item>s, dictionaries elements, None nothing."""
    if isinstance(value, dict):
        return "".join(f"<{k}>{xml(v)}</{k}>" for k, v in value.items() if v is not None)
    if isinstance(value, list):
        return "".join(f"<{item}>{xml(v)}</{item}>" for v in value)
    return str(value).replace("&", "&amp;").replace("<", "&lt;")


def instances(world):
    plain = {"instanceId": "i-1", "imageId": "ami-1", "instanceState": {"code": 16, "name": "running"}, "privateDnsName": "ip-10-0-0-1.internal",
             "privateIpAddress": "10.0.0.1", "instanceType": "t3.small", "placement": {"availabilityZone": "eu-west-1a"}, "architecture": "x86_64",
             "tagSet": [{"key": "Name", "value": "db one"}, {"key": "team:role", "value": "a<b & c"}]}
    full = {**plain, "instanceId": "i-2", "privateIpAddress": "10.0.0.2", "dnsName": "ec2-1.compute.amazonaws.com", "ipAddress": "52.0.0.2",
            "platform": "windows", "instanceLifecycle": "spot", "vpcId": "vpc-1", "subnetId": "subnet-1", "placement": {"availabilityZone": "eu-west-1b"},
            "networkInterfaceSet": [
                {"subnetId": "subnet-1", "attachment": {"deviceIndex": 0}, "ipv6AddressesSet": [{"ipv6Address": "2001:db8::2", "isPrimaryIpv6": "true"}, {"ipv6Address": "2001:db8::3"}]},
                {"subnetId": "subnet-2", "attachment": {"deviceIndex": 1}, "ipv6AddressesSet": [{"ipv6Address": "2001:db8::4"}]},
                {"subnetId": "subnet-1", "attachment": {"deviceIndex": 2}}], "tagSet": []}
    stopped = {**plain, "instanceId": "i-3", "privateIpAddress": None, "instanceState": {"code": 80, "name": "stopped"}}
    out = [plain, full, stopped]
    if world["changed"]:
        out.append({**plain, "instanceId": "i-4", "privateIpAddress": "10.0.0.4", "tagSet": [{"key": "empty", "value": ""}]})
    return out


def ec2(world):
    def answer(_path, _query, body):
        action = urllib.parse.parse_qs(body)["Action"][0]
        space = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
        if action == "DescribeAvailabilityZones":
            zones = [{"zoneName": f"eu-west-1{z}", "zoneId": f"euw1-az{i}"} for i, z in enumerate("ab")]
            return 200, {"Content-Type": "text/xml"}, f"<{action}Response {space}><availabilityZoneInfo>{xml(zones)}</availabilityZoneInfo></{action}Response>"
        sets = [{"reservationId": "r-1", "ownerId": "123456789012", "instancesSet": instances(world)}]
        return 200, {"Content-Type": "text/xml"}, f"<{action}Response {space}><reservationSet>{xml(sets)}</reservationSet></{action}Response>"
    return answer


def docker(world):
    containers = [
        {"Id": "c1", "Names": ["/web"], "Labels": {"com.example.team": "a b", "x-y": "1"}, "HostConfig": {"NetworkMode": "front"},
         "Ports": [{"PrivatePort": 80, "Type": "tcp", "PublicPort": 8080, "IP": "0.0.0.0"}, {"PrivatePort": 53, "Type": "udp"}, {"PrivatePort": 443, "Type": "tcp"}],
         "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "10.1.0.2"}}}},
        {"Id": "c2", "Names": ["/db"], "Labels": {}, "HostConfig": {"NetworkMode": "front"}, "Ports": [],
         "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "10.1.0.3"}}}},
        {"Id": "c3", "Names": ["/host"], "Labels": {}, "HostConfig": {"NetworkMode": "host"}, "Ports": [], "NetworkSettings": {"Networks": {"host": {"NetworkID": "n2", "IPAddress": ""}}}},
    ]
    networks = [{"Id": "n1", "Name": "front", "Scope": "local", "Internal": False, "Ingress": False, "Labels": {"net-label": "x"}},
                {"Id": "n2", "Name": "host", "Scope": "local", "Internal": True, "Ingress": False, "Labels": {}}]

    def answer(path, _query, _body):
        path = re.sub(r"^/v[\d.]+", "", path)
        if path == "/_ping":
            return 200, {"Api-Version": "1.41", "Content-Type": "text/plain"}, "OK"
        if path == "/networks":
            return 200, JSON, json.dumps(networks)
        return 200, JSON, json.dumps(containers[: 2 if world["changed"] else 3])
    return answer


@unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
class Discovery(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("server", "server")

    def found(self, port, job):
        """The labels of a job's targets before relabelling, each as text, in order."""
        data = s.http_json(f"http://127.0.0.1:{port}/api/v1/targets?state=any")["data"]
        for t in data["activeTargets"] + data["droppedTargets"]:
            t["discoveredLabels"].pop("__meta_ec2_primary_ipv6_addresses", None)  # Newer than 2.42.
        return sorted(json.dumps(t["discoveredLabels"], sort_keys=True) for t in data["activeTargets"] + data["droppedTargets"]
                      if t["discoveredLabels"].get("job") == job)

    def test_beside_prometheus(self):
        st, world = self.stack, {"changed": False}
        doors = {name: Door(make(world)).port for name, make in (("ec2", ec2), ("docker", docker))}
        listed = [{"targets": ["10.5.0.1:80", "10.5.0.2"], "labels": {"__meta_rack": "r", "env": "a"}}, {"targets": ["[2001:db8::1]:80"]}, {"targets": [], "labels": {}}]
        doors["http"] = Door(lambda *_: (200, JSON, json.dumps(listed[: 1 if world["changed"] else 3]))).port
        st.write("a.json", json.dumps(listed))
        st.write("b.yml", "- targets: [10.4.0.1:83, 10.4.0.2:83]\n  labels: {number: '1', text: \"a: b\"}\n- targets: []\n")
        jobs = {
            "ec2": f"ec2_sd_configs: [{{endpoint: 'http://127.0.0.1:{doors['ec2']}', region: eu-west-1, access_key: a, secret_key: b, port: 9100, refresh_interval: 1s}}]",
            "docker": f"docker_sd_configs: [{{host: 'tcp://127.0.0.1:{doors['docker']}', refresh_interval: 1s, host_networking_host: me}}]",
            "http": f"http_sd_configs: [{{url: 'http://127.0.0.1:{doors['http']}/list?a=b', refresh_interval: 1s}}]",
            "file": f"file_sd_configs: [{{files: ['{st.path('a.json')}', '{st.path('*.yml')}']}}]",
            "static": "static_configs: [{targets: [a:1, b], labels: {x: y, __meta_z: '1'}}, {targets: [a:1], labels: {x: other}}]",
        }
        os.makedirs(st.path("etc"))
        config = st.write("etc/prometheus.yml", "global: {scrape_interval: 1m}\nscrape_configs:\n" + "".join(
            f"  - job_name: {name}\n    {how}\n" for name, how in jobs.items()))
        prometheus = s.free_port()
        peer = st.run("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={st.path('peer')}", f"--web.listen-address=127.0.0.1:{prometheus}"])
        st.server(config)

        def both_answer():
            if not peer.alive():
                self.fail(f"Prometheus ended: {peer.text()[-3000:]}")
            return self.found(prometheus, "static") and self.found(st.http, "static")
        s.wait_until("both answer", both_answer)

        def compare(when):
            wrong = []
            for job in jobs:
                try:
                    s.wait_until(job, lambda job=job: self.found(prometheus, job) and self.found(prometheus, job) == self.found(st.http, job), timeout=15)
                except AssertionError:
                    want, got = self.found(prometheus, job), self.found(st.http, job)
                    wrong += [f"{when}: {job}: only Prometheus: {x}" for x in want if x not in got] + [f"{when}: {job}: only Vedette: {x}" for x in got if x not in want]
                    wrong += [f"{when}: {job}: nothing found"] if not want else []
            return wrong
        wrong = compare("at first")
        world["changed"] = True
        st.write("a.json", json.dumps(listed[1:2]))
        s.wait_until("Prometheus sees the change", lambda: any("i-4" in t for t in self.found(prometheus, "ec2")))
        wrong += compare("after a change")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))


if __name__ == "__main__":
    xml_unittest.main()
