"""What the API server does with the configuration, the policy and the server behind the Service."""

import json

import pytest
from kube import annotations, container, deployment, pod, wait_until

MODEL = "acme/tiny-llama"


def as_stored(namespace, name):
    """The pod without what differs between any two creations."""
    found = namespace.get("pod", name)
    for key in ("uid", "creationTimestamp", "resourceVersion", "managedFields"):
        found["metadata"].pop(key, None)
    found.pop("status", None)
    return found


def unscheduled(name, notes):
    """No scheduler and no token: nothing but admission writes to it."""
    return pod(name, notes, schedulerName="nobody", automountServiceAccountToken=False)


@pytest.mark.parametrize("notes", [None, "null", {}, {"team": "a"}, {"ome.io/storage-type": "hostpath"}],
                         ids=["absent", "null", "empty", "unrelated", "other-storage-type"])
def test_a_pod_without_a_trigger_is_stored_as_without_the_webhook(installed, namespace, notes):
    def create():
        item = unscheduled("plain", notes if isinstance(notes, dict) else None)
        if notes == "null":
            item["metadata"]["annotations"] = None
        item["metadata"]["namespace"] = namespace.name
        namespace.kubectl.run("create", "-f", "-", stdin=json.dumps(item))
        found = as_stored(namespace, "plain")
        namespace.kubectl.run("-n", namespace.name, "delete", "pod", "plain", "--force", "--grace-period=0")
        return found

    with_webhook = create()
    with installed.without_webhook():
        assert create() == with_webhook
    assert "initContainers" not in with_webhook["spec"]


def test_without_the_configuration_an_annotated_pod_is_denied_by_the_policy(installed, namespace):
    with installed.without_webhook():
        result = namespace.apply(pod("server", annotations()), check=False)
        assert result.returncode != 0
        assert "ValidatingAdmissionPolicy" in result.stderr
        assert "modelberth-init" in result.stderr
        assert "kubectl get mutatingwebhookconfiguration modelberth" in result.stderr


def test_a_forged_mark_does_not_pass_the_policy(installed, namespace):
    notes = annotations() | {"modelberth.io/injected": '[{"claim":"models"}]'}
    with installed.without_webhook():
        assert namespace.apply(pod("server", notes), check=False).returncode != 0


def test_inject_false_passes_webhook_and_policy_untouched(installed, namespace):
    namespace.apply(unscheduled("server", annotations() | {"modelberth.io/inject": "false"}))
    assert "initContainers" not in namespace.get("pod", "server")["spec"]


def test_the_annotations_of_a_deployment_itself_reach_nobody(installed, namespace):
    item = deployment("server", None)
    item["metadata"]["annotations"] = annotations()
    namespace.apply(item)
    wait_until(lambda: namespace.pods("app=server"), "a pod")
    assert "initContainers" not in namespace.pods("app=server")[0]["spec"]


def test_what_is_stored_goes_through_again_unchanged(installed, namespace):
    """A copy of a stored pod, with what the API server filled in, has nothing left to edit."""
    namespace.apply(unscheduled("first", annotations(f"hf://{MODEL}@main")))
    first = as_stored(namespace, "first")
    first["metadata"]["name"] = "second"
    namespace.kubectl.run("create", "-f", "-", stdin=json.dumps(first))
    second = as_stored(namespace, "second")
    second["metadata"]["name"] = "first"
    assert second["spec"] == as_stored(namespace, "first")["spec"]


def test_dry_run_is_answered_and_stores_nothing(installed, namespace):
    item = unscheduled("server", annotations())
    item["metadata"]["namespace"] = namespace.name
    result = namespace.kubectl.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(item))
    assert json.loads(result.stdout)["spec"]["initContainers"][0]["name"] == "modelberth-init"
    assert not namespace.kubectl.exists("-n", namespace.name, "pod", "server")


def test_two_replicas_run_and_the_loss_of_one_is_not_noticed(installed, namespace):
    status = installed.deployment()["status"]
    assert status["readyReplicas"] == 2
    victim = installed.pods()[0]["metadata"]["name"]
    installed.kubectl.run("-n", "modelberth-system", "delete", "pod", victim, "--wait=false")
    for i in range(20):
        item = unscheduled(f"server-{i}", annotations())
        item["metadata"]["namespace"] = namespace.name
        namespace.kubectl.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(item))
    wait_until(lambda: installed.deployment()["status"].get("readyReplicas") == 2, "two ready replicas again")


def test_the_server_keeps_within_its_memory_limit_and_serves_metrics(installed):
    text = installed.metrics()
    assert "modelberth_webhook_reviews_total{" in text
    resident = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
    assert resident < 32 * 1024 * 1024
