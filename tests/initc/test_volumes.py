"""Volumes that are full, read-only or somebody else's, and what a person reads then."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import INITC, content, leftovers
from hubseed import MODEL

SOURCE = f"hf://{MODEL}@v1"
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a small file system or changes the user")


@pytest.fixture
def mounted(tmp_path):
    """Mounts a tmpfs; unmounts it in the end."""
    places = []

    def mount(options):
        place = tmp_path / f"mounted-{len(places)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", place], check=True)  # a failed case may still have a process there


@pytest.fixture
def open_place():
    """A directory that every user may reach, and a copy of the program."""
    place = Path(tempfile.mkdtemp(prefix="initc-"))
    place.chmod(0o755)
    shutil.copy(INITC, place / "initc")
    yield place
    shutil.rmtree(place)


def plan(root, path="model", **more):
    return {"claim": "models", "root": str(root), "path": path, "source": SOURCE, **more}


@as_root
def test_a_volume_without_room_is_refused_before_the_first_byte(initc, hub, mounted):
    volume = mounted("size=1500k")
    done = initc.plan(plan(volume)).must(5)
    assert "needs 911.4 KiB more" in done.error and "enlarge the claim" in done.error
    assert not [r for r in hub.control.log() if "/resolve/" in r["path"]]
    subprocess.run(["mount", "-o", "remount,size=8m", volume], check=True)
    initc.plan(plan(volume)).must()
    assert content(volume / "model") == hub.store.content("model", MODEL, "v1")


@as_root
def test_a_volume_that_fills_up_meanwhile_is_told_and_keeps_what_it_has(initc, hub, mounted):
    volume = mounted("size=4m")
    hub.control.fault(match="model-00001", origin="cdn", stall_after=100_000)
    one = initc.start("fetch", SOURCE, "--to", volume / "x/model")
    hub.control.wait("model-00001", state="stalled")
    with open(volume / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(65536))
            filler.flush()
    hub.control.release()
    assert "No space left" in one.wait().must(5).error
    (volume / "filler").unlink()
    initc.fetch(SOURCE, volume / "x/model").must()


@as_root
def test_a_read_only_volume_is_told(initc, hub, mounted):
    volume = mounted("size=8m")
    subprocess.run(["mount", "-o", "remount,ro", volume], check=True)
    error = initc.plan(plan(volume)).must(6).error
    assert "read-only" in error and "mount it read-write" in error
    assert hub.control.log() == []


@as_root
def test_a_directory_of_another_user_is_told_with_the_annotation_that_helps(initc, hub, open_place):
    volume = open_place / "volume"
    volume.mkdir(mode=0o755)
    os.chown(volume, 1234, 5678)
    log = open_place / "termination"
    log.touch()
    log.chmod(0o666)
    env = {**initc.env, "HOME": "/", "MODELBERTH_TERMINATION_LOG": str(log)}
    done = subprocess.run([open_place / "initc", "fetch", SOURCE, "--to", volume / "model"], env=env, user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 6, done.stderr
    message = log.read_text()
    assert "uid 65534" in message and "belongs to uid 1234 gid 5678, mode 0755" in message
    assert 'modelberth.io/run-as-user: "1234"' in message and "modelberth.io/fs-group" in message


@as_root
def test_a_published_model_needs_no_permission_to_write(initc, hub, open_place):
    volume = open_place / "volume"
    volume.mkdir()
    initc.fetch(SOURCE, volume / "model").must()
    done = subprocess.run([open_place / "initc", "fetch", SOURCE, "--to", volume / "model"], env={**initc.env, "HOME": "/"}, user=NOBODY,
                          group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_volume_that_is_not_mounted_is_told(initc, tmp_path):
    error = initc.plan(plan(tmp_path / "nowhere")).must(8).error
    assert f"cannot open the volume '{tmp_path}/nowhere' (claim 'models')" in error


def test_a_path_out_of_the_volume_by_a_link_is_refused(initc, hub, volume, tmp_path):
    (tmp_path / "outside").mkdir()
    (volume / "link").symlink_to(tmp_path / "outside")
    assert "leads out of the volume" in initc.plan(plan(volume, "link/model")).must(8).error
    assert "leads out of the volume" in initc.plan(plan(volume, "link")).must(8).error
    assert os.listdir(tmp_path / "outside") == []


def test_a_file_where_the_directory_should_be_is_told(initc, hub, volume):
    (volume / "model").write_text("x")
    assert "is a file" in initc.plan(plan(volume)).must(8).error


def test_new_directories_have_the_permissions_of_the_one_above(initc, hub, volume):
    volume.chmod(0o2775)
    initc.fetch(SOURCE, volume / "org/model").must()
    assert (volume / "org").stat().st_mode & 0o7777 == 0o2775
    assert (volume / "org/.modelberth").stat().st_mode & 0o7777 == 0o2775
    assert (volume / "org/model").stat().st_mode & 0o777 == 0o755
    assert leftovers(volume / "org") == []


def test_the_termination_message_says_what_where_and_the_way_out(initc, hub, volume, tmp_path):
    log = tmp_path / "termination-log"
    log.write_text("from before")
    model = plan(volume, "acme/tiny", mount="/raid/models/tiny", source=f"hf://{MODEL}@nope")
    done = initc.plan(model, env={"MODELBERTH_TERMINATION_LOG": str(log)}).must(7)
    message = log.read_text()
    assert message.startswith(f"repository '{MODEL}' has no revision 'nope'.\n")
    assert "claim 'models', path 'acme/tiny', mounted at '/raid/models/tiny'" in message
    assert "exit code 7: the source says no" in message
    assert len(message.encode()) <= 4096
    assert done.error in message


def test_the_termination_message_is_never_too_long_nor_made_where_there_is_none(initc, hub, volume, tmp_path):
    log = tmp_path / "termination-log"
    initc.plan(plan(volume, "ü" * 100 + "/x", source=""), env={"MODELBERTH_TERMINATION_LOG": str(log)}).must(8)
    assert not log.exists()
    log.touch()
    for number in range(40):
        (volume / (f"{number}-" + "ü" * 100)).mkdir()
    initc.plan(plan(volume, "/".join(["ü" * 120] * 15), source=""), env={"MODELBERTH_TERMINATION_LOG": str(log)}).must(8)
    assert 0 < len(log.read_bytes()) <= 4096
    log.read_bytes().decode(errors="strict")


@as_root
def test_a_lost_and_found_of_root_is_in_nobodys_way(initc, hub, open_place):
    volume = open_place / "volume"
    (volume / "lost+found").mkdir(parents=True, mode=0o700)
    os.chown(volume, NOBODY, NOBODY)
    text = json.dumps({"v": 1, "models": [plan(volume, "")]})
    env = {**initc.env, "HOME": "/", "MODELBERTH_PLAN": text}
    for extra in ({}, {"HF_ENDPOINT": "http://127.0.0.1:1"}):
        done = subprocess.run([open_place / "initc", "fetch"], env={**env, **extra}, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(volume / ".modelberth")
    done = subprocess.run([open_place / "initc", "verify", volume, "--mode", "structure"], env={**initc.env, "HOME": "/"}, user=NOBODY,
                          group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_state_directory_is_no_place_for_a_model(initc, hub, volume):
    for path in (".modelberth", "a/.modelberth/b"):
        assert "reserved for modelberth" in initc.plan(plan(volume, path)).must(2).error
