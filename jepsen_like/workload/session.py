"""One client of a workload: raftkv's client with every call written to the history.

Owns the process number (a new one after each unknown outcome), the turning of messages into the history's records, and
nothing of what to ask. Every method answers None when the call failed or its outcome is unknown. Keys and values are text,
mapped to bytes by latin-1, as the history wants them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from jepsen_like.history import UNKNOWN, KeyValue, RangeArgument, RangeResult, TxnArgument, TxnResult
from jepsen_like.recorder import Call
from jepsen_like.workload.outcome import outcome_of
from jepsen_like.workload.workload import World
from raftkv import client as etcd
from raftkv.errors import RaftKVError, RequestError

T = TypeVar("T")

TIMEOUT_S = 1.0
"""Of one call. Shorter than most faults, so that a client meets each fault more than once and its outcomes stay few."""

_TARGETS = {"value": etcd.value, "mod": etcd.mod, "create": etcd.create, "version": etcd.version, "lease": etcd.lease}


class Answer(NamedTuple):
    """What an acknowledged call gave: the history's result, and the revision of the answer's header."""

    result: Any
    revision: int


class Session:
    """A client bound to one member, or to all of them.

    Invariants: 1. one call at a time. 2. `cautious` after an unknown outcome or a member that did not serve, and until a call has
    been answered again: who then asks only for reads keeps the unknown outcomes below one for each client and fault.
    """

    def __init__(self, world: World, member: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self.world = world
        self.member = member or ""
        self.client = world.client(member, timeout_s=timeout_s)
        self.process = world.recorder.process()
        self.cautious = False
        self.last_error = ""

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.aclose()

    async def get(self, key: str, *, revision: int = 0, serializable: bool = False) -> Answer | None:
        """One key; `serializable` asks for what may be stale and records it as if it were not (the positive control)."""

        async def send() -> tuple[Any, int]:
            found = await self.client.execute(etcd.RangeOp(_bytes(key), revision=revision, serializable=serializable))
            return (kv_of(found.kvs[0]) if found.kvs else None), found.header.revision

        return await self.call("get", key, revision, send, mutates=False)

    async def range(self, key: str, range_end: str, *, limit: int = 0, revision: int = 0, serializable: bool = False) -> Answer | None:
        """Several keys."""

        async def send() -> tuple[Any, int]:
            selection = etcd.KeyRange(_bytes(key), _bytes(range_end))
            found = await self.client.execute(etcd.RangeOp(selection, limit=limit, revision=revision, serializable=serializable))
            return RangeResult(tuple(map(kv_of, found.kvs)), found.count, found.more), found.header.revision

        return await self.call("range", key, RangeArgument(range_end, limit, revision, serializable), send, mutates=False)

    async def put(self, key: str, value: str, *, lease: int = 0, previous: bool = False) -> Answer | None:
        """Writes one key."""

        async def send() -> tuple[Any, int]:
            done = await self.client.execute(etcd.PutOp(_bytes(key), _bytes(value), lease=lease, previous=previous))
            return ((None if done.previous is None else kv_of(done.previous),) if previous else ()), done.header.revision

        return await self.call("put", key, value, send, lease=lease)

    async def delete(self, key: str, range_end: str = "") -> Answer | None:
        """Deletes one key, or a range."""

        async def send() -> tuple[Any, int]:
            done = await self.client.execute(etcd.DeleteOp(_selection(key, range_end)))
            return done.deleted, done.header.revision

        return await self.call("delete", key, range_end, send)

    async def cas(self, key: str, expected: str | None, value: str) -> Answer | None:
        """Swaps a value (None: creates); a failed swap carries what was there, read in the same transaction."""
        compare = etcd.version(_bytes(key)) == 0 if expected is None else etcd.value(_bytes(key)) == _bytes(expected)
        operation = etcd.TxnOp((compare,), (etcd.PutOp(_bytes(key), _bytes(value)),), (etcd.RangeOp(_bytes(key)),))

        async def send() -> tuple[Any, int]:
            done = await self.client.execute(operation)
            if done.succeeded:
                return (True,), done.header.revision
            found = done.responses[0]
            assert isinstance(found, etcd.RangeResult), found
            return (False, kv_of(found.kvs[0]) if found.kvs else None), done.header.revision

        return await self.call("cas", key, (expected, value), send)

    async def txn(self, argument: TxnArgument, key: str = "", *, lease: int = 0) -> Answer | None:
        """A transaction, recorded as it is; `lease` is attached by its puts."""

        async def send() -> tuple[Any, int]:
            done = await self.execute_txn(argument, lease=lease)
            return txn_result(argument, done), done.header.revision

        writes = any(step[0] in ("put", "delete") for step in (*argument.success, *argument.failure))
        return await self.call("txn", key, argument, send, mutates=writes, lease=lease)

    async def execute_txn(self, argument: TxnArgument, *, lease: int = 0) -> etcd.TxnResult:
        """The same without a record: for calls that the history knows under another name.

        Raises:
            RaftKVError: as the client's.
        """
        return await self.client.execute(
            etcd.TxnOp(
                tuple(map(_compare, argument.compares)),
                tuple(_step(step, lease) for step in argument.success),
                tuple(_step(step, lease) for step in argument.failure),
            )
        )

    async def compact(self, revision: int) -> Answer | None:
        """Forgets the history before `revision`."""

        async def send() -> tuple[Any, int]:
            return None, (await self.client.compact(revision)).header.revision

        return await self.call("compact", "", revision, send)

    async def call(
        self,
        f: str,
        key: str,
        argument: Any,
        send: Callable[[], Awaitable[tuple[Any, int]]],
        *,
        mutates: bool = True,
        lease: int = 0,
    ) -> Answer | None:
        """Runs one recorded call: `send` returns the result and the header's revision, or raises what the client raises.

        `Refused` from `send` ends the call as failed: something of it was answered, and nothing of it was done.
        """
        call = self.world.recorder.begin(self.process, f, key, argument, member=self.member, lease=lease)
        unknown = True  # Also when a cancellation or a bug of ours ends the call: the block then records it as such.
        try:
            with call:
                answer, unknown = await self._ended(call, send, mutates=mutates)
                return answer
        finally:
            if unknown:
                self.process = self.world.recorder.process()
                self.cautious = True

    async def _ended(self, call: Call, send: Callable[[], Awaitable[tuple[Any, int]]], *, mutates: bool) -> tuple[Answer | None, bool]:
        """The answer, and whether the outcome is unknown."""
        try:
            result, revision = await send()
        except Refused as exc:
            self.last_error = str(exc)
            self.cautious = self.cautious or _is_ill(exc.__cause__)
            call.fail(str(exc))
            return None, False
        except RaftKVError as exc:
            self.last_error = text = f"{type(exc).__name__}: {exc}"
            if outcome_of(exc, mutates=mutates) == UNKNOWN:
                call.unknown(text)
                return None, True
            self.cautious = self.cautious or _is_ill(exc)
            call.fail(str(exc))
            return None, False
        self.cautious = False
        call.ok(result, revision=revision)
        return Answer(result, revision), False


class Refused(Exception):
    """A call of several requests gave up between them, having changed nothing."""


def _is_ill(error: BaseException | None) -> bool:
    """The member did not serve, as opposed to having refused."""
    return isinstance(error, RaftKVError) and not isinstance(error, RequestError)


async def looked(asking: Awaitable[T]) -> T:
    """The answer of a call's first request, which only reads, or does what the call's effect does not depend on.

    Raises:
        Refused: there was none; whatever the reason, the whole call has then changed nothing.
    """
    try:
        return await asking
    except RaftKVError as exc:
        raise Refused(str(exc)) from exc


def kv_of(kv: etcd.KeyValue) -> KeyValue:
    """The history's record of a key."""
    return KeyValue(kv.key.decode("latin-1"), kv.value.decode("latin-1"), kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def prefix_end(prefix: str) -> str:
    """The first key after all that begin with a prefix whose last character is below 0xff."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def txn_result(argument: TxnArgument, done: etcd.TxnResult) -> TxnResult:
    """The answer in the history's shape, step by step."""
    steps = argument.success if done.succeeded else argument.failure
    return TxnResult(done.succeeded, tuple(_response(step, one) for step, one in zip(steps, done.responses, strict=True)))


def _response(step: Sequence[str], response: object) -> Any:
    if isinstance(response, etcd.RangeResult):
        if step[0] == "get":
            return kv_of(response.kvs[0]) if response.kvs else None
        return RangeResult(tuple(map(kv_of, response.kvs)), response.count, response.more)
    return response.deleted if isinstance(response, etcd.DeleteResult) else ()


def _compare(compare: tuple[str, str, str, str | int]) -> etcd.Compare:
    key, target, sign, operand = compare
    subject = _TARGETS[target](_bytes(key))
    value = _bytes(operand) if isinstance(operand, str) else operand
    if sign == "=":
        return subject == value
    if sign == "!":
        return subject != value
    return subject < value if sign == "<" else subject > value


def _step(step: tuple[str, ...], lease: int) -> etcd.PutOp | etcd.RangeOp | etcd.DeleteOp:
    kind, key, *rest = step
    if kind == "put":
        return etcd.PutOp(_bytes(key), _bytes(rest[0]), lease=lease)
    if kind == "delete":
        return etcd.DeleteOp(_selection(key, rest[0]))
    return etcd.RangeOp(_selection(key, rest[0] if rest else ""))


def _selection(key: str, range_end: str) -> etcd.Selection:
    return etcd.KeyRange(_bytes(key), _bytes(range_end)) if range_end else _bytes(key)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
