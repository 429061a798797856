# SPDX-License-Identifier: Apache-2.0
"""A whois server on loopback: prints its port, answers one line with text, hangs up. RFC 3912."""
import socketserver

RECORDS = {
    "example.test": [
        "Domain Name: EXAMPLE.TEST",
        "Registry Domain ID: 11181110_DOMAIN_TEST",
        "Registrar WHOIS Server: whois.example.test",
        "Registrar URL: http://www.example.test",
        "Updated Date: 2022-01-25T09:00:46Z",
        "Creation Date: 1999-10-11T11:05:17Z",
        "Registry Expiry Date: 2026-10-11T11:05:17Z",
    ]
}


class Whois(socketserver.StreamRequestHandler):
    def handle(self):
        domain = self.rfile.readline(300).decode("ascii", "replace").strip().lower()
        lines = RECORDS.get(domain, [f'No match for "{domain.upper()}".'])
        self.wfile.write(("\r\n".join(lines) + "\r\n").encode("ascii", "replace"))


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Whois) as server:
    print(f"whois on port {server.server_address[1]}", flush=True)
    server.serve_forever()
