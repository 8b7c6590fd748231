"""What the manifests are read, built and tried with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from apiserver import ApiServer
from recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelberth"


def built_kubernetes():
    """The folder with the newest Kubernetes that tests/cluster/cluster.sh has built, or None."""
    found = sorted(CACHE.glob("kubernetes-v*/kube-apiserver"), key=lambda p: p.stat().st_mtime)
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def kubectl():
    """The path of kubectl: $KUBECTL, the one on PATH, or the test cluster's."""
    built = built_kubernetes()
    path = os.environ.get("KUBECTL") or shutil.which("kubectl") or (built and str(built / "kubectl"))
    if not path:
        pytest.skip("no kubectl: set KUBECTL, or build one with tests/cluster/cluster.sh build")
    return path


class Tree:
    """A copy of manifests/, which a test may change."""

    def __init__(self, folder, kubectl):
        self.path = folder / "manifests"
        self.kubectl = kubectl
        shutil.copytree(ROOT / "manifests", self.path, ignore=shutil.ignore_patterns("tls", "images"))

    @property
    def install(self):
        return self.path / "install"

    def make_certs(self, *arguments):
        subprocess.run([ROOT / "certs/make-certs.sh", "--dir", self.install / "tls", *arguments],
                       check=True, capture_output=True)

    def try_build(self, folder):
        return subprocess.run([self.kubectl, "kustomize", self.path / folder], capture_output=True, text=True)

    def build(self, folder="install"):
        result = self.try_build(folder)
        assert result.returncode == 0, result.stderr
        return list(yaml.safe_load_all(result.stdout))


@pytest.fixture
def tree(tmp_path, kubectl):
    return Tree(tmp_path, kubectl)


@pytest.fixture(scope="session")
def _installed_tree(tmp_path_factory, kubectl):
    tree = Tree(tmp_path_factory.mktemp("installed"), kubectl)
    tree.make_certs()
    return tree


@pytest.fixture(scope="session")
def installed(_installed_tree):
    """What `kubectl apply -k manifests/install` applies."""
    return _installed_tree.build()


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """A real API server alone: no node, no controllers, no root."""
    built = built_kubernetes()
    missing = [n for n in ("etcd", "openssl") if not shutil.which(n)] + ([] if built else ["kube-apiserver"])
    if missing:
        pytest.skip(f"no {', no '.join(missing)}: tests/cluster/cluster.sh build brings them")
    with ApiServer(built, tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="session")
def recorder(tmp_path_factory):
    """A webhook that allows everything and remembers what it was asked, with a certificate for 127.0.0.1."""
    certs = tmp_path_factory.mktemp("recorder")
    subprocess.run([ROOT / "certs/make-certs.sh", "--dir", certs, "--name", "127.0.0.1"], check=True, capture_output=True)
    with Recorder(certs) as server:
        yield server
