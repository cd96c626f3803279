"""scrape_config, field by field, beside Debian's Prometheus 2.42: both are given the same file and scrape the same targets, and
have to find the same targets with the same labels, ask the same questions of them, store the same series and fail where the
other fails. Then the fields that are newer than 2.42, by what they are for; and all of them by `vedettectl check config`, which
takes the fields that work and refuses the others with their line and the reason."""
import base64
import gzip
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
import xml_unittest  # noqa: E402

TEXT = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
OPENMETRICS = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
PLAIN = b'# HELP a What a is.\n# TYPE a counter\na{l="x",long="' + b"v" * 40 + b'"} 1\na{l="y"} 2\nb 3\n'
IDENTITY = b'm{job="its own",instance="i",exported_job="e",k="v"} 1\n'
TIMES = b"now 1\npast 2 %d\n"
HISTOGRAMS = (b'# TYPE h histogram\nh_bucket{le="0.5"} 1\nh_bucket{le="1e3"} 2\nh_bucket{le="+Inf"} 3\nh_sum 4\nh_count 3\n'
              b'# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 2\ns_count 3\nn NaN\ni +Inf\nj -Inf\n')
OM = (b'# TYPE c counter\n# UNIT c_seconds seconds\nc_total{x="1"} 5 # {trace_id="t"} 1\nc_created{x="1"} 1.5\n# TYPE g gaugehistogram\n'
      b'g_bucket{le="1"} 1\ng_bucket{le="+Inf"} 2\ng_gcount 2\ng_gsum 3\n# TYPE q stateset\nq{q="on"} 1\n# TYPE v info\nv_info{r="2"} 1\n# EOF\n')


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Target:
    """Serves `pages`: path -> bytes, or (status, headers, body), or a function of the handler that gives those. `asked` holds
    (path with query, headers) by who asked."""

    def __init__(self, pages, tls=None):
        self.pages, self.asked, lock = pages, {"vedette": [], "prometheus": []}, threading.Lock()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                who = "prometheus" if self.headers.get("User-Agent", "").startswith("Prometheus") else "vedette"
                with lock:
                    target.asked[who].append((self.path, dict(self.headers)))
                page = target.pages.get(urllib.parse.urlsplit(self.path).path, (404, {}, b"not here"))
                page = page(self) if callable(page) else page
                status, headers, body = page if isinstance(page, tuple) else (200, TEXT, page)
                self.send_response(status)
                for k, v in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # Whoever asked is gone, as those are whose limits are met.

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def question(self, who, path):
        """What was asked of a path first: the query, and the headers that matter."""
        for asked, headers in self.asked[who]:
            if urllib.parse.urlsplit(asked).path == path:
                kept = {k.lower(): v.replace("zstd, ", "") for k, v in headers.items()}  # 2.42 knows gzip only.
                return (sorted(urllib.parse.parse_qsl(urllib.parse.urlsplit(asked).query)),
                        {k: kept.get(k) for k in ("authorization", "accept-encoding", "x-prometheus-scrape-timeout-seconds")})
        return None


def needs(header, value, body=PLAIN):
    return lambda h: (200, TEXT, body) if h.headers.get(header) == value else (401, {}, b"")


