"""The test cluster behaves as a real one where the product depends on it."""

import base64
import json
import os
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import SCRIPT, wait_until

pytestmark = pytest.mark.cluster

RESTRICTED = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
}


def container(shell, command, **more):
    return {"name": "main", "image": shell, "command": ["sh", "-c", command],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, **more}


def pod(namespace, name, labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
            "spec": {"automountServiceAccountToken": False, **RESTRICTED, **spec}}


@pytest.fixture
def web(cluster, namespace):
    """The ClusterIP of a Service with one pod that answers `hello`."""
    command = "mkdir /tmp/www && echo hello >/tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
    ready = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    cluster.apply(
        pod(namespace, "web", {"app": "web"}, containers=[container(cluster.shell, command, **ready)]),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "web"},
         "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    return cluster.get("-n", namespace, "service", "web")["spec"]["clusterIP"]


def test_second_up_changes_nothing(cluster):
    before = cluster.script("status")
    assert cluster.script("up").strip() == f"export KUBECONFIG={cluster.script('kubeconfig').strip()}"
    assert cluster.script("status") == before


@pytest.mark.parametrize("command", ["up", "down"])
def test_cluster_is_safe_from_one_with_another_state_folder(cluster, command, tmp_path):
    before = cluster.script("status")
    result = subprocess.run([SCRIPT, command], capture_output=True, text=True, check=False,
                            env={**os.environ, "MODELBERTH_CLUSTER_DIR": str(tmp_path / "other")})
    assert result.returncode == 1
    assert "a cluster with its state in" in result.stderr
    assert cluster.script("status") == before


def test_claim_is_shared_by_pods_of_different_users(cluster, namespace):
    folder = cluster.script("volume", namespace, "models").strip()
    volume = [{"name": "v", "persistentVolumeClaim": {"claimName": "models"}}]
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    phase, log = cluster.run_pod(namespace, "writer", {
        **RESTRICTED, "volumes": volume, "containers": [container(cluster.shell, "echo 42 >/v/answer", **mounts)]})
    assert phase == "Succeeded", log
    reader = {"securityContext": {**RESTRICTED["securityContext"], "runAsUser": 1002}}
    phase, log = cluster.run_pod(namespace, "reader", {
        **reader, "volumes": volume, "containers": [container(cluster.shell, "cat /v/answer; rm -f /v/x; id -u", **mounts)]})
    assert (phase, log) == ("Succeeded", "42\n1002\n")
    with open(f"{folder}/answer", encoding="ascii") as file:
        assert file.read() == "42\n"


def test_volume_of_a_deleted_claim_can_be_made_again(cluster, namespace):
    folder = cluster.script("volume", namespace, "models")
    cluster.kubectl("-n", namespace, "delete", "pvc", "models")
    assert cluster.script("volume", namespace, "models") == folder


def test_service_is_reached_from_the_host_and_from_pods(cluster, namespace, web):
    def from_host():
        try:
            with urllib.request.urlopen(f"http://{web}/", timeout=5) as response:
                return response.read()
        except urllib.error.URLError:
            return None  # kube-proxy may be a moment behind

    assert wait_until(from_host, "the Service to answer the host") == b"hello\n"
    phase, log = cluster.run_pod(namespace, "client", {
        **RESTRICTED, "containers": [container(cluster.shell, f"curl -sS http://{web}/")]})
    assert (phase, log) == ("Succeeded", "hello\n")
    # and from the pod itself, through its own Service
    assert cluster.kubectl("-n", namespace, "exec", "web", "--", "curl", "-sS", f"http://{web}/").stdout == "hello\n"


def test_pods_look_up_no_names(cluster, namespace):
    _, log = cluster.run_pod(namespace, "client", {
        **RESTRICTED, "containers": [container(cluster.shell, "curl -sS -m 20 http://no-such-host.test/ 2>&1")]})
    assert "Could not resolve host" in log


