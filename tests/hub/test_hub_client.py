"""The local hub is a hub to the real client: huggingface_hub, unchanged, downloads from it."""

import math
from pathlib import Path

import pytest
from hub import TOKEN_FULL, TOKEN_LIMITED
from hubseed import DATASET, GATED, MODEL, PRIVATE, llama_shards, seed_big
from realclient import ClientError, RealClient

SHARD = "model-00002-of-00002.safetensors"
ODD_NAME = "original/notes/büro + 100%.txt"


@pytest.fixture
def client(hub, tmp_path):
    return RealClient(hub.url, tmp_path)


def files_below(folder: str | Path) -> dict[str, bytes]:
    """Path and content of what a download left, without the client's own notes."""
    folder = Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.relative_to(folder).parts[0] != ".cache"}


def sha(hub, revision: str, repo: str = MODEL, kind: str = "model") -> str:
    return hub.store.repo(kind, repo).resolve(revision).oid


@pytest.mark.parametrize("revision", ["main", "v1", "refs/pr/1"])
def test_a_snapshot_by_name_fills_the_cache_with_that_commit(hub, client, revision):
    folder = client("snapshot_download", repo_id=MODEL, revision=revision)
    assert files_below(folder) == hub.store.content("model", MODEL, revision)
    assert Path(folder).name == sha(hub, revision)
    assert (Path(folder).parents[1] / "refs" / revision).read_text() == sha(hub, revision)


