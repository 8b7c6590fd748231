# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Sourced by cluster.sh: certificates, configuration and start of each part of the cluster. Each part has its own
# identity with no more than the rights that Kubernetes gives it: authorization is Node and RBAC throughout.

node=node1
etcd_url=http://127.0.0.1:23790
images=$here/../../manifests/images

certificate() { # name subject [subjectAltName]
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/pki/$1.key" -subj "$2" 2>/dev/null |
        openssl x509 -req -days 365 -CA "$dir/pki/ca.crt" -CAkey "$dir/pki/ca.key" -CAcreateserial \
            ${3:+-extfile <(echo "subjectAltName=$3")} -out "$dir/pki/$1.crt" 2>/dev/null
}

kubeconfig() { # certificate file
    (umask 077 && cat >"$2") <<K
apiVersion: v1
kind: Config
clusters: [{name: modelberth, cluster: {server: "https://$node_ip:6443", certificate-authority-data: "$(base64 -w0 "$dir/pki/ca.crt")"}}]
users: [{name: $1, user: {client-certificate-data: "$(base64 -w0 "$dir/pki/$1.crt")", client-key-data: "$(base64 -w0 "$dir/pki/$1.key")"}}]
contexts: [{name: modelberth, context: {cluster: modelberth, user: $1}}]
current-context: modelberth
K
}

make_identities() {
    (umask 077 && mkdir "$dir/pki")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=modelberth-test-cluster \
        -keyout "$dir/pki/ca.key" -out "$dir/pki/ca.crt" 2>/dev/null
    openssl genrsa -out "$dir/pki/sa.key" 2048 2>/dev/null
    openssl rsa -in "$dir/pki/sa.key" -pubout -out "$dir/pki/sa.pub" 2>/dev/null
    certificate apiserver /CN=kube-apiserver \
        "IP:$node_ip,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate admin /O=system:masters/CN=admin
    certificate controller-manager /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate proxy /CN=system:kube-proxy
    certificate kubelet "/O=system:nodes/CN=system:node:$node" "IP:$node_ip,DNS:$node"
    local user
    for user in admin controller-manager scheduler proxy kubelet; do kubeconfig $user "$dir/$user.kubeconfig"; done
}

start_etcd() {
    start etcd etcd --data-dir "$dir/etcd" --listen-client-urls $etcd_url --advertise-client-urls $etcd_url \
        --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:23800 \
        --initial-cluster default=http://127.0.0.1:23800 --unsafe-no-fsync
}

start_apiserver() {
    # What the webhook answered (its auditAnnotations too) can be read in log/audit.log.
    cat >"$dir/audit.yaml" <<'C'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete]
  userGroups: [system:masters, "system:serviceaccounts"]
- level: None
C
    start kube-apiserver "$bin/kube-apiserver" --etcd-servers=$etcd_url --bind-address="$node_ip" --secure-port=6443 \
        --advertise-address="$node_ip" --client-ca-file="$dir/pki/ca.crt" \
        --tls-cert-file="$dir/pki/apiserver.crt" --tls-private-key-file="$dir/pki/apiserver.key" \
        --kubelet-certificate-authority="$dir/pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --kubelet-client-certificate="$dir/pki/apiserver-to-kubelet.crt" \
        --kubelet-client-key="$dir/pki/apiserver-to-kubelet.key" \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$dir/pki/sa.pub" \
        --service-account-signing-key-file="$dir/pki/sa.key" --service-cluster-ip-range="$service_net" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
        --audit-policy-file="$dir/audit.yaml" --audit-log-path="$dir/log/audit.log" \
        --audit-log-maxsize=50 --audit-log-maxbackup=1
}

start_controllers() {
    start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$dir/controller-manager.kubeconfig" \
        --service-account-private-key-file="$dir/pki/sa.key" --root-ca-file="$dir/pki/ca.crt" \
        --use-service-account-credentials=true --leader-elect=false --secure-port=0 \
        --flex-volume-plugin-dir="$dir/volume-plugins" --pvclaimbinder-sync-period=1s
    start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$dir/scheduler.kubeconfig" --leader-elect=false --secure-port=0
}

