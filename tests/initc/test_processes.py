"""Several processes at one directory, killed and frozen ones: downloaded once, and only verified bytes are published."""

import json
import os
import re
import signal
import subprocess
import time

import hubseed
import pytest
from conftest import INITC, body_bytes, content, leftovers, parts, wait_for
from hubseed import MODEL

SHARD = "model-00001-of-00002.safetensors"
OTHER = "model-00002-of-00002.safetensors"
SOURCE = f"hf://{MODEL}@v1"
QUICK_LOCK = ["--lock-timeout", "2s"]


def files(hub):
    return hub.store.content("model", MODEL, "v1")


def size_of(hub):
    return sum(map(len, files(hub).values()))


def stall(hub, after=100_000):
    """The first shard stops in the middle, for everybody."""
    hub.control.fault(match=re.escape(SHARD), origin="cdn", stall_after=after, times=None)


def wait_until_stalled(hub, volume, after=100_000):
    """Also for its bytes to be on the volume, and for every other file to be complete."""
    hub.control.wait(re.escape(SHARD), state="stalled")
    wait_for(lambda: parts(volume, after), "the first bytes on the volume")
    wait_for(lambda: len([p for p in volume.rglob("tree/**/*") if p.is_file()]) == len(files(hub)) - 1, "the other files")


def lock_of(volume):
    return [p for p in (volume / ".modelberth").iterdir() if p.suffix[1:].isdigit()]


@pytest.mark.parametrize("many", [2, 4])
def test_many_at_once_download_once(initc, hub, volume, many):
    hub.control.settings(bytes_per_second=1_000_000)
    done = [one.wait().must() for one in [initc.start("fetch", SOURCE, "--to", volume / "model") for _ in range(many)]]
    assert body_bytes(hub) == size_of(hub)
    assert sorted(d.closing["how"] for d in done) == ["downloaded"] + ["waited for another"] * (many - 1)
    assert content(volume / "model") == files(hub)
    assert leftovers(volume) == []


@pytest.mark.slow
def test_waiters_show_the_owners_progress(initc, hub, volume):
    stall(hub)
    initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_until_stalled(hub, volume)
    waiter = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    lines = iter(waiter.process.stderr.readline, "")
    event = next(e for e in map(json.loads, lines) if e["msg"] == "waiting for another download" and "bytesDone" in e)
    assert event["bytesTotal"] == size_of(hub) and event["bytesDone"] == size_of(hub) - len(files(hub)[SHARD]) + 100_000
    hub.control.release()
    assert waiter.wait().must().closing["how"] == "waited for another"


def test_a_killed_download_fetches_only_the_rest(initc, hub, volume):
    stall(hub)
    first = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    first.signal(signal.SIGKILL)
    first.wait()
    hub.control.reset()
    done = initc.fetch(SOURCE, volume / "model").must()
    assert body_bytes(hub) == done.closing["fetchedBytes"] == len(files(hub)[SHARD]) - 100_000
    assert content(volume / "model") == files(hub)
    assert leftovers(volume) == []


def test_sigterm_stops_quickly_and_the_rest_resumes(initc, hub, volume):
    stall(hub)
    one = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    began = time.monotonic()
    one.signal(signal.SIGTERM)
    done = one.wait()
    assert done.code == 143 and time.monotonic() - began < 5
    assert lock_of(volume) == []
    hub.control.reset()
    done = initc.fetch(SOURCE, volume / "model").must()
    assert done.closing["fetchedBytes"] == len(files(hub)[SHARD]) - 100_000
    assert content(volume / "model") == files(hub)
    assert leftovers(volume) == []


def test_what_a_killed_download_left_is_not_trusted(initc, hub, volume):
    """Bytes that changed at rest, in a complete file and in a part, are found and fetched again."""
    stall(hub)
    first = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    first.signal(signal.SIGKILL)
    first.wait()
    (part,) = volume.rglob("parts/*")
    (complete,) = volume.rglob(f"tree/{OTHER}")
    for path in (part, complete):
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
    hub.control.reset()
    initc.fetch(SOURCE, volume / "model").must()
    assert content(volume / "model") == files(hub)
    assert body_bytes(hub, SHARD) == 2 * len(files(hub)[SHARD]) - 100_000  # the rest, then once more from the start
    assert body_bytes(hub, OTHER) == len(files(hub)[OTHER])


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_in_dead_staging_is_not_followed(initc, hub, volume, tmp_path, inside):
    stall(hub)
    first = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    first.signal(signal.SIGKILL)
    first.wait()
    (complete,) = volume.rglob(f"tree/{OTHER}")
    complete.unlink()
    outside = (complete.parent / "blob") if inside else (tmp_path / "outside")
    outside.write_bytes(files(hub)[OTHER])
    complete.symlink_to("blob" if inside else outside)
    hub.control.reset()
    initc.fetch(SOURCE, volume / "model").must()
    assert not (volume / "model" / OTHER).is_symlink()
    assert inside or outside.read_bytes() == files(hub)[OTHER]
    assert content(volume / "model") == files(hub)