def test_anonymous_and_unprivileged_callers_are_refused(cluster, namespace):
    def can(user, *what):
        return cluster.kubectl("auth", "can-i", *what, "--as", user, check=False).stdout.strip()

    assert can(f"system:serviceaccount:{namespace}:default", "get", "secrets", "-A") == "no"
    assert can("system:kube-scheduler", "create", "pods") == "no"
    insecure = ssl._create_unverified_context()
    for url in (f"https://{cluster.node_ip}:6443/api/v1/pods", f"https://{cluster.node_ip}:10250/pods"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, context=insecure, timeout=10)
        assert refused.value.code in (401, 403), url


def test_node_may_read_only_what_its_pods_use(cluster, namespace):
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "other", "--from-literal=a=b")
    result = cluster.kubectl("-n", namespace, "get", "secret", "other", "--as", "system:node:node1",
                             "--as-group", "system:nodes", check=False)
    assert "no relationship found between node 'node1' and this object" in result.stderr


def test_restricted_profile_refuses_a_privileged_pod(cluster, namespace):
    bad = pod(namespace, "bad", containers=[container(cluster.shell, "true")])
    bad["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    result = cluster.apply(bad, check=False)
    assert 'violates PodSecurity "restricted:latest"' in result.stderr


def test_admission_policy_denies(cluster, namespace):
    policy = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": namespace}}
    cluster.apply(
        {**policy, "kind": "ValidatingAdmissionPolicy", "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "!has(object.data.forbidden)", "message": "forbidden key"}]}},
        {**policy, "kind": "ValidatingAdmissionPolicyBinding", "spec": {
            "policyName": namespace, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}})

    def denied():
        result = cluster.kubectl("-n", namespace, "create", "configmap", "x", "--from-literal=forbidden=1",
                                 "--dry-run=server", check=False)
        return "forbidden key" in result.stderr

    try:
        wait_until(denied, "the policy to be enforced")
        cluster.kubectl("-n", namespace, "create", "configmap", "x", "--from-literal=allowed=1")
    finally:
        for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
            cluster.kubectl("delete", kind, namespace)


class Labeller(BaseHTTPRequestHandler):
    """A mutating webhook that labels everything."""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = json.dumps([{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}])
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch",
            "patch": base64.b64encode(patch.encode()).decode()}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def labeller(cluster, namespace, tmp_path):
    """Serves the webhook on the node's address; returns its port and its certificate."""
    key, certificate = tmp_path / "key", tmp_path / "crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=labeller", "-addext", f"subjectAltName=DNS:labeller.{namespace}.svc",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((cluster.node_ip, 0), Labeller)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, certificate.read_bytes()
    server.shutdown()
    thread.join()
    server.server_close()


def test_api_server_calls_a_webhook_through_its_service(cluster, namespace, labeller):
    port, certificate = labeller
    metadata = {"namespace": namespace, "name": "labeller"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 443, "targetPort": port}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": port, "name": ""}],
         "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "labeller"}},
         "endpoints": [{"addresses": [cluster.node_ip], "conditions": {"ready": True}}]},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": namespace},
         "webhooks": [{
             "name": "labeller.test.local", "failurePolicy": "Fail", "timeoutSeconds": 5, "sideEffects": "None",
             "admissionReviewVersions": ["v1"],
             "clientConfig": {"service": {"namespace": namespace, "name": "labeller"}, "caBundle": base64.b64encode(certificate).decode()},
             "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
             "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]})

    def labelled():
        result = cluster.kubectl("-n", namespace, "create", "configmap", "x", "--dry-run=server", "-o", "json", check=False)
        return result.returncode == 0 and json.loads(result.stdout)["metadata"].get("labels") == {"seen": "yes"}

    try:
        wait_until(labelled, "the webhook to be called")
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", namespace)


def test_logs_and_exec_work(cluster, namespace):
    cluster.apply(pod(namespace, "shell", containers=[container(cluster.shell, "echo started; exec sleep 3600")]))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/shell", "--timeout=60s")
    assert cluster.kubectl("-n", namespace, "logs", "shell").stdout == "started\n"
    assert cluster.kubectl("-n", namespace, "exec", "shell", "--", "id", "-u").stdout == "1001\n"
