"""Which pods the API server sends to the webhook, and which the policy denies: asked of a real API server."""

import base64
import json

import pytest
from apiserver import wait_until

INIT = {"name": "modelberth-init", "image": "modelberth-initc:0.1.0", "args": ["fetch"],
        "env": [{"name": "HF_ENDPOINT", "value": "https://hub.test"}, {"name": "MODELBERTH_PLAN", "value": "{}"}]}
pytestmark = pytest.mark.slow

ABSENT = object()
PVC = {"ome.io/storage-type": "pvc"}
OFF = {"modelberth.io/inject": "false"}
SYSTEM = "modelberth-system"
VERSIONS = r'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'


def pod(name, annotations=ABSENT, **spec):
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "main", "image": "server:1"}], **spec}}
    if annotations is not ABSENT:
        item["metadata"]["annotations"] = annotations
    return item


@pytest.fixture(scope="module")
def applied(api, _installed_tree):
    """What kubectl said when it applied everything to a fresh cluster and again, and the versions of the objects then."""
    install = str(_installed_tree.install)

    def apply():
        return api.run("apply", "--validate=strict", "-k", install), api.run("get", "-k", install, "-o", VERSIONS).stdout

    return [apply(), apply()]


@pytest.fixture(scope="module")
def rules(api, applied, recorder):
    """Registration and policy as installed, but for the place where the webhook answers."""
    client = {"url": recorder.url, "caBundle": base64.b64encode(recorder.ca).decode()}
    api.run("patch", "mutatingwebhookconfiguration", "modelberth", "--type=json", "-p", json.dumps(
        [{"op": "replace", "path": "/webhooks/0/clientConfig", "value": client}]))
    names = (f"probe-{i}" for i in range(10**6))

    def is_at_work():
        name = next(names)
        return "ValidatingAdmissionPolicy" in api.create(pod(name, PVC)).stderr and name in recorder.names

    wait_until(is_at_work, "call of the webhook and denial by the policy")
    return api


# (annotations, is it sent to the webhook, does the policy deny it)
CASES = {
    "absent": (ABSENT, False, False),
    "null": (None, False, False),
    "empty": ({}, False, False),
    "of-others": ({"example.com/x": "pvc"}, False, False),
    "pvc": (PVC, True, True),
    "other-storage-type": ({"ome.io/storage-type": "host"}, False, False),
    "empty-storage-type": ({"ome.io/storage-type": ""}, False, False),
    "model-ref": ({"modelberth.io/model-ref": "m"}, True, True),
    "dynamo-model-ref": ({"modelRef": "m"}, True, True),
    "both-kinds": ({**PVC, "modelRef": "m"}, True, True),
    "source-alone": ({"modelberth.io/source": "hf://a/b"}, True, False),
    "pvc-name-alone": ({"ome.io/pvc-name": "models"}, False, False),
    "switched-off": ({**PVC, **OFF}, False, False),
    "source-switched-off": ({"modelberth.io/source": "hf://a/b", **OFF}, False, False),
    "switched-on": ({**PVC, "modelberth.io/inject": "true"}, True, True),
    "inject-misspelt": ({**PVC, "modelberth.io/inject": "False"}, True, True),
    "inject-alone": (OFF, False, False),
    "forged-mark": ({**PVC, "modelberth.io/injected": "claim 'models'"}, True, True),
    "mark-alone": ({"modelberth.io/injected": "x"}, False, False),
}


# (init containers, does the policy deny the pod)
INIT_CONTAINERS = {
    "injected": ([INIT], False),
    "injected-among-others": ([{"name": "proxy", "image": "p"}, INIT], False),
    "null": (None, True),
    "none": ([], True),
    "another-name": ([{**INIT, "name": "modelberth-init2"}], True),
    "without-env": ([{"name": "modelberth-init", "image": "i"}], True),
    "without-a-plan": ([{**INIT, "env": INIT["env"][:1]}], True),
    "null-env": ([{**INIT, "env": None}], True),
}
CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
RESTRICTED = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
              "containers": [{"name": "main", "image": "server:1", "securityContext": CONFINED}]}


def test_install_applies_to_a_fresh_cluster_in_one_go_and_again(applied):
    for result, versions in applied:
        assert len(result.stdout.splitlines()) == len(versions.splitlines()) == 11
        assert "warning" not in result.stderr.lower(), result.stderr


def test_second_apply_changes_no_object(applied):
    [(_, before), (_, after)] = applied
    assert before == after


