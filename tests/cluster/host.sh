# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Sourced by cluster.sh: what the cluster puts on the host besides its processes, and how it goes away again. All of it
# bears our name (link, chain, cgroup) or lies under $dir, so nothing of anybody else is touched.

node_ip=198.18.0.1 # on a bridge without ports: kubelet refuses a loopback address
pod_net=10.244.0.0/24
service_net=10.96.0.0/16
link=modelberth0
chain=MODELBERTH
cgroup=modelberth
network=modelberth # of the CNI; its name is in the comment of each rule that a plugin makes
# kubelet and kube-proxy set these for the whole host.
sysctls="net/ipv4/ip_forward net/ipv4/conf/all/route_localnet vm/overcommit_memory vm/panic_on_oom kernel/panic
    kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes"

# The folder is removed as root, so it has to be a plain path and ours.
check_state_dir() {
    [[ $dir =~ ^/[A-Za-z0-9._/-]+/[A-Za-z0-9._-]+$ && $dir != *..* ]] || die "not a usable MODELBERTH_CLUSTER_DIR: $dir"
    [ -e "$dir" ] || [ -L "$dir" ] || return 0
    if [ -L "$dir" ] || [ ! -d "$dir" ] || [ ! -O "$dir" ]; then die "$dir is not a folder of root"; fi
    [ -d "$dir/pid" ] || [ -z "$(ls -A "$dir")" ] || die "$dir holds something else than a cluster"
}

link_exists() { ip link show "$link" >/dev/null 2>&1; }
has_chain() { iptables -n -L "$1" >/dev/null 2>&1; }
other_state_dir() { # of the cluster that the link was made by
    local other
    other=$({ ip -o link show "$link" 2>/dev/null || true; } | sed -n 's/.*alias \([^ \\]*\).*/\1/p')
    if [ -n "$other" ] && [ "$other" != "$dir" ] && [ -d "$other" ]; then echo "$other"; fi
}
has_leftovers() { [ -d "$dir" ] || link_exists || has_chain "$chain"; }

# There is one node address, one cgroup and one set of rules, so one cluster on a host.
check_no_other_cluster() {
    local other
    other=$(other_state_dir)
    [ -z "$other" ] || die "a cluster with its state in $other is here already: name that folder in MODELBERTH_CLUSTER_DIR"
}

check_no_other_kubernetes() {
    if has_chain KUBE-SERVICES || has_chain KUBE-FIREWALL; then die "this host is a node of another Kubernetes"; fi
}

prepare_host() {
    local key
    for key in $sysctls; do
        [ ! -e "/proc/sys/$key" ] || echo "$key $(cat "/proc/sys/$key")"
    done >"$dir/sysctls"
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip link add "$link" type bridge
    ip link set "$link" alias "$dir" up
    ip addr add "$node_ip/32" dev "$link"
    # Calls of the API server to Services work without a default route too, and come from the node's address.
    ip route add "$service_net" dev "$link" src "$node_ip"
    # Where the host forwards nothing by default (as with docker), pods still reach each other.
    iptables -N "$chain"
    iptables -A "$chain" -s "$pod_net" -j ACCEPT
    iptables -A "$chain" -d "$pod_net" -j ACCEPT
    iptables -I FORWARD -j "$chain"
    make_cgroup
}

