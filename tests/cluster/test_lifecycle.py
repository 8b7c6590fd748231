"""Start, crash, start again, stop: what remains on the host afterwards is what was there before."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import SCRIPT, Cluster, wait_until

pytestmark = pytest.mark.cluster


STATE = Path(subprocess.run([SCRIPT, "kubeconfig"], capture_output=True, text=True, check=True).stdout.strip()).parent


@pytest.fixture
def down_before():
    """These cases take the cluster down, so they leave one alone that somebody else started."""
    if os.geteuid():
        pytest.skip("the test cluster needs root")
    if STATE.exists():
        pytest.skip("the cluster is up already, and this case would take it down: run `make cluster-down` first")


def daemons():
    """The programs of the cluster that run: they are others', too, so the state folder has to be among the arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        if re.search(r"(^|/)(etcd|kube(let|-[a-z-]+)|containerd[a-z0-9-]*)$", command[0]) and str(STATE) in " ".join(command):
            found.append(Path(command[0]).name)
    return sorted(found)


def traces():
    """Everything on the host that could be of the cluster."""
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    hard_coded = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods", "/run/containerd", "/run/netns",
                  "/opt/containerd", "/usr/libexec/kubernetes")
    settings = ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
    return {
        "daemons": daemons(),
        "rules": re.findall(r"^.*(?:KUBE-|CNI-|MODELBERTH).*$", output("iptables-save") + output("ip6tables-save"), re.MULTILINE),
        "links": re.findall(r"(?:modelberth0|veth\w+|cni0)", output("ip", "-o", "link")),
        "routes": re.findall(r"^10\.(?:96|244)\..*$", output("ip", "route"), re.MULTILINE),
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if str(STATE) in line],
        "cgroups": [str(folder) for folder in Path("/sys/fs/cgroup").glob("**/") if folder.name in ("modelberth", "kubepods")],
        "files": [name for name in (str(STATE), *hard_coded) if Path(name).exists()],
        "settings": [Path("/proc/sys", key).read_text(encoding="utf-8") for key in settings],
    }


def start_pod(cluster):
    """A pod with a network and a volume, so that there is something to clean up."""
    cluster.script("volume", "lifecycle", "data")
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "lifecycle", "name": "pod"}, "spec": {
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [{"name": "main", "image": cluster.shell, "command": ["sleep", "3600"],
                        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}]}]}})
    cluster.kubectl("-n", "lifecycle", "wait", "--for=condition=Ready", "pod/pod", "--timeout=60s")


def kill(*parts):
    for part in parts:
        os.kill(int((STATE / "pid" / part).read_text(encoding="utf-8").split()[0]), signal.SIGKILL)


def test_crashed_cluster_starts_again_and_down_leaves_nothing(down_before):
    before = traces()
    cluster = Cluster()
    start_pod(cluster)
    assert traces() != before

    kill("kube-apiserver")
    assert subprocess.run([SCRIPT, "status"], capture_output=True, check=False).returncode == 1
    cluster.script("up")
    start_pod(cluster)

    kill("containerd", "kubelet", "etcd")
    cluster.script("down")
    assert traces() == before
    cluster.script("down")  # a second time: nothing to do


def test_start_that_was_killed_halfway_is_no_obstacle(down_before):
    before = traces()
    with subprocess.Popen([SCRIPT, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        wait_until(lambda: "kube-apiserver" in daemons(), "the API server to start", 300)
        assert up.poll() is None
        up.kill()
    cluster = Cluster()
    cluster.script("down")
    assert traces() == before
