#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a folder as a container image of one layer, without a container engine.

    oci.py pack ROOT ARCHIVE --name NAME:TAG --entrypoint PROGRAM [ARG...]
    oci.py show ARCHIVE...

The archive is an OCI image layout that also has docker's manifest.json, so `docker load`, `podman load`, `skopeo copy
oci-archive:` and `ctr images import` take it. The same folder gives the same bytes: entries are sorted, belong to
0:0 and bear one time (SOURCE_DATE_EPOCH, else 1970), and the layer is not compressed, since compressors differ.
"""
import argparse
import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import time
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def epoch():
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def add(tar, name, data, mtime):
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), mtime, 0o644
    tar.addfile(info, io.BytesIO(data))


def layer_of(root):
    """The folder as an uncompressed tar, in bytes: images here are tens of megabytes at most."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            info = tar.gettarinfo(path, arcname=str(path.relative_to(root)))
            if not (info.isdir() or info.issym() or info.isfile() or info.islnk()):
                sys.exit(f"oci: {path} is no file, folder or link")
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = epoch()
            if info.islnk():  # each name gets its bytes: which one came first is an accident of the disk
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
            if info.isfile():
                with path.open("rb") as source:
                    tar.addfile(info, source)
            else:
                tar.addfile(info)
    return out.getvalue()


def encode(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def full_name(name):
    """NAME:TAG as a node stores it: kubelet asks for docker.io/library/x:1 where a pod says x:1."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


class Blobs:
    def __init__(self):
        self.data = {}

    def add(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        self.data[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def path_of(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def pack(args):
    tag = args.name.rpartition("/")[2].partition(":")[2]
    if not tag:
        sys.exit(f"oci: the name {args.name} has no tag")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch()))
    blobs = Blobs()
    layer = blobs.add(layer_of(args.root), LAYER)
    container = {"Entrypoint": args.entrypoint, "Env": args.env, "WorkingDir": "/",
                 "Labels": dict(label.split("=", 1) for label in args.label)}
    if args.user:
        container["User"] = args.user
    config = blobs.add(encode({
        "architecture": args.architecture, "os": "linux", "created": created, "config": container,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created": created, "created_by": "manifests/images/oci.py"}]}), CONFIG)
    manifest = blobs.add(encode({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}), MANIFEST)
    manifest["annotations"] = {"io.containerd.image.name": full_name(args.name), "org.opencontainers.image.ref.name": tag}
    manifest["platform"] = {"architecture": args.architecture, "os": "linux"}
    files = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]}),
        "manifest.json": encode([{"Config": path_of(config), "RepoTags": [args.name], "Layers": [path_of(layer)]}]),
        **blobs.data}
    partial = args.archive.with_name(args.archive.name + ".partial")
    args.archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            add(tar, name, data, epoch())
    partial.rename(args.archive)


def show(args):
    print(f"{'image':44} {'unpacked':>10} {'files':>6}  digest")
    for archive in args.archives:
        with tarfile.open(archive) as tar:
            def read(name, tar=tar):
                return tar.extractfile(name).read()
            descriptor = json.loads(read("index.json"))["manifests"][0]
            manifest = json.loads(read(path_of(descriptor)))
            with tarfile.open(fileobj=io.BytesIO(read(path_of(manifest["layers"][0])))) as layer:
                files = [member for member in layer if member.isfile()]
            name = json.loads(read("manifest.json"))[0]["RepoTags"][0]
        size = sum(member.size for member in files)
        print(f"{name:44} {size / 1e6:7.1f} MB {len(files):6}  {descriptor['digest']}")


def main():
    parser = argparse.ArgumentParser(description="packs a folder as a container image")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("pack")
    command.add_argument("root", type=Path)
    command.add_argument("archive", type=Path)
    command.add_argument("--name", required=True, help="NAME:TAG")
    command.add_argument("--entrypoint", required=True, nargs="+")
    command.add_argument("--env", action="append", default=[], help="KEY=VALUE")
    command.add_argument("--label", action="append", default=[], help="KEY=VALUE")
    command.add_argument("--user", help="UID:GID")
    command.add_argument("--architecture", default=ARCHITECTURES.get(platform.machine(), platform.machine()))
    command.set_defaults(run=pack)
    command = commands.add_parser("show")
    command.add_argument("archives", type=Path, nargs="+")
    command.set_defaults(run=show)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
