"""Start, crash, start again, stop: what remains on the host afterwards is what was there before."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import SCRIPT, Cluster, wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture
def down_before():
    """These cases take the cluster down, so they leave one alone that somebody else started."""
    if os.geteuid():
        pytest.skip("the test cluster needs root")
    if subprocess.run([SCRIPT, "status"], capture_output=True, check=False).returncode == 0:
        pytest.skip("the cluster is up already, and this case would take it down: run `make cluster-down` first")


def traces():
    """Everything on the host that could be of the cluster."""
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    rules = output("iptables-save") + output("ip6tables-save")
    programs = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            programs.append((folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace"))
        except OSError:
            continue  # it ended meanwhile
    return {
        "processes": sorted(p for p in programs if re.search(r"(^|/)(etcd|kube(let|-[a-z-]+)|containerd[a-z0-9-]*)$", p)),
        "rules": re.findall(r"^.*(?:KUBE-|CNI-|MODELBERTH).*$", rules, re.MULTILINE),
        "links": re.findall(r"(?:modelberth0|veth\w+|cni0)", output("ip", "-o", "link")),
        "routes": re.findall(r"^10\.(?:96|244)\..*$", output("ip", "route"), re.MULTILINE),
        "mounts": re.findall(r"\S*modelberth-cluster\S*", Path("/proc/self/mountinfo").read_text(encoding="utf-8")),
        "cgroups": [str(p) for pattern in ("*/modelberth", "modelberth", "*/kubepods", "kubepods") for p in Path("/sys/fs/cgroup").glob(pattern)],
        "files": [p for p in ("/var/tmp/modelberth-cluster", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods",
                              "/run/containerd", "/run/netns", "/opt/containerd", "/usr/libexec/kubernetes") if Path(p).exists()],
        "sysctls": [Path(f"/proc/sys/{key}").read_text(encoding="utf-8") for key in (
            "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")],
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
    state = Path(subprocess.run([SCRIPT, "kubeconfig"], capture_output=True, text=True, check=True).stdout.strip()).parent
    for part in parts:
        os.kill(int((state / "pid" / part).read_text(encoding="utf-8").split()[0]), signal.SIGKILL)


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
        wait_until(lambda: any("kube-apiserver" in program for program in traces()["processes"]), "the API server to start", 300)
        assert up.poll() is None
        up.kill()
    cluster = Cluster()
    cluster.script("down")
    assert traces() == before
