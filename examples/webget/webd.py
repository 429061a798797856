# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback with all framings of a body: webd.py [CERTFILE]. It prints its port.

/length /chunked /close /empty   the same text, framed each way
/echo?...                        the request, as it came
/short /cut /garbage /mute       responses that break off, or are not HTTP
/big                             a length of 1 TiB is announced
"""
import socketserver
import ssl
import sys

TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 3


def chunks(body, size):
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        yield b"%x;note=1\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\nX-Trailer: yes\r\n\r\n"


class Web(socketserver.StreamRequestHandler):
    def handle(self):
        while self.one():
            pass

    def one(self):
        lines = []
        while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            return False
        path = lines[0].split()[1].split(b"?")[0].decode()
        say = self.wfile.write
        head = b"HTTP/1.1 200 OK\r\nServer: webd\r\nContent-Type: text/plain\r\n"
        if path == "/chunked":
            say(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks(TEXT, 17)))
        elif path == "/close":
            say(head + b"Connection: close\r\n\r\n" + TEXT)
            return False
        elif path == "/empty":
            say(b"HTTP/1.1 204 No Content\r\nServer: webd\r\n\r\n")
        elif path == "/short":
            say(head + b"Content-Length: 1000\r\n\r\n" + TEXT)
            return False
        elif path == "/cut":
            say(head + b"Transfer-Encoding: chunked\r\n\r\n40\r\nnot so many")
            return False
        elif path == "/garbage":
            say(b"220 ready for mail\r\n\r\n")
            return False
        elif path == "/big":
            say(head + b"Content-Length: 1099511627776\r\n\r\n" + TEXT)
            return False
        elif path == "/mute":
            return False
        elif path == "/hangup":  # keep-alive is promised and not kept
            say(head + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT)
            return False
        else:
            body = b"".join(lines) if path == "/echo" else TEXT
            say(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        if context:
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        print("a connection broke", file=sys.stderr)


context = None
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
with Server(("127.0.0.1", 0), Web) as server:
    print(f"web on port {server.server_address[1]}", flush=True)
    server.serve_forever()
