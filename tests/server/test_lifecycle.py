"""Start, reload, end."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import rawhttp
import reviews
import webhookserver

RELOAD_S = 10


def eventually(check, deadline_s, what):
    """Asks until it is true."""
    end = time.monotonic() + deadline_s
    while not check():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.05)


def serial(server):
    """The serial number of the certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=str(server.tls / "ca.crt"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.getpeercert()["serialNumber"]


def events(server, message):
    return [line for line in map(json.loads, server.log.read_text().splitlines()) if line["msg"] == message]


def run(*arguments, timeout=20):
    return subprocess.run([webhookserver.WEBHOOK, *arguments], capture_output=True, text=True, timeout=timeout)


class SecretVolume:
    """A directory as kubelet makes it for a Secret: ..data is a link that is swapped, the files are links through it."""

    def __init__(self, directory, source):
        self.directory, self.generation = directory, 0
        directory.mkdir()
        self.swap(source)
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (directory / name).symlink_to(f"..data/{name}")

    def swap(self, source):
        self.generation += 1
        version = self.directory / f"..{self.generation}"
        version.mkdir()
        for name in ("tls.crt", "tls.key", "ca.crt"):
            shutil.copy(source / name, version / name)
        new = self.directory / "..data_tmp"
        new.symlink_to(version.name)
        new.rename(self.directory / "..data")
        old = self.directory / f"..{self.generation - 1}"
        if old.exists():
            shutil.rmtree(old)


def renewed(tmp_path, tls):
    """Another certificate of the same CA."""
    new = tmp_path / "renewed"
    shutil.copytree(tls, new)
    for name in ("tls.crt", "tls.key"):
        (new / name).unlink()
    return webhookserver.make_certificates(new)


def test_a_certificate_that_is_swapped_like_a_secret_is_served_soon(tmp_path, tls):
    volume = SecretVolume(tmp_path / "volume", tls)
    with webhookserver.running(tmp_path, tls=volume.directory, config="drainSeconds: 0\n") as server:
        kept = server.connection()
        server.review(reviews.review(), kept)
        first = serial(server)
        volume.swap(renewed(tmp_path, tls))
        start = time.monotonic()
        eventually(lambda: serial(server) != first, RELOAD_S, "another certificate")
        assert time.monotonic() - start < RELOAD_S
        assert server.review(reviews.review(), kept)["response"]["allowed"] is True  # old connections go on
        kept.close()
        assert len(events(server, "certificate reloaded")) == 1
    assert server.process.returncode == 0


@pytest.mark.slow
def test_certificates_that_are_of_no_use_are_logged_once_and_the_old_ones_stay(tmp_path, tls):
    pair = tmp_path / "pair"
    shutil.copytree(tls, pair)
    good_key = (pair / "tls.key").read_bytes()
    message = "certificate not reloaded; the one before stays"
    with webhookserver.running(tmp_path, tls=pair, config="drainSeconds: 0\n") as server:
        first = serial(server)
        (pair / "tls.key").write_bytes((renewed(tmp_path, tls) / "tls.key").read_bytes())
        eventually(lambda: events(server, message), RELOAD_S, "the log of a wrong key")
        assert "is not the key of" in events(server, message)[-1]["error"]
        (pair / "tls.key").write_bytes(b"nonsense")
        eventually(lambda: len(events(server, message)) == 2, RELOAD_S, "the log of a broken key")
        assert "not a PEM key" in events(server, message)[-1]["error"]
        (pair / "tls.key").unlink()
        eventually(lambda: len(events(server, message)) == 3, RELOAD_S, "the log of a missing key")
        assert "No such file" in events(server, message)[-1]["error"]
        assert serial(server) == first
        (pair / "tls.key").write_bytes(good_key)
        eventually(lambda: events(server, "certificate reloaded"), RELOAD_S, "the good pair again")
        assert len(events(server, message)) == 3
        assert "BEGIN" not in server.log.read_text()
    assert server.process.returncode == 0


@pytest.mark.slow
def test_reloads_under_new_connections_break_none_of_them(tmp_path, tls):
    volume = SecretVolume(tmp_path / "volume", tls)
    other = renewed(tmp_path, tls)
    failures, seen, stop = [], set(), threading.Event()
    with webhookserver.running(tmp_path, tls=volume.directory, config="drainSeconds: 0\n") as server:
        def connect():
            while not stop.is_set():
                try:
                    seen.add(serial(server))
                except OSError as problem:
                    failures.append(problem)

        threads = [threading.Thread(target=connect) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(1, 4):
                volume.swap(other if i % 2 else tls)
                eventually(lambda: len(events(server, "certificate reloaded")) == i, RELOAD_S, "a reload")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not failures
    assert len(seen) == 2
    assert server.process.returncode == 0


@pytest.mark.slow
def test_a_drain_answers_every_request_and_asks_to_reconnect(tmp_path, tls):
    """Clients go on over the whole drain, as the API server does; they stop when not ready has been seen for a while."""
    answered, failures, closes = [], [], []
    stop = threading.Event()
    with webhookserver.running(tmp_path, tls=tls, config="drainSeconds: 3\n") as server:
        def client():
            connection = server.connection()
            while not stop.is_set():
                try:
                    connection.request("POST", "/mutate", reviews.body(), {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    response.read()
                    answered.append(response.status)
                    if response.getheader("Connection") == "close":
                        closes.append(1)
                        connection.close()
                        connection = server.connection()
                except Exception as problem:  # any trouble at all is a lost request
                    failures.append(problem)
                    return
            connection.close()

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(answered) > 100, 20, "requests")
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.request("GET", "/readyz")[0] == 503, 2, "not ready")
        assert server.request("GET", "/healthz")[0] == 200
        before = len(answered)
        eventually(lambda: len(answered) > before + 100, 2, "requests during the drain")
        stop.set()
        for thread in threads:
            thread.join()
        assert server.process.wait(20) == 0
        assert 2.5 < time.monotonic() - start < 8
    assert not failures
    assert set(answered) == {200}
    assert len(closes) > 100
    assert events(server, "stopped")


@pytest.mark.slow
def test_the_last_request_of_a_drain_is_finished(tmp_path, tls):
    """A request that began before the end is answered, though its body comes after the drain's time."""
    body = reviews.body()
    with webhookserver.running(tmp_path, tls=tls, config="drainSeconds: 1\n") as server:
        connection = rawhttp.connect(server)
        connection.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                           % len(body) + body[:10])
        server.process.send_signal(signal.SIGTERM)

        def refused():
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
                return False
            except ConnectionRefusedError:
                return True

        eventually(refused, 10, "a closed listener")
        assert server.process.poll() is None
        connection.sendall(body[10:])
        status, head, _ = rawhttp.read_response(connection)
        assert status == 200
        assert b"connection: close" in head.lower()
        connection.close()
        assert server.process.wait(10) == 0


def test_a_second_signal_ends_at_once(tmp_path, tls):
    with webhookserver.running(tmp_path, tls=tls, config="drainSeconds: 600\n") as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: events(server, "draining"), 5, "the drain")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(5) == 0


