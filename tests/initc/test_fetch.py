"""A model comes to its directory, once, and is found again."""

import json
import subprocess

import pytest
from conftest import INITC, body_bytes, content, leftovers, receipt
from hubseed import DATASET, MODEL

V1_SHARD = "model-00002-of-00002.safetensors"


def commit_of(hub, revision, repo=MODEL, kind="model"):
    return hub.store.repo(kind, repo).resolve(revision).oid


@pytest.mark.parametrize("revision", ["main", "v1", "refs/pr/1", None, "commit"])
def test_a_cold_start_downloads_what_the_revision_has(initc, hub, volume, revision):
    commit = commit_of(hub, "main" if revision in (None, "commit") else revision)
    asked = commit if revision == "commit" else revision
    flags = ["--version", asked] if asked else []
    done = initc.fetch(f"hf://{MODEL}", volume / "model", *flags).must()
    assert content(volume / "model") == hub.store.content("model", MODEL, commit)
    saved = receipt(volume / "model")
    assert (saved["source"], saved["version"], saved["revision"]) == (f"hf://{MODEL}", asked or "", commit)
    assert done.closing["how"] == "downloaded"
    assert done.closing["fetchedBytes"] == done.closing["bytes"] == body_bytes(hub)
    assert (volume / "model/.download-complete").exists()
    assert leftovers(volume) == []


