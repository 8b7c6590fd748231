"""What the seed makes is the same everywhere, is what git would make, and the program serves it."""

import json
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import hubseed
import pytest
from hub import HubControl, Store
from hubseed import DATASET, MODEL
from hubstore import AUTHOR, EPOCH, git_id

HUB = Path(__file__).resolve().parent / "hub.py"


def run(*args) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, HUB, *map(str, args)], text=True, capture_output=True, timeout=60)


def test_a_second_seed_in_another_place_is_the_same(tmp_path):
    first, second, again = run("seed", tmp_path / "a"), run("seed", tmp_path / "b"), run("seed", tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout == again.stdout
    rows = [json.loads(line) for line in first.stdout.splitlines()]
    assert [row["repo"] for row in rows] == [MODEL, hubseed.GATED, hubseed.PRIVATE, DATASET]
    store = Store(tmp_path / "a")
    assert store.repo("model", MODEL).refs == rows[0]["refs"]
    assert list((tmp_path / "a" / ".unfinished").iterdir()) == []


def test_what_a_killed_seed_left_is_cleared_and_written_again(tmp_path):
    command = [sys.executable, HUB, "seed", tmp_path, "--repo", "acme/big", "--size", "2G", "--shards", "1"]
    with subprocess.Popen(map(str, command)) as killed:
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob(".unfinished/seed-0.*")):
            assert killed.poll() is None and time.monotonic() < deadline
        killed.kill()
    assert list(tmp_path.glob(".unfinished/*"))
    run("seed", tmp_path)
    assert not list(tmp_path.glob(".unfinished/*"))


def test_a_blob_that_was_left_short_is_written_again(tmp_path):
    run("seed", tmp_path)
    store = Store(tmp_path)
    entry = store.repo("model", MODEL).resolve("main").files["tokenizer.json"]
    good = store.blob_path(entry.oid).read_bytes()
    store.blob_path(entry.oid).write_bytes(good[:10])
    run("seed", tmp_path)
    assert store.blob_path(entry.oid).read_bytes() == good


def test_ids_are_those_of_git(tmp_path, seeded_hub_data):
    store = Store(seeded_hub_data)
    commit = store.repo("model", MODEL).resolve("v1")
    for path, content in store.content("model", MODEL, "v1").items():
        entry = commit.files[path]
        if entry.sha256:
            content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry.sha256}\nsize {entry.size}\n".encode()
            assert len(content) == entry.pointer_size
        file = tmp_path / "repo" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def git(*args, **options) -> str:
        command = ["git", "-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false", *args]
        return subprocess.run(command, cwd=tmp_path / "repo", check=True, capture_output=True, **options).stdout.decode().strip()

    git("init", "-q")
    git("add", "-A")
    assert git("write-tree") == commit.trees[""]
    text = f"tree {commit.trees['']}\nauthor {AUTHOR} {EPOCH} +0000\ncommitter {AUTHOR} {EPOCH} +0000\n\nFirst version\n"
    assert git("hash-object", "-t", "commit", "--stdin", input=text.encode()) == commit.oid
    assert git_id("commit", text.encode()) == commit.oid


@pytest.mark.parametrize("revision", ["v1", "main"])
def test_the_shards_are_whole_safetensors_files(seeded_hub_data, revision):
    files = Store(seeded_hub_data).content("model", MODEL, revision)
    index = json.loads(files["model.safetensors.index.json"])
    found, total = {}, 0
    for name in sorted(set(index["weight_map"].values())):
        size = struct.unpack("<Q", files[name][:8])[0]
        header = json.loads(files[name][8:8 + size])
        header.pop("__metadata__")
        end = 0
        for tensor, info in header.items():
            found[tensor] = name
            start, stop = info["data_offsets"]
            count = 1
            for dimension in info["shape"]:
                count *= dimension
            assert (start, stop - start) == (end, 2 * count)
            end = stop
        assert len(files[name]) == 8 + size + end
        total += end
    assert (found, total) == (index["weight_map"], index["metadata"]["total_size"])


def test_a_big_model_has_the_size_asked_for(tmp_path):
    made = run("seed", tmp_path, "--repo", "acme/big", "--size", "10M", "--shards", "3")
    assert made.returncode == 0, made.stderr
    files = Store(tmp_path).content("model", "acme/big", "main")
    shards = [content for name, content in files.items() if name.endswith(".safetensors")]
    assert len(shards) == 3 and 0 <= sum(map(len, shards)) - (10 << 20) < 1024
    assert len({shard[-4096:] for shard in shards}) == 3
    assert made.stdout == run("seed", tmp_path, "--repo", "acme/big", "--size", "10M", "--shards", "3").stdout


def test_sizes_that_make_no_sense_are_refused(tmp_path):
    for arguments in (["--repo", "acme/x"], ["--repo", "acme/x", "--size", "10", "--shards", "2"],
                      ["--repo", "x", "--size", "1M"], ["--repo", "acme/x", "--size", "1M", "--shards", "0"]):
        refused = run("seed", tmp_path, *arguments)
        assert refused.returncode == 2 and "error:" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_when_it_is_ready_and_ends_on_a_signal(seeded_hub_data, tmp_path, number):
    command = [sys.executable, HUB, "--data", seeded_hub_data, "--ready-file", tmp_path / "ready", "--set", "page_size=2"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as program:
        try:
            said = json.loads(program.stdout.readline())
            assert json.loads((tmp_path / "ready").read_text()) == said
            assert said["pid"] == program.pid
            with urllib.request.urlopen(said["url"] + f"/api/models/{MODEL}/tree/v1") as answer:
                assert len(json.load(answer)) == 2
            assert [one["status"] for one in HubControl(said["url"]).log()] == [200]
            program.send_signal(number)
            assert program.wait(timeout=10) == 0
        finally:
            program.kill()


def test_a_port_in_use_is_a_clear_failure(hub):
    port = hub.url.rpartition(":")[2]
    refused = run("--data", hub.store.root, "--port", port)
    assert refused.returncode == 1
    assert "in use" in refused.stderr and "Traceback" not in refused.stderr


def test_a_missing_data_directory_is_a_clear_failure(tmp_path):
    refused = run("--data", tmp_path / "missing")
    assert refused.returncode == 2 and "is not a directory" in refused.stderr
