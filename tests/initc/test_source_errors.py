"""The source says no, is slow, breaks off, or sends something else."""

import json
import os
import re
import time

import pytest
from conftest import body_bytes, content, leftovers
from hub import TOKEN_FULL, TOKEN_LIMITED
from hubseed import GATED, MODEL, PRIVATE

SHARD = "model-00001-of-00002.safetensors"
SOURCE = f"hf://{MODEL}@v1"


def files(hub):
    return hub.store.content("model", MODEL, "v1")


# refusals: exit 7, each with its own sentence and way out

def test_a_gated_repository_is_told_from_a_missing_one(initc, hub, volume):
    error = initc.fetch(f"hf://{GATED}", volume / "a").must(7).error
    assert "is gated" in error and f"{hub.url}/{GATED}" in error and "HF_TOKEN holds none" in error
    error = initc.fetch(f"hf://{GATED}", volume / "b", env={"HF_TOKEN": TOKEN_LIMITED}).must(7).error
    assert "is gated" in error and "has no access" in error
    error = initc.fetch("hf://acme/nothing", volume / "c").must(7).error
    assert "no repository 'acme/nothing'" in error and "token" in error
    error = initc.fetch(f"hf://{PRIVATE}", volume / "d", env={"HF_TOKEN": TOKEN_LIMITED}).must(7).error
    assert f"no repository '{PRIVATE}', or the token of environment variable HF_TOKEN may not read it" in error


@pytest.mark.parametrize("revision", ["nope", "0" * 40])
def test_a_missing_revision_never_falls_back(initc, hub, volume, revision):
    error = initc.fetch(f"hf://{MODEL}@{revision}", volume / "model").must(7).error
    assert f"'{MODEL}' has no revision '{revision}'" in error
    assert not (volume / "model").exists()


def test_a_wrong_token_is_named_by_its_place_only(initc, volume, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/HF_TOKEN").write_text("hf_somebodysInvalidToken\n")
    error = initc.fetch(SOURCE, volume / "model", "--credentials", tmp_path / "secret").must(7).error
    assert f"refuses the token of file '{tmp_path}/secret/HF_TOKEN'" in error


def test_a_disabled_repository_is_told(initc, hub, volume):
    hub.control.repo(MODEL, disabled=True)
    assert "is disabled" in initc.fetch(SOURCE, volume / "model").must(7).error


def test_a_renamed_repository_is_followed(initc, hub, volume):
    hub.store.commit("acme/old-name", {"config.json": b"{}"})
    hub.control.repo("acme/old-name", moved_to=MODEL)
    initc.fetch("hf://acme/old-name@v1", volume / "model").must()
    assert content(volume / "model") == files(hub)


# credentials

@pytest.mark.parametrize("place", ["secret", "environment", "token path", "home", "hf home"])
def test_the_token_comes_from_its_usual_places_and_never_reaches_the_cdn(initc, hub, volume, tmp_path, place):
    flags, env = [], {}
    if place == "secret":
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret/HF_TOKEN").write_text(TOKEN_FULL + "\n")
        (tmp_path / "secret/HF_ENDPOINT").write_text(hub.url)
        flags, env = ["--credentials", tmp_path / "secret"], {"HF_TOKEN": "hf_somebodysInvalidToken", "HF_ENDPOINT": "http://127.0.0.1:1"}
    elif place == "environment":
        env = {"HF_TOKEN": TOKEN_FULL}
    else:
        path = {"token path": tmp_path / "token", "home": tmp_path / "home/.cache/huggingface/token", "hf home": tmp_path / "hf/token"}[place]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TOKEN_FULL)
        env = {"token path": {"HF_TOKEN_PATH": str(path)}, "home": {}, "hf home": {"HF_HOME": str(tmp_path / "hf")}}[place]
    initc.fetch(f"hf://{PRIVATE}", volume / "model", *flags, env=env).must()
    log = hub.control.log()
    assert any(r["origin"] == "cdn" and r["bytes"] for r in log)
    assert all(r["had_authorization"] == (r["origin"] == "hub") for r in log)
    assert hub.control.cdn_authorization() == 0


