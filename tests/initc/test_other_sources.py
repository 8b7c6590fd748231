"""https:// with one file, and pvc:// from another claim."""

import hashlib
import os
import re
import signal
import subprocess

import pytest
from conftest import ROOT, Initc, content, parts, receipt, wait_for
from hub import Hub
from hubseed import MODEL, PLAIN_FILE


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Certificates for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run([ROOT / "certs/make-certs.sh", "--dir", folder, "--name", "localhost"], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def _secure_hub(seeded_hub_data, authority):
    with Hub(seeded_hub_data, host="localhost", tls_cert=str(authority / "tls.crt"), tls_key=str(authority / "tls.key")) as server:
        yield server


@pytest.fixture
def secure(_secure_hub, authority, tmp_path):
    _secure_hub.control.reset()
    (tmp_path / "home").mkdir()
    runner = Initc(_secure_hub, tmp_path / "home")
    runner.env["SSL_CERT_FILE"] = str(authority / "ca.crt")
    yield runner
    runner.stop()
    _secure_hub.control.reset()


@pytest.fixture
def file(secure):
    data = (secure.hub.store.root / "files" / PLAIN_FILE).read_bytes()
    return f"{secure.hub.url}/files/{PLAIN_FILE}", data, hashlib.sha256(data).hexdigest()


def test_a_pinned_file_is_verified(secure, volume, file):
    url, data, digest = file
    done = secure.fetch(f"{url}#sha256={digest}", volume / "model").must()
    assert content(volume / "model") == {"model.safetensors": data}
    saved = receipt(volume / "model")
    assert saved["source"] == url and saved["revision"] == saved["version"] == f"sha256:{digest}"
    assert "unverified" not in done.closing["msg"]
    secure.hub.control.reset()
    secure.fetch(url, volume / "model", "--version", f"sha256={digest}").must()
    assert secure.hub.control.log() == []


def test_a_wrong_pin_is_refused(secure, volume, file):
    url, _, digest = file
    error = secure.fetch(f"{url}#sha256={'0' * 64}", volume / "model").must(3).error
    assert f"expected sha256:{'0' * 64}, got sha256:{digest}" in error
    assert not (volume / "model").exists()


def test_an_unpinned_file_is_reported_as_unverified(secure, volume, file):
    url, data, digest = file
    done = secure.fetch(url, volume / "model").must()
    assert "unverified" in done.closing["msg"]
    (one,) = receipt(volume / "model")["files"]
    assert one["unverified"] is True and one["digest"] == f"sha256:{digest}"
    assert "unverified" in secure.run("show", volume / "model").must().out
    assert content(volume / "model") == {"model.safetensors": data}


def test_the_query_of_a_url_is_nowhere_to_be_read(secure, volume, file, tmp_path):
    url, _, digest = file
    log = tmp_path / "termination"
    log.touch()
    secure.fetch(f"{url}?signature=very-secret-query#sha256={digest}", volume / "model").must()
    assert "very-secret-query" not in (volume / "model/.modelberth/receipt.json").read_text()
    gone = f"{secure.hub.url}/files/gone?signature=very-secret-query"
    secure.fetch(gone, volume / "gone", env={"MODELBERTH_TERMINATION_LOG": str(log)}).must(7)
    assert "very-secret-query" not in log.read_text() and "404" in log.read_text()


@pytest.mark.parametrize("pinned", [True, False])
def test_a_killed_download_of_one_file_resumes(secure, volume, file, pinned):
    url, data, digest = file
    source = f"{url}#sha256={digest}" if pinned else url
    secure.hub.control.fault(match="/files/", skip=1, stall_after=100_000, times=None)
    one = secure.start("fetch", source, "--to", volume / "model")
    secure.hub.control.wait("/files/", state="stalled")
    wait_for(lambda: parts(volume, 100_000), "the first bytes")
    one.signal(signal.SIGKILL)
    one.wait()
    secure.hub.control.reset()
    secure.fetch(source, volume / "model").must()
    assert content(volume / "model") == {"model.safetensors": data}
    assert [r["range"] for r in secure.hub.control.log(contains="/files/")] == ["bytes=0-0", f"bytes=100000-{len(data) - 1}"]


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_fetched_starts_again(secure, volume):
    path = secure.hub.store.root / "files" / "moving.bin"
    path.write_bytes(b"a" * 300_000)
    secure.hub.control.fault(match="moving", skip=1, stall_after=100_000)
    one = secure.start("fetch", f"{secure.hub.url}/files/moving.bin", "--to", volume / "model", "--stall-timeout", "2s")
    secure.hub.control.wait("moving", state="stalled")
    replacement = path.with_suffix(".new")
    replacement.write_bytes(b"b" * 300_000)
    os.replace(replacement, path)
    one.wait().must()
    assert content(volume / "model") == {"moving.bin": b"b" * 300_000}


def test_a_server_without_ranges_is_good_enough(secure, volume, file):
    url, data, digest = file
    secure.hub.control.fault(match="/files/", ignore_range=True, times=None)
    secure.fetch(f"{url}#sha256={digest}", volume / "model").must()
    assert content(volume / "model") == {"model.safetensors": data}


def test_an_empty_file_is_a_file(secure, volume):
    secure.hub.store.write(secure.hub.store.root / "files" / "empty.txt", b"")
    secure.fetch(f"{secure.hub.url}/files/empty.txt#sha256={hashlib.sha256(b'').hexdigest()}", volume / "model").must()
    assert content(volume / "model") == {"empty.txt": b""}


def test_a_certificate_that_nobody_vouches_for_is_refused(secure, volume, file):
    del secure.env["SSL_CERT_FILE"]
    error = secure.fetch(file[0], volume / "model").must(7).error
    assert "certificate of https://localhost is not trusted" in error and "SSL_CERT_FILE" in error


def test_the_bundle_may_also_be_named_as_curl_does(secure, volume, file, authority):
    del secure.env["SSL_CERT_FILE"]
    secure.fetch(file[0], volume / "model", env={"CURL_CA_BUNDLE": str(authority / "ca.crt")}).must()


def test_https_never_goes_down_to_http(secure, hub, volume, file):
    secure.hub.control.fault(match="/files/", status=302, headers={"Location": f"{hub.url}/files/{PLAIN_FILE}"}, times=None)
    assert "what is not https" in secure.fetch(file[0], volume / "model").must(7).error
    assert hub.control.log() == []


def test_a_whole_model_over_tls(secure, volume):
    secure.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    assert content(volume / "model") == secure.hub.store.content("model", MODEL, "v1")


# pvc://

@pytest.fixture
def claims(tmp_path):
    for name in ("models", "other"):
        (tmp_path / "claims" / name).mkdir(parents=True)
    return tmp_path / "claims"


def test_a_copy_takes_the_digests_of_the_other_claims_receipt(initc, hub, volume, claims):
    initc.fetch(f"hf://{MODEL}@v1", claims / "other/tiny").must()
    hub.control.reset()
    flags = ["--claims-dir", claims]
    done = initc.fetch("pvc://other/tiny", volume / "model", *flags).must()
    assert done.closing["how"] == "copied"
    assert content(volume / "model") == content(claims / "other/tiny")
    saved, upstream = receipt(volume / "model"), receipt(claims / "other/tiny")
    assert saved["revision"] == upstream["revision"] and saved["source"] == "pvc://other/tiny"
    assert [(f["path"], f["digest"]) for f in saved["files"]] == [(f["path"], f["digest"]) for f in upstream["files"]]
    assert initc.fetch("pvc://other/tiny", volume / "model", *flags).must().closing["how"] == "already verified"
    assert hub.control.log() == []


def test_a_copy_of_damaged_files_is_refused(initc, volume, claims):
    initc.fetch(f"hf://{MODEL}@v1", claims / "other/tiny").must()
    path = claims / "other/tiny/config.json"
    path.write_bytes(path.read_bytes().replace(b"512", b"513"))
    error = initc.fetch("pvc://other/tiny", volume / "model", "--claims-dir", claims).must(3).error
    assert "'config.json' came twice with the wrong content" in error
    os.truncate(path, 10)
    error = initc.fetch("pvc://other/tiny", volume / "else", "--claims-dir", claims).must(3).error
    assert "'config.json' in claim 'other' is shorter" in error


def test_a_copy_without_receipt_is_reported_as_unverified(initc, volume, claims):
    (claims / "other/by-hand/deep").mkdir(parents=True)
    (claims / "other/by-hand/config.json").write_text("{}")
    (claims / "other/by-hand/deep/x.bin").write_bytes(os.urandom(3_000_000))
    done = initc.fetch("pvc://other/by-hand", volume / "model", env={"MODELBERTH_CLAIMS_DIR": str(claims)}).must()
    assert content(volume / "model") == content(claims / "other/by-hand")
    assert "no source vouches for 2 of them" in done.closing["msg"]
    assert all(f["unverified"] for f in receipt(volume / "model")["files"])


def test_a_single_file_and_a_whole_claim_can_be_copied(initc, volume, claims):
    (claims / "other/a.gguf").write_bytes(b"x" * 100)
    (claims / "other/lost+found").mkdir()
    initc.fetch("pvc://other/a.gguf", volume / "one", "--claims-dir", claims).must()
    assert content(volume / "one") == {"a.gguf": b"x" * 100}
    initc.fetch("pvc://other", volume / "all", "--claims-dir", claims).must()
    assert content(volume / "all") == {"a.gguf": b"x" * 100}


def test_links_are_not_copied_and_wrong_names_are_told(initc, volume, claims):
    (claims / "other/tiny").mkdir()
    (claims / "other/tiny/passwd").symlink_to("/etc/passwd")
    assert "link or device" in initc.fetch("pvc://other/tiny", volume / "a", "--claims-dir", claims).must(7).error
    assert "holds 'tiny/'" in initc.fetch("pvc://other/tyni", volume / "b", "--claims-dir", claims).must(7).error
    assert re.search("cannot open claim 'missing'", initc.fetch("pvc://missing/x", volume / "c", "--claims-dir", claims).must(7).error)
