"""kubectl, waiting, and what a test needs of a cluster."""

import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests/cluster/cluster.sh"
SHELL_IMAGE = os.environ.get("E2E_SHELL_IMAGE", "docker.io/local/busybox:1")


def wait_until(check, what, seconds=60, show=lambda: ""):
    """Calls check until it returns something true, and returns that. `show` is called for the message when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} {show()}")
        time.sleep(0.1)


class Kubectl:
    """kubectl of the project's own cluster, or with the KUBECONFIG that was given."""

    def __init__(self, command):
        self.command = command

    def run(self, *arguments, stdin=None, check=True):
        result = subprocess.run([*self.command, *arguments], input=stdin, capture_output=True, text=True, timeout=300)
        if check and result.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result

    def apply(self, *objects, check=True, **kwargs):
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.run("apply", "-f", "-", stdin=json.dumps(items), check=check, **kwargs)

    def get(self, *arguments):
        return json.loads(self.run("get", *arguments, "-o", "json").stdout)

    def exists(self, *arguments):
        return self.run("get", *arguments, check=False).returncode == 0


class Namespace:
    """A namespace of one test, with claims and pods."""

    def __init__(self, kubectl, name, storage):
        self.kubectl, self.name, self.storage = kubectl, name, storage
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        wait_until(lambda: kubectl.exists("-n", name, "serviceaccount", "default"), f"service account of {name}")

    def delete(self):
        self.kubectl.run("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")
        self.kubectl.run("-n", self.name, "delete", "pods", "--all", "--force", "--grace-period=0", check=False)

    def claim(self, name="models"):
        """An empty ReadWriteMany claim, as a folder that the test can look into."""
        return self.storage.claim(self, name)

    def apply(self, *objects, check=True):
        for item in objects:
            item["metadata"]["namespace"] = self.name
        return self.kubectl.apply(*objects, check=check)

    def get(self, *arguments):
        return self.kubectl.get("-n", self.name, *arguments)

    def pods(self, selector):
        return self.get("pods", "-l", selector)["items"]

    def init_state(self, pod):
        """(waiting, running or terminated, its details) of modelberth-init, and how often it restarted."""
        for status in self.get("pod", pod)["status"].get("initContainerStatuses", []):
            if status["name"] == "modelberth-init":
                return status
        return None

    def wait_init_failed(self, pod, seconds=90):
        """The termination of the first failed run: exit code and message."""

        def terminated():
            status = self.init_state(pod) or {}
            for state in ("state", "lastState"):
                end = status.get(state, {}).get("terminated")
                if end and end["exitCode"]:
                    return end
            return None

        return wait_until(terminated, f"modelberth-init of {pod} to fail", seconds)

    def wait_phase(self, pod, *phases, seconds=90):
        def phase():
            found = self.get("pod", pod)
            return found if found["status"]["phase"] in phases else None

        try:
            return wait_until(phase, f"pod {pod} to be {' or '.join(phases)}", seconds)
        except AssertionError as error:
            events = self.kubectl.run("-n", self.name, "describe", "pod", pod).stdout[-3000:]
            raise AssertionError(f"{error}\n{events}\n{self.logs(pod, 'modelberth-init')}") from None

    def logs(self, pod, container):
        return self.kubectl.run("-n", self.name, "logs", pod, "-c", container, check=False).stdout


def annotations(source=None, claim="models", path="acme/tiny-llama", mount="/raid/models/tiny", **more):
    values = {"ome.io/storage-type": "pvc", "ome.io/pvc-name": claim, "ome.io/pvc-subpath": path, "ome.io/mount-path": mount}
    if source:
        values["modelberth.io/source"] = source
    values.update({"modelberth.io/" + k.replace("_", "-"): v for k, v in more.items()})
    return {k: v for k, v in values.items() if v is not None}


def container(script="exec sleep 3600", name="server", **more):
    return {"name": name, "image": SHELL_IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script], **more}


def pod_template(notes, *containers, labels=None, **spec):
    template = {"metadata": {"labels": labels or {}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": list(containers) or [container()], **spec}}
    if notes is not None:
        template["metadata"]["annotations"] = notes
    return template


def pod(name, notes, *containers, **spec):
    template = pod_template(notes, *containers, **spec)
    template["metadata"]["name"] = name
    template["spec"].setdefault("restartPolicy", "Never")
    return {"apiVersion": "v1", "kind": "Pod", **template}


def deployment(name, notes, *containers, replicas=1, labels=None, **spec):
    labels = {"app": name, **(labels or {})}
    template = pod_template(notes, *containers, labels=labels, **spec)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}}