def test_a_token_with_a_line_break_is_refused_unsent(initc, hub, volume):
    error = initc.fetch(SOURCE, volume / "model", env={"HF_TOKEN": "hf_x\r\nX-Evil: 1"}).must(2).error
    assert "control character" in error
    assert hub.control.log() == []


def test_an_endpoint_with_a_password_or_without_http_is_refused(initc, volume):
    for endpoint in ("http://user:pass@127.0.0.1/", "ftp://127.0.0.1/", "huggingface.co"):
        assert "HF_ENDPOINT" in initc.fetch(SOURCE, volume / "model", env={"HF_ENDPOINT": endpoint}).must(2).error


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0xa9fea9fe"])
def test_link_local_addresses_are_refused(initc, hub, volume, host):
    assert "link-local" in initc.fetch(SOURCE, volume / "a", env={"HF_ENDPOINT": f"http://{host}"}).must(7).error
    hub.control.fault(match=re.escape(SHARD), origin="hub", status=302, headers={"Location": f"http://{host}/latest"}, times=None)
    assert "link-local" in initc.fetch(SOURCE, volume / "b").must(7).error


def test_redirects_are_bounded_and_keep_to_http(initc, hub, volume):
    fault = {"match": "/resolve/.*config.json", "status": 302, "times": None}
    hub.control.fault(**fault, headers={"Location": f"/{MODEL}/resolve/v1/config.json"})
    assert "redirects more than" in initc.fetch(SOURCE, volume / "a").must(7).error
    for scheme, message in (("file:///etc/passwd", "no URL"), ("ftp://127.0.0.1/x", "neither http nor https"),
                            (hub.cdn_url.replace("http://", "http://user:word@"), "user name or password")):
        hub.control.reset()
        hub.control.fault(**fault, headers={"Location": scheme})
        assert message in initc.fetch(SOURCE, volume / scheme[:4]).must(7).error


# what is remembered

