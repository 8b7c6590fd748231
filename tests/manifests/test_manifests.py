"""What is installed, read and built, but not yet tried on an API server."""

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
BASE = MANIFESTS / "base"
SYSTEM = "modelberth-system"
SERVICE = f"modelberth-webhook.{SYSTEM}.svc"
FILES = sorted(p for p in MANIFESTS.rglob("*.yaml") if "images" not in p.relative_to(MANIFESTS).parts)
ANNOTATIONS = {"source", "version", "verify", "secret", "include", "exclude", "containers", "init-resources",
               "run-as-user", "fs-group", "timeout", "inject", "model-ref"}


class StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice, line {node.start_mark.line + 1}: {keys}"
        return super().construct_mapping(node, deep)


def documents(path):
    return list(yaml.load_all(path.read_text(), StrictLoader))


def document(path, kind):
    [found] = [d for d in documents(path) if d["kind"] == kind]
    return found


def of_kind(objects, kind):
    [found] = [o for o in objects if o["kind"] == kind]
    return found


def conditions(item):
    return {c["name"]: c["expression"] for c in item["matchConditions"]}


@pytest.fixture
def deployment():
    return document(BASE / "deployment.yaml", "Deployment")


@pytest.fixture
def container(deployment):
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return container


@pytest.fixture
def webhook():
    [webhook] = document(MANIFESTS / "registration/mutatingwebhookconfiguration.yaml",
                         "MutatingWebhookConfiguration")["webhooks"]
    return webhook


@pytest.fixture
def policy():
    return document(BASE / "policy.yaml", "ValidatingAdmissionPolicy")["spec"]


@pytest.fixture
def config():
    [config] = documents(BASE / "config.yaml")
    return config


# ---- files

@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(MANIFESTS)))
def test_file_is_yaml_without_a_key_twice(path):
    assert all(documents(path))


def test_every_file_of_a_kustomization_is_listed_in_it():
    for folder in ("base", "registration"):
        [kustomization] = documents(MANIFESTS / folder / "kustomization.yaml")
        listed = {*kustomization["resources"], "kustomization.yaml"}
        for generator in kustomization.get("configMapGenerator", []):
            listed |= set(generator["files"])
        assert listed == {p.name for p in (MANIFESTS / folder).iterdir()}


def test_no_file_holds_a_ca_bundle():
    for path in FILES:
        assert "caBundle:" not in path.read_text(), path


# ---- the registration

def test_webhook_is_registered_as_designed(webhook):
    assert webhook["name"] == "pods.modelberth.io"
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["timeoutSeconds"] == 5
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["sideEffects"] == "None"
    assert webhook["matchPolicy"] == "Equivalent"
    assert webhook["admissionReviewVersions"] == ["v1", "v1beta1"]
    assert webhook["rules"] == [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                 "resources": ["pods"], "scope": "Namespaced"}]


def test_configuration_runs_after_istio_and_before_pod_identity():
    path = MANIFESTS / "registration/mutatingwebhookconfiguration.yaml"
    name = document(path, "MutatingWebhookConfiguration")["metadata"]["name"]
    order = ["istio-revision-tag-default", "istio-sidecar-injector", name, "pod-identity-webhook"]
    assert name == "modelberth" and order == sorted(order)


def test_policy_and_webhook_look_at_the_same_pods(webhook, policy):
    sent, checked = conditions(webhook), conditions(policy)
    only_warned = " || 'modelberth.io/source' in object.metadata.annotations"
    assert sent["asks-for-a-model"].endswith(only_warned + ")")
    sent["asks-for-a-model"] = sent["asks-for-a-model"].replace(only_warned, "")
    assert sent == checked
    assert webhook["namespaceSelector"] == policy["matchConstraints"]["namespaceSelector"]
    assert webhook["rules"] == policy["matchConstraints"]["resourceRules"]


