#!/usr/bin/env python3
"""A local Hugging Face hub for the demo and the tests; Python's standard library only.

    hub.py seed DIR                                          a tiny real model and its siblings (hubseed.py)
    hub.py seed DIR --repo ORG/NAME --size 2G --shards 4     one big model, for benches
    hub.py --data DIR [--listen 127.0.0.1] [--port 0] [--cdn-port 0] [--ready-file FILE]
           [--host NAME] [--tls-cert FILE --tls-key FILE] [--set NAME=VALUE ...]
        serves until SIGTERM or SIGINT. FILE gets {"url", "cdn_url", "pid"} once both ports listen.
        --host is the name in URLs where --listen is not it. --set changes a setting (below), VALUE is JSON.

    with Hub(data_dir, page_size=2) as hub:      # in process; keywords are settings
        hub.url, hub.cdn_url, hub.store, hub.control.fault(...), hub.control.log()

It speaks what the real hub speaks: /api/models and /api/datasets (info, revision, tree with Link pages,
paths-info, refs), /ORG/NAME/resolve/REV/PATH (a small file itself; an LFS file as a 302 to a signed link of the
CDN, which is a second port), whoami-v2, the error headers, tokens. /files/PATH is any web server's plain file.
Tokens: hub.TOKEN_FULL may read everything, hub.TOKEN_LIMITED is a valid user without grants, others are refused.
The CDN answers 400 to a request with an Authorization header and counts it. The server never writes to DIR.

Control API, on the hub's port (class HubControl speaks it):

    GET  /_control/log       {"requests": [{"n", "origin": "hub"|"cdn", "method", "target", "path", "range", "status",
                              "bytes" (of the body), "had_authorization", "fault" (id or null), "connection" (number),
                              "user_agent", "state": "started"|"stalled"|"done"}], "cdn_authorization": N}
    GET  /_control/wait?match=REGEX&count=1&state=stalled&timeout=10      blocks: {"requests": [...], "enough": bool}
    GET  /_control/faults    {"faults": [{... "id", "hits"}]}
    POST /_control/faults    a fault or a list of them -> {"ids": [...]}
    POST /_control/settings  any of hubstate.DEFAULT_SETTINGS; GET shows them
    POST /_control/ref       {"repo", "type": "model", "ref": "main", "commit": "any revision"}   moves a branch
    POST /_control/repo      {"repo", "type": "model", "gated": "manual", "private": true, "disabled": true, "moved_to": "ORG/NAME"}
    POST /_control/expire-links   links handed out so far answer 403
    POST /_control/release   stalled responses go on
    POST /_control/reset     faults, log, settings, refs and flags as at the start

A fault is met by the first requests that fit, counted down, then it is over. All fields are optional:

    match      regular expression, searched in path and query (a CDN link has its file's name in the query)
    origin     "hub" or "cdn"                                     method   "GET", "HEAD" ...
    skip       so many fitting requests pass first                times    how many it meets: 1; null is for ever
    status     answer this instead, with body (text)              headers  set on the answer; null removes one
    cut_after  close the connection after so many body bytes      short_by   body and Content-Length so much shorter
    stall_after  stop there (-1: before the status line), for at most stall_seconds (300), until released
    flip       invert the byte at this offset of the file         ignore_range   200 and everything
    content_range   this Content-Range instead                    expire_links   as above, this request included
    bytes_per_second   slow body
"""

import argparse
import json
import os
import signal
import ssl
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import hubseed
from hubapi import CdnApi, HubApi
from hubcontrol import HubControl
from hubserver import Origin
from hubstate import TOKEN_FULL, TOKEN_LIMITED, State
from hubstore import Store, write_atomically

__all__ = ["Hub", "HubControl", "Store", "TOKEN_FULL", "TOKEN_LIMITED"]


class Hub:
    """Both origins, listening from the start of the `with` to its end."""

    def __init__(self, data_dir: str | os.PathLike, *, listen: str = "127.0.0.1", port: int = 0, cdn_port: int = 0,
                 host: str | None = None, tls_cert: str | None = None, tls_key: str | None = None, **settings):
        self.store = Store(data_dir)
        self._state = State(settings)
        tls = None
        if tls_cert:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(tls_cert, tls_key)
        self._cdn = Origin("cdn", (listen, cdn_port), self._state, host, tls)
        try:
            self._hub = Origin("hub", (listen, port), self._state, host, tls)
        except OSError:
            self._cdn.server_close()
            raise
        self.url, self.cdn_url = self._hub.url, self._cdn.url
        self._cdn.api = CdnApi(self.store, self._state)
        self._hub.api = HubApi(self.store, self._state, self.cdn_url)
        self.control = HubControl(self.url)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Hub":
        for origin in (self._cdn, self._hub):
            thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_):
        self._state.stop()
        for origin in (self._hub, self._cdn):
            origin.shutdown()
            origin.server_close()
            origin.close_all()
        for thread in self._threads:
            thread.join()


def parse_size(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    unit = units.get(text[-1:].upper(), 1)
    return int(text[:-1] if unit > 1 else text) * unit


def parse_setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def seed(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hub.py seed", description="Fills a data directory.")
    parser.add_argument("dir")
    parser.add_argument("--repo", help="ORG/NAME of one big model instead of the default set")
    parser.add_argument("--size", type=parse_size, help="bytes of weights; K, M, G are powers of 1024")
    parser.add_argument("--shards", type=int, default=4)
    args = parser.parse_args(argv)
    if bool(args.repo) != bool(args.size) or (args.repo and args.repo.count("/") != 1):
        parser.error("--repo ORG/NAME and --size go together")
    store = Store(args.dir)
    try:
        with store.only_writer():
            made = (hubseed.seed_big(store, args.repo, args.size, args.shards) if args.repo
                    else hubseed.seed_default(store))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for repo in made:
        print(json.dumps(repo))
    return 0


def serve(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hub.py", description="Serves a local model hub; `hub.py seed` fills one.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cdn-port", type=int, default=0)
    parser.add_argument("--host")
    parser.add_argument("--ready-file")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--set", type=parse_setting, action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args(argv)
    if not os.path.isdir(args.data):
        parser.error(f"{args.data} is not a directory; `hub.py seed {args.data}` makes one")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        hub = Hub(args.data, listen=args.listen, port=args.port, cdn_port=args.cdn_port, host=args.host,
                  tls_cert=args.tls_cert, tls_key=args.tls_key, **dict(args.set))
    except (OSError, ValueError) as error:
        print(f"hub.py: {error}", file=sys.stderr)
        return 1
    with hub:
        ready = {"url": hub.url, "cdn_url": hub.cdn_url, "pid": os.getpid()}
        if args.ready_file:
            write_atomically(Path(args.ready_file), json.dumps(ready).encode())
        print(json.dumps(ready), flush=True)
        stop.wait()
    return 0


def main() -> int:
    if sys.argv[1:2] == ["seed"]:
        return seed(sys.argv[2:])
    return serve(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