def test_a_refusal_is_remembered_until_the_secret_changes(initc, hub, volume, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    flags = ["--credentials", secret]
    initc.fetch(f"hf://{PRIVATE}", volume / "model", *flags).must(7)
    hub.control.reset()
    error = initc.fetch(f"hf://{PRIVATE}", volume / "model", *flags).must(7).error
    assert "remembered" in error and f"no repository '{PRIVATE}'" in error
    assert hub.control.log() == []
    (secret / "HF_TOKEN").write_text(TOKEN_FULL)
    initc.fetch(f"hf://{PRIVATE}", volume / "model", *flags).must()
    assert leftovers(volume) == []


def test_a_memory_of_five_minutes_ago_does_not_count(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@later", volume / "model").must(7)
    (failed,) = (volume / ".modelberth").glob("*.failed")
    text = failed.read_text()
    failed.write_text(re.sub(r'"time":(\d+)', lambda m: f'"time":{int(m[1]) - 301}', text))
    hub.store.commit(MODEL, {"config.json": b"{}"}, ref="refs/heads/later")
    initc.fetch(f"hf://{MODEL}@later", volume / "model").must()


# transient trouble

@pytest.mark.slow
def test_too_many_requests_waits_as_long_as_asked(initc, hub, volume):
    hub.control.fault(match="/tree/", status=429, headers={"Retry-After": "2"})
    hub.control.fault(match="/resolve/.*config", status=429, headers={"RateLimit": '"api";r=0;t=1'})
    began = time.monotonic()
    initc.fetch(SOURCE, volume / "model").must()
    assert time.monotonic() - began >= 4
    assert content(volume / "model") == files(hub)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_server_in_trouble_is_asked_again(initc, hub, volume, status):
    hub.control.fault(match="/revision/", status=status)
    hub.control.fault(match="/resolve/", status=status)
    hub.control.fault(origin="cdn", status=status)
    done = initc.fetch(SOURCE, volume / "model").must()
    assert f"answers {status}; next try in" in done.err
    assert content(volume / "model") == files(hub)


@pytest.mark.slow
def test_trouble_that_lasts_ends_with_the_timeout_and_the_last_reason(initc, hub, volume):
    hub.control.fault(match="/tree/", status=503, times=None)
    done = initc.fetch(SOURCE, volume / "model", "--timeout", "3s").must(4)
    assert "no time left" in done.error and "503" in done.error
    hub.control.reset()
    initc.fetch(SOURCE, volume / "model").must()


def test_waiting_longer_than_the_timeout_is_not_even_begun(initc, hub, volume):
    hub.control.fault(match="/tree/", status=429, headers={"Retry-After": "3600"}, times=None)
    began = time.monotonic()
    initc.fetch(SOURCE, volume / "model", "--timeout", "60s").must(4)
    assert time.monotonic() - began < 30


def test_an_unreachable_hub_is_transient(initc, volume):
    done = initc.fetch(SOURCE, volume / "model", "--timeout", "2s", env={"HF_ENDPOINT": "http://127.0.0.1:1"}).must(4)
    assert "http://127.0.0.1" in done.error


@pytest.mark.slow
def test_a_stalled_transfer_is_cut_and_goes_on_where_it_was(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", stall_after=100_000)
    done = initc.fetch(SOURCE, volume / "model", "--stall-timeout", "2s").must()
    assert "stalled" in done.err
    assert content(volume / "model") == files(hub)
    assert [r["range"] for r in hub.control.log("cdn", SHARD)] == [f"bytes=0-{len(files(hub)[SHARD]) - 1}",
                                                                   f"bytes=100000-{len(files(hub)[SHARD]) - 1}"]


@pytest.mark.slow
def test_a_hub_that_answers_nothing_at_all_is_cut_too(initc, hub, volume):
    hub.control.fault(match="/tree/", stall_after=-1)
    initc.fetch(SOURCE, volume / "model", "--stall-timeout", "2s").must()


def test_a_cut_connection_goes_on_where_it_was(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", cut_after=50_000, times=3)
    initc.fetch(SOURCE, volume / "model").must()
    assert content(volume / "model") == files(hub)
    assert body_bytes(hub, SHARD) == len(files(hub)[SHARD])


def test_an_answer_that_is_too_short_is_completed(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", short_by=1000)
    initc.fetch(SOURCE, volume / "model").must()
    assert content(volume / "model") == files(hub)


def test_a_server_that_ignores_ranges_starts_the_file_again(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", cut_after=50_000)
    hub.control.fault(match=re.escape(SHARD), origin="cdn", ignore_range=True, skip=0)
    initc.fetch(SOURCE, volume / "model").must()
    assert content(volume / "model") == files(hub)


def test_a_wrong_content_range_is_not_believed(initc, hub, volume):
    size = len(files(hub)[SHARD])
    hub.control.fault(match=re.escape(SHARD), origin="cdn", content_range=f"bytes 5-{size - 1}/{size}")
    done = initc.fetch(SOURCE, volume / "model").must()
    assert "asked was from byte 0" in done.err
    assert content(volume / "model") == files(hub)


def test_an_expired_link_is_asked_for_again(initc, hub, volume):
    size = len(files(hub)[SHARD])
    hub.control.fault(match=re.escape(SHARD), origin="cdn", skip=3, expire_links=True)
    initc.fetch(SOURCE, volume / "model", "--range-size", "64K", "--connections", "1").must()
    assert content(volume / "model") == files(hub)
    log = hub.control.log("cdn", SHARD)
    assert [r["status"] for r in log].count(403) == 1
    assert sum(r["bytes"] for r in log if r["status"] == 206) == size
    assert len(hub.control.log("hub", f"/resolve/{hub.store.repo('model', MODEL).resolve('v1').oid}/{SHARD}")) == 2


@pytest.mark.slow
def test_links_that_never_work_end_as_a_refusal(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", status=403, times=None)
    assert "answers 403" in initc.fetch(SOURCE, volume / "model").must(7).error


def test_every_request_for_a_file_is_a_bounded_range(initc, hub, volume):
    initc.fetch(SOURCE, volume / "model", "--range-size", "100K").must()
    for request in hub.control.log(contains="/resolve/") + hub.control.log("cdn"):
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", request["range"]).groups())
        assert 0 <= last - first < 100 * 1024


# wrong bytes on the wire

def test_a_file_with_a_flipped_byte_is_fetched_once_more(initc, hub, volume):
    hub.control.fault(match=re.escape(SHARD), origin="cdn", flip=5000)
    done = initc.fetch(SOURCE, volume / "model").must()
    assert "fetched once more" in done.err
    assert content(volume / "model") == files(hub)
    assert len(hub.control.log("cdn", SHARD)) == 2


@pytest.mark.parametrize("name", [SHARD, "tokenizer.json"])
def test_a_file_that_is_wrong_twice_is_refused_and_remembered(initc, hub, volume, name):
    hub.control.fault(match="/resolve/.*tokenizer" if name != SHARD else re.escape(SHARD), origin="hub" if name != SHARD else "cdn",
                      flip=5000, times=None)
    error = initc.fetch(SOURCE, volume / "model").must(3).error
    entry = hub.store.repo("model", MODEL).resolve("v1").files[name]
    assert f"'{name}' came twice with the wrong content" in error and f":{entry.digest}, got " in error
    assert not (volume / "model").exists()
    hub.control.reset()
    assert "remembered" in initc.fetch(SOURCE, volume / "model").must(3).error
    assert hub.control.log() == []


# what a source may be called

def list_names(hub, *names):
    """The hub says that these are the files."""
    rows = [{"type": "file", "path": name, "size": 2, "oid": "9e26dfeeb6e641a33dae4961196235bdb965b21b"} for name in names]
    hub.control.fault(match="/tree/", status=200, body=json.dumps(rows))


@pytest.mark.parametrize(("name", "part"), [
    ("../evil.txt", "'..' segment"), ("/etc/evil", "must be relative"), ("a/../../evil", "'..' segment"), ("a//b", "empty segment"),
    (".modelberth/receipt.json", "reserved"), (".Download-Complete", "reserved"), ("a\nb", "control character"), ("back\\slash", "backslash"),
    ("x" * 300, "longer than"), ("", "empty segment"), ("nul\0byte", "cannot be understood"),
])
def test_hostile_names_are_refused(initc, hub, volume, name, part):
    list_names(hub, "config.json", name)
    error = initc.fetch(SOURCE, volume / "model").must(7).error
    assert part in error
    assert os.listdir(volume) == [".modelberth"] and body_bytes(hub) == 0


@pytest.mark.parametrize("names", [("Config.json", "config.json"), ("a/x", "A/y"), ("a", "a/b"), ("a", "A/b"), ("same", "same")])
def test_names_that_cannot_stand_beside_each_other_are_refused(initc, hub, volume, names):
    list_names(hub, *names, "a-between", "a.b")
    error = initc.fetch(SOURCE, volume / "model").must(7).error
    assert f"'{names[0]}'" in error and f"'{names[1]}'" in error
    assert body_bytes(hub) == 0


def test_an_answer_that_is_no_hub_is_told(initc, hub, volume):
    hub.control.fault(match="/revision/", status=200, body="<html>welcome</html>")
    assert "is HF_ENDPOINT right" in initc.fetch(SOURCE, volume / "a").must(7).error
    hub.control.fault(match="/tree/", status=200, body="[" * 100_000)
    assert "nested deeper" in initc.fetch(SOURCE, volume / "b").must(7).error
    hub.control.fault(match="/tree/", status=200, body='[{"type":"file","path":"a","size":-1,"oid":"x"}]')
    initc.fetch(SOURCE, volume / "c").must(7)


def test_pages_that_never_end_are_cut(initc, hub, volume):
    hub.control.fault(match="/tree/", status=200, body="[]", times=None, headers={"Link": f'<{hub.url}/api/models/{MODEL}/tree/x>; rel="next"'})
    assert "pages" in initc.fetch(SOURCE, volume / "model").must(7).error
