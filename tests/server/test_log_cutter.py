"""Raft snapshots of one member on real files and threads: what a stop may meet half done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from raftkv.embedded import running_member
from raftkv.pb import rpc
from raftkv.server.settings import MemberSettings

SNAPSHOT_COUNT = 10
PUTS = 200


async def _put_and_stop(settings: MemberSettings) -> tuple[int, list[dict[str, Any]]]:
    """Puts so that snapshots fall due all the time, and stops without waiting; the store's revision and what the loop was told."""
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: faults.append(context))
    async with running_member(settings) as member:
        await member.ready.wait()
        answered = loop.create_future()
        left = PUTS

        def done(result: tuple[int, bytes] | None, error: Exception | None) -> None:
            nonlocal left
            assert error is None
            left -= 1
            if not left:
                answered.set_result(None)

        for number in range(PUTS):
            request = rpc.PutRequest(key=b"k", value=b"%d" % number)
            member.service.put(request.SerializeToString(), request, done)
        await answered
        revision = member.core.store.revision
    return revision, faults


@pytest.mark.slow
def test_snapshot_that_falls_due_while_the_member_stops_is_left_to_the_next_start(tmp_path):
    """The last commit satisfies whoever waited for it, also the mark in a log whose thread has ended."""
    settings = MemberSettings(
        name="m",
        data_dir=str(tmp_path / "data"),
        initial_cluster=(("m", "http://127.0.0.1:0"),),
        initial_advertise_peer_urls=("http://127.0.0.1:0",),
        advertise_client_urls=("http://127.0.0.1:0",),
        listen_peer_urls=("http://127.0.0.1:0",),
        listen_client_urls=("http://127.0.0.1:0",),
        snapshot_count=SNAPSHOT_COUNT,
        snapshot_catchup_entries=SNAPSHOT_COUNT,
    )
    first, faults = asyncio.run(_put_and_stop(settings))
    second, more = asyncio.run(_put_and_stop(settings))
    assert (first, second) == (1 + PUTS, 1 + 2 * PUTS)
    assert [context.get("exception") for context in faults + more] == []
