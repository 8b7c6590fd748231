"""What tests change and look at while the hub runs: faults, settings, overrides, the request log."""

import copy
import re
import threading
import time
from dataclasses import dataclass, field, fields

TOKEN_FULL = "hf_localTokenWithAllAccess"      # gated and private repositories too
TOKEN_LIMITED = "hf_localTokenWithoutAccess"   # a valid user that was granted nothing
MAX_STALL_SECONDS = 300.0
MAX_LOG = 100_000

DEFAULT_SETTINGS = {
    "page_size": None,         # entries of a tree page; None: 1000, or 50 with expand=True, as the real hub
    "link_ttl": 3600,          # seconds that a signed CDN link lives
    "resolve_cache": False,    # small files answer 307 to a relative /api/resolve-cache/ URL first
    "gzip": True,              # compress text files for clients that accept it (chunked, no Content-Length)
    "xet": False,              # announce Xet (xetHash, X-Xet-Hash, Link), as the real hub does
    "bytes_per_second": None,  # of each response body
}


@dataclass
class Fault:
    """Which requests it meets and what it does to them; the docstring of hub.py has the meaning."""

    match: str = ""
    origin: str | None = None
    method: str | None = None
    skip: int = 0
    times: int | None = 1
    status: int | None = None
    headers: dict = field(default_factory=dict)
    body: str = ""
    cut_after: int | None = None
    stall_after: int | None = None
    stall_seconds: float = MAX_STALL_SECONDS
    ignore_range: bool = False
    flip: int | None = None
    short_by: int = 0
    content_range: str | None = None
    expire_links: bool = False
    bytes_per_second: int | None = None
    id: int = 0
    hits: int = 0

    def meets(self, origin: str, method: str, target: str) -> bool:
        return ((self.origin is None or self.origin == origin)
                and (self.method is None or self.method == method)
                and re.search(self.match, target) is not None)

    def changes_body(self) -> bool:
        return any(value is not None for value in
                   (self.cut_after, self.stall_after, self.flip, self.bytes_per_second))


def parse_fault(raw: dict) -> Fault:
    known = {f.name for f in fields(Fault)} - {"id", "hits"}
    unknown = set(raw) - known
    if unknown:
        raise ValueError(f"unknown fault field {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    fault = Fault(**raw)
    re.compile(fault.match)
    return fault


def check_settings(changes: dict) -> dict:
    if unknown := set(changes) - set(DEFAULT_SETTINGS):
        raise ValueError(f"unknown setting {sorted(unknown)[0]!r}; known: {', '.join(sorted(DEFAULT_SETTINGS))}")
    return changes


class State:
    """Shared by all request threads of both origins."""

    def __init__(self, settings: dict | None = None):
        self._start_settings = DEFAULT_SETTINGS | check_settings(settings or {})
        self._changed = threading.Condition()
        self.link_generation = 0
        self.stopping = False
        self._clear()

    def _clear(self) -> None:
        self.settings = dict(self._start_settings)
        self.faults: list[Fault] = []
        self.requests: list[dict] = []
        self.refs: dict[tuple[str, str], dict[str, str]] = {}
        self.flags: dict[tuple[str, str], dict] = {}
        self._release_generation = getattr(self, "_release_generation", 0) + 1

    def reset(self) -> None:
        with self._changed:
            self._clear()
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self.stopping = True
            self._changed.notify_all()

    def change_settings(self, changes: dict) -> dict:
        with self._changed:
            self.settings.update(check_settings(changes))
            return dict(self.settings)

    def add_faults(self, raw: list[dict]) -> list[int]:
        faults = [parse_fault(one) for one in raw]
        with self._changed:
            for fault in faults:
                fault.id = len(self.faults) + 1
                self.faults.append(fault)
        return [fault.id for fault in faults]

    def take_fault(self, origin: str, method: str, target: str) -> Fault | None:
        """The first fault that meets this request, counted down; None when there is none."""
        with self._changed:
            for fault in self.faults:
                if fault.times == 0 or not fault.meets(origin, method, target):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                fault.hits += 1
                if fault.expire_links:
                    self.link_generation += 1
                return copy.copy(fault)
        return None

    def list_faults(self) -> list[dict]:
        with self._changed:
            return [dict(vars(fault)) for fault in self.faults]

    def expire_links(self) -> None:
        with self._changed:
            self.link_generation += 1

    def release(self) -> None:
        """Lets every stalled response go on."""
        with self._changed:
            self._release_generation += 1
            self._changed.notify_all()

    def stall(self, entry: dict, seconds: float, is_gone) -> None:
        """Blocks a response until release, reset, stop, the time is over or the client has gone."""
        deadline = time.monotonic() + min(seconds, MAX_STALL_SECONDS)
        with self._changed:
            generation = self._release_generation
            entry["state"] = "stalled"
            self._changed.notify_all()
            while generation == self._release_generation and not self.stopping:
                if time.monotonic() >= deadline or is_gone():
                    break
                self._changed.wait(0.2)
            entry["state"] = "started"

    def begin(self, entry: dict) -> dict:
        with self._changed:
            if len(self.requests) < MAX_LOG:
                entry["n"] = len(self.requests) + 1
                self.requests.append(entry)
            self._changed.notify_all()
        return entry

    def end(self, entry: dict) -> None:
        with self._changed:
            entry["state"] = "done"
            self._changed.notify_all()

    def log(self) -> list[dict]:
        with self._changed:
            return [dict(entry) for entry in self.requests]

    def wait(self, match: str, count: int, state: str | None, timeout: float) -> list[dict]:
        """Blocks until `count` requests match (and are in that state). Returns those that do, maybe too few."""
        pattern = re.compile(match)

        def found() -> list[dict]:
            return [entry for entry in self.requests
                    if pattern.search(entry["target"]) and state in (None, entry["state"])]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self.stopping, timeout)
            return [dict(entry) for entry in found()]
