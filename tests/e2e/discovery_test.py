"""Discovery against stand-ins for EC2 (which verifies every signature), its metadata service, Docker and Consul; and
files whose change is seen at once."""
import json
import os
import sys
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import aws  # noqa: E402
import stack as s  # noqa: E402
from door import Door  # noqa: E402
import xml_unittest  # noqa: E402

SECRETS = {"AKIDSTATIC": ("static/Secret+1", None)}


class Ec2:
    def __init__(self):
        self.instances, self.faults, self.wrong, self.asked = ["10.0.0.1", "10.0.0.2", "10.0.0.3"], [], [], []
        self.metadata = aws.MetadataService()
        self.ec2, self.imds = Door(self.describe), Door(self.metadata.handle)

    def describe(self, method, path, query, headers, body):
        if self.faults:
            return self.faults.pop(0), "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"
        wrong = aws.signature_fault(method, path, query, headers, body, "eu-west-1", "ec2",
                                    lambda key: SECRETS.get(key) or aws.role_secret(key))
        if wrong:
            self.wrong.append(wrong)
            return 401, f"<Response><Errors><Error><Code>AuthFailure</Code><Message>{wrong}</Message></Error></Errors></Response>"
        form = dict(urllib.parse.parse_qsl(body.decode()))
        self.asked.append((form, headers.get("x-amz-security-token")))
        if form["Action"] != "DescribeInstances":
            return 200, "<R><availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId></item></availabilityZoneInfo></R>"
        first = int(form.get("NextToken", 0))  # Two a page.
        items = "".join(f"""<item><ownerId>42</ownerId><instancesSet><item><instanceId>i-{ip}</instanceId><instanceState><name>running</name></instanceState>
            <placement><availabilityZone>eu-west-1a</availabilityZone></placement><vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId><privateIpAddress>{ip}</privateIpAddress>
            <networkInterfaceSet><item><subnetId>subnet-1</subnetId></item></networkInterfaceSet>
            <tagSet><item><key>Role</key><value>a &amp; b</value></item></tagSet></item></instancesSet></item>""" for ip in self.instances[first:first + 2])
        more = f"<nextToken>{first + 2}</nextToken>" if first + 2 < len(self.instances) else ""
        return 200, f"<DescribeInstancesResponse><reservationSet>{items}</reservationSet>{more}</DescribeInstancesResponse>"


