"""Remote write 1.0 and 2.0 from a test: protobuf and snappy by hand, because Debian has no Python library for either."""
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


def _zigzag(n):
    return _varint(n << 1 ^ n >> 63)


def message2(series):
    """series: [(labels, {"samples": [(t_ms, value)], "histograms": [(t_ms, count)], "exemplars": [(labels, t_ms, value)]})]
    as io.prometheus.write.v2.Request. A histogram has all its observations in the bucket of zero."""
    symbols = {"": 0}

    def refs(labels):
        return b"".join(_varint(symbols.setdefault(text, len(symbols)))
                        for pair in sorted(labels.items()) for text in pair)

    out = bytearray()
    for labels, parts in series:
        body = bytearray(_bytes(1, refs(labels)))
        for t_ms, value in parts.get("samples", []):
            body += _bytes(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(t_ms))
        for t_ms, count in parts.get("histograms", []):
            body += _bytes(3, b"\x08" + _varint(count) + b"\x20" + _zigzag(0) + b"\x30" + _varint(count)
                           + b"\x78" + _varint(t_ms))
        for exemplar, t_ms, value in parts.get("exemplars", []):
            body += _bytes(4, _bytes(1, refs(exemplar)) + b"\x11" + struct.pack("<d", value) + b"\x18" + _varint(t_ms))
        out += _bytes(5, bytes(body))
    return b"".join(_bytes(4, text.encode()) for text in symbols) + bytes(out)


def snappy(data):
    """The block form with literals alone: what every reader must take."""
    out = bytearray(_varint(len(data)))
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out.append((len(piece) - 1) << 2)
        out += piece
    return bytes(out)


def ask(url, body, headers=None, timeout=30):
    """(status, text, headers); errors of HTTP are answers too."""
    request = urllib.request.Request(url, data=body, method="POST", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read().decode(errors="replace"), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors="replace"), e.headers


def post(url, body, headers=None, timeout=30):
    """(status, text)"""
    return ask(url, body, headers, timeout)[:2]


def write(base_url, series, timeout=30):
    status, text = post(base_url + "/api/v1/write", snappy(message(series)), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"}, timeout)
    if status // 100 != 2:
        raise AssertionError(f"remote write: {status} {text[:300]}")


def write2(base_url, series, timeout=30):
    """(status, text, (samples, histograms, exemplars) written, as the headers say; None each where they say nothing)"""
    status, text, headers = ask(base_url + "/api/v1/write", snappy(message2(series)), {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "2.0.0"}, timeout)
    said = [headers.get(f"X-Prometheus-Remote-Write-{what}-Written") for what in ("Samples", "Histograms", "Exemplars")]
    return status, text, tuple(None if n is None else int(n) for n in said)
