"""What stands in front of a remote write receiver in a cloud: lets through what is signed or has a token, and says why not.

  gateway.py PORT UPSTREAM sigv4 FILE|oauth2 FILE

FILE is read at every request: for sigv4 the keys that are refused, for oauth2 the tokens that hold, one a line."""
import hmac
import pathlib
import sys
import threading
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent / "support"))
import aws  # noqa: E402
from door import Door  # noqa: E402

REGION, SECRETS = "eu-central-1", {"AKIDWRITER": ("writer/Secret+1", None), "AKIDOTHER": ("another", None)}
PASSED_ON = ("content-type", "content-encoding", "x-prometheus-remote-write-version")


def main(port, upstream, kind, listed):
    def lines():
        return pathlib.Path(listed).read_text().split()

    def fault(method, path, query, headers, body):
        if kind == "sigv4":
            return aws.signature_fault(
                method, path, query, headers, body, REGION, "aps",
                lambda key: None if key in lines() else SECRETS.get(key) or aws.role_secret(key))
        given = headers.get("authorization", "")
        good = any(hmac.compare_digest(given, "Bearer " + token) for token in lines())
        return None if good else "no token that holds: " + given

    def handle(method, path, query, headers, body):
        wrong = fault(method, path, query, headers, body)
        key = headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        print(f"{key or 'caller'}: {wrong or 'good'}", flush=True)
        if wrong:
            return (403 if kind == "sigv4" else 401), wrong
        request = urllib.request.Request(upstream + path, data=body, method=method,
                                         headers={k: headers[k] for k in PASSED_ON if k in headers})
        try:
            with urllib.request.urlopen(request, timeout=20) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()
        except OSError as e:
            return 502, str(e)

    Door(handle, port=int(port))
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
