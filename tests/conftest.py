"""Fixtures that more than one suite uses."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "hub"))

import hubseed
from hub import Hub, Store


@pytest.fixture(scope="session")
def seeded_hub_data(tmp_path_factory) -> Path:
    """A data directory with the default seed. A test that adds repositories gives them names of their own."""
    data = tmp_path_factory.mktemp("hub-data")
    hubseed.seed_default(Store(data))
    return data


@pytest.fixture(scope="session")
def _hub_server(seeded_hub_data):
    with Hub(seeded_hub_data, page_size=3) as server:
        yield server


@pytest.fixture
def hub(_hub_server):
    """The local hub with small tree pages: no faults, an empty log, every branch where the seed put it."""
    _hub_server.control.reset()
    yield _hub_server
    _hub_server.control.reset()
