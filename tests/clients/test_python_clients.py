"""Stock Python clients against three members: each subject at the leader and at a follower, each client in a process of its own."""

from __future__ import annotations

import importlib.util

import pytest

from tests.clients.session import run_session

SESSIONS = {"grpcio_sync": "grpc", "grpcio_aio": "grpc", "aetcd_client": "aetcd", "pyetcd_client": "pyetcd"}
"""Session -> the module it needs."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SESSIONS)
def test_client_does_every_subject(name: str, endpoint: str) -> None:
    """put, get with every option, delete, txn, watch (history, prefix, prev_kv), lease, compaction, status. (1–2 s each.)"""
    if importlib.util.find_spec(SESSIONS[name]) is None:
        pytest.skip(f"not available: {SESSIONS[name]} is not installed")
    run_session(name, endpoint)
