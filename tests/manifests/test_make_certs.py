"""certs/make-certs.sh"""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).resolve().parents[2] / "certs/make-certs.sh"
SERVICE = "modelberth-webhook.modelberth-system.svc"
FILES = ["ca.crt", "ca.key", "tls.crt", "tls.key"]


def run(*arguments, **options):
    return subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def make(folder, *arguments):
    result = run("--dir", folder, *arguments)
    assert result.returncode == 0, result.stderr
    return result


def contents(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)


def verifies(folder, option, name):
    return openssl("verify", "-CAfile", folder / "ca.crt", "-purpose", "sslserver", option, name,
                   folder / "tls.crt").returncode == 0


def text(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-text").stdout


@pytest.fixture
def certs(tmp_path):
    folder = tmp_path / "certs"
    make(folder)
    return folder


def test_default_certificate_is_for_the_service_and_nothing_else(certs):
    assert verifies(certs, "-verify_hostname", SERVICE)
    assert verifies(certs, "-verify_hostname", SERVICE + ".cluster.local")
    assert not verifies(certs, "-verify_hostname", "modelberth-webhook.other.svc")
    assert not verifies(certs, "-verify_ip", "127.0.0.1")


def test_certificate_and_ca_may_do_what_they_are_for(certs):
    leaf, ca = text(certs / "tls.crt"), text(certs / "ca.crt")
    assert "ASN1 OID: prime256v1" in leaf and "ASN1 OID: prime256v1" in ca
    assert "TLS Web Server Authentication" in leaf and "CA:FALSE" in leaf
    assert "CA:TRUE, pathlen:0" in ca and "Certificate Sign" in ca


@pytest.mark.slow
def test_files_are_the_four_and_keys_are_their_owners_alone(certs):
    assert sorted(os.listdir(certs)) == FILES
    modes = {name: (certs / name).stat().st_mode & 0o777 for name in FILES}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "tls.crt": 0o644, "tls.key": 0o600}


def test_second_run_keeps_everything(certs):
    before = contents(certs)
    result = make(certs)
    assert contents(certs) == before
    assert "kept" in result.stderr


def test_force_makes_everything_anew(certs):
    before = contents(certs)
    make(certs, "--force")
    after = contents(certs)
    assert all(before[name] != after[name] for name in FILES)
    assert verifies(certs, "-verify_hostname", SERVICE)


@pytest.mark.slow
def test_serial_numbers_differ(certs):
    serials = set()
    for _ in range(3):
        make(certs, "--force")
        serials |= {openssl("x509", "-in", certs / name, "-noout", "-serial").stdout for name in ("ca.crt", "tls.crt")}
    assert len(serials) == 6


def test_names_and_addresses_are_taken(tmp_path):
    make(tmp_path, "--name", "localhost", "--name", "127.0.0.1", "--name", "::1")
    assert verifies(tmp_path, "-verify_hostname", "localhost")
    assert verifies(tmp_path, "-verify_ip", "127.0.0.1")
    assert verifies(tmp_path, "-verify_ip", "::1")
    assert not verifies(tmp_path, "-verify_hostname", SERVICE)


@pytest.mark.slow
def test_another_name_renews_with_the_same_ca(certs):
    before = contents(certs)
    result = make(certs, "--name", "127.0.0.1")
    assert "tls.crt is not for 127.0.0.1" in result.stderr
    assert (certs / "ca.crt").read_bytes() == before["ca.crt"]
    assert (certs / "tls.crt").read_bytes() != before["tls.crt"]
    assert verifies(certs, "-verify_ip", "127.0.0.1")


