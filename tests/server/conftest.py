import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import webhookserver


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    """A CA and a certificate for localhost, that nobody changes."""
    return webhookserver.make_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture(scope="session")
def webhook(tmp_path_factory, tls):
    """A server that all tests share which leave it running."""
    with webhookserver.running(tmp_path_factory.mktemp("webhook"), tls=tls, config="drainSeconds: 0\n") as server:
        yield server
        assert server.process.poll() is None
    assert server.process.returncode == 0, server.log.read_text()
