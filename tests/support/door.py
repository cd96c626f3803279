"""An HTTP server of one function, for stand-ins."""
import http.server
import socketserver
import threading


class Door:
    """On a port (0: any) or a unix socket; `handle(method, path, query, headers, body)` gives (status, text or bytes)."""

    def __init__(self, handle, unix=None, port=0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def work(self):
                path, _, query = self.path.partition("?")
                headers = {k.lower(): v for k, v in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length") or 0))
                status, answer = handle(self.command, path, query, headers, body)
                answer = answer if isinstance(answer, bytes) else answer.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = work

            def address_string(self):
                return "peer"

            def log_message(self, *args):
                pass

        if unix:
            class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
                daemon_threads = True
            self.server = UnixServer(unix, Handler)
        else:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
            self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