def test_webhooks_own_pod_meets_the_restricted_standard(rules, installed):
    [deployment] = [o for o in installed if o["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    rules.run("delete", "-n", SYSTEM, "resourcequota", "--all")  # a controller that is not here counts for it
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": "own"}, "spec": template["spec"]}
    result = rules.create(item, "-n", SYSTEM)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["spec"]["priority"] == 2000000000
    item["spec"] = {**item["spec"], "securityContext": {}}
    assert "PodSecurity" in rules.create(item, "-n", SYSTEM).stderr


@pytest.mark.parametrize("file", ["pod-pvc.yaml", "deployment.yaml", "secret-hf-token.yaml"])
def test_example_passes_the_strict_validation_of_the_api_server(rules, _installed_tree, file):
    result = rules.run("create", "--dry-run=server", "--validate=strict", "-f",
                       str(_installed_tree.path / "examples" / file), check=False)
    # only a pod that asks for a model is refused, by the policy: the recorder injects nothing
    assert [line for line in result.stderr.splitlines() if "ValidatingAdmissionPolicy" not in line] == []
    assert ("ValidatingAdmissionPolicy" in result.stderr) == (file == "pod-pvc.yaml")


@pytest.mark.parametrize("case", CASES)
def test_pod_is_sent_and_denied_as_its_annotations_say(rules, recorder, case):
    annotations, is_sent, is_denied = CASES[case]
    result = rules.create(pod(case, annotations))
    assert (case in recorder.names) == is_sent
    assert (result.returncode != 0) == is_denied, result.stderr
    assert ("denied request: annotation " in result.stderr) == is_denied


@pytest.mark.parametrize("case", INIT_CONTAINERS)
def test_policy_looks_for_the_init_container_with_its_plan(rules, case):
    containers, is_denied = INIT_CONTAINERS[case]
    result = rules.create(pod(case, PVC, initContainers=containers))
    assert ("denied request: annotation " in result.stderr) == is_denied
    assert (result.returncode != 0) == is_denied, result.stderr


def test_app_container_of_that_name_is_not_an_init_container(rules):
    item = pod("app-container", PVC)
    item["spec"]["containers"].append(INIT)
    assert "denied request: annotation " in rules.create(item).stderr


def test_mirror_pod_is_neither_sent_nor_denied(rules, recorder):
    result = rules.create(pod("mirror", {**PVC, "kubernetes.io/config.mirror": "0123"}, nodeName="node-1"))
    assert result.returncode == 0, result.stderr
    assert "mirror" not in recorder.names


@pytest.mark.parametrize("namespace, spec", [("kube-system", {}), (SYSTEM, RESTRICTED)])
def test_pod_of_the_system_is_neither_sent_nor_denied(rules, recorder, namespace, spec):
    item = pod(f"in-{namespace}", PVC, **spec)
    result = rules.create(item, "-n", namespace)
    assert result.returncode == 0, result.stderr
    assert item["metadata"]["name"] not in recorder.names


def test_denial_names_the_triggers_and_the_ways_out(rules):
    result = rules.create(pod("p", {"ome.io/storage-type": "pvc", "modelRef": "llama", "ome.io/pvc-name": "c"}))
    assert 'annotation ome.io/storage-type: "pvc", modelRef: "llama" asks for a model' in result.stderr
    assert "kubectl get mutatingwebhookconfiguration modelberth" in result.stderr
    assert 'modelberth.io/inject: "false"' in result.stderr


def test_denial_leaves_out_a_storage_type_that_asks_for_nothing(rules):
    result = rules.create(pod("p", {"ome.io/storage-type": "host", "modelRef": "llama"}))
    assert 'annotation modelRef: "llama" asks for a model' in result.stderr


@pytest.mark.parametrize("value", ["x" * 20000, "two\nlines"], ids=["long", "two-lines"])
def test_denial_of_an_odd_value_still_says_what_to_do(rules, value):
    result = rules.create(pod("p", {"modelRef": value}))
    assert result.returncode != 0
    assert "kubectl get mutatingwebhookconfiguration modelberth" in result.stderr
    assert len(result.stderr) < 5000


def test_update_of_a_pod_is_not_sent(rules, recorder):
    rules.run("create", "-f", "-", stdin=json.dumps(pod("updated", {})))
    rules.run("annotate", "pod", "updated", "ome.io/storage-type=pvc")
    assert "updated" not in recorder.names
