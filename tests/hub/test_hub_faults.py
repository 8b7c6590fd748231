"""The hub misbehaves exactly as asked, and its HTTP is right where the real client does not look."""

import http.client
import ssl
import subprocess
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from hub import TOKEN_FULL, Hub, HubControl
from hubseed import GATED, MODEL, PLAIN_FILE

SHARD = "model-00001-of-00002.safetensors"
SHARD_PATH = f"/{MODEL}/resolve/v1/{SHARD}"
TREE = f"/api/models/{MODEL}/tree/main"


class Answer:
    def __init__(self, response: http.client.HTTPResponse, body: bytes):
        self.status, self.headers, self.body = response.status, response.headers, body


def connect(url: str, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    where = urlsplit(url).netloc
    return http.client.HTTPSConnection(where, timeout=20, context=tls) if tls else http.client.HTTPConnection(where, timeout=20)


def get(url: str, path: str = "", method: str = "GET", tls=None, **headers: str) -> Answer:
    """One request on a connection of its own; `path` is below `url`, or `url` is the whole of it."""
    parts = urlsplit(url + path)
    with closing(connect(url, tls)) as connection:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""),
                           headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response, response.read())


@pytest.fixture
def shard(hub) -> bytes:
    return hub.store.content("model", MODEL, "v1")[SHARD]


@pytest.fixture
def link(hub) -> str:
    """A signed CDN link of the first shard, as a client gets it."""
    answer = get(hub.url, SHARD_PATH)
    hub.control.reset()
    return answer.headers["Location"]


def test_the_redirect_names_the_real_digest_and_the_cdn_another(hub, link, shard):
    head = get(hub.url, SHARD_PATH, method="HEAD")
    entry = hub.store.repo("model", MODEL).resolve("v1").files[SHARD]
    assert (head.status, head.body) == (302, b"")
    assert head.headers["X-Linked-ETag"] == f'"{entry.sha256}"'
    assert int(head.headers["X-Linked-Size"]) == len(shard)
    answer = get(link)
    assert answer.body == shard
    assert entry.sha256 not in answer.headers["ETag"]