def test_a_port_in_use_is_named(tmp_path, tls):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run("serve", "--listen", address, "--tls-cert", tls / "tls.crt", "--tls-key", tls / "tls.key",
                   "--init-image", "x:1", "--ready-file", tmp_path / "ready")
    assert done.returncode == 1
    assert f"cannot listen on {address}: Address already in use" in done.stderr
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot open '{path}': No such file or directory"),
    (b"", "'{path}': not a PEM certificate chain"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "'{path}': not a PEM certificate chain"),
    (b"x" * 300000, "'{path}' is larger than"),
])
def test_a_certificate_of_no_use_is_named(tmp_path, tls, content, message):
    path = tmp_path / "tls.crt"
    if content is not None:
        path.write_bytes(content)
    done = run("serve", "--tls-cert", path, "--tls-key", tls / "tls.key", "--init-image", "x:1", "--listen", "127.0.0.1:0")
    assert done.returncode in (1, 2)
    assert "no serving certificate: " + message.format(path=path) in done.stderr


@pytest.mark.slow
def test_a_key_of_another_certificate_is_named(tmp_path, tls):
    other = webhookserver.make_certificates(tmp_path / "other")
    done = run("serve", "--tls-cert", tls / "tls.crt", "--tls-key", other / "tls.key", "--init-image", "x:1",
               "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert f"'{other / 'tls.key'}' is not the key of '{tls / 'tls.crt'}'" in done.stderr


def test_a_config_file_with_a_wrong_key_is_refused_with_its_place(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("init:\n  image: x\n  imagePullPolicies: Always\n")
    done = run("serve", "--config", config)
    assert done.returncode == 2
    assert f"{config}:3:3: unknown key 'init.imagePullPolicies'; did you mean 'init.image'" in done.stderr


def started(tls, ready, **options):
    return subprocess.Popen(
        [webhookserver.WEBHOOK, "serve", "--listen", "127.0.0.1:0", "--tls-cert", tls / "tls.crt", "--tls-key", tls / "tls.key",
         "--init-image", "x:1", "--ready-file", ready], stderr=subprocess.DEVNULL, **options)


def ended_at_once(process):
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    return process.wait(10)


def port_of(ready):
    try:
        return json.loads(ready.read_text())["port"]
    except FileNotFoundError:
        return None


def test_a_ready_file_of_a_run_before_is_replaced(tmp_path, tls):
    ready = tmp_path / "ready"
    ready.write_text('{"port":1}')
    process = started(tls, ready)
    try:
        eventually(lambda: port_of(ready) not in (None, 1), 20, "the port")
        server = webhookserver.Server(process, port_of(ready), tls, None)
        assert server.request("GET", "/readyz")[0] == 200
    finally:
        assert ended_at_once(process) == 0


def test_the_documented_config_starts_the_server(tmp_path, tls):
    example = run("serve", "--help-config").stdout
    assert "drainSeconds: 10" in example
    with webhookserver.running(tmp_path, tls=tls, config=example.replace("drainSeconds: 10", "drainSeconds: 0")) as server:
        assert server.request("GET", "/readyz")[0] == 200


@pytest.mark.parametrize(("arguments", "status", "message"), [
    ([], 2, "a command is missing; see --help"),
    (["sing"], 2, "no command 'sing'"),
    (["serve", "--nope"], 2, "no option '--nope' for serve"),
    (["serve"], 2, "give --init-image"),
    (["inject", "--init-image", "x"], 2, "inject needs --file FILE"),
    (["serve", "--config", "/nonexistent"], 1, "cannot open '/nonexistent'"),
    (["serve", "--init-image", "x", "--listen", "nowhere:1"], 2, "--listen: 'nowhere:1' is not ADDRESS:PORT"),
])
def test_wrong_usage_is_explained(arguments, status, message):
    done = run(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert not done.stdout


def test_help_and_version_are_printed():
    assert "serve" in run("--help").stdout and "inject" in run("--help").stdout
    assert "--tls-cert" in run("serve", "--help").stdout
    assert "--tls-cert" not in run("inject", "--help").stdout
    assert run("--version").stdout.startswith("modelberth-webhook ")


def test_the_server_needs_no_environment_and_no_working_directory(tmp_path, tls):
    process = started(tls, tmp_path / "ready", cwd="/proc", env={})
    try:
        eventually((tmp_path / "ready").exists, 20, "ready")
    finally:
        assert ended_at_once(process) == 0
