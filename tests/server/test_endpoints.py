"""What each path answers, to good requests and to bad ones."""

import base64
import concurrent.futures
import json
import socket
import ssl
import warnings

import pytest
from prometheus_client.parser import text_string_to_metric_families

import rawhttp
import reviews

MIB = 1024 * 1024


def log_lines(server):
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def metrics(server):
    """{(name, labels): value} of every sample."""
    status, headers, body = server.request("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(body.decode()))
    return families, {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_ok(webhook, path):
    status, headers, body = webhook.request("GET", path)
    assert (status, body) == (200, b"ok\n")
    assert "Connection" not in headers


def test_an_annotated_pod_gets_a_patch(webhook):
    response = webhook.review(reviews.review())["response"]
    assert response["uid"] == reviews.UID
    assert response["allowed"] is True
    operations = json.loads(base64.b64decode(response["patch"]))
    assert any(o["path"].startswith("/spec/initContainers") for o in operations)


def test_a_query_such_as_the_api_servers_timeout_is_ignored(webhook):
    status, _, _ = webhook.request("POST", "/mutate?timeout=10s", reviews.body(), {"Content-Type": "application/json"})
    assert status == 200


def test_the_content_type_may_have_parameters(webhook):
    status, _, _ = webhook.post(reviews.body(), "application/json; charset=utf-8")
    assert status == 200


@pytest.mark.parametrize(("body", "message"), [
    (b"", "the body is missing"),
    (b"{", "not JSON: line 1"),
    (b"null", "not JSON"),
    (b"[]", "not an AdmissionReview"),
    (b"{}", "not an AdmissionReview"),
    (b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', "no request"),
    (b'{"a":1,"a":2}', "not JSON"),
    (b'{"a":"\\u0000"}', "not JSON"),
    (b'{"a":"\xff"}', "not JSON"),
    (b"\x00", "not JSON"),
    (b"[" * 100000, "nested deeper than 64 levels"),
    (b"[" + b"{}," * 2000000 + b"{}]", "memory"),
    (json.dumps(reviews.review())[:-1].encode(), "not JSON"),
], ids=lambda value: value[:24].decode(errors="replace") if isinstance(value, bytes) else "")
def test_a_body_that_is_no_review_is_a_400_with_the_reason(webhook, body, message):
    status, headers, answer = webhook.post(body)
    assert status == 400
    assert headers["Content-Type"] == "application/json"
    assert message in json.loads(answer)["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/yaml", "application/jsonx", ""])
def test_another_content_type_is_a_415(webhook, content_type):
    status, headers, answer = webhook.post(reviews.body(), content_type)
    assert status == 415
    assert headers["Connection"] == "close"
    assert "application/json" in json.loads(answer)["error"]


@pytest.mark.parametrize("path", ["/", "/mutate/", "/Mutate", "/healthz%00", "/%6dutate", "//mutate", "/../mutate"])
def test_an_unknown_path_is_a_404_that_lists_the_known(webhook, path):
    status, _, answer = webhook.request("GET", path)
    assert status == 404
    assert "/mutate" in json.loads(answer)["error"]


@pytest.mark.parametrize(("method", "path", "allow"), [
    ("GET", "/mutate", "POST"), ("PUT", "/mutate", "POST"), ("BREW", "/mutate", "POST"), ("OPTIONS", "/mutate", "POST"),
    ("POST", "/healthz", "GET"), ("DELETE", "/metrics", "GET"), ("post", "/mutate", "POST"),
])
def test_another_method_is_a_405_that_names_the_right_one(webhook, method, path, allow):
    status, headers, _ = webhook.request(method, path)
    assert status == 405
    assert headers["Allow"] == allow


def test_a_body_of_seven_mib_is_read(webhook):
    padding = reviews.review(annotations={"a": ""})
    padding["request"]["object"]["metadata"]["annotations"]["a"] = "x" * (7 * MIB - len(json.dumps(padding)))
    body = json.dumps(padding).encode()
    assert len(body) == 7 * MIB
    status, _, _ = webhook.post(body)
    assert status == 200


def test_a_larger_body_is_refused_before_it_is_sent(webhook):
    head = (b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (7 * MIB + 1))
    status, received = rawhttp.exchange(webhook, head)
    assert status == 413
    assert b"larger than 7 MiB" in received


def test_a_larger_body_in_chunks_is_refused_when_it_has_passed_the_limit(webhook):
    chunk = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
    with rawhttp.connect(webhook) as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8 + b"0\r\n\r\n")
        received, _ = rawhttp.until_closed(connection, 5)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 7 MiB" in received


def test_a_body_without_end_is_cut_off(webhook):
    chunk = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
    with rawhttp.connect(webhook) as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(OSError):  # refused by the peer
            for _ in range(64):
                connection.sendall(chunk)


def test_many_large_bodies_at_once_do_not_add_up(webhook):
    """What the bodies in memory may take together is limited; the rest gets a 503, and small reviews go on."""
    held = []
    for _ in range(8):
        connection = rawhttp.connect(webhook)
        connection.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                           % (7 * MIB))
        connection.sendall(b" " * (7 * MIB - 1))
        held.append(connection)
    assert webhook.review(reviews.review())["response"]["allowed"] is True
    statuses = []
    for connection in held:
        connection.sendall(b" ")
        statuses.append(rawhttp.read_response(connection)[0])
        connection.close()
    assert set(statuses) == {400, 503}
    assert webhook.review(reviews.review())["response"]["allowed"] is True


