"""The real modelberth-initc against the local hub; MODELBERTH_INITC names the binary."""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub import TOKEN_FULL, TOKEN_LIMITED

ROOT = Path(__file__).resolve().parents[2]
INITC = os.environ.get("MODELBERTH_INITC", str(ROOT / "build/modelberth-initc"))
DEADLINE_S = 60
SECRETS = (TOKEN_FULL, TOKEN_LIMITED, "hf_somebodysInvalidToken", "very-secret-query")


def wait_for(condition, what, seconds=DEADLINE_S):
    """The first true value of `condition`, asked again and again."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return value


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def events(self):
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @property
    def error(self):
        """The message of the failure."""
        return next((e["error"] for e in reversed(self.events) if "error" in e), self.err)

    @property
    def closing(self):
        """The closing event of a success."""
        return next(e for e in reversed(self.events) if "how" in e)

    def must(self, code=0):
        assert self.code == code, f"exit {self.code}, expected {code}\n{self.out}\n{self.err}"
        return self


class Running:
    def __init__(self, command, env, **kwargs):
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def wait(self) -> Done:
        try:
            out, err = self.process.communicate(timeout=DEADLINE_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
        for secret in SECRETS:
            assert secret not in out + err, "a secret was printed"
        assert "Sanitizer" not in err, err
        return Done(self.process.returncode, out, err)

    def signal(self, number):
        self.process.send_signal(number)


class Initc:
    """Runs the program with an environment of its own: this hub, no proxies, no home but a temporary one."""

    def __init__(self, hub, home: Path):
        self.hub = hub
        self.running = []
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_ENDPOINT": hub.url, "MODELBERTH_TERMINATION_LOG": str(home / "none")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def start(self, *args, env=None, **kwargs) -> Running:
        one = Running([INITC, *map(str, args)], {**self.env, **(env or {})}, **kwargs)
        self.running.append(one.process)
        return one

    def run(self, *args, env=None, **kwargs) -> Done:
        return self.start(*args, env=env, **kwargs).wait()

    def fetch(self, source, to, *flags, env=None, **kwargs) -> Done:
        return self.run("fetch", source, "--to", to, *flags, env=env, **kwargs)

    def plan(self, *models, env=None, **plan) -> Done:
        text = json.dumps({"v": 1, "models": list(models), **plan})
        return self.run("fetch", env={"MODELBERTH_PLAN": text, **(env or {})})

    def stop(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def initc(hub, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    runner = Initc(hub, home)
    yield runner
    runner.stop()


@pytest.fixture
def volume(tmp_path) -> Path:
    path = tmp_path / "volume"
    path.mkdir()
    return path


def content(directory: Path) -> dict[str, bytes]:
    """The model's files, without what modelberth adds."""
    files = {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    return {name: data for name, data in files.items() if not name.startswith(".modelberth/") and name != ".download-complete"}


def receipt(directory: Path) -> dict:
    return json.loads((directory / ".modelberth/receipt.json").read_text())


def body_bytes(hub, contains="") -> int:
    """Bytes of files that left the hub and its CDN."""
    return sum(r["bytes"] for r in hub.control.log(contains=contains)
               if r["status"] in (200, 206) and not r["path"].startswith("/api/"))


def leftovers(parent: Path) -> list[str]:
    """What is left in the state directory: locks, staging."""
    state = parent / ".modelberth"
    return sorted(str(p.relative_to(state)) for p in state.rglob("*") if p.name != "receipt.json") if state.exists() else []


def parts(volume: Path, size: int) -> list[Path]:
    """Files on their way that have exactly so many bytes; others may be renamed while one looks."""
    found = []
    for path in volume.rglob("parts/*"):
        try:
            if path.stat().st_size == size:
                found.append(path)
        except FileNotFoundError:
            pass
    return found
