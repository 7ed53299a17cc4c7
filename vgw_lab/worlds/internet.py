"""A small internet: echo on port 7, HTTP on 80, names on 53; ping is the kernel's. Runs as a node.

Long-lived flows have services in a process of their own, which keeps the echo prompt.

It has no route to anything inside, so only translated packets are ever answered.
"""

import http.server
import os
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Sequence

from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from vgw_lab.instruments import service

PORT = 7
NAMES = {
    "dns.google.": ("8.8.8.8", "8.8.4.4"),
    "one.one.one.one.": ("1.1.1.1",),
}
_ELSEWHERE = ("8.8.8.8",)
_TTL = 60


class Names(BaseResolver):
    """Answers for every name: a few as people know them, all others with 8.8.8.8."""

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        """The reply to one query (RFC 1035); no data for anything but IPv4 addresses."""
        reply = request.reply()
        if request.q.qtype in (QTYPE.A, QTYPE.ANY):
            for address in NAMES.get(str(request.q.qname).lower(), _ELSEWHERE):
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=_TTL))
        return reply


class Asked(DNSHandler):
    """One who asks for names; by TCP for as long as he stays (RFC 7766)."""

    def handle(self) -> None:
        """Answer."""
        super().handle()
        while self.protocol == "tcp" and self.request.recv(1, socket.MSG_PEEK):
            super().handle()


class Echo(socketserver.BaseRequestHandler):
    """TCP echo (RFC 862): what comes in goes back until the other side has said all."""

    def handle(self) -> None:
        """Serve one connection."""
        while received := self.request.recv(65536):
            self.request.sendall(received)


class EchoServer(socketserver.ThreadingTCPServer):
    """The TCP echo service; a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


class Page(http.server.BaseHTTPRequestHandler):
    """Says from which address the request came, as the well-known what-is-my-address sites do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve one page."""
        body = f"Hello from {socket.gethostname()}: you came from {self.client_address[0]}.\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


def echo_datagrams(address: str) -> None:
    """UDP echo (RFC 862) on one address, so that a reply leaves from the address that was asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind((address, PORT))
        while True:
            server.sendto(*server.recvfrom(65536))


def serve(addresses: Sequence[str]) -> None:
    """Run all services on these addresses until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if os.fork() == 0:  # before there are threads; it ends with the node's first process
        service.usual(addresses).serve()
    quiet = DNSLogger(log="-request,-reply,-truncated,-error,-recv,-send,-data")
    for address in addresses:
        for tcp in (False, True):
            DNSServer(Names(), address, 53, tcp, quiet, Asked).start_thread()
        threading.Thread(target=echo_datagrams, args=(address,), daemon=True).start()
    for server in (
        EchoServer(("", PORT), Echo),
        http.server.ThreadingHTTPServer(("", 80), Page),
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1:])
