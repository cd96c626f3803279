"""Remote write 1.0 from a test: protobuf and snappy by hand, because Debian has no Python library for either."""
import struct
import urllib.request


def _varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _bytes(field, data):
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def message(series):
    """series: [(labels, [(t_ms, value)])] as prometheus.WriteRequest."""
    out = bytearray()
    for labels, samples in series:
        body = bytearray()
        for name, value in sorted(labels.items()):
            body += _bytes(1, _bytes(1, name.encode()) + _bytes(2, value.encode()))
        for t_ms, value in samples:
            body += _bytes(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(t_ms))
        out += _bytes(1, bytes(body))
    return bytes(out)


def snappy(data):
    """The block form with literals alone: what every reader must take."""
    out = bytearray(_varint(len(data)))
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out.append((len(piece) - 1) << 2)
        out += piece
    return bytes(out)


def post(url, body, headers=None, timeout=30):
    """(status, text); errors of HTTP are answers too."""
    request = urllib.request.Request(url, data=body, method="POST", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read().decode(errors="replace")
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors="replace")


def write(base_url, series, timeout=30):
    status, text = post(base_url + "/api/v1/write", snappy(message(series)), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"}, timeout)
    if status // 100 != 2:
        raise AssertionError(f"remote write: {status} {text[:300]}")
