# shellcheck shell=bash disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: Apache-2.0
# Sourced by cluster.sh: the daemons. A process is ours when its id, its start time and the boot are those that it wrote
# down itself before it became the daemon, so no killed run loses one, and a reused id is never mistaken for one.

parts="etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy"

started_at() { # pid: in ticks since boot, with the boot's id
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) } # the name before may hold anything
    # shellcheck disable=SC2086  # split on purpose
    set -- $stat
    [ "$1" != Z ] || return 1 # dead, only not yet waited for
    echo "${20} $(cat /proc/sys/kernel/random/boot_id)"
}

start() { # name command...
    local name=$1
    shift
    (
        self=$BASHPID
        echo "$self $(started_at "$self")" >"$dir/pid/$name.new"
        mv "$dir/pid/$name.new" "$dir/pid/$name"
        exec setsid "$@" >"$dir/log/$name.log" 2>&1 </dev/null 9<&-
    ) &
    wait_until 10 test -e "$dir/pid/$name" || die "$name did not start"
}

pid_of() { # name: prints the id of the running process, fails where there is none
    local pid time
    [ -f "$dir/pid/$1" ] || return 1
    read -r pid time <"$dir/pid/$1" || return 1
    [ -n "$pid" ] && [ "$(started_at "$pid")" = "$time" ] || return 1
    echo "$pid"
}

is_running() { pid_of "$1" >/dev/null; }
is_stopped() { ! is_running "$1"; }

stop() { # name...: ask, and kill what is left after 5 s
    local name pid
    for name in "$@"; do
        if pid=$(pid_of "$name"); then kill "$pid" 2>/dev/null || true; fi
    done
    for name in "$@"; do
        wait_until 5 is_stopped "$name" && continue
        if pid=$(pid_of "$name"); then kill -9 "$pid" 2>/dev/null || true; fi
        wait_until 10 is_stopped "$name" || die "$name does not die"
    done
}

wait_until() { # seconds command...: fails when the command still fails at the deadline
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

wait_for() { # part seconds command...: as above, but ends at once with the log when the part dies
    local part=$1 seconds=$2
    shift 2
    answers_or_died() { "$@" || is_stopped "$part"; }
    if wait_until "$seconds" answers_or_died "$@" && is_running "$part"; then return; fi
    tail -n 15 "$dir/log/$part.log" >&2 || true
    die "$part did not get ready; its log is $dir/log/$part.log"
}