@pytest.mark.slow
def test_certificate_near_its_end_is_renewed_with_the_same_ca(certs):
    make(certs, "--force", "--days", "10")
    before = contents(certs)
    make(certs, "--days", "10")
    assert contents(certs) == before
    result = make(certs, "--days", "365")
    assert "less than a third of 365 days left" in result.stderr
    assert (certs / "ca.crt").read_bytes() == before["ca.crt"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_what_a_killed_run_left_half_done_is_repaired(tmp_path, name):
    certs, other = tmp_path / "certs", tmp_path / "other"
    make(certs)
    make(other)
    (certs / name).write_bytes((other / name).read_bytes())
    make(certs)
    make(certs, "--name", "x.test")  # which needs the CA
    assert verifies(certs, "-verify_hostname", "x.test")
    assert openssl("pkey", "-in", certs / "tls.key", "-pubout").stdout == \
        openssl("x509", "-in", certs / "tls.crt", "-noout", "-pubkey").stdout


@pytest.mark.slow
@pytest.mark.parametrize("rubbish", [b"", b"no certificate\n"])
@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_rubbish_in_a_file_is_repaired(certs, name, rubbish):
    (certs / name).write_bytes(rubbish)
    make(certs)
    assert verifies(certs, "-verify_hostname", SERVICE)


@pytest.mark.slow
def test_folder_of_a_killed_run_is_removed_and_other_files_stay(certs):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (certs / f".new.{dead.pid}.abcdef").mkdir()
    (certs / f".new.{dead.pid}.abcdef" / "ca.key").write_text("left over")
    (certs / "README").write_text("mine")
    make(certs, "--force")
    assert sorted(os.listdir(certs)) == sorted([*FILES, "README"])


@pytest.mark.slow
def test_without_the_cas_key_what_is_there_is_kept_and_a_renewal_makes_a_new_ca(certs):
    (certs / "ca.key").unlink()
    before = (certs / "ca.crt").read_bytes()
    make(certs)
    assert (certs / "ca.crt").read_bytes() == before
    make(certs, "--name", "x.test")
    assert (certs / "ca.crt").read_bytes() != before
    assert verifies(certs, "-verify_hostname", "x.test")


def test_secret_on_standard_output_is_a_manifest_and_nothing_else(tmp_path):
    certs = tmp_path / "certs"
    secret = yaml.safe_load(make(certs, "--secret").stdout)
    assert secret["kind"] == "Secret" and secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"] == {"name": "modelberth-webhook-tls", "namespace": "modelberth-system"}
    assert {k: base64.b64decode(v) for k, v in secret["data"].items()} == \
        {name: (certs / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key")}


def test_patch_on_standard_output_sets_the_ca_bundle(tmp_path):
    [operation] = json.loads(make(tmp_path, "--patch-ca-bundle").stdout)
    assert operation["path"] == "/webhooks/0/clientConfig/caBundle" and operation["op"] == "add"
    assert base64.b64decode(operation["value"]) == (tmp_path / "ca.crt").read_bytes()


@pytest.mark.parametrize("arguments, message", [
    ([], "--dir is missing"),
    (["--dir"], "--dir needs a value"),
    (["--dir", "x", "--name", "a b"], '"a b" is neither a DNS name nor an IP address'),
    (["--dir", "x", "--name", "-a"], '"-a" is neither'),
    (["--dir", "x", "--name", "1.2.3"], '"1.2.3" is neither'),
    (["--dir", "x", "--name", "256.1.1.1"], '"256.1.1.1" is neither'),
    (["--dir", "x", "--name", "a,DNS:b"], "is neither"),
    (["--dir", "x", "--name", "a\nb"], "line break"),
    (["--dir", "x", "--name", "a" * 64], "is neither"),
    (["--dir", "x", "--name", ""], "is neither"),
    (["--dir", "x", "--days", "0"], '--days "0" is not a number from 1 to 3650'),
    (["--dir", "x", "--days", "3651"], '--days "3651"'),
    (["--dir", "x", "--days", "-1"], '--days "-1"'),
    (["--dir", "x", "--days", "1e3"], '--days "1e3"'),
    (["--dir", "x", "--secret", "--patch-ca-bundle"], "only one of"),
    (["--dir", "x", "--frobnicate"], 'unknown argument "--frobnicate"'),
])
def test_wrong_use_is_refused_with_a_reason_and_writes_nothing(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr and not result.stdout
    assert os.listdir(tmp_path) == []


def test_what_openssl_refuses_fails_with_its_reason_and_leaves_nothing(tmp_path):
    result = run("--dir", tmp_path, "--name", "::::1")
    assert result.returncode == 1
    assert "bad ip address" in result.stderr
    assert os.listdir(tmp_path) == []


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("--dir", tmp_path / "file/certs")
    assert result.returncode == 1
    assert f"cannot make the folder {tmp_path}/file/certs" in result.stderr


def test_missing_openssl_is_named(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "sed", "awk", "mkdir"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    result = run("--dir", tmp_path / "certs", env={"PATH": str(tools)})
    assert result.returncode == 1
    assert "openssl is not installed" in result.stderr


def test_help_names_every_option():
    result = run("--help")
    assert result.returncode == 0
    for option in ("--dir", "--name", "--days", "--force", "--secret", "--patch-ca-bundle"):
        assert option in result.stdout
