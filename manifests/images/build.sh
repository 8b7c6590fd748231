#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes container images of the built programs, without a container engine and without root.
#
#   build.sh [-b BUILD] [-o OUT] [-p PREFIX] [-v VERSION] [PROGRAM...]
#
#   BUILD    where the programs are (build)
#   OUT      where PROGRAM.tar goes (BUILD/images)
#   PREFIX   what stands before the image's name, as in -p registry.example/team/ (nothing)
#   VERSION  the tag (the environment's VERSION, else that of the Makefile)
#   PROGRAM  modelberth-webhook, modelberth-initc (both)
#
# The same programs on the same Debian give the same digests. Each archive is for `docker load -i`, `podman load -i`,
# `skopeo copy oci-archive:FILE docker://…` and `ctr images import`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$top/build
out=
prefix=
version=${VERSION:-$(sed -n 's/^VERSION *:= *//p' "$top/Makefile")}

usage() { sed -n '/^#   /s/^# //p' "$0" >&2; exit 2; }
while getopts b:o:p:v: option; do
    case $option in
    b) build=$OPTARG ;;
    o) out=$OPTARG ;;
    p) prefix=$OPTARG ;;
    v) version=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- modelberth-webhook modelberth-initc
[ -n "$version" ] || { echo "build.sh: no version: give one with -v" >&2; exit 2; }
out=${out:-$build/images}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

for program in "$@"; do
    python3 "$here/rootfs.py" "$build/$program" "$work/$program"
    python3 "$here/oci.py" pack "$work/$program" "$out/$program.tar" --name "$prefix$program:$version" \
        --user 65532:65532 --entrypoint "/usr/bin/$program" \
        --label "org.opencontainers.image.title=$program" \
        --label "org.opencontainers.image.version=$version" \
        --label org.opencontainers.image.licenses=Apache-2.0
    set -- "$@" "$out/$program.tar" # each program's place is taken by its archive
    shift
done
python3 "$here/oci.py" show "$@"
