"""The real admission server, started on a free port of loopback with certificates of its own."""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEBHOOK = os.environ.get("MODELBERTH_WEBHOOK", str(ROOT / "build/modelberth-webhook"))
START_S = 20


def make_certificates(directory):
    subprocess.run([ROOT / "certs/make-certs.sh", "--dir", directory, "--name", "localhost", "--name", "127.0.0.1"], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


class Server:
    def __init__(self, process, port, tls, log):
        self.process, self.port, self.tls, self.log = process, port, tls, log

    def connection(self, timeout=20):
        context = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        return http.client.HTTPSConnection("localhost", self.port, context=context, timeout=timeout)

    def request(self, method, path, body=None, headers=None, connection=None):
        """(status, headers, body) over a connection of its own, or the one given."""
        with contextlib.closing(self.connection()) if connection is None else contextlib.nullcontext(connection) as used:
            used.request(method, path, body, headers or {})
            response = used.getresponse()
            return response.status, response.headers, response.read()

    def post(self, body, content_type="application/json", connection=None):
        return self.request("POST", "/mutate?timeout=5s", body, {"Content-Type": content_type}, connection)

    def review(self, review, connection=None):
        status, _, body = self.post(json.dumps(review).encode(), connection=connection)
        assert status == 200, body
        return json.loads(body)


@contextlib.contextmanager
def running(directory, *arguments, tls=None, config=""):
    """Starts `serve` with the given settings; the directory gets its files."""
    tls = tls or make_certificates(directory / "tls")
    (directory / "config.yaml").write_text(config)
    ready = directory / "ready.json"
    log = directory / "log"
    with open(log, "w") as stderr:
        process = subprocess.Popen(
            [WEBHOOK, "serve", "--config", directory / "config.yaml", "--listen", "127.0.0.1:0", "--tls-cert", tls / "tls.crt",
             "--tls-key", tls / "tls.key", "--init-image", "modelberth-initc:golden", "--ready-file", ready, *arguments],
            stderr=stderr)
        try:
            deadline = time.monotonic() + START_S
            while not ready.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"not ready within {START_S} s: {log.read_text()}"
                time.sleep(0.01)
            yield Server(process, json.loads(ready.read_text())["port"], tls, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    assert "ERROR: AddressSanitizer" not in log.read_text() and "runtime error:" not in log.read_text(), log.read_text()
    assert "WARNING: ThreadSanitizer" not in log.read_text(), log.read_text()