@pytest.mark.parametrize("revision", ["main", "v1"])
def test_a_snapshot_into_a_folder_equals_the_commit(hub, client, tmp_path, revision):
    client("snapshot_download", repo_id=MODEL, revision=revision, local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("model", MODEL, revision)


def test_a_snapshot_by_commit_asks_for_no_revision(hub, client, tmp_path):
    client("snapshot_download", repo_id=MODEL, revision=sha(hub, "v1"), local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("model", MODEL, "v1")
    assert hub.control.log(contains="/revision/") == []


def test_a_branch_that_moved_gives_its_new_commit(hub, client):
    hub.control.move_ref(MODEL, "main", "v1")
    assert Path(client("snapshot_download", repo_id=MODEL)).name == sha(hub, "v1")
    hub.control.reset()
    assert Path(client("snapshot_download", repo_id=MODEL)).name == sha(hub, "main")


def test_a_second_snapshot_downloads_no_content(hub, client):
    client("snapshot_download", repo_id=MODEL)
    hub.control.reset()
    client("snapshot_download", repo_id=MODEL)
    assert [one for one in hub.control.log(contains="/resolve/") if one["method"] == "GET"] == []
    assert hub.control.log(origin="cdn") == []


def test_a_dry_run_lists_every_file_and_moves_none(hub, client):
    planned = client("snapshot_download", repo_id=MODEL, dry_run=True)
    expected = {path: len(content) for path, content in hub.store.content("model", MODEL, "main").items()}
    assert {one["filename"]: one["file_size"] for one in planned} == expected
    assert hub.control.log(origin="cdn") == []
    assert [one for one in hub.control.log(contains="/resolve/") if one["bytes"]] == []


def test_an_lfs_file_comes_from_the_cdn_under_its_sha256(hub, client):
    path = Path(client("hf_hub_download", MODEL, SHARD))
    entry = hub.store.repo("model", MODEL).resolve("main").files[SHARD]
    assert path.read_bytes() == hub.store.content("model", MODEL, "main")[SHARD]
    assert path.resolve().name == entry.sha256
    assert [one["status"] for one in hub.control.log(origin="cdn") if one["method"] == "GET"] == [200]


@pytest.mark.parametrize("name", ["config.json", "merges.txt", ODD_NAME])
def test_a_small_file_comes_from_the_hub_under_its_git_id(hub, client, name):
    path = Path(client("hf_hub_download", MODEL, name, revision="v1"))
    assert path.read_bytes() == hub.store.content("model", MODEL, "v1")[name]
    assert path.resolve().name == hub.store.repo("model", MODEL).resolve("v1").files[name].oid
    assert hub.control.log(origin="cdn") == []


def test_small_files_behind_a_relative_redirect_arrive(hub, client, tmp_path):
    hub.control.settings(resolve_cache=True)
    client("snapshot_download", repo_id=MODEL, local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("model", MODEL, "main")
    assert {one["status"] for one in hub.control.log(contains="/resolve/main")} <= {307, 302}
    assert hub.control.log(contains="/api/resolve-cache/")


def test_xet_headers_do_not_keep_plain_http_from_working(hub, client, tmp_path):
    hub.control.settings(xet=True)
    client("snapshot_download", repo_id=MODEL, local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("model", MODEL, "main")


def test_a_renamed_repository_is_found_under_its_old_name(hub, client, tmp_path):
    hub.control.repo(PRIVATE, private=False, moved_to=MODEL)
    client("snapshot_download", repo_id=PRIVATE, local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("model", MODEL, "main")


def test_datasets_have_a_prefix_of_their_own(hub, client, tmp_path):
    client("snapshot_download", repo_id=DATASET, repo_type="dataset", local_dir=str(tmp_path / "out"))
    assert files_below(tmp_path / "out") == hub.store.content("dataset", DATASET, "main")
    assert client.api("dataset_info", DATASET)["sha"] == sha(hub, "main", DATASET, "dataset")
    with pytest.raises(ClientError) as caught:
        client.api("model_info", DATASET)
    assert caught.value.kinds[0] == "RepositoryNotFoundError"


def test_model_info_names_the_commit_and_every_file(hub, client):
    info = client.api("model_info", MODEL, files_metadata=True)
    files = hub.store.repo("model", MODEL).resolve("main").files
    assert (info["id"], info["sha"]) == (MODEL, sha(hub, "main"))
    assert {one["rfilename"]: one["size"] for one in info["siblings"]} == {path: f.size for path, f in files.items()}
    digests = {one["rfilename"]: one["lfs"]["sha256"] for one in info["siblings"] if one["lfs"]}
    assert digests == {path: f.sha256 for path, f in files.items() if f.sha256}
    assert client.api("model_info", MODEL, revision="v1")["sha"] == sha(hub, "v1")


@pytest.mark.parametrize("expand", [False, True])
def test_the_tree_comes_in_pages_and_is_whole(hub, client, expand):
    rows = client.api("list_repo_tree", MODEL, recursive=True, expand=expand, revision="main")
    commit = hub.store.repo("model", MODEL).resolve("main")
    files = {row["path"]: row for row in rows if "blob_id" in row}
    assert {row["path"]: row["tree_id"] for row in rows if "tree_id" in row} == {
        path: oid for path, oid in commit.trees.items() if path}
    assert list(files) == sorted(commit.files, key=str.encode)
    for path, entry in commit.files.items():
        assert (files[path]["size"], files[path]["blob_id"]) == (entry.size, entry.oid)
        lfs = files[path]["lfs"]
        assert lfs is None if not entry.sha256 else (
            lfs["sha256"], lfs["size"], lfs["pointer_size"]) == (entry.sha256, entry.size, entry.pointer_size)
        assert bool(files[path]["last_commit"]) == expand
    assert len(hub.control.log(contains="/tree/main")) == math.ceil(len(rows) / 3) > 2


def test_one_folder_of_the_tree_can_be_listed(client):
    rows = client.api("list_repo_tree", MODEL, "original")
    assert [row["path"] for row in rows] == ["original/notes", "original/params.json"]


def test_refs_are_listed_with_their_commits(hub, client):
    refs = client.api("list_repo_refs", MODEL, include_pull_requests=True)
    listed = {row["ref"]: row["target_commit"] for kind in ("branches", "tags", "pull_requests") for row in refs[kind]}
    assert listed == hub.store.repo("model", MODEL).refs


def test_the_safetensors_headers_are_read_by_range(hub, client):
    metadata = client("get_safetensors_metadata", MODEL, token=TOKEN_FULL)
    shapes = {name: shape for shard in llama_shards() for name, shape in shard.items()}
    found = {name: tensor["shape"] for one in metadata["files_metadata"].values()
             for name, tensor in one["tensors"].items()}
    assert found == shapes
    ranged = [one for one in hub.control.log(origin="cdn") if one["range"] == "bytes=0-100000"]
    assert [(one["status"], one["bytes"]) for one in ranged] == [(206, 100001)] * 2
    assert hub.control.cdn_authorization() == 0


def test_the_file_system_reads_any_range_of_an_lfs_file(hub, client):
    content = hub.store.content("model", MODEL, "v1")[SHARD]
    assert client.fs("cat_file", f"{MODEL}@v1/{SHARD}", start=1000, end=70_001) == content[1000:70_001].hex()
    assert {one["status"] for one in hub.control.log(origin="cdn")} == {206}


@pytest.mark.parametrize(("repo", "token", "error"), [
    (GATED, None, "GatedRepoError"),
    (GATED, TOKEN_LIMITED, "GatedRepoError"),
    (PRIVATE, None, "RepositoryNotFoundError"),
    (PRIVATE, TOKEN_LIMITED, "RepositoryNotFoundError"),
    ("acme/missing", None, "RepositoryNotFoundError"),
    ("acme/missing", TOKEN_FULL, "RepositoryNotFoundError"),
    (MODEL, "hf_nobody", "HfHubHTTPError"),
])
def test_a_file_is_refused_with_the_clients_own_exception(client, repo, token, error):
    with pytest.raises(ClientError) as caught:
        client("hf_hub_download", repo, "config.json", token=token)
    # the client may wrap it in "cannot find it in the cache either"
    assert error in caught.value.kinds[:1] + caught.value.causes


def test_a_missing_revision_and_a_missing_file_are_told_apart(client):
    with pytest.raises(ClientError) as caught:
        client("hf_hub_download", MODEL, "config.json", revision="v9")
    assert caught.value.kinds[0] == "RevisionNotFoundError"
    with pytest.raises(ClientError) as caught:
        client.api("model_info", MODEL, revision="0" * 40)
    assert caught.value.kinds[0] == "RevisionNotFoundError"
    with pytest.raises(ClientError) as caught:
        client("hf_hub_download", MODEL, "missing.json")
    assert caught.value.kinds[0] == "RemoteEntryNotFoundError"
    with pytest.raises(ClientError) as caught:
        client.api("list_repo_tree", MODEL, "missing")
    assert caught.value.kinds[0] == "RemoteEntryNotFoundError"


def test_a_disabled_repository_is_told_apart_from_a_missing_one(hub, client):
    hub.control.repo(MODEL, disabled=True)
    with pytest.raises(ClientError) as caught:
        client.api("model_info", MODEL)
    assert caught.value.kinds[0] == "DisabledRepoError"


def test_the_token_goes_to_the_hub_and_never_to_the_cdn(hub, client, tmp_path):
    for repo in (GATED, PRIVATE):
        client("snapshot_download", repo_id=repo, token=TOKEN_FULL, local_dir=str(tmp_path / repo))
        assert files_below(tmp_path / repo) == hub.store.content("model", repo, "main")
    assert {one["had_authorization"] for one in hub.control.log(origin="hub")} == {True}
    assert {one["had_authorization"] for one in hub.control.log(origin="cdn")} == {False}
    assert hub.control.cdn_authorization() == 0


def test_whoami_knows_a_good_token(client):
    assert client.api("whoami", token=TOKEN_FULL)["name"] == "full"
    with pytest.raises(ClientError):
        client.api("whoami", token="hf_nobody")


def test_a_cut_download_starts_again_after_the_last_whole_piece(hub, client):
    seed_big(hub.store, "acme/one-shard", 24 << 20, 1)
    name = "model-00001-of-00001.safetensors"
    hub.control.fault(name, origin="cdn", method="GET", cut_after=12 << 20)
    path = Path(client("hf_hub_download", "acme/one-shard", name))
    assert path.read_bytes() == hub.store.content("model", "acme/one-shard", "main")[name]
    gets = [one for one in hub.control.log(origin="cdn") if one["method"] == "GET"]
    assert [(one["status"], one["range"]) for one in gets] == [(200, None), (206, f"bytes={10 << 20}-")]
    assert gets[0]["bytes"] == 12 << 20


def test_a_rate_limit_is_waited_out(hub, client):
    hub.control.fault("/tree/", status=429, headers={
        "RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'})
    assert len(client.api("list_repo_tree", MODEL)) > 2
    statuses = [one["status"] for one in hub.control.log(contains="/tree/")]
    assert statuses[:2] == [429, 200]


def test_the_clients_own_verification_accepts_the_files_and_sees_a_flipped_byte(hub, client, tmp_path):
    client("snapshot_download", repo_id=MODEL, local_dir=str(tmp_path / "out"))
    arguments = ("cache", "verify", MODEL, "--local-dir", str(tmp_path / "out"))
    good = client.command(*arguments)
    assert good.returncode == 0, good.stderr
    assert "10" in good.stdout
    with open(tmp_path / "out" / SHARD, "r+b") as shard:
        shard.seek(300_000)
        byte = shard.read(1)[0]
        shard.seek(300_000)
        shard.write(bytes([byte ^ 1]))
    bad = client.command(*arguments)
    assert bad.returncode == 1
    assert SHARD in bad.stdout + bad.stderr


def test_the_command_line_downloads_into_the_cache(hub, client):
    done = client.command("download", MODEL, "--revision", "v1")
    assert done.returncode == 0, done.stderr
    snapshot = client.cache / f"models--{MODEL.replace('/', '--')}" / "snapshots" / sha(hub, "v1")
    assert files_below(snapshot) == hub.store.content("model", MODEL, "v1")