def test_own_namespace_and_kube_system_are_left_out(webhook):
    assert webhook["namespaceSelector"]["matchExpressions"] == [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", SYSTEM]}]


def test_every_condition_asks_first_whether_there_are_annotations(webhook):
    for expression in conditions(webhook).values():
        assert re.match(r"!?has\(object\.metadata\.annotations\) (\|\||&&) ", expression)


def test_policy_denies_and_fails_closed(policy):
    binding = document(BASE / "policy.yaml", "ValidatingAdmissionPolicyBinding")
    assert binding["spec"]["policyName"] == document(BASE / "policy.yaml", "ValidatingAdmissionPolicy")["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]
    assert policy["failurePolicy"] == "Fail"


# ---- the Deployment and what belongs to it

def test_service_and_disruption_budget_select_the_pods(deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    budget = document(BASE / "availability.yaml", "PodDisruptionBudget")
    service = document(BASE / "service.yaml", "Service")
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels


def test_registration_service_and_server_agree_on_the_way(webhook, container, config):
    service = document(BASE / "service.yaml", "Service")
    [port] = service["spec"]["ports"]
    [server_port] = container["ports"]
    assert webhook["clientConfig"] == {"service": {
        "namespace": service["metadata"]["namespace"], "name": service["metadata"]["name"],
        "path": "/mutate", "port": port["port"]}}
    assert port["targetPort"] == server_port["name"]
    assert config["listen"].endswith(f":{server_port['containerPort']}")
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        assert container[probe]["httpGet"] == {"path": path, "port": server_port["name"], "scheme": "HTTPS"}


def test_certificate_and_config_are_mounted_where_they_are_read(deployment, container, config):
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    volumes = {v["name"]: v for v in deployment["spec"]["template"]["spec"]["volumes"]}
    assert container["args"][:3] == ["serve", "--config", "/etc/modelberth/config.yaml"]
    assert volumes[mounts["/etc/modelberth/config.yaml"]]["configMap"]["name"] == "modelberth-config"
    secret = volumes[mounts["/etc/modelberth/tls"]]["secret"]
    assert secret["secretName"] == "modelberth-webhook-tls"
    assert {f"/etc/modelberth/tls/{i['path']}" for i in secret["items"]} == set(config["tls"].values())


def test_pod_has_time_to_drain(deployment, config, webhook):
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= config["drainSeconds"] + 2 * webhook["timeoutSeconds"]


def test_webhook_survives_updates_and_drains(deployment):
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert document(BASE / "availability.yaml", "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_webhook_has_no_rights_in_the_api(deployment):
    account = document(BASE / "serviceaccount.yaml", "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert not [d for p in FILES for d in documents(p) if "Role" in d.get("kind", "")]


def test_images_have_the_version_of_the_programs(container):
    version = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    [variable] = container["env"]
    assert container["image"] == f"modelberth-webhook:{version}"
    assert variable == {"name": "INIT_IMAGE", "value": f"modelberth-initc:{version}"}
    assert container["args"][3:] == ["--init-image", "$(INIT_IMAGE)"]
    [kustomization] = documents(MANIFESTS / "install/kustomization.yaml")
    assert {i["name"]: i["newTag"] for i in kustomization["images"]} == {
        "modelberth-webhook": version, "modelberth-initc": version}


# ---- the settings

def test_config_shows_every_key_with_its_default(config):
    assert config == {
        "listen": "0.0.0.0:8443",
        "tls": {"certificate": "/etc/modelberth/tls/tls.crt", "key": "/etc/modelberth/tls/tls.key"},
        "drainSeconds": 10,
        "init": {"imagePullPolicy": "IfNotPresent", "resources": {"cpu": "500m", "memory": "128Mi"},
                 "runAsUser": 65532, "runAsGroup": 65532, "timeout": "1h", "env": {}}}


def test_config_documents_every_key():
    lines = (BASE / "config.yaml").read_text().splitlines()
    documented = True
    for line in lines:
        text = line.strip()
        if not text:
            documented = False
        elif text.startswith("#"):
            documented = True
        else:
            assert documented, f"no comment above {line!r}"
    assert "# image: modelberth-initc:" in "\n".join(lines)


# ---- the build

def test_install_has_the_secrets_ca_in_the_registration(installed):
    [webhook] = of_kind(installed, "MutatingWebhookConfiguration")["webhooks"]
    secret = of_kind(installed, "Secret")
    assert secret["metadata"]["name"] == "modelberth-webhook-tls"
    assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]


def test_registrations_ca_vouches_for_the_service(installed, tmp_path):
    [webhook] = of_kind(installed, "MutatingWebhookConfiguration")["webhooks"]
    service = webhook["clientConfig"]["service"]
    (tmp_path / "ca").write_bytes(base64.b64decode(webhook["clientConfig"]["caBundle"]))
    (tmp_path / "crt").write_bytes(base64.b64decode(of_kind(installed, "Secret")["data"]["tls.crt"]))
    result = subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "ca", "-purpose", "sslserver", "-verify_hostname",
                             f"{service['name']}.{service['namespace']}.svc", tmp_path / "crt"], capture_output=True)
    assert result.returncode == 0, result.stderr


def test_install_has_everything_once_and_in_the_right_namespace(installed):
    names = [(o["kind"], o["metadata"]["name"]) for o in installed]
    assert sorted(names) == [
        ("ConfigMap", "modelberth-config"), ("Deployment", "modelberth-webhook"),
        ("MutatingWebhookConfiguration", "modelberth"), ("Namespace", SYSTEM),
        ("PodDisruptionBudget", "modelberth-webhook"), ("ResourceQuota", "modelberth-critical-pods"),
        ("Secret", "modelberth-webhook-tls"), ("Service", "modelberth-webhook"),
        ("ServiceAccount", "modelberth-webhook"), ("ValidatingAdmissionPolicy", "modelberth-pods-have-init"),
        ("ValidatingAdmissionPolicyBinding", "modelberth-pods-have-init")]
    assert {o["metadata"]["namespace"] for o in installed if "namespace" in o["metadata"]} == {SYSTEM}
    assert {o["metadata"]["labels"]["app.kubernetes.io/name"] for o in installed} == {"modelberth"}


def test_install_applies_the_namespace_first_and_the_registration_last(installed):
    assert installed[0]["kind"] == "Namespace"
    assert installed[-1]["kind"] == "MutatingWebhookConfiguration"


def test_config_map_holds_the_config_as_written(installed):
    assert of_kind(installed, "ConfigMap")["data"] == {"config.yaml": (BASE / "config.yaml").read_text()}


def test_registration_without_certificates_does_not_build(tree):
    result = tree.try_build("install")
    assert result.returncode != 0 and "tls.crt" in result.stderr
    result = tree.try_build("registration")
    assert result.returncode != 0 and "modelberth-webhook-tls" in result.stderr


def test_base_alone_has_the_policy_and_no_registration(tree):
    kinds = {o["kind"] for o in tree.build("base")}
    assert "ValidatingAdmissionPolicy" in kinds and "MutatingWebhookConfiguration" not in kinds


def test_images_are_set_in_one_place(tree):
    tree.make_certs()
    path = tree.install / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text())
    for image in kustomization["images"]:
        image["newName"], image["newTag"] = f"registry.test:5000/ml/{image['name']}", "7"
    path.write_text(yaml.safe_dump(kustomization))
    built = tree.build()
    [container] = of_kind(built, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.test:5000/ml/modelberth-webhook:7"
    assert container["env"] == [{"name": "INIT_IMAGE", "value": "registry.test:5000/ml/modelberth-initc:7"}]


def test_settings_are_replaced_as_the_comment_in_install_says(tree):
    tree.make_certs()
    path = tree.install / "kustomization.yaml"
    text, comment = path.read_text().split("# To set something of config.yaml, put a whole one next to this file:\n")
    path.write_text(text + re.sub(r"^# ", "", comment, flags=re.MULTILINE))
    (tree.install / "config.yaml").write_text("drainSeconds: 5\n")
    assert of_kind(tree.build(), "ConfigMap")["data"] == {"config.yaml": "drainSeconds: 5\n"}


# ---- the examples

def annotations_of(item):
    template = item["spec"].get("template", item) if item["kind"] == "Deployment" else item
    return template["metadata"].get("annotations", {})


EXAMPLES = {p.name: documents(p) for p in sorted((MANIFESTS / "examples").glob("*.yaml"))}
ASKING = {f"{name}:{item['kind']}": item for name, items in EXAMPLES.items() for item in items
          if "spec" in item and annotations_of(item)}


def test_examples_are_a_pod_a_deployment_an_inference_service_and_a_secret():
    assert {item["kind"] for item in ASKING.values()} == {"Pod", "Deployment", "InferenceService"}
    assert set(EXAMPLES) == {"pod-pvc.yaml", "deployment.yaml", "ome-inferenceservice.yaml", "secret-hf-token.yaml"}


@pytest.mark.parametrize("item", ASKING.values(), ids=ASKING.keys())
def test_example_asks_with_known_annotations(item):
    annotations = annotations_of(item)
    assert annotations["ome.io/storage-type"] == "pvc"
    for key, value in annotations.items():
        assert isinstance(value, str)
        prefix, name = key.split("/")
        assert name in {"ome.io": {"storage-type", "pvc-name", "pvc-subpath", "mount-path"},
                        "modelberth.io": ANNOTATIONS}[prefix]


@pytest.mark.parametrize("item", ASKING.values(), ids=ASKING.keys())
def test_example_names_objects_that_are_there(item):
    annotations = annotations_of(item)
    there = {(i["kind"], i["metadata"]["name"]) for items in EXAMPLES.values() for i in items}
    assert ("PersistentVolumeClaim", annotations["ome.io/pvc-name"]) in there
    if "modelberth.io/secret" in annotations:
        assert ("Secret", annotations["modelberth.io/secret"]) in there


@pytest.mark.parametrize("item", ASKING.values(), ids=ASKING.keys())
def test_examples_source_is_pinned_to_a_commit(item):
    source = annotations_of(item).get("modelberth.io/source")
    assert source is None or re.fullmatch(r"hf://[\w.-]+/[\w.-]+@[0-9a-f]{40}", source)


def test_example_claim_is_shared():
    [claim] = [i for i in EXAMPLES["pod-pvc.yaml"] if i["kind"] == "PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


# ---- the program takes them

@pytest.fixture
def inject():
    program = os.environ.get("MODELBERTH_WEBHOOK", ROOT / "build/modelberth-webhook")

    def run(config, file):
        return subprocess.run([program, "inject", "--config", config, "--init-image", "modelberth-initc:test", "-f", file],
                              capture_output=True, text=True, timeout=30)
    return run


@pytest.mark.parametrize("name", ["pod-pvc.yaml", "deployment.yaml"])
def test_program_takes_the_config_and_the_example(inject, name):
    result = inject(BASE / "config.yaml", MANIFESTS / "examples" / name)
    assert result.returncode == 0, result.stderr
    assert "modelberth-init" in result.stdout and "image: modelberth-initc:test" in result.stdout
    assert not result.stderr, "a pinned example gives no Warning"


def test_program_refuses_an_unknown_key_in_the_config(inject, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text((BASE / "config.yaml").read_text().replace("drainSeconds:", "drainSecond:"))
    result = inject(config, MANIFESTS / "examples/pod-pvc.yaml")
    assert result.returncode != 0
    assert re.search(r"config\.yaml:\d+:1: unknown key 'drainSecond'", result.stderr)
