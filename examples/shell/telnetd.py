# SPDX-License-Identifier: Apache-2.0
"""A Telnet host on loopback: asks for login and password, knows `echo` and `exit`. It prints its port.

The only account is anna with the password "open sesame".
"""
import socketserver

IAC, WILL, DO, ECHO, SUPPRESS_GO_AHEAD = 255, 251, 253, 1, 3


class Telnet(socketserver.StreamRequestHandler):
    def ask(self, prompt):
        self.wfile.write(prompt)
        return self.line()

    def line(self):
        text = bytearray()
        while (byte := self.rfile.read(1)) not in (b"", b"\n"):
            if byte[0] == IAC:
                self.rfile.read(2)  # DO, DONT, WILL or WONT with its option
            elif byte != b"\r":
                text += byte
        return bytes(text)

    def handle(self):
        self.wfile.write(bytes([IAC, DO, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD]))
        user, password = self.ask(b"vm login: "), self.ask(b"Password: ")
        if (user, password) != (b"anna", b"open sesame"):
            self.wfile.write(b"\r\nLogin incorrect\r\n")
            return
        self.wfile.write(b"\r\nWelcome.\r\n")
        while (command := self.ask(b"$ ")) not in (b"exit", b""):
            words = command.split(b" ", 1)
            known = words[0] == b"echo" and len(words) == 2
            self.wfile.write(words[1] + b"\r\n" if known else words[0] + b": not found\r\n")


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Telnet) as server:
    server.daemon_threads = True
    print(f"telnet on port {server.server_address[1]}", flush=True)
    server.serve_forever()
