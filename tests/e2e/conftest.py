"""The cluster, the images, the hub and the installed webhook: made once for all cases.

Without KUBECONFIG the project's own one-node Kubernetes is used, and started where it is down. With KUBECONFIG an existing
cluster is used; it then needs

    E2E_IMAGE_PREFIX     where its nodes pull the two images from, with a '/' at the end; `make images` makes them
    E2E_IMAGE_TAG        their tag, if it is not the version
    E2E_STORAGE_CLASS    a class of ReadWriteMany claims
    E2E_HUB_HOST         an address of this machine that its pods reach
    E2E_SHELL_IMAGE      an image with sh, cat, dd and sha256sum (any busybox)
"""

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from install import Installation
from kube import CLUSTER, ROOT, Kubectl, Namespace
from storage import ClassStorage, FolderStorage

from hub import Hub

OWN_NODE_IP = "198.18.0.1"


class Cluster:
    def __init__(self):
        self.is_own = not os.environ.get("KUBECONFIG")
        if self.is_own:
            if os.geteuid():
                pytest.skip("the test cluster needs root, and no KUBECONFIG names another one")
            subprocess.run([CLUSTER, "up"], check=True, stdout=subprocess.DEVNULL)
            self.kubectl = Kubectl([str(CLUSTER), "kubectl"])
            self.image_prefix = "docker.io/local/"
            self.hub_host = OWN_NODE_IP
            self.storage = FolderStorage(self.kubectl)
            return
        missing = [n for n in ("E2E_IMAGE_PREFIX", "E2E_STORAGE_CLASS", "E2E_HUB_HOST", "E2E_SHELL_IMAGE") if not os.environ.get(n)]
        if missing:
            pytest.fail(f"KUBECONFIG is given, but not {', '.join(missing)}: see tests/e2e/conftest.py")
        self.kubectl = Kubectl([os.environ.get("KUBECTL", "kubectl")])
        self.image_prefix = os.environ["E2E_IMAGE_PREFIX"]
        self.hub_host = os.environ["E2E_HUB_HOST"]
        self.storage = ClassStorage(self.kubectl, os.environ["E2E_STORAGE_CLASS"])

    def images(self):
        """The tag of both images. The own cluster gets those of this build; another one has them already."""
        if not self.is_own:
            version = re.search(r"^VERSION *:= *(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
            return os.environ.get("E2E_IMAGE_TAG", version)
        out = ROOT / "build/images/e2e"
        subprocess.run([ROOT / "manifests/images/build.sh", "-v", "e2e", "-p", self.image_prefix, "-o", out], check=True,
                       stdout=subprocess.DEVNULL)
        archives = [out / "modelberth-webhook.tar", out / "modelberth-initc.tar"]
        subprocess.run([CLUSTER, "image", *archives], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return "e2e"


@pytest.fixture(scope="session")
def cluster():
    return Cluster()


@pytest.fixture(scope="session")
def e2e_hub(cluster, seeded_hub_data):
    with Hub(seeded_hub_data, listen=cluster.hub_host, page_size=3) as server:
        yield server


@pytest.fixture(scope="session")
def installed(cluster, e2e_hub, tmp_path_factory):
    """modelberth as a user installs it, its init containers pointed at the local hub."""
    installation = Installation(cluster, cluster.images(), {"HF_ENDPOINT": e2e_hub.url}, tmp_path_factory.mktemp("install"))
    installation.remove()
    installation.apply()
    yield installation
    installation.remove()


@pytest.fixture
def hub_log(e2e_hub):
    e2e_hub.control.reset()
    return e2e_hub.control


@pytest.fixture
def make_namespace(cluster, request):
    made = []

    def make():
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40] + "-" + uuid.uuid4().hex[:6]
        made.append(Namespace(cluster.kubectl, name, cluster.storage))
        return made[-1]

    yield make
    for namespace in made:
        namespace.delete()


@pytest.fixture
def namespace(installed, make_namespace):
    return make_namespace()
