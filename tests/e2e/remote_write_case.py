"""Remote write out to real receivers, with kills of either side: what the tests of it share."""
import json
import os
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stack as s  # noqa: E402
from exporter import Exporter  # noqa: E402

SERIES = 50


def page(scrape):
    """Every scrape has new values."""
    lines = ["# HELP load_total A counter.", "# TYPE load_total counter"]
    lines += [f'load_total{{i="{i}"}} {scrape * 1000 + i}' for i in range(SERIES)]
    return "\n".join(lines) + "\n"


def ours(port):
    """What the server has: {series: {time in ms: value}}."""
    answer = s.http_json(f"http://127.0.0.1:{port}/api/v1/query", {"query": 'load_total[1h]'})
    return {
        r["metric"]["i"]: {round(float(t) * 1000): float(v) for t, v in r["values"]} for r in answer["data"]["result"]
    }


def of_victoria(port, api):
    query = urllib.parse.urlencode({"match[]": 'load_total'})
    out = {}
    for line in api.get_text(f"http://127.0.0.1:{port}/api/v1/export?{query}").splitlines():
        row = json.loads(line)
        out.setdefault(row["metric"]["i"], {}).update(zip(row["timestamps"], row["values"]))
    return out


class RemoteWriteCase(unittest.TestCase):
    def setUp(self):
        self.stack = s.Stack()
        self.addCleanup(self.stack.close)
        self.exporter = Exporter(page)
        self.addCleanup(self.exporter.close)

    def receiver(self, kind):
        st, port = self.stack, s.free_port()
        if kind == "prometheus":
            config = st.write("peer.yml", "global: {}\n")
            argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={st.path('peer')}",
                    f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
        else:
            argv = ["victoria-metrics", f"-storageDataPath={st.path('peer')}", f"-httpListenAddr=127.0.0.1:{port}",
                    "-retentionPeriod=1y"]
        return st.run(kind, argv), port

    def missing(self, kind, peer_port, until_ms):
        """How many samples up to then the receiver has not got, with the instants of one series; and ours."""
        have = {i: {t: v for t, v in samples.items() if t <= until_ms} for i, samples in ours(self.stack.http).items()}
        theirs = ours(peer_port) if kind == "prometheus" else of_victoria(peer_port, self.stack)
        lost = {i: [t for t, v in samples.items() if theirs.get(i, {}).get(t) != v] for i, samples in have.items()}
        self.lost_instants = next((sorted(times) for times in lost.values() if times), [])
        return sum(len(times) for times in lost.values()), have

    def gateway(self, upstream_port, kind, listed):
        port = s.free_port()
        argv = [sys.executable, os.path.join(s.ROOT, "tests/e2e/gateway.py"), str(port), f"http://127.0.0.1:{upstream_port}", kind, listed]
        return self.stack.run("gateway", argv), port

    def run_against(self, kind, url, kills=1, auth=None, listed="", between=lambda: None, more="", env=None):
        """`kills`: of each side; `auth`: sigv4 or oauth2, by a gateway that reads `listed` and is killed instead of the receiver; `between`: called
        while nobody receives; `more`: of the remote_write entry."""
        st = self.stack
        peer, peer_port = self.receiver(kind)
        to_port = peer_port
        if auth:
            peer, to_port = self.gateway(peer_port, auth, listed)
        self.remote_url = f"http://127.0.0.1:{to_port}{url}"
        st.http = s.free_port()
        config = st.write("prometheus.yml", f"""
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: load
    static_configs: [{{targets: ['127.0.0.1:{self.exporter.port}']}}]
remote_write:
  - url: http://127.0.0.1:{to_port}{url}
    name: peer
    queue_config: {{batch_send_deadline: 500ms, max_backoff: 500ms}}
{more.replace("GATEWAY", str(to_port))}
""")
        server = st.run("server", [s.SERVER, f"--config.file={config}", f"--storage.tsdb.path={st.path('data')}",
                                   f"--web.listen-address=127.0.0.1:{st.http}"], env={**os.environ, **(env or {})})
        own = f"http://127.0.0.1:{st.http}"

        def delivered():
            text = st.get_text(own + "/metrics")
            sent = [line for line in text.splitlines() 
                    if line.startswith("prometheus_remote_storage_samples_total{") and 'remote_name="peer"' in line]
            return sent and float(sent[0].rsplit(" ", 1)[1])

        try:
            s.wait_until("samples at the receiver", lambda: (delivered() or 0) > 5 * SERIES)
            for _ in range(kills):
                peer.kill9()
                between()
                scrapes = self.exporter.scrapes
                s.wait_until("scrapes while the receiver is gone", lambda: self.exporter.scrapes > scrapes + 4)
                peer.start()
                before = delivered()
                s.wait_until("samples at the receiver again", lambda: delivered() > before + 2 * SERIES)
                server.kill9()
                server.start()
                s.wait_until("the server is back", lambda: (delivered() or 0) > 2 * SERIES)
            # What has been stored up to here must arrive; new scrapes go on meanwhile.
            until_ms = time.time() * 1000
            s.wait_until("nothing is missing", lambda: self.missing(kind, peer_port, until_ms)[0] == 0, timeout=90, every=1)
            lost, have = self.missing(kind, peer_port, until_ms)
            total = sum(len(samples) for samples in have.values())
            self.assertEqual(len(have), SERIES)
            self.assertGreater(total, SERIES * kills * 4)
            self.gate = peer
            print(f"{kind}: {total} samples stored, {kills} kills of each side, {lost} lost")
        except AssertionError:
            print("missing, of the first series:", getattr(self, "lost_instants", None))
            st.dump_logs()
            raise