# Everything under $dir that has a setting for it, or it stays behind in /run, /opt and /var/lib. restrict_oom_score_adj: runc
# fails otherwise where CAP_SYS_RESOURCE is missing. ptp joins pods by routes, so Services between pods need no br_netfilter.
start_containerd() {
    cat >"$dir/containerd.toml" <<C
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$dir/containerd.sock"
[ttrpc]
  address = "$dir/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "docker.io/local/pause:1"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$dir/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
C
    cat >"$dir/cni/10-pods.conflist" <<C
{"cniVersion": "0.4.0", "name": "$network", "plugins": [
  {"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "dataDir": "$dir/cni-ipam",
    "ranges": [[{"subnet": "$pod_net"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
C
    start containerd containerd -c "$dir/containerd.toml"
    wait_for containerd 60 ctr -a "$dir/containerd.sock" version
}

start_kubelet() {
    # Pods ask the node for names, where nobody answers: a look-up fails at once instead of leaving the host.
    echo "nameserver $node_ip" >"$dir/resolv.conf"
    cat >"$dir/kubelet.yaml" <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
readOnlyPort: 0
containerRuntimeEndpoint: unix://$dir/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $dir/pki/kubelet.crt
tlsPrivateKeyFile: $dir/pki/kubelet.key
resolvConf: $dir/resolv.conf
podLogsDir: $dir/log/pods
volumePluginDir: $dir/volume-plugins
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
C
    start kubelet "$bin/kubelet" --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubelet.kubeconfig" \
        --hostname-override $node --node-ip "$node_ip" --root-dir "$dir/kubelet"
}

start_proxy() {
    start kube-proxy "$bin/kube-proxy" --kubeconfig="$dir/proxy.kubeconfig" --hostname-override $node --proxy-mode iptables \
        --bind-address "$node_ip" --metrics-bind-address 127.0.0.1:10249 --healthz-bind-address 127.0.0.1:10256 \
        --iptables-localhost-nodeports=false --nodeport-addresses primary --cluster-cidr "$pod_net" \
        --iptables-min-sync-period 0s --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
}

# The images that a node has before it pulls any: pause, and a shell for test pods. The shell comes with curl, since
# a static busybox crashes in getaddrinfo: its wget and ping are of no use.
import_own_images() {
    local root=$dir/images/root applet
    mkdir -p "$root/bin" "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    python3 "$images/oci.py" pack "$root" "$dir/images/pause.tar" --name docker.io/local/pause:1 \
        --entrypoint /bin/busybox sleep 2147483647
    python3 "$images/rootfs.py" "$(command -v curl)" "$root"
    chmod 1777 "$root/tmp"
    python3 "$images/oci.py" pack "$root" "$dir/images/busybox.tar" --name docker.io/local/busybox:1 \
        --env PATH=/bin:/usr/bin --entrypoint /bin/sh
    import_image "$dir/images/pause.tar"
    import_image "$dir/images/busybox.tar"
    rm -r "$dir/images"
}

# kubelet sees an image only when the CRI plugin has noticed it, which it marks with a label.
import_image() { # archive
    local names name
    names=$(ctr -a "$dir/containerd.sock" -n k8s.io images import "$1" | sed -n 's/^unpacking \([^ ]*\) .*/\1/p')
    [ -n "$names" ] || die "no image came out of $1"
    for name in $names; do
        wait_until 30 image_is_known "$name" || die "the node does not take $name"
        say "imported $name"
    done
}

image_is_known() {
    ctr -a "$dir/containerd.sock" -n k8s.io images list -q "name==$1,labels.\"io.cri-containerd.image\"==managed" | grep -q .
}

node_is_ready() {
    [ "$(kubectl get node $node --request-timeout=10s \
        -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}

service_rules_exist() { iptables -t nat -n -L KUBE-SERVICES 2>/dev/null | grep -q default/kubernetes:https; }

start_cluster() {
    mkdir -p "$dir"/pid # first: it says that the folder is ours
    mkdir -p "$dir"/{log,cni,volumes}
    prepare_host
    make_identities
    start_etcd
    start_apiserver
    start_containerd
    import_own_images
    wait_for kube-apiserver 180 kubectl get --raw /readyz
    start_controllers
    start_kubelet
    start_proxy
    wait_for kubelet 120 node_is_ready
    wait_for kube-proxy 60 service_rules_exist
    wait_for kube-controller-manager 60 kubectl -n default get serviceaccount default
}
