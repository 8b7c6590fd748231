"""Sockets and HTTP/1.1 of the local hub: turns Responses into bytes, with ranges, TLS and faults."""

import gzip
import os
import re
import select
import socket
import ssl
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import hubcontrol
from hubapi import Request, Response
from hubstate import Fault, State

MAX_REQUEST_BODY = 4 << 20
IDLE_SECONDS = 120
CHUNK = 256 << 10
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


class CutConnection(Exception):
    """A fault ends this connection here."""


class Origin(ThreadingHTTPServer):
    """One listening port: the hub or the CDN."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, name: str, address: tuple[str, int], state: State, host: str | None = None,
                 tls: ssl.SSLContext | None = None):
        self.name, self.state, self.tls = name, state, tls
        self.api = None  # set before serving
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)
        host = host or address[0]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}"
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._accepted = 0

    def server_bind(self):
        # the parent asks DNS for the host's name, which can take seconds
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self):
        connection, peer = super().get_request()
        with self._open_lock:
            self._open.add(connection)
            self._accepted += 1
        return connection, (*peer, self._accepted)

    def shutdown_request(self, request):
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def start_tls(self, connection: socket.socket) -> socket.socket:
        secure = self.tls.wrap_socket(connection, server_side=True)
        with self._open_lock:  # wrapping took the descriptor over
            self._open.discard(connection)
            self._open.add(secure)
        return secure

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, CutConnection)):
            traceback.print_exc()

    def close_all(self):
        """Ends kept-alive connections, so that no thread outlives the server."""
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: Origin

    def setup(self):
        self.plain = self.request
        if self.server.tls:  # here and not in accept: a slow handshake holds up only its own thread
            self.request.settimeout(self.timeout)
            self.request = self.server.start_tls(self.request)
        super().setup()

    def finish(self):
        super().finish()
        if self.request is not self.plain:
            self.server.shutdown_request(self.request)

    def version_string(self):
        return "local-hub"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self):
        body = self._read_body()
        if body is None:
            return
        host = self.headers.get("Host")
        base = f"{self.server.url.partition('://')[0]}://{host}" if host else self.server.url
        request = Request(self.command, self.path, self.headers, body, base)
        if self.server.name == "hub" and request.path.startswith("/_control/"):
            self._send(hubcontrol.answer(self.server.state, self.server.api.store, request), Fault(), {})
            return
        state = self.server.state
        entry = state.begin({
            "origin": self.server.name, "method": self.command, "target": self.path, "path": request.path,
            "range": self.headers.get("Range"), "status": 0, "bytes": 0, "state": "started", "fault": None,
            "had_authorization": "Authorization" in self.headers, "connection": self.client_address[-1],
            "user_agent": self.headers.get("User-Agent"),
        })
        try:
            fault = state.take_fault(self.server.name, self.command, self.path) or Fault()
            entry["fault"] = fault.id or None
            if fault.stall_after is not None and fault.stall_after < 0:
                state.stall(entry, fault.stall_seconds, self._client_gone)
            self._send(self._answer(request, fault), fault, entry)
        except (OSError, CutConnection):
            self.close_connection = True
        finally:
            state.end(entry)

    def _answer(self, request: Request, fault: Fault) -> Response:
        if fault.status is not None:
            return Response(fault.status, {}, fault.body.encode())
        try:
            return self.server.api.answer(request)
        except Exception as error:  # a mistake in the hub must be seen, and must not hang the client
            traceback.print_exc()
            return Response(500, {"Content-Type": "text/plain"}, f"{type(error).__name__}: {error}\n".encode())

    def _read_body(self) -> bytes | None:
        """The request's body; None when it was refused."""
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_REQUEST_BODY or "Transfer-Encoding" in self.headers:
            self.send_error(413 if length > MAX_REQUEST_BODY else 400)
            return None
        return self.rfile.read(length) if length else b""

    # the answer

    def _send(self, response: Response, fault: Fault, entry: dict):
        start, length, total = 0, len(response.body), None
        if response.file is not None:
            total = length = response.file.stat().st_size
            response, start, length = self._select(response, total, fault)
        compressed = self._compress(response, fault)
        if compressed is not None:
            length = len(compressed)
            response = Response(response.status, response.headers, compressed)
        length = max(0, length - fault.short_by)
        headers = response.headers | ({"Content-Range": fault.content_range} if fault.content_range else {})
        if response.status not in (204, 304) and compressed is None:
            headers = {"Content-Length": str(length)} | headers
        self._send_head(response.status, headers, fault)
        entry["status"] = response.status
        if self.command == "HEAD" or response.status in (204, 304):
            return
        if compressed is not None:
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (length, compressed))
            entry["bytes"] = length
        else:
            self._send_body(response, start, length, fault, entry)

    def _send_head(self, status: int, headers: dict, fault: Fault):
        lower = {name.lower(): name for name in headers}
        for name, value in fault.headers.items():  # a fault's header replaces ours; null takes it away
            headers.pop(lower.get(name.lower(), name), None)
            if value is not None:
                headers[name] = str(value)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _select(self, response: Response, total: int, fault: Fault) -> tuple[Response, int, int]:
        """Conditions and Range: the response to send, and which bytes of the file."""
        etag = f'"{response.etag}"'
        response.headers = {"ETag": etag} | response.headers
        if self.headers.get("If-None-Match") in (etag, "*"):
            return Response(304, response.headers), 0, 0
        if self.headers.get("If-Match", etag) not in (etag, "*"):
            return Response(412, response.headers), 0, 0
        wanted = None if fault.ignore_range else _RANGE.match(self.headers.get("Range", ""))
        if not wanted or wanted.groups() == ("", "") or self.headers.get("If-Range", etag) != etag:
            return response, 0, total
        first, last = wanted.groups()
        if first:
            start, end = int(first), min(int(last) if last else total - 1, total - 1)
            if last and int(last) < int(first):
                return response, 0, total  # not a range: ignored, as RFC 9110 says
        else:
            start, end = max(0, total - int(last)), total - 1
        if start > end:
            headers = {name: value for name, value in response.headers.items() if name != "Content-Disposition"}
            return Response(416, headers | {"Content-Range": f"bytes */{total}"}), 0, 0
        response.headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        response.status = 206
        return response, start, end - start + 1

    def _compress(self, response: Response, fault: Fault) -> bytes | None:
        """The gzip body, where the client takes it and the real hub would send it."""
        if not response.compressible or response.status != 200 or fault.id:
            return None
        if "gzip" not in self.headers.get("Accept-Encoding", "") or not response.file.stat().st_size:
            return None
        response.headers |= {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked", "Vary": "Accept-Encoding",
                             "ETag": f'W/"{response.etag}"'}
        return gzip.compress(response.file.read_bytes(), 1, mtime=0)

    def _send_body(self, response: Response, start: int, length: int, fault: Fault, entry: dict):
        speed = fault.bytes_per_second or (entry and self.server.state.settings["bytes_per_second"])
        if response.file is None:
            self._send_pieces(lambda at, size: response.body[at:at + size], 0, length, fault, speed, entry)
            return
        with open(response.file, "rb", buffering=0) as file:
            if fault.changes_body() or speed or self.server.tls:
                self._send_pieces(lambda at, size: os.pread(file.fileno(), size, at), start, length, fault, speed, entry)
            elif length:
                try:
                    self.connection.sendfile(file, start, length)
                finally:
                    entry["bytes"] = max(0, file.tell() - start)

    def _send_pieces(self, read, start: int, length: int, fault: Fault, speed, entry: dict):
        """Sends `length` bytes from `start` with whatever the fault does to them."""
        stops = sorted(stop for stop in {fault.cut_after, fault.stall_after} if stop is not None and stop >= 0)
        size = max(1, min(CHUNK, int(speed) // 20)) if speed else CHUNK
        sent, began = 0, time.monotonic()
        while True:
            if stops and sent >= min(stops[0], length):
                self._stop_at(stops.pop(0), fault, entry)
                continue
            if sent == length:
                return
            step = min(size, length - sent, (stops[0] if stops else length) - sent)
            piece = read(start + sent, step)
            if not piece:
                raise CutConnection
            if fault.flip is not None and start + sent <= fault.flip < start + sent + len(piece):
                piece = bytearray(piece)
                piece[fault.flip - start - sent] ^= 0xFF
            self.connection.sendall(piece)
            sent += len(piece)
            entry["bytes"] = sent
            if speed:
                time.sleep(max(0.0, sent / speed - (time.monotonic() - began)))

    def _stop_at(self, stop: int, fault: Fault, entry: dict):
        if stop == fault.stall_after:
            self.server.state.stall(entry, fault.stall_seconds, self._client_gone)
        if stop == fault.cut_after:
            raise CutConnection

    def _client_gone(self) -> bool:
        """Whether the client has closed its side; a TLS connection cannot be asked without reading from it."""
        if self.server.tls:
            return False
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
