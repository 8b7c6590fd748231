"""Claims that a test can look into: as a folder of this host, or through a pod."""

import os
import shutil
import subprocess
from pathlib import Path

from kube import CLUSTER, SHELL_IMAGE


class FolderClaim:
    def __init__(self, folder):
        self.folder = Path(folder)

    def read(self, path):
        return (self.folder / path).read_bytes()

    def exists(self, path):
        return (self.folder / path).exists()

    def names(self, path="."):
        return sorted(p.name for p in (self.folder / path).iterdir())

    def fill(self, path, files):
        """Files by name, readable and writable by everybody, as on a share filled by hand."""
        for name, content in files.items():
            target = self.folder / path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for root, folders, names in os.walk(self.folder):
            for name in folders:
                os.chmod(os.path.join(root, name), 0o777)

    def flip_byte(self, path, offset):
        with open(self.folder / path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))


class FolderStorage:
    """The project's own cluster: a ReadWriteMany hostPath volume, which stands in for NFS between pods."""

    def __init__(self, kubectl):
        self.kubectl = kubectl

    def claim(self, namespace, name):
        out = subprocess.run([CLUSTER, "volume", namespace.name, name], check=True, capture_output=True, text=True).stdout
        folder = Path(out.strip().splitlines()[-1])
        shutil.rmtree(folder)
        folder.mkdir()
        folder.chmod(0o777)
        return FolderClaim(folder)


class PodClaim:
    """A claim of any cluster, reached through a pod that mounts its root."""

    def __init__(self, kubectl, namespace, pod):
        self.kubectl, self.namespace, self.pod = kubectl, namespace, pod

    def shell(self, script, *arguments, stdin=None, check=True):
        command = [*self.kubectl.command, "-n", self.namespace, "exec", "-i", self.pod, "--", "sh", "-c", script, "sh", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=check, timeout=300)

    def read(self, path):
        return self.shell('cat "/claim/$1"', path).stdout

    def exists(self, path):
        return self.shell('test -e "/claim/$1"', path, check=False).returncode == 0

    def names(self, path="."):
        return sorted(self.shell('ls -A "/claim/$1"', path).stdout.decode().split())

    def fill(self, path, files):
        for name, content in files.items():
            self.shell('mkdir -p "$(dirname "/claim/$1")" && cat >"/claim/$1" && chmod -R a+rwX /claim', f"{path}/{name}", stdin=content)

    def flip_byte(self, path, offset):
        byte = self.shell('dd if="/claim/$1" bs=1 skip="$2" count=1 2>/dev/null', path, str(offset)).stdout
        self.shell('dd of="/claim/$1" bs=1 seek="$2" count=1 conv=notrunc 2>/dev/null', path, str(offset), stdin=bytes([byte[0] ^ 1]))


class ClassStorage:
    def __init__(self, kubectl, storage_class):
        self.kubectl, self.storage_class = kubectl, storage_class

    def claim(self, namespace, name):
        pod = f"look-{name}"
        namespace.apply(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
             "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": self.storage_class,
                      "resources": {"requests": {"storage": "1Gi"}}}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
             "spec": {"terminationGracePeriodSeconds": 0,
                      "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": name}}],
                      "containers": [{"name": "look", "image": SHELL_IMAGE, "command": ["sh", "-c", "chmod 0777 /claim; exec sleep 3600"],
                                      "volumeMounts": [{"name": "claim", "mountPath": "/claim"}]}]}})
        namespace.wait_phase(pod, "Running")
        return PodClaim(self.kubectl, namespace.name, pod)