def test_a_waiter_takes_over_from_a_killed_owner_at_once(initc, hub, volume):
    """On one machine the owner's flock tells; nobody waits for the 90 seconds of the lock."""
    stall(hub)
    owner = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    waiter = initc.start("fetch", SOURCE, "--to", volume / "model")
    line = json.loads(waiter.process.stderr.readline())
    assert "waiting for another download" in line["msg"]
    owner.signal(signal.SIGKILL)
    owner.wait()
    hub.control.reset()
    closing = waiter.wait().must().closing
    assert (closing["how"], closing["fetchedBytes"]) == ("downloaded", len(files(hub)[SHARD]) - 100_000)
    assert content(volume / "model") == files(hub)


def test_a_waiter_takes_over_from_a_dead_owner_on_another_machine(initc, hub, volume):
    """There is no flock to ask: the counter stands still for the whole timeout."""
    stall(hub)
    owner = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_until_stalled(hub, volume)
    owner.signal(signal.SIGKILL)
    owner.wait()
    (lock,) = lock_of(volume)
    record = json.loads(lock.read_text())
    lock.write_text(json.dumps({**record, "boot": "0" * 8 + "-1111-2222-3333-" + "4" * 12}))
    hub.control.reset()
    done = initc.fetch(SOURCE, volume / "model", *QUICK_LOCK).must()
    assert done.closing["milliseconds"] >= 2000
    assert content(volume / "model") == files(hub)
    assert leftovers(volume) == []


@pytest.mark.parametrize("garbage", [b"", b"not json", b"\0" * 512, b'{"v":1}' * 1000])
def test_a_lock_file_of_garbage_is_taken_over(initc, hub, volume, garbage):
    stall(hub)
    owner = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_until_stalled(hub, volume)
    owner.signal(signal.SIGKILL)
    owner.wait()
    (lock,) = lock_of(volume)
    lock.write_bytes(garbage)
    hub.control.reset()
    initc.fetch(SOURCE, volume / "model", *QUICK_LOCK).must()


def test_a_frozen_owner_is_taken_over_and_does_not_publish_when_it_goes_on(initc, hub, volume):
    stall(hub)
    owner = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_until_stalled(hub, volume)
    (lock,) = lock_of(volume)
    owner.signal(signal.SIGSTOP)
    hub.control.reset()  # its own transfer would go on too
    done = initc.fetch(SOURCE, volume / "model", *QUICK_LOCK).must()
    assert done.closing["how"] == "downloaded"
    published = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (volume / "model").rglob("*")}
    owner.signal(signal.SIGCONT)
    last = owner.wait().must()
    assert last.closing["how"] == "waited for another"
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (volume / "model").rglob("*")} == published
    assert content(volume / "model") == files(hub)
    assert not lock.exists()


@pytest.mark.slow
def test_a_frozen_owner_whose_successor_is_still_at_work_waits(initc, hub, volume):
    stall(hub)
    owner = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_until_stalled(hub, volume)
    owner.signal(signal.SIGSTOP)
    successor = initc.start("fetch", SOURCE, "--to", volume / "model", *QUICK_LOCK)
    wait_for(lambda: [p for p in lock_of(volume) if p.suffix == ".2"], "the second generation")
    owner.signal(signal.SIGCONT)
    line = next(e for e in map(json.loads, iter(owner.process.stderr.readline, "")) if "waiting" in e["msg"])
    assert line
    hub.control.release()
    hub.control.reset()
    how = {successor.wait().must().closing["how"], owner.wait().must().closing["how"]}
    assert how == {"downloaded", "waited for another"}
    assert content(volume / "model") == files(hub)


def test_two_versions_into_one_directory_end_with_one_and_a_refusal(initc, hub, volume):
    hub.control.settings(bytes_per_second=2_000_000)
    both = [initc.start("fetch", f"hf://{MODEL}@{revision}", "--to", volume / "model") for revision in ("v1", "main")]
    done = [one.wait() for one in both]
    assert sorted(d.code for d in done) == [0, 3]
    winner = ("v1", "main")[[d.code for d in done].index(0)]
    loser = next(d for d in done if d.code == 3)
    assert "@v1" in loser.error and "@main" in loser.error
    assert content(volume / "model") == hub.store.content("model", MODEL, winner)


def test_directories_that_appear_meanwhile_are_left_alone(initc, hub, volume):
    stall(hub)
    one = initc.start("fetch", SOURCE, "--to", volume / "model")
    wait_until_stalled(hub, volume)
    (volume / "model").mkdir()
    (volume / "model/somebody.txt").write_text("else")
    hub.control.reset()
    assert "something else was put" in one.wait().must(3).error
    assert content(volume / "model") == {"somebody.txt": b"else"}


def test_memory_stays_small_whatever_the_size(initc, hub, volume, seeded_hub_data):
    hubseed.seed_big(hub.store, "acme/big", 192 << 20, 3)
    command = ["/usr/bin/env", "python3", "-c",
               "import os,resource,subprocess,sys; code=subprocess.call(sys.argv[1:]);"
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"]
    done = subprocess.run([*command, INITC, "fetch", "hf://acme/big@v1", "--to", volume / "model"], env=initc.env, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    if "asan" in INITC or "tsan" in INITC:
        pytest.skip("a sanitizer takes memory of its own")
    assert int(done.stdout.splitlines()[-1]) < 40 * 1024
    assert os.path.getsize(volume / "model/model-00001-of-00003.safetensors") > 64 << 20
