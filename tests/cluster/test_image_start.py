"""The programs start in their images, under the strictest rules that a cluster has."""

import pytest

pytestmark = pytest.mark.cluster

TAG = "start-test"


@pytest.fixture(scope="module")
def imported(cluster, build_images, tmp_path_factory):
    archives = build_images(tmp_path_factory.mktemp("images"), "-p", "docker.io/local/", "-v", TAG)
    cluster.script("image", *archives.values())


def test_program_starts_with_a_read_only_root_and_no_rights(cluster, imported, namespace, program):
    # The namespace enforces the restricted profile, so a pod that breaks it would not be made.
    phase, log = cluster.run_pod(namespace, program, {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "program", "image": f"docker.io/local/{program}:{TAG}", "imagePullPolicy": "Never", "args": ["--version"],
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        }]})
    assert phase == "Succeeded", log
    assert log.startswith(program), log
