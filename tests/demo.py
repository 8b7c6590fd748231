#!/usr/bin/env python3
"""The main job of modelberth on one machine, without Kubernetes: what `make demo` runs. Standard library only.

Starts the admission webhook on loopback with fresh certificates and a small local model hub, sends the AdmissionReview of
an annotated pod, shows the pod before and after, then runs the plan of the init container that was put into it, as it
stands: in a mount namespace of its own a folder takes the place of the claim. Leaves nothing running and nothing behind.
"""

import base64
import contextlib
import difflib
import fcntl
import json
import os
import pty
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEBHOOK = os.environ.get("MODELBERTH_WEBHOOK", str(ROOT / "build/modelberth-webhook"))
INITC = os.environ.get("MODELBERTH_INITC", str(ROOT / "build/modelberth-initc"))
DEADLINE_S = 20
INTEGRITY = 3  # the init container's exit code for content that is not what was pinned
COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def step(text):
    print("\n" + paint("1;36", "── " + text), flush=True)


def fail(text):
    print(paint("1;31", "demo: " + text), file=sys.stderr)
    sys.exit(1)


def wait_for_file(path, process, what):
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        if process.poll() is not None:
            fail(f"{what} ended with code {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            fail(f"{what} was not ready in {DEADLINE_S} s")
        time.sleep(0.01)
    return json.loads(path.read_text())


@contextlib.contextmanager
def running(command, what, ready, **kwargs):
    process = subprocess.Popen(command, **kwargs)
    try:
        yield wait_for_file(ready, process, what)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def plain(value):
    """A scalar as YAML: JSON's quoting is YAML too; words that cannot be mistaken stand without."""
    if isinstance(value, str) and value and all(c.isalnum() or c in "-_./@:" for c in value) and \
            (value[0].isalpha() or value[0] == "/") and value[-1] != ":":
        if value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n"):
            return value
    return json.dumps(value, ensure_ascii=False)


def yaml_lines(value, indent=0):
    pad = "  " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                yield f"{pad}{plain(key)}:"
                yield from yaml_lines(item, indent + (1 if isinstance(item, dict) else 0))
            else:
                yield f"{pad}{plain(key)}: {plain(item)}"
    elif isinstance(value, list):
        for item in value:
            lines = list(yaml_lines(item, indent + 1)) if isinstance(item, (dict, list)) else [f"{pad}  {plain(item)}"]
            yield pad + "- " + lines[0][len(pad) + 2:]
            yield from lines[1:]


def apply(patch, document):
    """RFC 6902, as far as `add`, `replace` and `remove` go."""
    for operation in patch:
        *parents, last = [t.replace("~1", "/").replace("~0", "~") for t in operation["path"].split("/")[1:]]
        target = document
        for token in parents:
            target = target[int(token) if isinstance(target, list) else token]
        if isinstance(target, list):
            index = len(target) if last == "-" else int(last)
            if operation["op"] == "add":
                target.insert(index, operation["value"])
            elif operation["op"] == "replace":
                target[index] = operation["value"]
            else:
                del target[index]
        elif operation["op"] == "remove":
            del target[last]
        else:
            target[last] = operation["value"]
    return document


def show_diff(before, after):
    colour = {"+": "32", "-": "31", "@": "36"}
    for line in difflib.unified_diff(list(yaml_lines(before)), list(yaml_lines(after)), "pod as applied", "pod as stored",
                                     lineterm="", n=2):
        text = line if len(line) <= 160 else line[:157] + "..."
        print(paint(colour[line[0]], text) if line[0] in colour else text)


def annotated_pod(commit):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "tiny-llama",
            "annotations": {
                "ome.io/storage-type": "pvc",
                "ome.io/pvc-name": "models",
                "ome.io/pvc-subpath": "acme/tiny-llama",
                "ome.io/mount-path": "/raid/models/tiny-llama",
                "modelberth.io/source": f"hf://acme/tiny-llama@{commit}",
            },
        },
        "spec": {"containers": [{"name": "server", "image": "example/server:1", "args": ["--model", "/raid/models/tiny-llama"]}]},
    }


def review(pod):
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "demo",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "default",
            "operation": "CREATE",
            "object": pod,
        },
    }


def post(port, ca, body):
    request = urllib.request.Request(f"https://localhost:{port}/mutate", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    context = ssl.create_default_context(cafile=str(ca))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    started = time.perf_counter()
    with opener.open(request, timeout=DEADLINE_S) as answer:
        response = json.load(answer)["response"]
    return response, (time.perf_counter() - started) * 1000


def call_on_terminal(command, environment):
    """Runs the command on a terminal of its own and shows what it writes: as a person sees it, with the progress bar."""
    try:
        ours, its = pty.openpty()
    except OSError:  # a container without terminals: lines of JSON instead of a bar
        return subprocess.call(command, env=environment)
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 110, 0, 0))
    process = subprocess.Popen(command, env=environment, stdout=its, stderr=its, stdin=subprocess.DEVNULL)
    os.close(its)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
        sys.stdout.flush()
    os.close(ours)
    return process.wait()