def test_reviews_on_many_connections_are_each_answered_with_their_uid(webhook):
    def one(number):
        connection = webhook.connection()
        try:
            for i in range(20):
                uid = f"{number}-{i}"
                assert webhook.review(reviews.review(uid=uid), connection)["response"]["uid"] == uid
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))


def test_metrics_are_valid_and_count_what_was_done(webhook):
    before = metrics(webhook)[1]
    webhook.review(reviews.review())
    webhook.review(reviews.review(annotations={}))
    webhook.review(reviews.review(annotations={"ome.io/storage-type": "pvc"}))
    webhook.review(reviews.review(kind="Invented"))
    webhook.post(b"{")
    webhook.request("GET", "/nowhere")
    families, after = metrics(webhook)

    def grown(name, **labels):
        key = (f"modelberth_webhook_{name}", *sorted(labels.items()))
        return after[key] - before[key]

    assert grown("reviews_total", kind="Pod", outcome="patched") == 1
    assert grown("reviews_total", kind="Pod", outcome="allowed") == 1
    assert grown("reviews_total", kind="Pod", outcome="denied") == 1
    assert grown("reviews_total", kind="other", outcome="allowed") == 1
    assert grown("reviews_total", kind="other", outcome="error") == 1
    assert grown("review_duration_seconds_count") == 5
    assert grown("http_responses_total", code="400") == 1
    assert grown("http_responses_total", code="404") == 1
    assert after[("modelberth_webhook_requests_in_flight",)] == 1  # this one
    assert after[("modelberth_webhook_connections",)] >= 1
    assert after[("process_resident_memory_bytes",)] > 1e6
    types = {f.name: f.type for f in families}
    assert types["modelberth_webhook_review_duration_seconds"] == "histogram"
    assert types["modelberth_webhook_reviews"] == "counter"
    buckets = [v for k, v in after.items() if k[0] == "modelberth_webhook_review_duration_seconds_bucket"]
    assert buckets == sorted(buckets) and len(buckets) == 18
    assert all(f.documentation for f in families)


def test_the_metric_of_the_certificates_end_is_right(webhook):
    with rawhttp.connect(webhook) as connection:
        not_after = connection.getpeercert()["notAfter"]
    value = metrics(webhook)[1][("modelberth_webhook_certificate_expiry_timestamp_seconds",)]
    assert value == ssl.cert_time_to_seconds(not_after)


def test_each_decision_is_one_line_of_the_log(webhook):
    uid = "the-one-that-is-looked-for"
    denied = {"ome.io/storage-type": "pvc"}
    webhook.review(reviews.review(annotations=denied, uid=uid, name="pod-of-the-log"))
    lines = [line for line in log_lines(webhook) if line.get("uid") == uid]
    assert len(lines) == 1
    line = lines[0]
    assert (line["msg"], line["kind"], line["namespace"], line["name"]) == ("review", "Pod", "serving", "pod-of-the-log")
    assert (line["operation"], line["decision"]) == ("CREATE", "denied")
    assert "ome.io/pvc-name" in line["reason"]
    assert 0 <= line["duration_us"] < 5e6


def test_tls_1_1_is_refused_and_1_2_and_1_3_are_taken(webhook):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(webhook.tls / "ca.crt"))
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", webhook.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                assert connection.version() == version.name.replace("_", ".")
    context = ssl.create_default_context(cafile=str(webhook.tls / "ca.crt"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", webhook.port), timeout=10) as plain:
        with pytest.raises(ssl.SSLError, match="alert protocol version|EOF"):  # by the server
            context.wrap_socket(plain, server_hostname="localhost")