class ScrapeConfig(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.stack.make_ca()
        self.stack.issue("server", "server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.stack.tls}/server.crt", f"{self.stack.tls}/server.key")
        context.load_verify_locations(f"{self.stack.tls}/ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.target = Target({})
        self.secure = Target({}, context)
        for t in (self.target, self.secure):
            self.addCleanup(t.server.shutdown)

    def job(self, name, more="", targets=None):
        targets = targets or [f"127.0.0.1:{self.target.port}"]
        path = "" if "metrics_path" in more else f"    metrics_path: /{name}\n"
        return (f"  - job_name: {name}\n{path}    static_configs: [{{targets: {json.dumps(targets)}, labels: {{set: here}}}}]\n" +
                "".join(f"    {line}\n" for line in more.splitlines()))

    def ask(self, port, path, **params):
        return s.http_json(f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(params)}")["data"]

    def series(self, port, job):
        """{labels: value} of a job at one moment; None while it was not scraped."""
        found = self.ask(port, "/api/v1/query", query=f'{{job="{job}"}} or {{exported_job="{job}"}} or {{set="here",was="{job}"}}')["result"]
        out = {}
        for one in found:
            name = one["metric"].get("__name__", "")
            # Of a scrape that its labels fail Prometheus counts the samples up to there, Vedette none.
            if name == "scrape_samples_scraped" and job.startswith("label_"):
                continue
            if name in ("scrape_duration_seconds", "scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"):
                continue
            for bound in ("le", "quantile"):  # Prometheus 3 writes bounds of buckets as floats, 2.42 as they come.
                if bound in one["metric"]:
                    one["metric"][bound] = str(float(one["metric"][bound]))
            out[json.dumps(one["metric"], sort_keys=True)] = one["value"][1]
        return out

    def targets(self, port, job):
        data = self.ask(port, "/api/v1/targets", state="any")
        active = sorted((json.dumps(t["labels"], sort_keys=True), t["scrapeUrl"], t["health"], bool(t["lastError"]))
                        for t in data["activeTargets"] if t["scrapePool"] == job)
        found = sorted(json.dumps(t["discoveredLabels"], sort_keys=True) for t in data["activeTargets"] + data["droppedTargets"]
                       if t["discoveredLabels"].get("job") == job)
        return active, found

    @unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
    def test_beside_prometheus(self):
        st, t, tls = self.stack, self.target, self.stack.tls
        here, secure = f"127.0.0.1:{t.port}", f"127.0.0.1:{self.secure.port}"
        secret = st.write("secret", "from-a-file\n")
        listed = st.write("listed.json", json.dumps([{"targets": [here], "labels": {"from": "file", "__meta_x": "y"}}, {"targets": []}]))
        cut = {"Content-Length": "500"}
        t.pages.update({
            "/plain": PLAIN, "/labels_kept": IDENTITY, "/labels_theirs": IDENTITY, "/histograms": HISTOGRAMS,
            "/openmetrics": (200, OPENMETRICS, OM), "/openmetrics_without_end": (200, OPENMETRICS, b"a 1\n"),
            "/om_times": (200, OPENMETRICS, b"x 1\n# EOF\n"),
            "/zipped": lambda h: (200, {**TEXT, "Content-Encoding": "gzip"}, gzip.compress(PLAIN)),
            "/params": PLAIN, "/relabelled_params": PLAIN, "/elsewhere": PLAIN, "/empty": b"", "/comments": b"# nothing\n\n",
            "/basic": needs("Authorization", basic("u", "p:w")), "/basic_file": needs("Authorization", basic("u", "from-a-file")),
            "/bearer": needs("Authorization", "Bearer t0"), "/token": needs("Authorization", "Token from-a-file"), "/wrong": needs("Authorization", "x"),
            "/oauth": needs("Authorization", "Bearer T0KEN"),
            "/tokens": (200, {"Content-Type": "application/json"}, b'{"access_token": "T0KEN", "token_type": "Bearer", "expires_in": 3600}'),
            "/moved": (302, {"Location": "/plain"}, b""), "/moved_not": (302, {"Location": "/plain"}, b""), "/error": (503, TEXT, PLAIN),
            "/cut": (200, {**TEXT, **cut, "Connection": "close"}, PLAIN), "/twice": b"a 1\na 2\nb 1\n", "/bad": b"a 1\nb{ 2\n", "/bad_value": b"a one\n", "/bad_utf8": b'a{l="\xff"} 1\n',
            "/crlf": b"a 1\r\nb 2\r\n", "/blanks": b'a{  l = "x" , m="y" , }   1\n', "/no_newline": b"a 1\nb 2", "/escapes": b'a{l="q\\"q\\\\ n\\n"} 1\n',
            "/numbers": b"a 1e3\nb 0x1p-2\nc .5\nd 1_000\ne +5\nf -0\n", "/number_text": b"a 1e3\nb .5\nc +5\nd -0\ne 1E-3\n", "/old_type": b"# TYPE a untyped\na 1\n",
            "/sample_limit": PLAIN, "/sample_limit_ok": PLAIN, "/label_limit": PLAIN, "/label_name": PLAIN, "/label_value": PLAIN, "/body_size": PLAIN,
            "/target_limit": PLAIN, "/dropped_metrics": PLAIN, "/times_kept": PLAIN, "/relabel": PLAIN, "/many": PLAIN, "/file": PLAIN, "/sd": PLAIN,
            "/actions": b'http_requests{code="200",Method="GET",pod_name="p-1",tmp_a="x"} 1\nhttp_requests{code="500",Method="POST",pod_name="p-2"} 2\ngo_x 3\n',
            "/list": (200, {"Content-Type": "application/json"}, json.dumps([{"targets": [here, "127.0.0.1:1"], "labels": {"from": "http"}}]).encode()),
        })
        self.secure.pages.update({"/tls": PLAIN, "/tls_unknown": PLAIN, "/tls_unchecked": PLAIN, "/tls_client": lambda h: (200, TEXT, PLAIN) if h.connection.getpeercert() else (403, {}, b"")})
        jobs = [
            self.job("plain"), self.job("labels_kept"), self.job("labels_theirs", "honor_labels: true"), self.job("histograms"), self.job("openmetrics"),
            self.job("openmetrics_without_end"), self.job("om_times"), self.job("zipped"), self.job("empty"), self.job("comments"),
            self.job("params", "params: {module: [m1, m2], q: ['a b&c']}"), self.job("elsewhere_", "metrics_path: /elsewhere"),
            self.job("relabelled_params", "params: {module: [m1]}\nrelabel_configs: [{source_labels: [__address__], target_label: __param_target},"
                     " {source_labels: [__param_module], target_label: module}, {target_label: __param_module, replacement: m9}]"),
            self.job("basic", "basic_auth: {username: u, password: 'p:w'}"), self.job("basic_file", f"basic_auth: {{username: u, password_file: {secret}}}"),
            self.job("bearer", "authorization: {credentials: t0}"), self.job("token", f"authorization: {{type: Token, credentials_file: {secret}}}"),
            self.job("wrong", "authorization: {credentials: t0}"),
            self.job("oauth", f"oauth2: {{client_id: id, client_secret: shh, scopes: [a, b], token_url: 'http://{here}/tokens', endpoint_params: {{x: y}}}}"),
            self.job("moved"), self.job("moved_not", "follow_redirects: false"), self.job("error"), self.job("cut"), self.job("missing"), self.job("twice"),
            self.job("bad"), self.job("bad_value"), self.job("bad_utf8"), self.job("crlf"), self.job("blanks"), self.job("no_newline"), self.job("escapes"), self.job("numbers"), self.job("number_text"), self.job("old_type"),
            self.job("sample_limit", "sample_limit: 2"), self.job("sample_limit_ok", "sample_limit: 3"), self.job("label_limit", "label_limit: 4"),
            self.job("label_name", "label_name_length_limit: 7"), self.job("label_value", "label_value_length_limit: 39"), self.job("body_size", "body_size_limit: 40B"),
            self.job("target_limit", "target_limit: 1", [here, f"localhost:{t.port}"]),
            self.job("dropped_metrics", "metric_relabel_configs: [{source_labels: [l], regex: x, action: drop}, {regex: set, action: labeldrop}]"),
            self.job("times_kept", "honor_timestamps: false"),
            self.job("relabel", "relabel_configs: [{source_labels: [set, __scheme__], separator: '-', target_label: joined}, {source_labels: [job], target_label: was},"
                     " {target_label: instance, replacement: named}, {source_labels: [__address__], regex: '(.*):(.*)', target_label: port, replacement: '$2'},"
                     " {source_labels: [set], regex: 'nothing', target_label: never}, {target_label: gone, replacement: ''}, {source_labels: [__address__], modulus: 7, target_label: shard, action: hashmod},"
                     " {target_label: '__meta_y', replacement: z}, {regex: '__meta_(.+)', action: labelmap}, {target_label: __scrape_interval__, replacement: 2s}]"),
            self.job("many", "relabel_configs: [{source_labels: [__address__], regex: 'local.*', action: drop}]", [here, f"localhost:{t.port}", here]),
            self.job("kept_none", "relabel_configs: [{source_labels: [__address__], regex: 'nobody', action: keep}]"),
            self.job("actions", "metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}, {source_labels: [Method], target_label: method, action: lowercase},"
                     " {source_labels: [method], target_label: METHOD, action: uppercase}, {regex: 'Method|tmp_.*', action: labeldrop}, {regex: 'pod_(.*)', replacement: 'k8s_$1', action: labelmap},"
                     " {source_labels: [code], target_label: class, regex: '(.)..', replacement: '${1}xx'}, {source_labels: [METHOD], target_label: method, action: keepequal},"
                     " {source_labels: [__name__], regex: '(.*)', target_label: __name__, replacement: 'my_$1'}]"),
            "  - job_name: file\n    metrics_path: /file\n" f"    file_sd_configs: [{{files: [{listed}]}}]\n    relabel_configs: [{{regex: '__meta_(.+)', action: labelmap}}]\n",
            f"  - job_name: sd\n    metrics_path: /sd\n    http_sd_configs: [{{url: 'http://{here}/list', refresh_interval: 1s}}]\n",
            self.job("tls", f"scheme: https\ntls_config: {{ca_file: {tls}/ca.crt, server_name: localhost}}", [secure]),
            self.job("tls_client", f"scheme: https\ntls_config: {{ca_file: {tls}/ca.crt, server_name: localhost, cert_file: {tls}/server.crt, key_file: {tls}/server.key}}", [secure]),
            self.job("tls_unknown", "scheme: https", [secure]), self.job("tls_unchecked", "scheme: https\ntls_config: {insecure_skip_verify: true}", [secure]),
        ]
        names = [j.split("job_name: ")[1].split("\n")[0] for j in jobs]
        config = st.write("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {site: a}}\nscrape_configs:\n" + "".join(jobs))
        prometheus = s.free_port()
        st.run("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={st.path('peer')}", f"--web.listen-address=127.0.0.1:{prometheus}"])
        st.server(config)
        ports = {"prometheus": prometheus, "vedette": st.http}

        def all_asked():
            return all(t_["lastScrape"][:4] != "0001" for port in ports.values() for t_ in self.ask(port, "/api/v1/targets")["activeTargets"])
        s.wait_until("both scraped everything", lambda: all(len(self.ask(p, "/api/v1/targets")["activeTargets"]) > len(names) - 4 for p in ports.values()) and all_asked())

        def compare(name):
            return [(what, got[0], got[1]) for what, got in (
                ("series", [self.series(p, name) for p in ports.values()]),
                ("targets", [self.targets(p, name) for p in ports.values()]),
                ("question", [self.target.question(w, f"/{name}") for w in ports])) if got[0] != got[1]]
        # A job that one has scraped and the other not yet is asked about again.
        left, wrong, end = list(names), [], time.monotonic() + 20
        while left and time.monotonic() < end:
            left = [name for name in left if compare(name)]
            time.sleep(0.5)
        for name in left:
            for what, want, got in compare(name):
                if what == "series":
                    want, got = sorted(set(want.items()) - set(got.items())), sorted(set(got.items()) - set(want.items()))
                wrong.append(f"{name}: {what}:\n  Prometheus {want}\n  Vedette    {got}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def check(self, jobs, top=""):
        path = self.stack.write("checked.yml", f"global: {{scrape_interval: 15s{top}}}\nscrape_configs:\n{jobs}")
        done = subprocess.run([s.CTL, "check", "config", path], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_every_field_loads_or_is_refused_with_its_line_and_why(self):
        """The fields of Prometheus 3.x's scrape_config: one job has all that go together; then each that Vedette has not."""
        st = self.stack
        secret = st.write("secret", "x")
        listed = st.write("listed.yml", "[]")
        client = "follow_redirects: false\nenable_http2: false\nhttp_headers: {X-A: {values: [a], secrets: [b], files: [%s]}}" % secret
        discovery = f"""
file_sd_configs: [{{files: ['{listed}'], refresh_interval: 5m}}]
http_sd_configs: [{{url: 'http://127.0.0.1:1/x', refresh_interval: 60s, basic_auth: {{username: u, password: p}}}}]
dns_sd_configs: [{{names: [a.example], type: A, port: 80, refresh_interval: 30s}}, {{names: [_x._tcp.example]}}]
ec2_sd_configs: [{{endpoint: 'http://127.0.0.1:1', region: eu-west-1, access_key: a, secret_key: b, profile: p, role_arn: 'arn:aws:iam::1:role/x', external_id: e, refresh_interval: 60s, port: 80, filters: [{{name: tag:a, values: [b]}}]}}]
docker_sd_configs: [{{host: 'unix:///var/run/docker.sock', port: 80, host_networking_host: localhost, match_first_network: true, filters: [{{name: status, values: [running]}}], refresh_interval: 60s}}]
consul_sd_configs: [{{server: 'localhost:8500', path_prefix: /p, token: t, datacenter: d, namespace: n, partition: q, scheme: http, username: u, password: p, services: [s], tags: [t], node_meta: {{a: b}}, filter: 'x', health_filter: 'y', tag_separator: ';', allow_stale: true, refresh_interval: 30s}}]
kubernetes_sd_configs: [{{role: pod, api_server: 'https://127.0.0.1:1', namespaces: {{own_namespace: true, names: [a]}}, selectors: [{{role: pod, label: 'a=b', field: 'c=d'}}]}}]"""
        body = f"""scrape_interval: 30s
scrape_timeout: 5s
metrics_path: /m
scheme: https
params: {{a: [b, c]}}
honor_labels: true
honor_timestamps: false
track_timestamps_staleness: true
scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]
fallback_scrape_protocol: PrometheusText0.0.4
enable_compression: false
scrape_failure_log_file: {st.path("failures.log")}
tls_config: {{ca_file: {st.tls}/ca.crt, cert_file: {st.tls}/server.crt, key_file: {st.tls}/server.key, server_name: n, insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}}
proxy_url: http://127.0.0.1:1
no_proxy: '127.0.0.1,.example'
proxy_connect_header: {{X-P: [a]}}
{client}
body_size_limit: 1MB
sample_limit: 10
label_limit: 10
label_name_length_limit: 10
label_value_length_limit: 10
target_limit: 10
keep_dropped_targets: 10
native_histogram_bucket_limit: 10
native_histogram_min_bucket_factor: 1.1
scrape_native_histograms: true
always_scrape_classic_histograms: true
convert_classic_histograms_to_nhcb: true
extra_scrape_metrics: true
metric_name_validation_scheme: utf8
metric_name_escaping_scheme: dots{discovery}
relabel_configs: [{{source_labels: [a], separator: ';', target_label: b, regex: '(.*)', modulus: 0, replacement: '$1', action: replace}}]
metric_relabel_configs: [{{source_labels: [a], regex: x, action: keep}}]
modulus: 3
shard: 2"""
        code, said = self.check(self.job("all", body, ["a:1"]))
        self.assertEqual(code, 0, said)
        for auth in ("basic_auth: {username_file: %s, password_file: %s}" % (secret, secret), "authorization: {type: T, credentials: c}",
                     "bearer_token: t", "bearer_token_file: %s" % secret, "proxy_from_environment: true",
                     "oauth2: {client_id: a, client_secret_file: %s, grant_type: client_credentials, scopes: [a], token_url: 'http://a/', endpoint_params: {a: b}, "
                     "tls_config: {insecure_skip_verify: true}, proxy_url: 'http://127.0.0.1:1', no_proxy: a}" % secret,
                     "metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: underscores"):
            code, said = self.check(self.job("one", auth))
            self.assertEqual(code, 0, auth + ": " + said)
        others = [f"{name}_sd_configs" for name in (
            "aws azure digitalocean dockerswarm eureka gce hetzner ionos kuma lightsail linode marathon nerve nomad oci openstack outscale ovhcloud "
            "puppetdb scaleway serverset stackit triton uyuni vultr").split()]
        refused = [(f"{name}: [{{}}]", name, "http_sd_configs") for name in others] + [
            ("kubernetes_sd_configs: [{role: ingress, api_server: 'http://a'}]", "role", "one of"),
            ("kubernetes_sd_configs: [{role: pod, kubeconfig_file: /x}]", "kubeconfig_file", "api_server"),
            ("kubernetes_sd_configs: [{role: pod, api_server: 'http://a', attach_metadata: {node: true}}]", "attach_metadata", "refused"),
            ("oauth2: {grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', token_url: 'http://a/'}", "grant_type", "client_credentials"),
            ("honour_labels: true", "honour_labels", ""), ("scrape_timeout: 1m", "scrape_timeout", "longer"), ("sample_limit: -1", "sample_limit", ""),
            ("params: [a]", "params", ""), ("scheme: ftp", "scheme", ""), ("scrape_protocols: [Text]", "scrape_protocols", ""), ("body_size_limit: 3 apples", "body_size_limit", ""),
            ("basic_auth: {username: a}\nauthorization: {credentials: b}", "", "at most one"), ("relabel_configs: [{action: hashmod, source_labels: [a]}]", "relabel_configs", ""),
            ("relabel_configs: [{regex: '(', target_label: a}]", "regex", ""), ("relabel_configs: [{action: nothing}]", "action", ""),
            ("file_sd_configs: [{files: ['a/*/b.json']}]", "files", "segment"), ("static_configs: [{targets: ['http://a/']}]", "targets", "without scheme"),
        ]
        for given, names, why in refused:
            with self.subTest(given):
                code, said = self.check("  - job_name: first\n    static_configs: [{targets: ['a:1']}]\n  - job_name: bad\n" +
                                        "".join(f"    {line}\n" for line in given.splitlines()))
                self.assertNotEqual(code, 0, given)
                self.assertRegex(said, r"checked\.yml:([5-9])\b", "the line is not named")
                self.assertIn(names, said)
                self.assertIn(why, said)


if __name__ == "__main__":
    xml_unittest.main()
