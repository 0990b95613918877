"""Every test of the state machine runs over the naive store and over the real one."""

from __future__ import annotations

import pytest

from raftkv.mvcc.store import Store
from tests.state.machine import Driver
from tests.state.naive_kv import DictTables, NaiveKV


@pytest.fixture(params=["naive", "mvcc"])
def member(request: pytest.FixtureRequest) -> Driver:
    tables = DictTables()
    return Driver(tables, NaiveKV() if request.param == "naive" else Store(tables))
