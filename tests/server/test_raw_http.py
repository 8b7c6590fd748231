"""Requests that no good client sends: each gets a 4xx or 5xx and a closed connection, or no answer at all."""

import selectors
import socket
import time

import pytest

import rawhttp
import reviews

POST = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
DEADLINE_S = 8  # the server's, for one request

MALFORMED = {
    "two equal Content-Lengths": (400, POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    "two Content-Lengths": (400, POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a list as Content-Length": (400, POST + b"Content-Length: 2, 2\r\n\r\n{}"),
    "Content-Length and Transfer-Encoding": (400, POST + b"Content-Length: 2\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    "Transfer-Encoding and Content-Length":
        (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "Transfer-Encoding gzip": (400, POST + b"Transfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "Transfer-Encoding gzip, chunked": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "two Transfer-Encodings": (400, POST + b"Transfer-Encoding: chunked\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    "negative Content-Length": (400, POST + b"Content-Length: -1\r\n\r\n{}"),
    "signed Content-Length": (400, POST + b"Content-Length: +2\r\n\r\n{}"),
    "Content-Length with a letter": (400, POST + b"Content-Length: 2x\r\n\r\n{}"),
    "Content-Length without a value": (400, POST + b"Content-Length:\r\n\r\n{}"),
    "Content-Length past all numbers": (413, POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}"),
    "no length at all": (400, POST + b"\r\n{}"),
    "HTTP/1.9": (505, POST.replace(b"/1.1", b"/1.9") + b"Content-Length: 2\r\n\r\n{}"),
    "HTTP/0.9": (400, b"GET /healthz\r\n\r\n"),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "control characters as method": (405, b"\x01\x02\x03 /mutate HTTP/1.1\r\nHost: x\r\n\r\n"),
    "NUL in the name of a header": (400, POST + b"X\0Y: a\r\nContent-Length: 2\r\n\r\n{}"),
    "a blank before the colon": (400, POST + b"Content-Length : 2\r\n\r\n{}"),
    "a header without colon": (400, POST + b"nonsense\r\nContent-Length: 2\r\n\r\n{}"),
    "a control character in a header": (400, POST + b"X: a\x01b\r\nContent-Length: 2\r\n\r\n{}"),
    "a header of 70 KB": (431, POST + b"X: " + b"a" * 70000 + b"\r\nContent-Length: 2\r\n\r\n{}"),
    "a path of 70 KB": (414, b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two Hosts": (400, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "an absolute URL of another server": (404, b"GET https://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a chunk size that is no number": (400, POST + CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "a negative chunk size": (400, POST + CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size past all numbers": (413, POST + CHUNKED + b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": (400, POST + CHUNKED + b"2\r\n{}XX0\r\n\r\n"),
    "garbage": (None, b"\xff\xfe\x00garbage\r\n\r\n"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_refused_and_closed(webhook, case):
    expected, data = MALFORMED[case]
    status, received = rawhttp.exchange(webhook, data)
    assert status == expected, received
    assert webhook.request("GET", "/healthz")[0] == 200


def test_what_follows_a_refused_request_is_not_read_as_another(webhook):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    head = POST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(smuggled))
    _, received = rawhttp.exchange(webhook, head + smuggled)
    assert received.count(b"HTTP/1.1 ") == 1


def test_plain_http_on_the_tls_port_is_closed(webhook):
    with socket.create_connection(("127.0.0.1", webhook.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        received, _ = rawhttp.until_closed(plain, 5)
    assert b"200" not in received


def test_a_client_that_goes_away_in_the_middle_does_no_harm(webhook):
    body = reviews.body()
    for part in (b"", POST[:20], POST, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100],
                 POST + b"Content-Length: %d\r\n\r\n" % len(body) + body):
        with rawhttp.connect(webhook) as connection:
            connection.sendall(part)
    assert webhook.request("GET", "/healthz")[0] == 200


def test_requests_in_one_packet_are_answered_in_order(webhook):
    data = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    _, received = rawhttp.exchange(webhook, data)
    assert received.index(b"HTTP/1.1 200 ") < received.index(b"HTTP/1.1 404 ")


def drip(connections, deadline_s):
    """Sends each connection's bytes one by one, one a second, until the server closes; {name: seconds}."""
    selector = selectors.DefaultSelector()
    left = {}
    for name, (connection, data) in connections.items():
        connection.settimeout(5)
        selector.register(connection, selectors.EVENT_READ, name)
        left[name] = data
    start = time.monotonic()
    next_byte = start
    closed = {}
    while left and time.monotonic() < start + deadline_s:
        for key, _ in selector.select(max(0, next_byte - time.monotonic())):
            try:
                gone = not key.fileobj.recv(65536)
            except OSError:
                gone = True
            if gone:
                closed[key.data] = time.monotonic() - start
                selector.unregister(key.fileobj)
                del left[key.data]
        if time.monotonic() >= next_byte:
            next_byte += 1
            for name in list(left):
                byte, left[name] = left[name][:1], left[name][1:]
                try:
                    connections[name][0].sendall(byte)
                except OSError:
                    pass  # the close is seen above
    return closed


@pytest.mark.slow
def test_clients_that_drip_are_cut_off_and_idle_ones_are_not(webhook):
    body = reviews.body()
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    connections = {}
    for name, start, rest in (("handshake only", b"", b""), ("head", POST[:4], POST[4:]),
                              ("body", whole[:-60], whole[-60:])):
        connection = rawhttp.connect(webhook)
        connection.sendall(start)
        connections[name] = (connection, rest)
    for name, start, rest in (("second head", POST[:4], POST[4:]), ("second body", whole[:-60], whole[-60:])):
        connection = rawhttp.connect(webhook)
        connection.sendall(whole)
        assert rawhttp.read_response(connection)[0] == 200
        connection.sendall(start)
        connections[name] = (connection, rest)
    plain = socket.create_connection(("127.0.0.1", webhook.port))
    connections["TLS hello"] = (plain, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100)
    idle = rawhttp.connect(webhook)
    idle.sendall(whole)
    assert rawhttp.read_response(idle)[0] == 200

    closed = drip(connections, DEADLINE_S + 7)
    assert closed.keys() == connections.keys()
    assert all(DEADLINE_S - 2 < seconds < DEADLINE_S + 5 for seconds in closed.values()), closed
    idle.sendall(whole)
    assert rawhttp.read_response(idle)[0] == 200
    idle.close()
    for connection, _ in connections.values():
        connection.close()


@pytest.mark.slow
def test_a_slow_body_within_the_deadline_is_answered(webhook):
    body = reviews.body()
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with rawhttp.connect(webhook) as connection:
        connection.sendall(whole[:-3])
        connection.settimeout(1)
        for i in range(3, 0, -1):
            with pytest.raises(TimeoutError):  # nothing comes before the last byte
                connection.recv(1)
            connection.sendall(whole[-i:][:1])
        connection.settimeout(10)
        assert rawhttp.read_response(connection)[0] == 200