class Discovery(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)

    def start(self, jobs, env=None):
        st = self.stack
        config = st.write("prometheus.yml", "global: {scrape_interval: 1m}\nscrape_configs:\n" + jobs)
        st.http = s.free_port()
        os.makedirs(st.path("data"), exist_ok=True)
        p = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                              f"--web.listen-address=127.0.0.1:{st.http}"], env={**os.environ, "HOME": "/nonexistent", **(env or {})})
        st.wait_ready(p)

    def found(self, job):
        return {t["discoveredLabels"]["__address__"]: t["discoveredLabels"]
                for t in self.stack.api("/api/v1/targets")["data"]["activeTargets"] if t["scrapePool"] == job}

    def test_ec2_by_keys_and_by_the_machines_role(self):
        ec2 = Ec2()
        url = f"http://127.0.0.1:{ec2.ec2.port}"
        self.start(f"""
  - job_name: keys
    ec2_sd_configs: [{{region: eu-west-1, endpoint: '{url}', access_key: AKIDSTATIC, secret_key: 'static/Secret+1', port: 9100,
                       refresh_interval: 1s, filters: [{{name: 'tag:Role', values: ['a & b', 'c+d']}}]}}]
  - job_name: role
    ec2_sd_configs: [{{endpoint: '{url}', refresh_interval: 1s}}]
""", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{ec2.imds.port}"})
        s.wait_until("three instances by keys", lambda: sorted(self.found("keys")) == [f"10.0.0.{i}:9100" for i in (1, 2, 3)])
        s.wait_until("three instances by the role", lambda: sorted(self.found("role")) == [f"10.0.0.{i}:80" for i in (1, 2, 3)])
        labels = self.found("keys")["10.0.0.1:9100"]
        self.assertEqual({k: labels[k] for k in labels if k.startswith("__meta_ec2_")}, {
            "__meta_ec2_instance_id": "i-10.0.0.1", "__meta_ec2_owner_id": "42", "__meta_ec2_private_ip": "10.0.0.1",
            "__meta_ec2_region": "eu-west-1", "__meta_ec2_availability_zone": "eu-west-1a", "__meta_ec2_availability_zone_id": "euw1-az3",
            "__meta_ec2_instance_state": "running", "__meta_ec2_vpc_id": "vpc-1", "__meta_ec2_primary_subnet_id": "subnet-1",
            "__meta_ec2_subnet_id": ",subnet-1,", "__meta_ec2_tag_Role": "a & b"})
        self.assertEqual(ec2.wrong, [])
        self.assertEqual((ec2.metadata.tokens, ec2.metadata.without_token), (1, 0))
        form = next(f for f, token in ec2.asked if token is None and "Filter.1.Name" in f)
        self.assertEqual((form["Filter.1.Name"], form["Filter.1.Value.1"], form["Filter.1.Value.2"]), ("tag:Role", "a & b", "c+d"))
        # Failures keep the last list; what then comes is seen.
        ec2.faults = [503] * 6
        s.wait_until("the faults are over", lambda: not ec2.faults)
        self.assertEqual(len(self.found("keys")), 3)
        ec2.instances.append("10.0.0.4")
        s.wait_until("the fourth instance", lambda: len(self.found("keys")) == 4 and len(self.found("role")) == 4)
        metrics = self.stack.get_text(f"http://127.0.0.1:{self.stack.http}/metrics")
        self.assertRegex(metrics, r'prometheus_sd_refresh_failures_total\{config="keys",mechanism="ec2"\} [1-9]')
        self.assertIn('prometheus_sd_discovered_targets{config="keys",name="scrape"} 4', metrics)

    def test_docker_consul_kubernetes_and_files(self):
        st = self.stack
        sock = st.path("docker.sock")
        Door(lambda m, path, q, h, b: (200, json.dumps(
            [{"Id": "n", "Name": "front", "Scope": "local"}] if path == "/networks" else
            [{"Id": "c1", "Names": ["/web"], "HostConfig": {"NetworkMode": "front"}, "Ports": [{"PrivatePort": 80, "Type": "tcp"}],
              "NetworkSettings": {"Networks": {"front": {"NetworkID": "n", "IPAddress": "10.1.0.2"}}}}])), unix=sock)
        consul = Door(lambda m, path, q, h, b: (200, json.dumps(
            {"web": ["v1"]} if path == "/v1/catalog/services" else
            [{"Node": {"Node": "n1", "Address": "10.2.0.1"}, "Service": {"ID": "w", "Tags": ["v1"], "Port": 81}, "Checks": []}])))
        kubernetes = Door(lambda m, path, q, h, b: (200, json.dumps(
            {"items": [{"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 82}]}]},
                        "status": {"podIP": "10.3.0.1"}}]}) if h.get("authorization") == "Bearer kt" else "{}"))
        listed = st.write("targets.yml", "- targets: ['10.4.0.1:83']\n")
        self.start(f"""
  - job_name: docker
    docker_sd_configs: [{{host: 'unix://{sock}', refresh_interval: 1s}}]
  - job_name: consul
    consul_sd_configs: [{{server: '127.0.0.1:{consul.port}', refresh_interval: 1s}}]
  - job_name: kubernetes
    kubernetes_sd_configs: [{{role: pod, api_server: 'http://127.0.0.1:{kubernetes.port}', authorization: {{credentials: kt}}}}]
  - job_name: file
    file_sd_configs: [{{files: ['{listed}']}}]
""")
        for job, address in (("docker", "10.1.0.2:80"), ("consul", "10.2.0.1:81"), ("kubernetes", "10.3.0.1:82"), ("file", "10.4.0.1:83")):
            s.wait_until(f"{job} finds {address}", lambda job=job, address=address: address in self.found(job))
        self.assertEqual(self.found("docker")["10.1.0.2:80"]["__meta_docker_container_name"], "/web")
        self.assertEqual(self.found("consul")["10.2.0.1:81"]["__meta_consul_tags"], ",v1,")
        self.assertEqual(self.found("kubernetes")["10.3.0.1:82"]["__meta_kubernetes_pod_name"], "p")
        st.write("targets.yml", "- targets: ['10.4.0.2:83']\n")
        s.wait_until("the file's change is seen", lambda: "10.4.0.2:83" in self.found("file"), timeout=20)


if __name__ == "__main__":
    xml_unittest.main()
