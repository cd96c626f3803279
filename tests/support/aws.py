"""What AWS does, for tests: verifies signatures (Signature Version 4), and gives a machine its role's keys (IMDSv2)."""
import hashlib
import hmac
import json
import re
import time
import urllib.parse

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                           r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def signature_fault(method, path, query, headers, body, region, service, secret_of):
    """None where the request is signed as AWS asks for, otherwise what is wrong with it. `secret_of(key)` is the pair of
    the secret and the session's token (None: a key for ever), or None for a key that is unknown or has ended."""
    m = AUTHORIZATION.match(headers.get("authorization", ""))
    if not m:
        return "no signature: " + headers.get("authorization", "")
    key, day, scope_region, scope_service, signed, given = m.groups()
    known = secret_of(key)
    if known is None:
        return "unknown key " + key
    secret, token = known
    if (scope_region, scope_service) != (region, service) or not headers["x-amz-date"].startswith(day):
        return "wrong scope"
    at = time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    if abs(time.mktime(time.gmtime()) - time.mktime(at)) > 300:
        return "signed at another time: " + headers["x-amz-date"]
    if token is not None and headers.get("x-amz-security-token") != token:
        return "no session token"
    names = signed.split(";")
    if names != sorted(names) or not {"host", *(h for h in headers if h.startswith("x-amz-"))} <= set(names):
        return "headers that are not signed: " + signed
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([method, urllib.parse.quote(path) or "/",
                           "&".join(f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}" for k, v in pairs),
                           "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in names), signed, hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    k = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    right = hmac.new(k, to_sign.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(right, given) else "SignatureDoesNotMatch"


def role_secret(key):
    """The secret and session token of a key that MetadataService gave."""
    return ("s3cret" + key, "session" + key) if key.startswith("ASIA") else None


class MetadataService:
    """IMDSv2 of a machine with a role: `handle` is for a Door. Keys are numbered; the next has the next number."""

    def __init__(self, region="eu-west-1"):
        self.region, self.tokens, self.keys, self.without_token = region, 0, 0, 0

    def handle(self, method, path, query, headers, body):
        if method == "PUT":
            self.tokens += 1
            return (200, "TOKEN") if headers.get("x-aws-ec2-metadata-token-ttl-seconds") else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != "TOKEN":
            self.without_token += 1
            return 401, ""
        if path == "/latest/meta-data/placement/region":
            return 200, self.region
        if path.endswith("/security-credentials/"):
            return 200, "role"
        if path.endswith("/security-credentials/role"):
            self.keys += 1
            key = f"ASIA{self.keys}"
            secret, token = role_secret(key)
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            return 200, json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": end})
        return 404, ""
