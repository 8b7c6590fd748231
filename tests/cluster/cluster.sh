#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real one-node Kubernetes on this host, without a container engine. Kubernetes is built from the Go modules pinned in
# go.mod; etcd, containerd, runc and the CNI plugins are Debian packages. Needs root.
#
#   cluster.sh build            install the Debian packages and build Kubernetes (about 10 minutes on 2 cores, once)
#   cluster.sh up               start it, where it is not up yet; the last line sets KUBECONFIG
#   cluster.sh status           what runs; fails where something does not
#   cluster.sh kubeconfig       print the path of the administrator's kubeconfig
#   cluster.sh kubectl ARG...   run kubectl on it
#   cluster.sh image TAR...     import OCI or docker archives into the node
#   cluster.sh volume NAMESPACE NAME [SIZE]
#                               make a ReadWriteMany claim on a folder of this host, and print the folder
#   cluster.sh down             stop it and remove everything it left on the host
#
# MODELBERTH_CLUSTER_DIR moves the state, which holds the logs too (/var/tmp/modelberth-cluster).
# The node is 198.18.0.1, an address of this host: what listens there can be reached from pods. There is no cluster DNS.
# docker.io/local/busybox:1 is a shell with curl for test pods.
set -Eeuo pipefail
trap 'echo "cluster: failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${MODELBERTH_CLUSTER_DIR:-/var/tmp/modelberth-cluster}
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022

# shellcheck source=tests/cluster/kubernetes.sh
. "$here/kubernetes.sh"
# shellcheck source=tests/cluster/process.sh
. "$here/process.sh"
# shellcheck source=tests/cluster/host.sh
. "$here/host.sh"
# shellcheck source=tests/cluster/node.sh
. "$here/node.sh"

say() { printf 'cluster: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '/^#   /s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

kubectl() { "$bin/kubectl" --kubeconfig "$dir/admin.kubeconfig" "$@"; }

# One of up, down and build at a time. The lock is on this folder, so it leaves no file; no daemon inherits it.
lock() {
    exec 9<"$here"
    flock -n 9 && return
    say "waiting for another cluster.sh to finish"
    flock -w 1800 9 || die "another cluster.sh does not finish"
}

build() {
    "$here/../setup.sh" cluster
    build_kubernetes
}

# Prints what is wrong, nothing where all is well.
trouble() {
    local part
    [ -d "$dir" ] || { echo "it is down"; return; }
    [ -x "$bin/kubectl" ] || { echo "kubectl is not built"; return; }
    for part in $parts; do
        is_running "$part" || { echo "$part is not running"; return; }
    done
    kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 || { echo "the API server is not ready"; return; }
    node_is_ready || echo "the node is not Ready"
}

up() {
    local why
    build
    why=$(trouble)
    if [ -n "$why" ]; then
        check_state_dir
        check_no_other_cluster
        if has_leftovers; then
            say "cleaning up first: $why"
            down
        fi
        check_no_other_kubernetes
        start_cluster
        say "up in $SECONDS s; logs are in $dir/log"
    fi
    echo "export KUBECONFIG=$dir/admin.kubeconfig"
}

down() {
    check_state_dir
    check_no_other_cluster
    stop kubelet kube-proxy
    kill_pods
    stop containerd kube-scheduler kube-controller-manager kube-apiserver etcd
    clean_host
    if [ -d "$dir" ]; then remove_state; fi
}

status() {
    local part why
    for part in $parts; do
        if is_running "$part"; then
            printf '%-24s running, pid %s\n' "$part" "$(pid_of "$part")"
        else
            printf '%-24s not running\n' "$part"
        fi
    done
    why=$(trouble)
    [ -z "$why" ] || die "$why"
    echo "healthy; KUBECONFIG is $dir/admin.kubeconfig"
}

image() {
    local archive
    [ -S "$dir/containerd.sock" ] || die "the cluster is down"
    for archive in "$@"; do import_image "$archive"; done
}

volume() { # namespace name [size]
    local folder=$dir/volumes/$1/$2
    mkdir -p "$folder"
    chmod 0777 "$folder" # as on a share that any user may write
    kubectl get namespace "$1" >/dev/null 2>&1 || kubectl create namespace "$1" >/dev/null
    # A volume whose claim was deleted is never bound again.
    kubectl -n "$1" get pvc "$2" >/dev/null 2>&1 || kubectl delete pv "$1.$2" --ignore-not-found >/dev/null
    kubectl apply -f - >/dev/null <<Y
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$1.$2"}
spec:
  capacity: {storage: ${3:-1Gi}}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: "$1", name: "$2"}
  hostPath: {path: "$folder", type: Directory}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: "$1", name: "$2"}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: "$1.$2"
  resources: {requests: {storage: ${3:-1Gi}}}
Y
    kubectl -n "$1" wait --for=jsonpath='{.status.phase}'=Bound "pvc/$2" --timeout=60s >/dev/null
    echo "$folder"
}

[ $# -gt 0 ] || usage
command=$1
shift
case $command in
build | up | down | image | volume)
    [ "$(id -u)" -eq 0 ] || die "needs root"
    ;;
esac
case $command in
build | up | down)
    [ $# -eq 0 ] || usage
    lock
    "$command"
    ;;
status) status ;;
kubeconfig) echo "$dir/admin.kubeconfig" ;;
kubectl) exec "$bin/kubectl" --kubeconfig "$dir/admin.kubeconfig" "$@" ;;
image)
    [ $# -gt 0 ] || usage
    image "$@"
    ;;
volume)
    [ $# -eq 2 ] || [ $# -eq 3 ] || usage
    volume "$@"
    ;;
*) usage ;;
esac
