"""Repositories of the local hub, kept as plain files in one data directory.

    DATA/models/ORG/NAME/repo.json      refs, flags and every commit with its files
    DATA/datasets/ORG/NAME/repo.json
    DATA/blobs/ab/abcdef...             contents: by git blob sha1, LFS files by sha256
    DATA/files/...                      plain files, served under /files/

Commit, tree and blob ids are what git itself would compute, so a client may verify all of them.
Everything is written to DATA/.unfinished and renamed: a killed seed is simply run again.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("model", "dataset")
LFS_SUFFIXES = (".safetensors", ".bin", ".gguf", ".parquet")
AUTHOR = "Acme <models@acme.example>"
EPOCH = 1_700_000_000  # every commit is this old plus one day for each of its ancestors


@dataclass
class FileEntry:
    """One file of a commit. `oid` is the git blob id: for an LFS file that of its pointer."""

    path: str
    oid: str
    size: int
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def blob(self) -> str:
        return self.sha256 or self.oid

    @property
    def digest(self) -> str:
        return self.sha256 or self.oid


@dataclass
class Commit:
    oid: str
    title: str
    date: int
    files: dict[str, FileEntry]
    trees: dict[str, str]  # directory -> git tree id, "" is the root


@dataclass
class Repo:
    kind: str
    id: str
    refs: dict[str, str] = field(default_factory=dict)  # refs/heads/main -> commit id
    commits: dict[str, Commit] = field(default_factory=dict)
    gated: str | bool = False
    private: bool = False
    disabled: bool = False
    moved_to: str | None = None

    def resolve(self, revision: str) -> Commit | None:
        """The commit a full id, a full ref, a branch or a tag names."""
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self.refs:
                return self.commits[self.refs[name]]
        return self.commits.get(revision)


def git_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


def git_trees(files: dict[str, FileEntry]) -> dict[str, str]:
    """Ids of the root tree ("") and of every directory."""
    children: dict[str, dict[str, FileEntry | None]] = {"": {}}
    for path, entry in files.items():
        child: FileEntry | None = entry
        while True:
            parent, _, name = path.rpartition("/")
            children.setdefault(parent, {})[name] = child
            if not parent:
                break
            path, child = parent, None
    ids: dict[str, str] = {}
    for directory in sorted(children, key=lambda d: d.count("/") + bool(d), reverse=True):
        rows = []
        for name, entry in children[directory].items():
            full = f"{directory}/{name}" if directory else name
            mode, oid = ("100644", entry.oid) if entry else ("40000", ids[full])
            sort_key = name.encode() + (b"" if entry else b"/")
            rows.append((sort_key, f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid)))
        ids[directory] = git_id("tree", b"".join(row for _, row in sorted(rows)))
    return ids


def write_atomically(path: Path, content: bytes, beside: Path | None = None) -> None:
    """Readers see all of it or nothing. The temporary file lies in `beside`, by default next to the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (beside or path.parent) / f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    temporary.write_bytes(content)
    os.replace(temporary, path)


