"""Remote write out to a receiver behind a gateway that verifies: signatures of AWS, tokens of OAuth2. It is killed on the way,
and keys and tokens end before their time; nothing may be missing."""
import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import aws  # noqa: E402
import stack as s  # noqa: E402
from door import Door  # noqa: E402
import xml_unittest  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from remote_write_case import RemoteWriteCase  # noqa: E402


@unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
class RemoteWriteAuth(RemoteWriteCase):
    def test_signed_by_the_keys_of_the_configuration(self):
        none = self.stack.write("refused-keys", "")
        sign = "    sigv4: {{region: eu-central-1, access_key: {}, secret_key: '{}'}}"
        self.run_against("prometheus", "/api/v1/write", auth="sigv4", listed=none, more=sign.format("AKIDWRITER", "writer/Secret+1") + """
  - url: http://127.0.0.1:GATEWAY/api/v1/write
    name: forger
    queue_config: {batch_send_deadline: 500ms}
""" + sign.format("AKIDOTHER", "not its secret"))
        # The gateway looks: the same with another secret was refused each time.
        failed = r'prometheus_remote_storage_samples_failed_total\{[^}]*remote_name="forger"[^}]*\} [1-9]'
        s.wait_until("the forger's samples are given up", lambda: re.search(
            failed, self.stack.get_text(f"http://127.0.0.1:{self.stack.http}/metrics")))
        lines = self.gate.text().splitlines()
        self.assertGreater(lines.count("AKIDWRITER: good"), 5)
        self.assertEqual({line for line in lines if line.startswith("AKIDWRITER")}, {"AKIDWRITER: good"})
        self.assertEqual({line for line in lines if line.startswith("AKIDOTHER")}, {"AKIDOTHER: SignatureDoesNotMatch"})

    def test_signed_by_the_role_of_the_machine(self):
        st, service = self.stack, aws.MetadataService("eu-central-1")
        imds = Door(service.handle)
        self.addCleanup(imds.server.shutdown)
        refused = st.write("refused-keys", "")

        def ends_early():  # AWS ends a role's session; the keys that it gives next are others.
            st.write("refused-keys", "\n".join(f"ASIA{n}" for n in range(service.keys + 1)))
        self.run_against("prometheus", "/api/v1/write", auth="sigv4", listed=refused, between=ends_early, more="    sigv4: {}",
                         env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{imds.port}", "HOME": "/nonexistent"})
        good = {line for line in self.gate.text().splitlines() if line.endswith(": good")}
        self.assertGreaterEqual(good, {"ASIA1: good", "ASIA2: good"}, self.gate.text()[-1000:])
        self.assertEqual(service.without_token, 0)

    def test_with_tokens_of_oauth2(self):
        st, asked, failures, hold, lock = self.stack, [], [], [], threading.Lock()
        tokens = st.write("tokens", "")

        def token(method, path, query, headers, body):
            form = dict(urllib.parse.parse_qsl(body.decode()))
            asked.append(form)
            basic = "Basic " + base64.b64encode(b"writer:s3cret").decode()
            if headers.get("authorization") != basic or form.get("grant_type") != "client_credentials":
                return 401, json.dumps({"error": "invalid_client"})
            with lock:
                if failures:
                    return failures.pop(), "{}"
                made = secrets.token_urlsafe(24)
                hold.append(made)
                st.write("tokens", "\n".join(hold))
            return 200, json.dumps({"access_token": made, "token_type": "Bearer", "expires_in": 3600})
        issuer = Door(token)
        self.addCleanup(issuer.server.shutdown)

        def withdrawn():  # Whatever was said of their end.
            with lock:
                hold.clear()
                st.write("tokens", "")
                failures.extend([503, 503])
        self.run_against("prometheus", "/api/v1/write", auth="oauth2", listed=tokens, between=withdrawn, more=
                         f"    oauth2: {{client_id: writer, client_secret: s3cret, scopes: [write, read], "
                         f"token_url: 'http://127.0.0.1:{issuer.port}/token', endpoint_params: {{audience: metrics}}}}")
        self.assertGreaterEqual(len(asked), 4)
        self.assertEqual({(f["scope"], f["audience"]) for f in asked}, {("write read", "metrics")})
        self.assertEqual(failures, [])
        self.assertIn("caller: no token that holds", self.gate.text())
        # Nobody gets through without.
        code = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", "x",
                               self.remote_url], capture_output=True, text=True, check=True, timeout=60).stdout
        self.assertEqual(code, "401")


if __name__ == "__main__":
    xml_unittest.main()