def mount_namespace():
    """The command that gives a process its own mounts; None where this is not allowed, as in many containers."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    allowed = subprocess.run([*command, "mount", "-t", "tmpfs", "demo", "/mnt"], capture_output=True, check=False).returncode == 0
    return command if allowed else None


def run_plan(container, volume, namespace, wanted):
    """Runs the init container's command with its environment, the folder `volume` mounted where the claim would be."""
    claim = container["volumeMounts"][0]["mountPath"]
    environment = dict(os.environ, **{e["name"]: e["value"] for e in container["env"]})
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        environment.pop(name, None)
    command = [INITC, *container["args"]]
    if namespace:
        script = 'mount -t tmpfs demo /mnt && mkdir -p "$1" && mount --bind "$2" "$1" && shift 2 && exec "$@"'
        command = [*namespace, "sh", "-c", script, "sh", claim, str(volume), *command]
    else:
        environment["MODELBERTH_PLAN"] = environment["MODELBERTH_PLAN"].replace(claim, str(volume))
    print(paint("2", f"$ modelberth-initc {' '.join(container['args'])}        # with the pod's MODELBERTH_PLAN"), flush=True)
    started = time.perf_counter()
    code = call_on_terminal(command, environment)
    elapsed = (time.perf_counter() - started) * 1000
    print(paint("1;32" if code == 0 else "1;31", f"exit code {code}") + f", {elapsed:.0f} ms with process start", flush=True)
    if code != wanted:
        fail(f"exit code {wanted} was expected")


def flip_byte(path):
    """Changes one byte in the middle; the size stays, as with a failing disk."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def main():
    for program in (WEBHOOK, INITC):
        if not os.access(program, os.X_OK):
            fail(f"{program} is not built: run make")
    with contextlib.ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="modelberth-demo-"))
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, lambda *_: sys.exit(1))

        step("A model hub on loopback, with a real small safetensors model in two versions")
        seeded = subprocess.run([sys.executable, ROOT / "tests/hub/hub.py", "seed", work / "hub"], check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        refs = next(json.loads(line) for line in seeded.splitlines() if '"acme/tiny-llama"' in line)["refs"]
        commit = refs["refs/heads/main"]
        hub = stack.enter_context(running([sys.executable, ROOT / "tests/hub/hub.py", "--data", work / "hub", "--set", "bytes_per_second=250000",
                                           "--ready-file", work / "hub.json"], "the hub", work / "hub.json",
                                          stdout=subprocess.DEVNULL))
        print(f"{hub['url']}  acme/tiny-llama, commit {commit}, at 250 kB/s a connection")

        step("The admission webhook, HTTPS with certificates made just now")
        subprocess.run([ROOT / "certs/make-certs.sh", "--dir", work / "tls", "--name", "localhost"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (work / "config.yaml").write_text(f"drainSeconds: 0\ninit:\n  image: modelberth-initc:demo\n  env:\n    HF_ENDPOINT: {hub['url']}\n")
        log = stack.enter_context(open(work / "webhook.log", "w"))
        server = stack.enter_context(running(
            [WEBHOOK, "serve", "--config", work / "config.yaml", "--listen", "127.0.0.1:0", "--tls-cert", work / "tls/tls.crt",
             "--tls-key", work / "tls/tls.key", "--ready-file", work / "webhook.json"], "the webhook", work / "webhook.json",
            stderr=log))
        pod = annotated_pod(commit)
        post(server["port"], work / "tls/ca.crt", review(pod))  # the first request pays for the connection
        response, elapsed = post(server["port"], work / "tls/ca.crt", review(pod))
        patch = json.loads(base64.b64decode(response["patch"]))
        print(f"POST /mutate: allowed, {len(patch)} operations, {elapsed:.1f} ms with the TLS handshake")

        step("The pod, before and after")
        stored = apply(patch, json.loads(json.dumps(pod)))
        show_diff(pod, stored)

        container = stored["spec"]["initContainers"][0]
        volume = work / "claim"
        volume.mkdir()
        namespace = mount_namespace()
        step("The init container on the empty claim: download, verify, publish")
        if not namespace:
            print(f"(no mount namespace to be had here: in the plan, {volume} takes the place of the claim's mount)")
        run_plan(container, volume, namespace, 0)

        step("Once more, as a second replica or a restart would: nothing to download")
        run_plan(container, volume, namespace, 0)

        model = volume / "acme/tiny-llama"
        shard = sorted(model.glob("*.safetensors"))[-1]
        step(f"One byte of {shard.name} flipped on the volume: the serving container must not start")
        flip_byte(shard)
        run_plan(container, volume, namespace, INTEGRITY)
        print("\nDownloaded once, verified at every start, and refused when it is not what was pinned.")


if __name__ == "__main__":
    main()
