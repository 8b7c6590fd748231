#!/bin/sh
# Installs what a part of the project needs, and does nothing where it is there already.
#
#   tests/setup.sh build     to build the programs
#   tests/setup.sh check     to run the fast tests
#   tests/setup.sh cluster   to run the test cluster
#   tests/setup.sh python    the virtual environment of the Python tests
#   tests/setup.sh python-path    prints that environment's folder
#
# Several sets may be named at once. Debian packages need root or sudo; nothing else does.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/modelberth

build_packages="gcc libc6-dev make pkg-config libmicrohttpd-dev libgnutls28-dev libjansson-dev libyaml-dev
    libcurl4-openssl-dev libssl-dev openssl ca-certificates python3 curl"
python_packages="python3 python3-venv ca-certificates"
check_packages="$build_packages $python_packages libcmocka-dev git"
cluster_packages="etcd-server containerd runc containernetworking-plugins iptables conntrack iproute2 mount util-linux
    procps busybox-static curl binutils openssl $python_packages"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# missing_packages NAME...: those that are not installed
missing_packages() {
    for package in "$@"; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || die "this is not Debian: install the counterparts of: $*"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "missing Debian packages, and neither root nor sudo to install them: $missing"
    fi
    say "installing Debian packages: $missing"
    as_root apt-get -q update >&2 || die "apt-get update failed"
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing >&2 ||
        die "apt-get could not install: $missing"
}

venv_path() {
    hash=$(sha256sum "$here/requirements.txt" | cut -c1-12)
    printf '%s/venv-%s\n' "$cache" "$hash"
}

# find_python: one that the pinned packages run on, with venv
find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    die "no python3 of version 3.11 or newer with the venv module on PATH"
}

venv_is_complete() {
    [ -f "$1/.complete" ] && "$1/bin/python" -c 'import pytest, xdist, huggingface_hub' 2>/dev/null
}

# A venv cannot be renamed into place, so it is made there; the marker, written last, tells a finished one from the
# rest of a killed set-up. The lock lets a second run wait for the first.
make_venv() {
    venv=$(venv_path)
    mkdir -p "$cache"
    exec 9>"$venv.lock"
    flock 9
    if ! venv_is_complete "$venv"; then
        python=$(find_python)
        say "making the Python environment $venv"
        rm -rf "$venv"
        "$python" -m venv "$venv" || die "python -m venv failed"
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2 ||
            die "pip could not install tests/requirements.txt"
        "$venv/bin/python" -m pip check >&2 || die "tests/requirements.txt lacks a package that another one needs"
        : >"$venv/.complete"
        venv_is_complete "$venv" || die "$venv does not work"
    fi
    exec 9>&-
}

[ $# -gt 0 ] || die "usage: tests/setup.sh build|check|cluster|python|python-path ..."
for set in "$@"; do
    # shellcheck disable=SC2086  # lists of names
    case $set in
    build) install_packages $build_packages ;;
    check)
        install_packages $check_packages
        make_venv
        ;;
    cluster) install_packages $cluster_packages ;;
    python)
        install_packages $python_packages
        make_venv
        ;;
    python-path) venv_path ;;
    *) die "no set \"$set\"; there are build, check, cluster, python and python-path" ;;
    esac
done
