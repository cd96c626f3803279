"""A scrape target for tests: an HTTP server on a free port of loopback whose pages the test makes."""
import http.server
import threading


class Exporter:
    """Answers each scrape with the text that `page(n)` gives for the n-th, called by one thread at a time; where that is
    None, with 503. `scrapes` counts the scrapes, `sent` the bytes of bodies."""

    def __init__(self, page):
        self.scrapes = self.sent = 0
        exporter, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with lock:
                    exporter.scrapes += 1
                    text = page(exporter.scrapes)
                body = (text or "").encode()
                self.send_response(200 if text is not None else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with lock:
                    exporter.sent += len(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