# All pods live in a cgroup of their own, which says whose processes they are even when nothing else is left.
make_cgroup() {
    local root parent controller
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        tr ' ' '\n' </sys/fs/cgroup/cgroup.controllers | while read -r controller; do
            echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
        done
        mkdir -p "/sys/fs/cgroup/$cgroup"
        return
    fi
    for root in /sys/fs/cgroup/*/; do
        mkdir -p "$root$cgroup" 2>/dev/null || continue
        parent=${root%/}
        [ -e "$parent/cpuset.cpus" ] || continue
        cat "$parent/cpuset.cpus" >"$parent/$cgroup/cpuset.cpus"
        cat "$parent/cpuset.mems" >"$parent/$cgroup/cpuset.mems"
    done
}

cgroups() { # the folders of our cgroup, the deepest first, in every hierarchy
    find /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup" -depth -type d 2>/dev/null || true
}

pod_processes() {
    local folder
    for folder in $(cgroups); do cat "$folder/cgroup.procs" 2>/dev/null || true; done | sort -un
}

# The shims of our containerd, found by its socket: they outlive it, and are in no cgroup of ours.
shims() {
    local folder
    for folder in /proc/[0-9]*; do
        if tr '\0' '\n' <"$folder/cmdline" 2>/dev/null | awk -v socket="$dir/containerd.sock" '
            NR == 1 && !/(^|\/)containerd-shim-runc-v2$/ { exit 1 }
            last == "-address" && $0 == socket { found = 1; exit }
            { last = $0 }
            END { exit !found }'; then
            echo "${folder#/proc/}"
        fi
    done
}

no_pod_processes() { [ -z "$(pod_processes)" ]; }
no_shims() { [ -z "$(shims)" ]; }

# New processes can appear while others are killed, so it goes on until none is left.
kill_pod_processes() {
    local pid
    for pid in $(pod_processes); do kill -9 "$pid" 2>/dev/null || true; done
    no_pod_processes
}

kill_shims() {
    local pid
    for pid in $(shims); do kill -9 "$pid" 2>/dev/null || true; done
    no_shims
}

kill_pods() {
    local folder
    wait_until 30 kill_pod_processes || die "processes of pods do not die: $(pod_processes | tr '\n' ' ')"
    wait_until 30 kill_shims || die "containerd's shims do not die: $(shims | tr '\n' ' ')"
    for folder in $(cgroups); do wait_until 5 rmdir "$folder" || [ ! -d "$folder" ] || die "cannot remove $folder"; done
}

clean_host() {
    local device key value
    for device in $(ip -o route show root "$pod_net" 2>/dev/null | sed -n 's/.* dev \(veth[^ ]*\).*/\1/p' | sort -u); do
        ip link del "$device" 2>/dev/null || true
    done
    wait_until 30 unmount_all || die "cannot unmount: $(mounts | tr '\n' ' ')"
    if link_exists || has_chain "$chain"; then
        remove_rules iptables
        remove_rules ip6tables
    fi
    if link_exists; then ip link del "$link"; fi
    remove_hard_coded
    [ -f "$dir/sysctls" ] || return 0
    while read -r key value; do
        [ "$(cat "/proc/sys/$key")" = "$value" ] || echo "$value" >"/proc/sys/$key"
    done <"$dir/sysctls"
}

mounts() { awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo; }

# One call may take several mounts away (kubelet shares its folder with its copies), and new ones come to light below.
unmount_all() {
    local points point
    points=$(mounts | tac)
    for point in $points; do umount "$point" 2>/dev/null || umount -l "$point" 2>/dev/null || true; done
    [ -z "$(mounts)" ]
}

# What the daemons put in places that no setting moves. All of it but kubelet's socket names $dir.
remove_hard_coded() {
    local file
    for file in /var/log/containers/*.log; do
        case $(readlink "$file" || true) in "$dir"/*) rm -f "$file" ;; esac
    done
    for file in /var/lib/cni/results/*; do
        if grep -qs "\"$dir/" "$file"; then rm -f "$file"; fi
    done
    if [ -d "$dir/kubelet" ]; then rm -f /var/lib/kubelet/device-plugins/kubelet.sock; fi
    rmdir /var/log/containers /var/lib/cni/results /var/lib/cni /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null || true
}

# Deletes the chains of kube-proxy, kubelet, our CNI network and ourselves, and every jump to them, table by table.
remove_rules() { # iptables|ip6tables
    local table
    command -v "$1-save" >/dev/null || return 0
    for table in raw mangle nat filter; do
        { "$1-save" -t "$table" 2>/dev/null || true; } | awk -v table="$table" -v own="$chain" -v mark="name: \\\\\"$network\\\\\"" '
            function target(   i) { for (i = 1; i < NF; i++) if ($i == "-j" || $i == "-g") return $(i + 1); return "" }
            /^:/ { name = substr($1, 2); if (name ~ /^KUBE-/ || name == own) gone[name] = 1 }
            /^-A/ { rules[++n] = $0; to[n] = target(); from[n] = $2; if (index($0, mark) && to[n] ~ /^CNI-/) gone[to[n]] = 1 }
            END {
                for (name in gone) any = 1
                if (!any) exit
                print "*" table
                for (name in gone) print ":" name " - [0:0]"
                for (i = 1; i <= n; i++) if (to[i] in gone && !(from[i] in gone)) print "-D" substr(rules[i], 3)
                for (name in gone) print "-X " name
                print "COMMIT"
            }' | "$1-restore" --noflush || die "cannot remove the rules of $1, table $table"
    done
}

# Only after clean_host: a mount that is left could lead out of the folder, and its files would be deleted with it.
remove_state() {
    local address
    for address in "$dir"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/address; do
        [ -f "$address" ] || continue
        rm -f "$(sed 's|^unix://||' "$address")"
    done
    rmdir /run/containerd/s /run/containerd 2>/dev/null || true
    rm -rf --one-file-system "$dir"
}
