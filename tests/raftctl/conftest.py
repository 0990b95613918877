"""The servers that raftctl's transcripts are run against."""

from __future__ import annotations

import pytest

from tests.client.servers import etcd_unavailable, running


@pytest.fixture(params=["raftkv", "etcd"])
def fresh_server(request, tmp_path):
    """A server without a history: our own, and Debian's etcd where it is installed."""
    if request.param == "etcd" and (why := etcd_unavailable()):
        pytest.skip(why)
    with running(request.param, tmp_path) as server:
        yield server