class Store:
    """Reads and writes one data directory. The server only reads."""

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        self._cache: dict[Path, tuple[tuple[int, int], Repo]] = {}
        self._lock = threading.Lock()

    def blob_path(self, oid: str) -> Path:
        return self.root / "blobs" / oid[:2] / oid

    def repo_path(self, kind: str, repo_id: str) -> Path:
        return self.root / f"{kind}s" / repo_id / "repo.json"

    def repo(self, kind: str, repo_id: str) -> Repo | None:
        """The repository as it is on disk now, or None."""
        if any(part in ("", ".", "..") for part in repo_id.split("/")):
            return None
        path = self.repo_path(kind, repo_id)
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        with self._lock:
            cached = self._cache.get(path)
            if not cached or cached[0] != stamp:
                cached = (stamp, _repo_from_json(json.loads(path.read_text())))
                self._cache[path] = cached
            return cached[1]

    def scratch(self) -> Path:
        """The folder of unfinished files."""
        folder = self.root / ".unfinished"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextlib.contextmanager
    def only_writer(self):
        """One seed at a time; what a killed one left unfinished is removed."""
        scratch = self.scratch()
        with open(self.root / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in scratch.iterdir():
                leftover.unlink()
            yield

    def write(self, path: Path, content: bytes) -> None:
        write_atomically(path, content, self.scratch())

    def content(self, kind: str, repo_id: str, revision: str) -> dict[str, bytes]:
        """Path and bytes of every file of a commit: what a download has to equal."""
        repo = self.repo(kind, repo_id)
        commit = repo and repo.resolve(revision)
        if not commit:
            raise KeyError(f"{repo_id}@{revision}")
        return {path: self.blob_path(entry.blob).read_bytes() for path, entry in commit.files.items()}

    def add_blob(self, content: bytes, lfs: bool) -> FileEntry:
        """Stores content; the entry has no path yet."""
        if not lfs:
            oid = git_id("blob", content)
            self._keep(oid, content)
            return FileEntry("", oid, len(content))
        sha256 = hashlib.sha256(content).hexdigest()
        self._keep(sha256, content)
        return self.lfs_entry(sha256, len(content))

    def add_stream(self, chunks, name_hint: str) -> FileEntry:
        """Stores a large LFS file that is produced piece by piece."""
        temporary = self.scratch() / f"{name_hint}.{os.getpid()}"
        digest, size = hashlib.sha256(), 0
        with open(temporary, "wb") as out:
            for chunk in chunks:
                digest.update(chunk)
                out.write(chunk)
                size += len(chunk)
        target = self.blob_path(digest.hexdigest())
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, target)
        return self.lfs_entry(digest.hexdigest(), size)

    @staticmethod
    def lfs_entry(sha256: str, size: int) -> FileEntry:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return FileEntry("", git_id("blob", pointer), size, sha256, len(pointer))

    def commit(self, repo_id: str, files: dict[str, bytes | FileEntry], *, kind: str = "model",
               ref: str = "refs/heads/main", title: str = "Update", tags: tuple[str, ...] = (),
               fresh: bool = False, **flags) -> str:
        """Makes a commit that holds exactly `files` and moves `ref` to it. Returns its id.

        Paths are not checked: tests want hostile ones too. `fresh` forgets an earlier repository of
        that name. Flags are gated, private, disabled, moved_to.
        """
        repo = None if fresh else self.repo(kind, repo_id)
        repo = repo or Repo(kind, repo_id)
        entries = {path: self._entry(path, content) for path, content in files.items()}
        trees = git_trees(entries)
        parent = repo.refs.get(ref)
        date = repo.commits[parent].date + 86400 if parent else EPOCH
        lines = [f"tree {trees['']}"] + ([f"parent {parent}"] if parent else [])
        lines += [f"{role} {AUTHOR} {date} +0000" for role in ("author", "committer")]
        oid = git_id("commit", ("\n".join(lines) + f"\n\n{title}\n").encode())
        repo.commits[oid] = Commit(oid, title, date, entries, trees)
        repo.refs[ref] = oid
        for tag in tags:
            repo.refs[f"refs/tags/{tag}"] = oid
        for name, value in flags.items():
            setattr(repo, name, value)
        self.write(self.repo_path(kind, repo_id), json.dumps(_repo_to_json(repo)).encode())
        return oid

    def _entry(self, path: str, content: bytes | FileEntry) -> FileEntry:
        if isinstance(content, bytes):
            content = self.add_blob(content, path.endswith(LFS_SUFFIXES))
        return FileEntry(path, content.oid, content.size, content.sha256, content.pointer_size)

    def _keep(self, oid: str, content: bytes) -> None:
        path = self.blob_path(oid)
        if not path.exists() or path.stat().st_size != len(content):
            self.write(path, content)


def _repo_to_json(repo: Repo) -> dict:
    commits = {
        commit.oid: {
            "title": commit.title, "date": commit.date, "trees": commit.trees,
            "files": [vars(entry) for entry in commit.files.values()],
        } for commit in repo.commits.values()
    }
    return {**vars(repo), "commits": commits}


def _repo_from_json(data: dict) -> Repo:
    commits = {
        oid: Commit(oid, raw["title"], raw["date"],
                    {f["path"]: FileEntry(**f) for f in raw["files"]}, raw["trees"])
        for oid, raw in data.pop("commits").items()
    }
    return Repo(commits=commits, **data)
