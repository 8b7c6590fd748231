import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from webhookserver import running


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the expected files")


@pytest.fixture(scope="session")
def webhook(tmp_path_factory):
    with running(tmp_path_factory.mktemp("webhook"), config="drainSeconds: 0\n") as server:
        yield server
        assert server.process.poll() is None
