"""The control API under /_control/ and a client of it; the docstring of hub.py describes it."""

import json
import re
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlencode

from hubapi import Request, Response, json_response
from hubstate import State
from hubstore import KINDS, Store

MAX_WAIT_SECONDS = 120.0
_FLAGS = ("gated", "private", "disabled", "moved_to")


def answer(state: State, store: Store, request: Request) -> Response:
    verb = request.path.removeprefix("/_control/")
    try:
        if request.method == "GET" and verb in _READ:
            return json_response(_READ[verb](state, request))
        if request.method == "POST" and verb in _WRITE:
            body = json.loads(request.body) if request.body else {}
            return json_response(_WRITE[verb](state, store, body))
    except (ValueError, TypeError, KeyError, re.error) as error:
        return json_response({"error": f"{type(error).__name__}: {error}"}, 400)
    known = ", ".join([f"GET {name}" for name in _READ] + [f"POST {name}" for name in _WRITE])
    return json_response({"error": f"no such control; known: {known}"}, 404)


def _log(state: State, _request: Request) -> dict:
    requests = state.log()
    leaks = sum(1 for one in requests if one["origin"] == "cdn" and one["had_authorization"])
    return {"requests": requests, "cdn_authorization": leaks}


def _wait(state: State, request: Request) -> dict:
    def option(name: str, default):
        return request.query.get(name, [default])[-1]

    timeout = min(float(option("timeout", 10)), MAX_WAIT_SECONDS)
    count = int(option("count", 1))
    found = state.wait(option("match", ""), count, option("state", None), timeout)
    return {"requests": found, "enough": len(found) >= count}


def _add_faults(state: State, _store: Store, body) -> dict:
    return {"ids": state.add_faults(body if isinstance(body, list) else [body])}


def _settings(state: State, _store: Store, body: dict) -> dict:
    return {"settings": state.change_settings(body)}


def _target(body: dict) -> tuple[str, str]:
    kind = body.get("type", "model")
    if kind not in KINDS:
        raise ValueError(f"type is one of {', '.join(KINDS)}")
    return kind, body["repo"]


def _move_ref(state: State, store: Store, body: dict) -> dict:
    key = _target(body)
    repo = store.repo(*key)
    commit = repo and repo.resolve(body["commit"])
    if not commit:
        raise ValueError(f"{body['repo']} has no revision {body['commit']!r}")
    ref = body.get("ref", "main")
    ref = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    state.refs[key] = state.refs.get(key, {}) | {ref: commit.oid}
    return {"ref": ref, "commit": commit.oid}


def _change_repo(state: State, store: Store, body: dict) -> dict:
    key = _target(body)
    changes = {name: value for name, value in body.items() if name not in ("type", "repo")}
    if unknown := set(changes) - set(_FLAGS):
        raise ValueError(f"unknown flag {sorted(unknown)[0]!r}; known: {', '.join(_FLAGS)}")
    if not store.repo(*key):
        raise ValueError(f"no repository {body['repo']}")
    state.flags[key] = state.flags.get(key, {}) | changes
    return {"flags": state.flags[key]}


def _simple(verb: str):
    def call(state: State, _store: Store, _body) -> dict:
        getattr(state, verb)()
        return {"ok": True}
    return call


_READ = {
    "log": _log,
    "wait": _wait,
    "faults": lambda state, _: {"faults": state.list_faults()},
    "settings": lambda state, _: {"settings": dict(state.settings)},
}
_WRITE = {
    "faults": _add_faults,
    "settings": _settings,
    "ref": _move_ref,
    "repo": _change_repo,
    "expire-links": _simple("expire_links"),
    "release": _simple("release"),
    "reset": _simple("reset"),
}


class HubControl:
    """Speaks the control API of a running hub, in this process or another one."""

    def __init__(self, url: str):
        self.url = url
        # certificates of the hub are the business of the client under test, not of its remote control
        self._tls = ssl._create_unverified_context() if url.startswith("https:") else None

    def fault(self, match: str = "", **fields) -> int:
        """Adds one fault; returns its id."""
        return self._call("faults", {"match": match, **fields})["ids"][0]

    def faults(self) -> list[dict]:
        return self._call("faults")["faults"]

    def log(self, origin: str | None = None, contains: str = "") -> list[dict]:
        return [one for one in self._call("log")["requests"]
                if origin in (None, one["origin"]) and contains in one["target"]]

    def cdn_authorization(self) -> int:
        """How many requests brought an Authorization header to the CDN: has to be 0."""
        return self._call("log")["cdn_authorization"]

    def wait(self, match: str = "", count: int = 1, state: str | None = None, timeout: float = 10) -> list[dict]:
        """Waits for requests, e.g. until one is "stalled". Raises TimeoutError."""
        query = {"match": match, "count": count, "timeout": timeout} | ({"state": state} if state else {})
        result = self._call("wait?" + urlencode(query), timeout=timeout + 10)
        if not result["enough"]:
            raise TimeoutError(f"{len(result['requests'])} of {count} requests match {match!r} after {timeout} s")
        return result["requests"]

    def settings(self, **changes) -> dict:
        return self._call("settings", changes)["settings"]

    def move_ref(self, repo: str, ref: str, commit: str, type: str = "model") -> str:
        return self._call("ref", {"repo": repo, "type": type, "ref": ref, "commit": commit})["commit"]

    def repo(self, repo: str, type: str = "model", **flags) -> None:
        self._call("repo", {"repo": repo, "type": type, **flags})

    def expire_links(self) -> None:
        self._call("expire-links", {})

    def release(self) -> None:
        self._call("release", {})

    def reset(self) -> None:
        self._call("reset", {})

    def _call(self, verb: str, body=None, timeout: float = 30) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{verb}", data, {"Content-Type": "application/json"})
        handlers = [urllib.request.ProxyHandler({})]
        if self._tls:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None
