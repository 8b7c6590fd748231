"""What the hub and its CDN answer: pure functions from a request to a Response, no sockets."""

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from hubstate import TOKEN_FULL, TOKEN_LIMITED, State
from hubstore import Commit, FileEntry, Repo, Store

_LINK_KEY = b"links of the local hub"
_API = re.compile(r"^/api/(model|dataset)s/([^/]+/[^/]+)(?:/(revision|tree|paths-info|refs)(?:/(.+))?)?$")
_RESOLVE = re.compile(r"^/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_RESOLVE_CACHE = re.compile(r"^/api/resolve-cache/(model|dataset)s/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)$")
_TEXT = (".json", ".md", ".txt", ".jsonl")


@dataclass
class Request:
    method: str
    target: str  # path and query as sent
    headers: object  # case-insensitive mapping with .get
    body: bytes
    base_url: str  # how the client reaches this origin
    path: str = ""
    query: dict = field(default_factory=dict)

    def __post_init__(self):
        parts = urlsplit(self.target)
        self.path = parts.path
        self.query = parse_qs(parts.query, keep_blank_values=True)

    def flag(self, name: str) -> bool:
        return self.query.get(name, ["false"])[-1].lower() in ("true", "1")


@dataclass
class Response:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None  # instead of body: ranges and conditions apply
    etag: str | None = None
    compressible: bool = False


class Refusal(Exception):
    """An answer that is not 2xx or 3xx, the way the real hub words it."""

    def __init__(self, status: int, message: str, code: str | None = None, headers: dict | None = None):
        super().__init__(message)
        self.response = json_response({"error": message}, status)
        self.response.headers |= {"X-Error-Message": message, **(headers or {})}
        if code:
            self.response.headers["X-Error-Code"] = code
        if status == 401:
            self.response.headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'


def json_response(value, status: int = 200, headers: dict | None = None) -> Response:
    return Response(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
                    json.dumps(value, ensure_ascii=False).encode())


