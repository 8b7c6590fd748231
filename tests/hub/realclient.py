"""Runs the real huggingface_hub in a process of its own, where it can reach nothing but the local hub.

The package reads its environment when it is imported, so a process for each call is the honest way to set it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

DEAD_PROXY = "http://127.0.0.1:9"  # whatever is not loopback would have to go through here

_CHILD = r"""
import dataclasses, datetime, json, sys, types
import huggingface_hub
from huggingface_hub import HfApi, HfFileSystem

def plain(value):
    if isinstance(value, (list, tuple, types.GeneratorType)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name, None)) for f in dataclasses.fields(value)}
    if value is None or isinstance(value, (str, int, float, bool)):
        return str(value) if isinstance(value, str) else value
    return plain(vars(value))

call = json.load(sys.stdin)
owner = {"": huggingface_hub, "api": HfApi(), "fs": HfFileSystem()}[call["on"]]
try:
    answer = {"result": plain(getattr(owner, call["name"])(*call["args"], **call["options"]))}
except Exception as error:
    answer = {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error),
              "causes": []}
    while error := (error.__cause__ or error.__context__):
        answer["causes"].append(type(error).__name__)
print("\n" + json.dumps(answer))
"""


class ClientError(Exception):
    """What the real client raised: `kinds` are the names of its class and that class's parents."""

    def __init__(self, kinds: list[str], message: str, causes: list[str]):
        super().__init__(f"{kinds[0]}: {message}")
        self.kinds, self.causes = kinds, causes


class RealClient:
    """client("snapshot_download", repo_id=...) calls that function; client.api and client.fs call methods."""

    def __init__(self, url: str, home: Path, **environment: str):
        self.home = Path(home)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HTTP_PROXY": DEAD_PROXY, "HTTPS_PROXY": DEAD_PROXY, "NO_PROXY": "127.0.0.1,localhost", **environment,
        }

    @property
    def cache(self) -> Path:
        return self.home / "hf" / "hub"

    def __call__(self, name: str, *args, **options):
        return self._call("", name, args, options)

    def api(self, name: str, *args, **options):
        return self._call("api", name, args, options)

    def fs(self, name: str, *args, **options):
        return self._call("fs", name, args, options)

    def command(self, *args: str) -> subprocess.CompletedProcess:
        """The command line program `hf`."""
        program = Path(sys.executable).parent / "hf"
        return subprocess.run([program, *args], env=self.environment, text=True, capture_output=True, timeout=60)

    def _call(self, on: str, name: str, args: tuple, options: dict):
        call = json.dumps({"on": on, "name": name, "args": args, "options": options})
        child = subprocess.run([sys.executable, "-c", _CHILD], input=call, env=self.environment, text=True,
                               capture_output=True, timeout=60)
        assert child.returncode == 0, child.stderr
        answer = json.loads(child.stdout.splitlines()[-1])
        if "error" in answer:
            raise ClientError(answer["error"], answer["message"], answer["causes"])
        return answer["result"]
