"""HTTP without a library: bytes over TLS, and what comes back until the server closes."""

import socket
import ssl
import time


def connect(server, timeout=20):
    context = ssl.create_default_context(cafile=str(server.tls / "ca.crt"))
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    return context.wrap_socket(plain, server_hostname="localhost")


def until_closed(connection, deadline_s):
    """(bytes, seconds it took); fails when the connection is still open at the deadline."""
    start = time.monotonic()
    received = b""
    while (left := start + deadline_s - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            part = connection.recv(65536)
        except TimeoutError:
            break
        except OSError:  # reset: closed too
            part = b""
        if not part:
            return received, time.monotonic() - start
        received += part
    raise AssertionError(f"still open after {deadline_s} s; received {received[:200]!r}")


def exchange(server, data, deadline_s=5):
    """Sends, and returns (status or None, everything received) once the server has closed."""
    with connect(server) as connection:
        connection.sendall(data)
        received, _ = until_closed(connection, deadline_s)
    status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else None
    return status, received


def read_response(connection):
    """(status, head, body) of one response with Content-Length; the connection stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, f"closed within a response: {received!r}"
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        part = connection.recv(65536)
        assert part, "closed within a body"
        body += part
    return int(head.split(b" ", 2)[1]), head, body
