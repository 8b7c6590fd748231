"""modelberth installed in a cluster, from a copy of manifests/ with the test's images and settings."""

import contextlib
import json
import shutil
import subprocess

import yaml
from kube import ROOT, annotations, pod, wait_until

SYSTEM = "modelberth-system"


class Installation:
    def __init__(self, cluster, version, environment, folder):
        self.kubectl = cluster.kubectl
        self.manifests = folder / "manifests"
        shutil.copytree(ROOT / "manifests", self.manifests, ignore=shutil.ignore_patterns("tls", "images"))
        install = self.manifests / "install"
        subprocess.run([ROOT / "certs/make-certs.sh", "--dir", install / "tls"], check=True, stdout=subprocess.DEVNULL)

        settings = yaml.safe_load((self.manifests / "base/config.yaml").read_text())
        settings["init"]["env"] = environment
        (install / "config.yaml").write_text(yaml.safe_dump(settings))
        kustomization = yaml.safe_load((install / "kustomization.yaml").read_text())
        for image in kustomization["images"]:
            image["newName"], image["newTag"] = cluster.image_prefix + image["name"], version
        kustomization["configMapGenerator"] = [
            {"name": "modelberth-config", "namespace": SYSTEM, "behavior": "replace", "files": ["config.yaml"]}]
        (install / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    def apply(self):
        self.kubectl.run("apply", "-k", str(self.manifests / "install"))
        self.kubectl.run("-n", SYSTEM, "rollout", "status", "deployment/modelberth-webhook", "--timeout=120s")
        wait_until(self.mutates, "the API server to call the webhook", 30, self.probe)

    def remove(self):
        self.kubectl.run("delete", "-k", str(self.manifests / "install"), "--ignore-not-found", "--wait=true", "--timeout=120s")

    def probe(self):
        item = pod("probe", annotations(), schedulerName="nobody")
        item["metadata"]["namespace"] = "default"
        return self.kubectl.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(item), check=False)

    def mutates(self):
        result = self.probe()
        return result.returncode == 0 and "modelberth-init" in result.stdout

    def is_denied_by_policy(self):
        result = self.probe()
        return result.returncode != 0 and "ValidatingAdmissionPolicy" in result.stderr

    @contextlib.contextmanager
    def without_webhook(self):
        """The MutatingWebhookConfiguration is gone, the policy stays."""
        self.kubectl.run("delete", "mutatingwebhookconfiguration", "modelberth")
        try:
            wait_until(self.is_denied_by_policy, "the API server to forget the webhook, and the policy to deny", 30, self.probe)
            yield
        finally:
            self.kubectl.run("apply", "-k", str(self.manifests / "install"))
            wait_until(self.mutates, "the API server to call the webhook again", 30, self.probe)

    def deployment(self):
        return self.kubectl.get("-n", SYSTEM, "deployment", "modelberth-webhook")

    def pods(self):
        return self.kubectl.get("-n", SYSTEM, "pods", "-l", "app.kubernetes.io/component=webhook")["items"]

    def metrics(self):
        """Of one replica, through the API server's proxy."""
        name = self.pods()[0]["metadata"]["name"]
        return self.kubectl.run("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/https:{name}:8443/proxy/metrics").stdout
