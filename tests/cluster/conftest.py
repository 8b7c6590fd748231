"""The test cluster and the images, as fixtures. Cases that need the cluster bear the mark `cluster`."""

import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/cluster/cluster.sh"
PROGRAMS = ("modelberth-webhook", "modelberth-initc")


def pytest_configure(config):
    config.addinivalue_line("markers", "cluster: needs the test Kubernetes, and so root")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != "test_lifecycle.py")  # first, while it may be down


class Cluster:
    """The one-node Kubernetes of cluster.sh; started where it is down, and left up."""

    node_ip = "198.18.0.1"
    shell = "docker.io/local/busybox:1"

    def __init__(self):
        self.was_up = subprocess.run([SCRIPT, "status"], capture_output=True, check=False).returncode == 0
        self.script("up")

    def script(self, *arguments):
        result = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=3600)
        assert result.returncode == 0, f"cluster.sh {' '.join(map(str, arguments))}: {result.stderr}"
        return result.stdout

    def kubectl(self, *arguments, stdin=None, check=True):
        result = subprocess.run([SCRIPT, "kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120)
        assert not check or result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
        return result

    def apply(self, *objects, check=True):
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", stdin=json.dumps(items), check=check)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def run_pod(self, namespace, name, spec):
        """Runs a pod to its end and returns its phase and the log of its first container."""
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name},
                    "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, **spec}})
        phase = wait_until(lambda: self.ended(namespace, name), f"the end of pod {name}")
        return phase, self.kubectl("-n", namespace, "logs", name).stdout

    def ended(self, namespace, name):
        phase = self.get("-n", namespace, "pod", name)["status"]["phase"]
        return phase if phase in ("Succeeded", "Failed") else None


def wait_until(check, what, seconds=60):
    """Calls check until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def cluster():
    if os.geteuid():
        pytest.skip("the test cluster needs root")
    return Cluster()


@pytest.fixture
def namespace(cluster):
    """A namespace of the case alone, with Pod Security at its strictest."""
    name = "case-" + uuid.uuid4().hex[:8]
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    wait_until(lambda: cluster.kubectl("-n", name, "get", "sa", "default", check=False).returncode == 0, "its service account")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    cluster.kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0", check=False)


@pytest.fixture(scope="session")
def build_images():
    """Calls build.sh for both programs, and returns the archives by program."""
    build = Path(os.environ.get("MODELBERTH_WEBHOOK", ROOT / "build/modelberth-webhook")).resolve().parent
    for program in PROGRAMS:
        assert (build / program).exists(), f"{build / program} is not built: run make"

    def run(out, *options, **environment):
        subprocess.run([ROOT / "manifests/images/build.sh", "-b", build, "-o", out, *options],
                       check=True, capture_output=True, env={**os.environ, **environment})
        return {program: Path(out) / f"{program}.tar" for program in PROGRAMS}

    return run


@pytest.fixture(scope="session", params=PROGRAMS)
def program(request):
    return request.param
