#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stages the smallest root filesystem that a program runs in.

    rootfs.py PROGRAM ROOT

ROOT gets the program (stripped) in /usr/bin, the libraries it needs and their loader, the CA bundle, and the few files that
glibc reads to find users and hosts (its NSS modules for files and DNS are part of libc.so.6 since 2.34). No shell, no package
manager. What Debian says about each package that a file came from is kept, so that scanners see versions, and licences are at hand.
"""
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# glibc opens it by name when a thread is cancelled or calls pthread_exit.
OPENED_AT_RUN_TIME = ["libgcc_s.so.1"]
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def machine_of(path):
    """Class, byte order and machine of an ELF file, None for any other."""
    with open(path, "rb") as file:
        head = file.read(20)
    return head[4:6] + head[18:20] if head[:4] == b"\x7fELF" else None


@lru_cache
def known_libraries():
    """(name, path) of each library that the loader knows, in its order."""
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"
    return re.findall(r"^\t(\S+) \(.*\) => (\S+)$", run(ldconfig, "-p"), re.MULTILINE)


def find_library(name, machine):
    for known, path in known_libraries():
        # Those in glibc-hwcaps need a newer CPU than the image may meet.
        if known == name and "/glibc-hwcaps/" not in path and machine_of(path) == machine:
            return path
    sys.exit(f"rootfs: {name} is not installed")


def loader_of(program):
    found = re.search(r"interpreter: (\S+)\]", run("readelf", "-l", program))
    if not found:
        sys.exit(f"rootfs: {program} has no loader: is it linked statically?")
    return found.group(1)


def libraries_of(program):
    """name -> path of every shared library that the program needs, and those need."""
    machine, found, queue = machine_of(program), {}, [program]
    names = set(OPENED_AT_RUN_TIME)
    while queue or names:
        for name in names - found.keys():
            found[name] = find_library(name, machine)
            queue.append(found[name])
        names = set()
        if queue:
            names.update(re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", queue.pop())))
    return found


def place(source, root, target):
    path = root / target.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)  # follows links: the image holds each library once, under the name asked for
    path.chmod(0o755 if machine_of(source) else 0o644)
    return path


def packages_of(paths):
    """The Debian packages that these files came from."""
    # dpkg may know a file with or without /usr, by the link's name or by its target's.
    names = {name for path in paths for name in (path, str(Path(path).resolve()))}
    names |= {name.removeprefix("/usr") for name in names}
    found = subprocess.run(["dpkg-query", "-S", *sorted(names)], check=False, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    owners = [line.rpartition(": ")[0] for line in found.splitlines() if not line.startswith(("diversion by ", "local diversion "))]
    return sorted({owner.split(",")[0] for owner in owners})


def record_packages(sources, root):
    """Writes /var/lib/dpkg/status.d (as distroless images have it) and the copyright files."""
    for package in packages_of(sources):
        name = package.partition(":")[0]
        status = root / "var/lib/dpkg/status.d" / name
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(run("dpkg-query", "-s", package))
        copyright_file = Path("/usr/share/doc", name, "copyright")
        if copyright_file.exists():
            place(copyright_file, root, str(copyright_file))
    place("/etc/os-release", root, "/etc/os-release")


def stage(program, root):
    libraries, loader = libraries_of(program), loader_of(program)
    libraries.pop(Path(loader).name, None)
    staged = place(program, root, f"/usr/bin/{Path(program).name}")
    run("strip", "--strip-all", str(staged))
    place(loader, root, loader)
    for name, path in sorted(libraries.items()):
        # By one of the folders that the loader searches without ld.so.cache.
        place(path, root, f"/lib/{Path(loader).resolve().parent.name}/{name}")
    place(CA_BUNDLE, root, CA_BUNDLE)
    for name, text in TEXTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if shutil.which("dpkg-query"):
        record_packages([loader, *libraries.values()], root)
    else:
        print("rootfs: no dpkg here, so the image does not say which packages its libraries came from", file=sys.stderr)
    for path in [root, *root.rglob("*")]:  # whatever the umask
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, root = sys.argv[1], Path(sys.argv[2])
    if machine_of(program) is None:
        sys.exit(f"rootfs: {program} is no ELF program")
    root.mkdir(parents=True, exist_ok=True)
    stage(program, root)


if __name__ == "__main__":
    main()
