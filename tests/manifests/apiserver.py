"""A real Kubernetes API server with its etcd on loopback, for one test session."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import time

START_SECONDS = 120
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def wait_until(is_true, what, seconds=30):
    """Asks again and again, up to a deadline."""
    end = time.monotonic() + seconds
    while not (answer := is_true()):
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.05)
    return answer


class ApiServer:
    """Processes die with this one, however it ends. There are no controllers: nothing runs, nothing gets a status."""

    def __init__(self, programs, folder):
        self.programs = programs
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self._processes = []

    def _start(self, name, *command):
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   preexec_fn=_die_with_parent)
        log.close()
        self._processes.append(process)

    def _is_ready(self):
        for process in self._processes:
            assert process.poll() is None, "".join(p.read_text()[-2000:] for p in self.folder.glob("*.log"))
        return self.run("get", "--raw", "/readyz", check=False).returncode == 0

    def __enter__(self):
        client, peer, port = _free_ports(3)
        key = self.folder / "sa.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", key], check=True, capture_output=True)
        (self.folder / "tokens").write_text("secret,admin,admin,system:masters\n")
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "test", "user": {"token": "secret"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}))
        self._start("etcd", "etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
                    "--listen-client-urls", f"http://127.0.0.1:{client}",
                    "--advertise-client-urls", f"http://127.0.0.1:{client}",
                    "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-cluster", f"default=http://127.0.0.1:{peer}")
        self._start("kube-apiserver", self.programs / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}",
                    "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={self.folder / 'pki'}",
                    f"--token-auth-file={self.folder / 'tokens'}", "--authorization-mode=RBAC",
                    "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}",
                    f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.96.0.0/16",
                    # a controller makes the ServiceAccounts that it wants to see
                    "--disable-admission-plugins=ServiceAccount")
        try:
            wait_until(self._is_ready, "API server", START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def run(self, *arguments, check=True, stdin=None):
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)}
        result = subprocess.run([self.programs / "kubectl", *arguments], capture_output=True, text=True, input=stdin,
                                env=environment, timeout=60)
        assert not check or result.returncode == 0, result.stderr
        return result

    def create(self, item, *arguments):
        """Asks for the object without storing it; the result has returncode, stdout and stderr."""
        return self.run("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", *arguments,
                        check=False, stdin=json.dumps(item))