@pytest.mark.parametrize(("asked", "start", "end"), [
    ("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=460000-", 460_000, None), ("bytes=-7", -7, None),
    ("bytes=460000-99999999", 460_000, None), ("bytes=-99999999", 0, None),
])
def test_a_range_gets_exactly_its_bytes(link, shard, asked, start, end):
    answer = get(link, Range=asked)
    wanted = shard[start:end]
    first = start % len(shard)
    assert (answer.status, answer.body) == (206, wanted)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(wanted) - 1}/{len(shard)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=-", "lines=1-2", "bytes=0-1,4-5"])
def test_what_is_no_single_range_gets_everything(link, shard, asked):
    answer = get(link, Range=asked)
    assert (answer.status, answer.body) == (200, shard)


def test_a_range_behind_the_end_is_416(hub, link, shard):
    answer = get(link, Range=f"bytes={len(shard)}-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(shard)}")
    assert get(hub.url, f"/{MODEL}/resolve/main/merges.txt", Range="bytes=0-").status == 416


def test_conditions_are_honoured(hub, shard):
    etag = get(hub.url, f"/files/{PLAIN_FILE}").headers["ETag"]
    path = f"/files/{PLAIN_FILE}"
    assert get(hub.url, path, If_None_Match=etag).status == 304
    assert get(hub.url, path, If_Match='"other"').status == 412
    assert get(hub.url, path, If_Range=etag, Range="bytes=0-9").body == shard[:10]
    assert get(hub.url, path, If_Range='"other"', Range="bytes=0-9").body == shard


def test_plain_files_do_not_leave_their_folder(hub):
    assert get(hub.url, "/files/tiny/hello.txt").body == b"hello\n"
    for path in ("/files/../models/acme/tiny-llama/repo.json", "/files/%2e%2e/models/acme/tiny-llama/repo.json",
                 "/files/", "/files/missing"):
        assert get(hub.url, path).status == 404


def test_a_connection_is_kept_for_the_next_request(hub):
    with closing(connect(hub.url)) as connection:
        for path in (TREE, SHARD_PATH, "/nothing/here", f"/{MODEL}/resolve/main/config.json"):
            connection.request("GET", path)
            connection.getresponse().read()
    assert len({one["connection"] for one in hub.control.log()}) == 1


def test_the_cdn_refuses_and_counts_a_request_with_a_token(hub, link):
    answer = get(link, Authorization=f"Bearer {TOKEN_FULL}")
    assert answer.status == 400
    assert hub.control.cdn_authorization() == 1
    assert hub.control.log(origin="cdn")[0]["had_authorization"] is True


def test_a_forged_or_expired_link_is_refused(hub, link):
    assert get(link.replace("Expires=", "Expires=9")).status == 403
    assert get(link.partition("?")[0]).status == 403
    hub.control.expire_links()
    assert get(link).status == 403
    hub.control.settings(link_ttl=-1)
    assert get(get(hub.url, SHARD_PATH).headers["Location"]).status == 403


def test_links_expire_in_the_middle_of_a_download(hub, link, shard):
    hub.control.fault(SHARD, origin="cdn", skip=1, expire_links=True)
    assert get(link, Range="bytes=0-9").status == 206
    assert [get(link, Range="bytes=10-19").status for _ in range(2)] == [403, 403]
    fresh = get(hub.url, SHARD_PATH).headers["Location"]
    assert get(fresh, Range="bytes=10-19").body == shard[10:20]


def test_gated_files_say_so_and_their_listing_stays_public(hub):
    answer = get(hub.url, f"/{GATED}/resolve/main/config.json")
    assert (answer.status, answer.headers["X-Error-Code"]) == (401, "GatedRepo")
    assert "restricted" in answer.headers["X-Error-Message"]
    assert get(hub.url, f"/api/models/{GATED}/tree/main").status == 200


def test_a_status_is_answered_as_often_as_asked(hub):
    hub.control.fault("/tree/", status=503, headers={"Retry-After": "7"}, body="busy", skip=1, times=2)
    answers = [get(hub.url, TREE) for _ in range(4)]
    assert [one.status for one in answers] == [200, 503, 503, 200]
    assert (answers[1].headers["Retry-After"], answers[1].body) == ("7", b"busy")
    assert [one["hits"] for one in hub.control.faults()] == [2]
    assert [one["fault"] for one in hub.control.log()] == [None, 1, 1, None]


def test_headers_are_replaced_and_removed(hub):
    hub.control.fault("/resolve/", headers={"x-repo-commit": None, "ETag": '"other"'}, times=None)
    answer = get(hub.url, f"/{MODEL}/resolve/main/config.json")
    assert answer.headers["X-Repo-Commit"] is None
    assert answer.headers.get_all("ETag") == ['"other"']


def test_a_cut_leaves_the_promised_length_unmet(hub, link, shard):
    hub.control.fault(SHARD, cut_after=1000)
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(link)
    assert caught.value.partial == shard[:1000]
    assert get(link).body == shard


def test_a_short_answer_is_complete_by_its_own_length(hub, link, shard):
    hub.control.fault(SHARD, short_by=3)
    answer = get(link, Range="bytes=0-99")
    assert (answer.status, answer.body) == (206, shard[:97])
    assert answer.headers["Content-Range"] == f"bytes 0-99/{len(shard)}"


def test_a_flipped_byte_shows_in_the_range_that_holds_it(hub, link, shard):
    hub.control.fault(SHARD, flip=50_000, times=None)
    assert get(link, Range="bytes=0-49999").body == shard[:50_000]
    assert get(link, Range="bytes=49999-50001").body == bytes([shard[49_999], shard[50_000] ^ 0xFF, shard[50_001]])
    whole = get(link).body
    assert [at for at in range(len(shard)) if whole[at] != shard[at]] == [50_000]


def test_ranges_are_ignored_or_answered_wrongly_on_demand(hub, link, shard):
    hub.control.fault(SHARD, ignore_range=True)
    hub.control.fault(SHARD, content_range="bytes 0-9/11")
    ignored, wrong = get(link, Range="bytes=10-19"), get(link, Range="bytes=10-19")
    assert (ignored.status, ignored.body) == (200, shard)
    assert (wrong.status, wrong.headers["Content-Range"], wrong.body) == (206, "bytes 0-9/11", shard[10:20])


@pytest.mark.parametrize("stall_after", [-1, 0, 1000])
def test_a_stalled_answer_waits_to_be_released(hub, link, shard, stall_after):
    hub.control.fault(SHARD, origin="cdn", stall_after=stall_after)
    parts = urlsplit(link)
    with closing(connect(link)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}")
        stalled = hub.control.wait(SHARD, state="stalled")
        assert stalled[0]["bytes"] == max(0, stall_after)
        hub.control.release()
        assert connection.getresponse().read() == shard
    assert hub.control.wait(SHARD, state="done")[0]["bytes"] == len(shard)


def test_a_stalled_answer_ends_when_its_client_goes(hub, link):
    hub.control.fault(SHARD, origin="cdn", stall_after=1000)
    parts = urlsplit(link)
    connection = connect(link)
    connection.request("GET", f"{parts.path}?{parts.query}")
    hub.control.wait(SHARD, state="stalled")
    connection.close()
    assert hub.control.wait(SHARD, state="done")


def test_a_wait_for_too_few_requests_fails(hub):
    with pytest.raises(TimeoutError, match="0 of 1"):
        hub.control.wait("never asked", timeout=0.1)


def test_a_slow_answer_takes_its_time(hub, link, shard):
    hub.control.fault(SHARD, bytes_per_second=200_000)
    began = time.monotonic()
    assert get(link, Range="bytes=0-99999").body == shard[:100_000]
    assert time.monotonic() - began >= 0.45


def test_reset_forgets_everything(hub):
    hub.control.fault(status=500, times=None)
    hub.control.settings(page_size=1)
    hub.control.repo(MODEL, private=True)
    hub.control.move_ref(MODEL, "main", "v1")
    assert get(hub.url, TREE).status == 500
    hub.control.reset()
    assert (hub.control.log(), hub.control.faults(), hub.control.settings()["page_size"]) == ([], [], 3)
    assert hub.store.repo("model", MODEL).resolve("main").oid in get(hub.url, f"/api/models/{MODEL}").body.decode()


def test_a_mistyped_control_request_is_refused(hub):
    with pytest.raises(ValueError, match="cut_aftr"):
        hub.control.fault(cut_aftr=1)
    with pytest.raises(ValueError, match="page_sise"):
        hub.control.settings(page_sise=1)
    with pytest.raises(ValueError, match="no revision"):
        hub.control.move_ref(MODEL, "main", "v9")
    with pytest.raises(ValueError, match="no such control"):
        hub.control._call("restart", {})
    with pytest.raises(ValueError, match="secret"):
        hub.control.repo(MODEL, secret=True)
    with pytest.raises(ValueError, match="error"):
        hub.control.fault("(")


def test_both_origins_speak_tls(seeded_hub_data, tmp_path, shard):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=cert)
    with Hub(seeded_hub_data, host="localhost", tls_cert=cert, tls_key=key) as hub:
        assert hub.url.startswith("https://localhost:")
        location = get(hub.url, SHARD_PATH, tls=trust).headers["Location"]
        assert location.startswith(hub.cdn_url + "/")
        assert get(location, tls=trust).body == shard
        assert {one["status"] for one in hub.control.log()} == {302, 200}
        assert isinstance(hub.control, HubControl)
