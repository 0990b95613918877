"""What a client of a workload writes down, and that it never sends a call twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from jepsen_like.history import FAIL, OK, UNKNOWN, Operation
from jepsen_like.recorder import Recorder
from jepsen_like.workload.attempts import one_attempt
from jepsen_like.workload.list_append import append
from jepsen_like.workload.session import Session
from raftkv.client import AsyncClient
from raftkv.client.outcome import NOT_APPLIED
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code


class ScriptedLink:
    """Answers each call by the next word of a script, an error or bytes, and remembers what was asked."""

    def __init__(self, script):
        self.script = list(script)
        self.asked: list[str] = []

    async def call(self, path, body, *, metadata=(), timeout_s=None):
        self.asked.append(path.rpartition("/")[2])
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer.SerializeToString()

    async def stream(self, path, *, on_message, on_done, metadata=()):
        raise RpcError(Code.UNAVAILABLE, "no streams here", sent=False)

    async def aclose(self):
        """Nothing is open."""


class ScriptedWorld:
    """One member behind a scripted link."""

    members = ("n1",)

    def __init__(self, *script):
        self.link = ScriptedLink(script)
        self.operations: list[Operation] = []
        self._now_ns = 0
        self.recorder = Recorder(self, self._tick)

    def _tick(self) -> int:
        self._now_ns += 1
        return self._now_ns

    def write(self, record):
        self.operations.append(record)

    def client(self, member=None, *, timeout_s=1.0):
        return AsyncClient("n1:1", timeout_s=timeout_s, open_link=one_attempt(lambda _endpoint: self.link))

    def random(self, name):
        return random.Random(name)


LOST = RpcError(Code.UNAVAILABLE, "connection lost")
NOT_SENT = RpcError(Code.UNAVAILABLE, "connection refused", sent=False)
DENIED = RpcError(Code.UNAVAILABLE, "etcdserver: request timed out", trailers=(NOT_APPLIED,))
DONE = rpc.PutResponse(header=rpc.ResponseHeader(revision=7))
HEADER = rpc.ResponseHeader(revision=7)


def outcomes(world: ScriptedWorld) -> list[tuple[str, str]]:
    return [(one.f, one.outcome) for one in world.operations]


@pytest.mark.parametrize(("error", "outcome"), [(LOST, UNKNOWN), (NOT_SENT, FAIL), (DENIED, FAIL)])
def test_write_that_fails_is_sent_once_whatever_the_reason(error, outcome):
    """raftkv's client would repeat what certainly did nothing; the history must show each attempt instead."""
    world = ScriptedWorld(error, DONE)
    asyncio.run(Session(world, "n1").put("k", "v"))
    assert world.link.asked == ["Put"]
    assert outcomes(world) == [("put", outcome)]


def test_read_that_fails_is_sent_once_and_has_failed():
    world = ScriptedWorld(LOST)
    asyncio.run(Session(world, "n1").get("k"))
    assert world.link.asked == ["Range"]
    assert outcomes(world) == [("get", FAIL)]


def test_client_is_another_process_and_cautious_after_an_unknown_outcome():
    """Its order after that would mean nothing; and it only reads until somebody answers."""
    world = ScriptedWorld(LOST, NOT_SENT, DONE)
    session = Session(world, "n1")
    before = session.process

    async def three_puts() -> list[bool]:
        cautious = []
        for _put in range(3):
            await session.put("k", "v")
            cautious.append(session.cautious)
        return cautious

    assert asyncio.run(three_puts()) == [True, True, False]
    assert [one.process for one in world.operations] == [before, session.process, session.process]
    assert session.process != before


def test_call_that_is_cancelled_is_unknown():
    world = ScriptedWorld(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Session(world, "n1").put("k", "v"))
    assert outcomes(world) == [("put", UNKNOWN)]


def test_append_whose_first_read_fails_has_changed_nothing():
    """A call of several requests fails when it was a read that failed, and is unknown when it was the write."""
    world = ScriptedWorld(LOST)
    asyncio.run(append(Session(world, "n1"), (("append", "k", 1),)))
    assert outcomes(world) == [("append", FAIL)]

    read = rpc.TxnResponse(header=HEADER, succeeded=True, responses=[rpc.ResponseOp(response_range=rpc.RangeResponse(header=HEADER))])
    world = ScriptedWorld(read, LOST)
    asyncio.run(append(Session(world, "n1"), (("append", "k", 1),)))
    assert world.link.asked == ["Txn", "Txn"]
    assert outcomes(world) == [("append", UNKNOWN)]


def test_failed_swap_carries_what_was_there():
    """So that the search may take it for the read that it is."""
    held = rpc.RangeResponse(header=HEADER)
    held.kvs.add(key=b"k", value=b"other", create_revision=2, mod_revision=5, version=3)
    world = ScriptedWorld(rpc.TxnResponse(header=HEADER, succeeded=False, responses=[rpc.ResponseOp(response_range=held)]))
    asyncio.run(Session(world, "n1").cas("k", "mine", "new"))
    (call,) = world.operations
    assert (call.outcome, call.result[0], call.result[1].value, call.result[1].version) == (OK, False, "other", 3)