def test_the_receipt_lists_every_file_with_size_digest_and_time(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    saved = receipt(volume / "model")
    files = hub.store.repo("model", MODEL).resolve("v1").files
    assert [f["path"] for f in saved["files"]] == sorted(files)
    assert saved["v"] == 1 and saved["bytes"] == sum(f.size for f in files.values())
    for one in saved["files"]:
        entry = files[one["path"]]
        assert one["digest"] == (f"sha256:{entry.sha256}" if entry.sha256 else f"gitsha1:{entry.oid}")
        stat = (volume / "model" / one["path"]).stat()
        assert (one["size"], one["mtime"]) == (stat.st_size, int(stat.st_mtime))
        assert stat.st_mode & 0o777 == 0o644


def test_a_warm_start_asks_nobody(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    hub.control.reset()
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    assert hub.control.log() == []
    assert done.closing["how"] == "already verified"
    assert done.closing["fetchedBytes"] == 0


def test_a_branch_stays_what_was_published(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@main", volume / "model").must()
    hub.control.move_ref(MODEL, "main", "v1")
    done = initc.fetch(f"hf://{MODEL}@main", volume / "model").must()
    assert done.closing["revision"] != commit_of(hub, "v1")


def test_the_commit_of_a_branch_fits_the_branchs_receipt(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@main", volume / "model").must()
    hub.control.reset()
    initc.fetch(f"hf://{MODEL}@{commit_of(hub, 'main')}", volume / "model").must()
    assert hub.control.log() == []


@pytest.mark.parametrize(("source", "flags", "named"), [
    (f"hf://{MODEL}@main", [], f"hf://{MODEL}@main"),
    ("hf://acme/other@v1", [], "hf://acme/other@v1"),
    (f"hf://{MODEL}@v1", ["--include", "*.json"], "include *.json"),
])
def test_a_directory_of_something_else_is_never_touched(initc, hub, volume, source, flags, named):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    before = content(volume / "model"), receipt(volume / "model")
    done = initc.fetch(source, volume / "model", *flags).must(3)
    assert named in done.error and ("v1" in done.error or "include none" in done.error)
    assert (content(volume / "model"), receipt(volume / "model")) == before


def test_filters_keep_what_they_name(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model", "--include", "*.json,original/", "--exclude", "tokenizer*").must()
    assert sorted(content(volume / "model")) == ["config.json", "model.safetensors.index.json", "original/notes/büro + 100%.txt",
                                                 "original/params.json"]
    initc.fetch(f"hf://{MODEL}@v1", volume / "model", "--exclude", "tokenizer*", "--include", "original/", "--include", "*.json").must()


def test_filters_that_leave_nothing_are_said(initc, hub, volume):
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model", "--include", "*.gguf").must(7)
    assert "no files that pass include and exclude" in done.error


def test_a_dataset_and_a_directory_inside_a_repository(initc, hub, volume):
    initc.fetch(f"hf://datasets/{DATASET}", volume / "set").must()
    assert content(volume / "set") == hub.store.content("dataset", DATASET, "main")
    initc.fetch(f"hf://{MODEL}@v1/original", volume / "part").must()
    assert sorted(content(volume / "part")) == ["notes/büro + 100%.txt", "params.json"]
    initc.fetch(f"hf://{MODEL}@v1/original/params.json", volume / "one").must()
    assert sorted(content(volume / "one")) == ["params.json"]
    assert "no file or directory 'nowhere'" in initc.fetch(f"hf://{MODEL}@v1/nowhere", volume / "none").must(7).error


def test_a_whole_plan_with_deep_paths_and_two_models(initc, hub, volume):
    first = {"claim": "models", "root": str(volume), "path": "a/b/tiny", "source": f"hf://{MODEL}", "version": "v1", "mount": "/raid/models/tiny"}
    second = {"claim": "models", "root": str(volume), "path": "set", "source": f"hf://datasets/{DATASET}@main"}
    done = initc.plan(first, second).must()
    assert [e["path"] for e in done.events if "how" in e] == [f"{volume}/a/b/tiny", f"{volume}/set"]
    assert content(volume / "a/b/tiny") == hub.store.content("model", MODEL, "v1")
    hub.control.reset()
    initc.plan(first, second).must()
    assert hub.control.log() == []


def test_an_empty_directory_is_taken(initc, hub, volume):
    (volume / "model").mkdir()
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    assert content(volume / "model") == hub.store.content("model", MODEL, "v1")


def test_files_put_there_by_hand_are_adopted_when_they_are_right(initc, hub, volume):
    files = hub.store.content("model", MODEL, "v1")
    for name, data in files.items():
        (volume / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / "model" / name).write_bytes(data)
    inode = (volume / "model/config.json").stat().st_ino
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    assert done.closing["how"] == "adopted"
    assert body_bytes(hub) == 0
    assert (volume / "model/config.json").stat().st_ino == inode
    assert initc.fetch(f"hf://{MODEL}@v1", volume / "model").must().closing["how"] == "already verified"


@pytest.mark.parametrize("damage", ["flip", "missing", "longer"])
def test_files_put_there_by_hand_that_differ_are_refused_untouched(initc, hub, volume, damage):
    files = hub.store.content("model", MODEL, "v1")
    if damage == "missing":
        del files[V1_SHARD]
    elif damage == "flip":
        files[V1_SHARD] = files[V1_SHARD][:-1] + bytes([files[V1_SHARD][-1] ^ 1])
    else:
        files[V1_SHARD] += b"x"
    for name, data in files.items():
        (volume / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / "model" / name).write_bytes(data)
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model").must(3)
    assert V1_SHARD in done.error and "nothing was touched" in done.error
    if damage == "flip":
        entry = hub.store.repo("model", MODEL).resolve("v1").files[V1_SHARD]
        assert f"expected sha256:{entry.sha256}, found sha256:" in done.error
    assert content(volume / "model") == files
    assert not (volume / "model/.modelberth").exists()
    # and it is not a memory: what is repaired is accepted at once
    for name, data in hub.store.content("model", MODEL, "v1").items():
        (volume / "model" / name).write_bytes(data)
    assert initc.fetch(f"hf://{MODEL}@v1", volume / "model").must().closing["how"] == "adopted"


def test_a_model_at_the_claims_root(initc, hub, volume):
    (volume / "lost+found").mkdir()
    model = {"claim": "models", "root": str(volume), "source": f"hf://{MODEL}@v1"}
    initc.plan(model).must()
    assert {k: v for k, v in content(volume).items()} == hub.store.content("model", MODEL, "v1")
    assert leftovers(volume) == []
    hub.control.reset()
    assert initc.plan(model).must().closing["how"] == "already verified"
    assert hub.control.log() == []


def test_an_unfinished_publish_at_the_root_is_finished(initc, hub, volume):
    """Killed between two files: some stand at their place, there is no receipt, and the mark says why."""
    model = {"claim": "models", "root": str(volume), "source": f"hf://{MODEL}@v1"}
    initc.plan(model).must()
    (volume / ".modelberth/receipt.json").unlink()
    (volume / ".download-complete").unlink()
    (volume / V1_SHARD).unlink()
    refused = initc.plan(model).must(3)
    assert f"'{V1_SHARD}' is missing" in refused.error
    key = initc_key(initc, volume, model)
    (volume / f".modelberth/{key}.publishing").touch()
    hub.control.reset()
    done = initc.plan(model).must()
    assert content(volume) == hub.store.content("model", MODEL, "v1")
    assert done.closing["fetchedBytes"] == (volume / V1_SHARD).stat().st_size
    assert leftovers(volume) == []


def initc_key(initc, volume, model):
    """The key of a model: the name of its failure file is <key>.failed."""
    initc.hub.control.fault(match="/tree/", status=404, headers={"X-Error-Code": "RevisionNotFound"}, times=None)
    initc.plan(model, env={"HF_HOME": "/somewhere/else"}).must(7)
    initc.hub.control.reset()
    (failed,) = (volume / ".modelberth").glob("*.failed")
    failed.unlink()
    return failed.stem


@pytest.mark.slow
def test_progress_is_json_lines_in_a_log(initc, hub, volume):
    hub.control.settings(bytes_per_second=70_000)
    done = initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    lines = [e for e in done.events if e["msg"] == "downloading"]
    assert lines and all(e["bytesTotal"] == 933284 and 0 <= e["bytesDone"] <= 933284 for e in lines)


def test_progress_is_a_bar_on_a_terminal(initc, hub, volume):
    hub.control.settings(bytes_per_second=1_500_000)
    command = f"{INITC} fetch hf://{MODEL}@v1 --to {volume}/model"
    done = subprocess.run(["script", "-qec", command, volume / "typescript"], env={**initc.env, "TERM": "xterm"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, timeout=60)
    text = (volume / "typescript").read_text()
    assert done.returncode == 0
    assert "downloading" in text and "█" in text and "downloaded: 10 files" in text and '{"time"' not in text


def test_show_prints_the_receipt(initc, hub, volume):
    initc.fetch(f"hf://{MODEL}@v1", volume / "model").must()
    table = initc.run("show", volume / "model").must().out
    assert f"source     hf://{MODEL}\n" in table and commit_of(hub, "v1") in table
    assert "config.json" in table and "sha256:" in table
    assert json.loads(initc.run("show", volume / "model", "--json").must().out) == receipt(volume / "model")
    assert "has no receipt" in initc.run("show", volume).must(8).err
