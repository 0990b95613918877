"""A live server of each kind, shared by a module's tests."""

from __future__ import annotations

import pytest

from tests.client.servers import etcd_unavailable, running


@pytest.fixture(scope="module", params=["raftkv", "etcd"])
def server(request, tmp_path_factory):
    """Our own member, and Debian's etcd where it is installed."""
    if request.param == "etcd" and (why := etcd_unavailable()):
        pytest.skip(why)
    with running(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started