class HubApi:
    """The first origin: metadata, small files, redirects to the CDN, plain files."""

    def __init__(self, store: Store, state: State, cdn_url: str = ""):
        self.store, self.state, self.cdn_url = store, state, cdn_url

    def answer(self, request: Request) -> Response:
        try:
            if request.path.startswith("/files/"):
                return plain_file(self.store, request.path)
            user = self._user(request)
            if request.path == "/api/whoami-v2":
                return self._whoami(user)
            for pattern, answer in ((_RESOLVE_CACHE, self._resolve_cache), (_API, self._api), (_RESOLVE, self._resolve)):
                if match := pattern.match(request.path):
                    return answer(request, user, match)
            raise Refusal(404, "Sorry, we can't find the page you are looking for.")
        except Refusal as refusal:
            return refusal.response

    # who asks, and for what

    @staticmethod
    def _user(request: Request) -> str | None:
        """The token, None for an anonymous client; a token nobody was given is refused."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or token not in (TOKEN_FULL, TOKEN_LIMITED):
            raise Refusal(401, "Invalid credentials in Authorization header")
        return token

    @staticmethod
    def _whoami(user: str | None) -> Response:
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        name = "full" if user == TOKEN_FULL else "limited"
        return json_response({"type": "user", "id": name, "name": name, "fullname": name, "orgs": [],
                              "auth": {"type": "access_token", "accessToken": {"displayName": name, "role": "read"}}})

    def _repo(self, kind: str, repo_id: str, user: str | None, request: Request) -> Repo:
        repo = self.store.repo(kind, repo_id)
        if repo:
            repo = replace(repo, refs=repo.refs | self.state.refs.get((kind, repo_id), {}),
                           **self.state.flags.get((kind, repo_id), {}))
        if repo is None or (repo.private and user != TOKEN_FULL):
            # nobody learns whether a private repository exists
            if user is None:
                raise Refusal(401, "Invalid username or password.", "RepoNotFound")
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if repo.disabled:
            raise Refusal(403, "Access to this resource is disabled.")
        if repo.moved_to:
            location = request.target.replace(repo_id, repo.moved_to, 1)
            raise _redirect(307, location)
        return repo

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.resolve(revision)
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # /api/

    def _api(self, request: Request, user: str | None, match: re.Match) -> Response:
        kind, repo_id, verb, rest = match.groups()
        repo = self._repo(kind, unquote(repo_id), user, request)
        if verb == "refs":
            return json_response(_refs(repo))
        revision, _, path = (rest or "main").partition("/")
        commit = self._commit(repo, unquote(revision))
        if verb == "tree":
            return self._tree(request, commit, unquote(path))
        if verb == "paths-info":
            return self._paths_info(request, commit)
        return json_response(_info(repo, commit, request.flag("blobs")))

    def _entry_json(self, commit: Commit, path: str, expand: bool) -> dict:
        if path in commit.files:
            entry = commit.files[path]
            row = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
            if entry.sha256:
                row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
                if self.state.settings["xet"]:
                    row["xetHash"] = _xet_hash(entry)
        else:
            row = {"type": "directory", "oid": commit.trees[path], "size": 0, "path": path}
        if expand:
            row["lastCommit"] = {"id": commit.oid, "title": commit.title, "date": _iso(commit.date)}
        return row

    def _tree(self, request: Request, commit: Commit, folder: str) -> Response:
        recursive, expand = request.flag("recursive"), request.flag("expand")
        if folder and folder not in commit.trees:
            raise Refusal(404, f"{folder} does not exist on \"{commit.oid}\"", "EntryNotFound")
        prefix = folder + "/" if folder else ""
        names = [name for name in (*commit.files, *commit.trees) if name and name.startswith(prefix)]
        if not recursive:
            names = [name for name in names if "/" not in name[len(prefix):]]
        names.sort(key=str.encode)
        limit = self.state.settings["page_size"] or (50 if expand else 1000)
        limit = max(1, min(limit, int(request.query.get("limit", [limit])[-1])))
        start = _cursor_offset(request.query.get("cursor", [""])[-1])
        rows = [self._entry_json(commit, name, expand) for name in names[start:start + limit]]
        headers = {}
        if start + limit < len(names):
            query = {name: values[-1] for name, values in request.query.items()}
            query["cursor"] = base64.urlsafe_b64encode(f"offset:{start + limit}".encode()).decode()
            headers["Link"] = f'<{request.base_url}{request.path}?{urlencode(query)}>; rel="next"'
        return json_response(rows, headers=headers)

    def _paths_info(self, request: Request, commit: Commit) -> Response:
        if request.method != "POST":
            raise Refusal(404, "Not found")
        if "json" in request.headers.get("Content-Type", ""):
            form = json.loads(request.body)
        else:
            form = parse_qs(request.body.decode())
        known = [path for path in form.get("paths", []) if path in commit.files or path in commit.trees]
        expand = str(form.get("expand", [False])).lower().find("true") >= 0
        return json_response([self._entry_json(commit, path, expand) for path in known])

    # /ORG/NAME/resolve/REVISION/PATH

    def _resolve(self, request: Request, user: str | None, match: re.Match) -> Response:
        datasets, repo_id, revision, path = match.groups()
        kind = "dataset" if datasets else "model"
        repo = self._repo(kind, unquote(repo_id), user, request)
        self._check_gate(repo, user)
        commit = self._commit(repo, unquote(revision))
        entry = self._file(commit, unquote(path))
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", **_disposition(entry)}
        if entry.sha256:
            return self._to_cdn(request, repo, entry, headers)
        if self.state.settings["resolve_cache"]:
            location = (f"/api/resolve-cache/{kind}s/{repo.id}/{commit.oid}/{quote(entry.path)}"
                        f"?{quote(request.path, safe='')}=&etag={quote(chr(34) + entry.oid + chr(34))}")
            linked = {"X-Linked-ETag": f'"{entry.oid}"', "X-Linked-Size": str(entry.size)}
            return _redirect(307, location, headers | linked).response
        return self._small_file(entry, headers)

    def _resolve_cache(self, request: Request, user: str | None, match: re.Match) -> Response:
        kind, repo_id, revision, path = match.groups()
        repo = self._repo(kind, unquote(repo_id), user, request)
        self._check_gate(repo, user)
        commit = self._commit(repo, revision)
        entry = self._file(commit, unquote(path))
        return self._small_file(entry, {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", **_disposition(entry)})

    @staticmethod
    def _check_gate(repo: Repo, user: str | None) -> None:
        if not repo.gated or user == TOKEN_FULL:
            return
        if user is None:
            raise Refusal(401, f"Access to {repo.kind} {repo.id} is restricted. You must have access to it and be "
                               "authenticated to access it. Please log in.", "GatedRepo")
        raise Refusal(403, f"Access to {repo.kind} {repo.id} is restricted and you are not in the authorized list. "
                           "Ask for access on its page.", "GatedRepo")

    @staticmethod
    def _file(commit: Commit, path: str) -> FileEntry:
        if path not in commit.files:
            raise Refusal(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.oid})
        return commit.files[path]

    def _small_file(self, entry: FileEntry, headers: dict) -> Response:
        headers["Content-Type"] = "text/plain; charset=utf-8"
        compressible = self.state.settings["gzip"] and entry.path.endswith(_TEXT)
        return Response(200, headers, file=self.store.blob_path(entry.oid), etag=entry.oid, compressible=compressible)

    def _to_cdn(self, request: Request, repo: Repo, entry: FileEntry, headers: dict) -> Response:
        settings = self.state.settings
        path = f"/repos/{hashlib.sha256(repo.id.encode()).hexdigest()[:24]}/{entry.sha256}"
        location = self.cdn_url + sign_link(path, settings["link_ttl"], self.state.link_generation,
                                            headers["Content-Disposition"])
        headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.sha256}"', "Vary": "Accept"}
        if settings["xet"]:
            xet = f"{request.base_url}/api/{repo.kind}s/{repo.id}/xet-read-token/{headers['X-Repo-Commit']}"
            headers |= {"X-Xet-Hash": _xet_hash(entry), "Link": f'<{xet}>; rel="xet-auth"'}
        return _redirect(302, location, headers).response


class CdnApi:
    """The second origin: LFS contents behind signed links. It must never see a token."""

    def __init__(self, store: Store, state: State):
        self.store, self.state = store, state

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") is not None:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        if refused := self._refusal(request):
            return _xml(403, "AccessDenied", refused)
        oid = request.path.rpartition("/")[2]
        blob = self.store.blob_path(oid)
        if not re.fullmatch("[0-9a-f]{64}", oid) or not blob.is_file():
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes",
                   "Content-Disposition": request.query["response-content-disposition"][-1]}
        # like the real one: 64 hex digits that are not the content's sha256
        return Response(200, headers, file=blob, etag=hashlib.sha256(b"cdn" + oid.encode()).hexdigest())

    def _refusal(self, request: Request) -> str | None:
        """Why the link is not good, or None."""
        try:
            query = {name: request.query[name][-1] for name in
                     ("Expires", "Generation", "response-content-disposition", "X-Amz-Signature")}
            expires, generation = int(query["Expires"]), int(query["Generation"])
        except (KeyError, ValueError):
            return "Missing or malformed signature"
        expected = _signature(request.path, expires, generation, query["response-content-disposition"])
        if not hmac.compare_digest(expected, query["X-Amz-Signature"]):
            return "The request signature we calculated does not match the signature you provided."
        if generation != self.state.link_generation or time.time() >= expires:
            return "Request has expired"
        return None


def _signature(path: str, expires: int, generation: int, disposition: str) -> str:
    text = f"{path}\n{expires}\n{generation}\n{disposition}".encode()
    return hmac.new(_LINK_KEY, text, hashlib.sha256).hexdigest()


def sign_link(path: str, ttl: int, generation: int, disposition: str) -> str:
    expires = int(time.time() + ttl)
    return path + "?" + urlencode({
        "response-content-disposition": disposition, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Expires": ttl,
        "Expires": expires, "Generation": generation,
        "X-Amz-Signature": _signature(path, expires, generation, disposition),
    })


def plain_file(store: Store, path: str) -> Response:
    """A file below DATA/files, as any web server would serve it."""
    root = (store.root / "files").resolve()
    file = (root / unquote(path.removeprefix("/files/"))).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return Response(404, {"Content-Type": "text/plain"}, b"not found\n")
    stat = file.stat()
    return Response(200, {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}, file=file,
                    etag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}")


def _redirect(status: int, location: str, headers: dict | None = None) -> Refusal:
    refusal = Refusal(status, "")
    text = {302: "Found", 307: "Temporary Redirect"}[status]
    refusal.response = Response(status, {**(headers or {}), "Location": location,
                                         "Content-Type": "text/plain; charset=utf-8"},
                                f"{text}. Redirecting to {location}".encode())
    return refusal


def _xml(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, {"Content-Type": "application/xml"}, body.encode())


def _disposition(entry: FileEntry) -> dict:
    name = entry.path.rpartition("/")[2]
    ascii_name = name.encode("ascii", "replace").decode().replace('"', "'")
    return {"Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{ascii_name}\";"}


def _xet_hash(entry: FileEntry) -> str:
    return hashlib.sha256(b"xet" + entry.sha256.encode()).hexdigest()


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def _cursor_offset(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("offset:"))
    except ValueError:
        raise Refusal(400, "Invalid cursor") from None


def _refs(repo: Repo) -> dict:
    def rows(prefix: str) -> list[dict]:
        return [{"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit}
                for ref, commit in sorted(repo.refs.items()) if ref.startswith(prefix)]

    pulls = [row | {"name": row["ref"]} for row in rows("refs/pr/")]
    return {"branches": rows("refs/heads/"), "tags": rows("refs/tags/"), "converts": [], "pullRequests": pulls}


def _info(repo: Repo, commit: Commit, blobs: bool) -> dict:
    siblings = []
    for entry in commit.files.values():
        row: dict = {"rfilename": entry.path}
        if blobs:
            row |= {"size": entry.size, "blobId": entry.oid}
            if entry.sha256:
                row["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
        siblings.append(row)
    return {
        "_id": hashlib.sha256(repo.id.encode()).hexdigest()[:24], "id": repo.id, "author": repo.id.split("/")[0],
        f"{repo.kind}Id": repo.id, "sha": commit.oid, "lastModified": _iso(commit.date), "createdAt": _iso(commit.date),
        "private": repo.private, "gated": repo.gated, "disabled": repo.disabled, "downloads": 0, "likes": 0,
        "tags": [], "siblings": siblings, "usedStorage": sum(entry.size for entry in commit.files.values()),
    }
