"""What the scripts of the cluster do to the host, tried with processes and rules of our own: no root, no cluster."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture
def shell(tmp_path):
    """Runs lines of bash with the scripts' functions, on a state folder and a PATH of the case."""
    for folder in ("state/pid", "state/log", "bin"):
        (tmp_path / folder).mkdir(parents=True)

    def run(lines, check=True):
        script = f"""set -Eeuo pipefail
            here={HERE} dir={tmp_path}/state
            say() {{ echo "$*" >&2; }}
            die() {{ say "$*"; exit 1; }}
            . "$here/process.sh"
            . "$here/host.sh"
            {lines}"""
        # Files, not pipes: a daemon that outlives the shell would hold a pipe open.
        out, err = tmp_path / "out", tmp_path / "err"
        with open(out, "w", encoding="utf-8") as stdout, open(err, "w", encoding="utf-8") as stderr:
            code = subprocess.run(["bash", "-c", script], stdout=stdout, stderr=stderr, check=False, timeout=60,
                                  env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}).returncode
        assert not check or code == 0, err.read_text()
        return out.read_text(), err.read_text(), code

    run.folder = tmp_path
    yield run
    for file in (tmp_path / "state/pid").iterdir():
        run(f"stop {file.name}")


def test_daemon_is_known_by_its_own_record_and_stops(shell):
    out, _, _ = shell("start daemon sleep 300; pid_of daemon; tr '\\0' ' ' </proc/$(pid_of daemon)/cmdline")
    pid, command = out.splitlines()
    assert command.strip() == "sleep 300"
    out, _, _ = shell("is_running daemon; stop daemon; is_stopped daemon && echo gone")
    assert out == "gone\n"
    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()


def test_daemon_that_ignores_the_request_is_killed(shell):
    shell("""start daemon bash -c 'trap "" TERM; echo ready; exec sleep 300'
             wait_until 10 grep -q ready "$dir/log/daemon.log"
             stop daemon
             is_stopped daemon""")


@pytest.mark.parametrize("record", [
    "{pid} 1 {boot}",  # the id was reused by a later process
    "{pid} {time} 00000000-0000-0000-0000-000000000000",  # the host was started anew
    "{pid}", "", "999999999 1 {boot}",
], ids=["reused", "rebooted", "torn", "empty", "gone"])
def test_process_of_somebody_else_is_never_killed(shell, record):
    with subprocess.Popen(["sleep", "300"]) as other:
        try:
            time, boot = shell(f"started_at {other.pid}")[0].split()
            (shell.folder / "state/pid/daemon").write_text(record.format(pid=other.pid, time=time, boot=boot))
            shell("is_stopped daemon; stop daemon")
            assert other.poll() is None
        finally:
            other.send_signal(signal.SIGKILL)


def test_daemon_that_dies_is_reported_at_once_with_its_log(shell):
    _, err, code = shell("start daemon sh -c 'echo cannot bind >&2; exit 1'; wait_for daemon 50 false", check=False)
    assert code == 1
    assert "cannot bind" in err
    assert "daemon did not get ready" in err


RULES = r"""*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:CNI-aaaa - [0:0]
:CNI-bbbb - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \"modelberth\" id: \"1\"" -j CNI-aaaa
-A POSTROUTING -s 10.88.0.2/32 -m comment --comment "name: \"podman\" id: \"2\"" -j CNI-bbbb
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A
-A CNI-aaaa -m comment --comment "name: \"modelberth\" id: \"1\"" -j MASQUERADE
COMMIT
"""


def fake_iptables(shell, rules):
    folder = shell.folder / "bin"
    (folder / "rules").write_text(rules)
    (folder / "iptables-save").write_text(f'#!/bin/sh\n[ "$2" != nat ] || cat {folder}/rules\n')
    (folder / "iptables-restore").write_text(f"#!/bin/sh\ncat >>{folder}/restored\n")
    for name in ("iptables-save", "iptables-restore"):
        (folder / name).chmod(0o755)


def test_rules_of_others_stay(shell):
    fake_iptables(shell, RULES)
    shell("remove_rules iptables")
    lines = (shell.folder / "bin/restored").read_text().splitlines()
    assert lines[0] == "*nat" and lines[-1] == "COMMIT"
    flushed = {line for line in lines if line.startswith(":")}
    deleted = [line for line in lines if line.startswith("-D")]
    dropped = {line for line in lines if line.startswith("-X")}
    assert flushed == {":KUBE-SERVICES - [0:0]", ":KUBE-SVC-A - [0:0]", ":CNI-aaaa - [0:0]"}
    assert deleted == [
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        r'-D POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \"modelberth\" id: \"1\"" -j CNI-aaaa',
    ]
    assert dropped == {"-X KUBE-SERVICES", "-X KUBE-SVC-A", "-X CNI-aaaa"}


def test_host_without_our_rules_is_not_touched(shell):
    fake_iptables(shell, "*nat\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n")
    shell("remove_rules iptables")
    assert (shell.folder / "bin/restored").read_text() == ""


@pytest.mark.parametrize("folder", ["/", "/var", "relative", "/var/../etc/x", "/var/tmp/a b", "/var/tmp/x;y", ""])
def test_dangerous_state_folder_is_refused(shell, folder):
    _, err, code = shell(f"dir='{folder}'; check_state_dir", check=False)
    assert code == 1
    assert "not a usable MODELBERTH_CLUSTER_DIR" in err


def test_state_folder_with_other_things_in_it_is_refused(shell):
    precious = shell.folder / "precious"
    precious.mkdir()
    (precious / "thesis.tex").touch()
    _, err, code = shell(f"dir={precious}; check_state_dir", check=False)
    assert code == 1
    assert "holds something else than a cluster" in err
    link = shell.folder / "link"
    link.symlink_to(shell.folder / "state")
    _, err, code = shell(f"dir={link}; check_state_dir", check=False)
    assert code == 1
    assert "is not a folder of" in err


def test_unknown_command_prints_the_usage():
    result = subprocess.run([HERE / "cluster.sh", "restart"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "cluster.sh up" in result.stderr
