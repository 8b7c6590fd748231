"""What is at rest: flips, cuts, links, and directories that nobody vouches for."""

import json
import os
import struct

import pytest
from conftest import content
from hubseed import MODEL

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def model(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    hub.control.reset()
    return volume / "model"


@pytest.fixture
def by_hand(hub, volume):
    """The same files without receipt."""
    for name, data in hub.store.content("model", MODEL, "v1").items():
        (volume / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / "model" / name).write_bytes(data)
    return volume / "model"


def flip(path, keep_time=False):
    stat = path.stat()
    with open(path, "r+b") as file:
        file.seek(stat.st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_quick_finds_a_flip_even_in_the_second_of_the_publish(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    flip(volume / "model" / SHARD)
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model").must(3)
    assert SHARD in done.error and "expected sha256:" in done.error and "found sha256:" in done.error


def test_full_finds_a_flip_that_kept_its_time_and_quick_does_not(initc, model):
    flip(model / SHARD, keep_time=True)
    initc.run("verify", model).must()
    assert SHARD in initc.run("verify", model, "--mode", "full").must(3).error
    initc.fetch(f"hf://{MODEL}@v1", model, "--verify", "full").must(3)


def test_another_time_with_the_same_content_is_accepted(initc, model):
    os.utime(model / SHARD, (1, 1))
    done = initc.run("verify", model, "--mode", "quick").must()
    assert "1 with a changed time hashed again" in done.closing["msg"]


@pytest.mark.parametrize("mode", ["quick", "full"])
@pytest.mark.parametrize("damage", ["missing", "short", "directory"])
def test_missing_short_and_replaced_files_are_found(initc, model, damage, mode):
    path = model / SHARD
    if damage == "short":
        os.truncate(path, 1000)
    else:
        path.unlink()
    if damage == "directory":
        path.mkdir()
    error = initc.run("verify", model, "--mode", mode).must(3).error
    assert SHARD in error and {"missing": "is missing", "short": "has 1000 bytes", "directory": "is not a file"}[damage] in error


def test_a_damaged_receipt_is_no_proof(initc, model):
    (model / ".modelberth/receipt.json").write_text('{"v": 1, "files": [{"path": "../../etc/passwd", "size": 1, "digest": "sha256:' + "0" * 64 + '"}]}')
    assert "cannot be understood" in initc.run("verify", model).must(8).error
    (model / ".modelberth/receipt.json").write_text("{")
    assert "cannot be understood" in initc.fetch(f"hf://{MODEL}@v1", model).must(8).error


def test_a_directory_by_hand_passes_the_structure_with_a_warning(initc, by_hand):
    done = initc.run("verify", by_hand).must()
    assert done.closing["how"] == "structure checked" and done.closing["level"] == "warn"
    plan = {"claim": "models", "root": str(by_hand.parent), "path": "model", "readOnly": True}
    assert initc.plan(plan).must().closing["how"] == "structure checked"
    assert not (by_hand.parent / ".modelberth").exists()


def test_a_cut_shard_is_told_with_its_lengths(initc, by_hand):
    size = (by_hand / SHARD).stat().st_size
    os.truncate(by_hand / SHARD, size - 100)
    error = initc.run("verify", by_hand).must(8).error
    header = struct.unpack("<Q", (by_hand / SHARD).read_bytes()[:8])[0]
    assert SHARD in error and str(size - 8 - header) in error and str(size - 100 - 8 - header) in error


@pytest.mark.parametrize(("name", "data", "message"), [
    (SHARD, b"1234", "shorter than 8 bytes"),
    (SHARD, struct.pack("<Q", 1 << 40) + b"{}", "impossible header length"),
    (SHARD, struct.pack("<Q", 5000) + b"{}", "its header has 5000 bytes"),
    (SHARD, struct.pack("<Q", 10) + b"{not json}", "damaged header"),
    (SHARD, struct.pack("<Q", 2) + b"[]", "no JSON object"),
    ("config.json", b'{"a": ', "'config.json' is damaged"),
    ("x.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1, 0), "no complete GGUF"),
    ("x.gguf", b"GGML" + bytes(100), "no complete GGUF"),
])
def test_a_damaged_file_is_told(initc, by_hand, name, data, message):
    (by_hand / name).write_bytes(data)
    assert message in initc.run("verify", by_hand).must(8).error


def test_a_missing_shard_is_told(initc, by_hand):
    (by_hand / SHARD).unlink()
    error = initc.run("verify", by_hand).must(8).error
    assert SHARD in error and "missing" in error and "'config.json'" in error


def test_a_directory_without_config_is_told_and_lists_what_is_there(initc, volume):
    (volume / "model").mkdir()
    (volume / "model/readme.txt").write_text("x")
    error = initc.run("verify", volume / "model").must(8).error
    assert "no 'config.json'" in error and "'readme.txt'" in error


def test_a_link_out_of_the_model_is_told(initc, by_hand, volume):
    (by_hand / SHARD).rename(volume / "blob")
    (by_hand / SHARD).symlink_to("../blob")
    assert "leaves the model's directory" in initc.run("verify", by_hand).must(8).error


def gguf_string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(values=64):
    header = b"GGUF" + struct.pack("<IQQ", 3, 2, 3)
    header += gguf_string("general.alignment") + struct.pack("<II", 4, 64)
    header += gguf_string("general.name") + struct.pack("<I", 8) + gguf_string("tiny")
    header += gguf_string("tokens") + struct.pack("<IIQ", 9, 8, 2) + gguf_string("a") + gguf_string("b" * 300_000)
    header += gguf_string("one") + struct.pack("<IQQIQ", 2, 32, 2, 2, 0)  # Q4_0: 64 values are 36 bytes
    header += gguf_string("two") + struct.pack("<IQIQ", 1, values, 0, 64)  # F32
    return header + bytes(-len(header) % 64) + bytes(64 + 4 * values)


def test_a_gguf_file_is_as_long_as_its_header_says(initc, volume):
    (volume / "model").mkdir()
    path = volume / "model/tiny.gguf"
    path.write_bytes(gguf())
    initc.run("verify", volume / "model").must()
    os.truncate(path, path.stat().st_size - 1)
    error = initc.run("verify", volume / "model").must(8).error
    assert f"promises {path.stat().st_size + 1} bytes, the file has {path.stat().st_size}" in error
    for length in (3, 20, 60, 300):
        path.write_bytes(gguf()[:length])
        assert "GGUF" in initc.run("verify", volume / "model").must(8).error


def test_a_wrong_path_lists_what_is_there(initc, by_hand, volume):
    for number in range(30):
        (volume / f"other-{number:02}").mkdir()
    plan = {"claim": "models", "root": str(volume), "path": "acme/modle"}
    error = initc.plan(plan).must(8).error
    assert "no 'acme/modle' in claim 'models'" in error and "'model/'" in error
    assert "'other-18/'" in error and "'other-19/'" not in error and "and 11 more" in error
    error = initc.plan({**plan, "path": "model/original/parms"}).must(8).error
    assert "'/model/original' holds 'notes/', 'params.json'" in error


def test_an_empty_directory_without_source_is_told(initc, volume):
    (volume / "model").mkdir()
    assert "is empty" in initc.run("verify", volume / "model").must(8).error


def test_quick_and_full_need_a_receipt_or_a_source(initc, by_hand):
    for mode in ("quick", "full"):
        assert "no receipt" in initc.run("verify", by_hand, "--mode", mode).must(8).error


def test_off_looks_at_nothing_and_says_so(initc, by_hand, volume):
    (by_hand / "config.json").write_text("{")
    plan = {"claim": "models", "root": str(volume), "path": "model", "verify": "off"}
    assert initc.plan(plan).must().closing["how"] == "not verified"
    assert "no 'nothing'" in initc.plan({**plan, "path": "nothing"}).must(8).error


def test_a_read_only_volume_with_a_source_is_held_against_it(initc, hub, by_hand, volume):
    plan = {"claim": "models", "root": str(volume), "path": "model", "source": f"hf://{MODEL}@v1", "readOnly": True}
    done = initc.plan(plan).must()
    assert done.closing["how"] == "adopted" and "no receipt could be written" in done.closing["warning"]
    flip(by_hand / SHARD)
    assert SHARD in initc.plan(plan).must(3).error
    assert not (volume / ".modelberth").exists() and not (by_hand / ".modelberth").exists()
    assert "no 'gone'" in initc.plan({**plan, "path": "gone"}).must(8).error


def test_verifying_changes_nothing(initc, model):
    def state():
        return content(model), json.loads((model / ".modelberth/receipt.json").read_text()), {p: p.stat().st_mtime_ns for p in model.rglob("*")}

    before = state()
    for mode in ("quick", "full", "structure"):
        initc.run("verify", model, "--mode", mode).must()
    assert state() == before
