"""Both servers asked the same, one request after another, each answer judged at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from raftkv.pb import rpc
from tests.differential.answers import Normal
from tests.differential.exchange import Answer, Exchange, Rule, Verdict
from tests.differential.kv_requests import View
from tests.differential.servers import Pair
from tests.rpc.client import Conversation

TIMEOUT_S = 20.0
"""For every call; a call that runs into it differs."""

STREAM_TIMEOUT_S = 3_600.0
"""No run takes so long."""


@dataclass(frozen=True, slots=True)
class Step:
    """One unary call. `called` is what the report calls it, when the method's name does not say enough."""

    method: str
    request: Message
    metadata: tuple[tuple[str, str], ...] = ()
    called: str = ""


class Methods:
    """Paths and message classes of etcd's methods, by their names, from the descriptors."""

    def __init__(self) -> None:
        self._found = {
            method.name: (f"/{service.full_name}/{method.name}", getattr(rpc, method.output_type.name))
            for service in rpc.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    def path(self, name: str) -> str:
        """What stands in `:path`; a name that is a path already stands for itself."""
        return name if name.startswith("/") else self._found[name][0]

    def answer(self, name: str) -> type[Message]:
        """The class of its answers; any will do for a method that is none."""
        found: type[Message] = rpc.PutResponse if name.startswith("/") else self._found[name][1]
        return found


METHODS = Methods()


class Side:
    """One of the servers: a channel, and the normal form of its answers."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        )
        self.normal = Normal()
        self._stubs: dict[str, Any] = {}

    def start(self, step: Step) -> Any:
        """Sends the request; the future is for `finish`."""
        stub = self._stubs.get(step.method)
        if stub is None:
            stub = self.channel.unary_unary(METHODS.path(step.method), None, METHODS.answer(step.method).FromString)
            self._stubs[step.method] = stub
        return stub.future(self.encoded(step.request), timeout=TIMEOUT_S, metadata=step.metadata)

    def finish(self, step: Step, call: Any) -> tuple[Answer, Message | None]:
        """The answer in normal form, and as it came."""
        try:
            answer = call.result()
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details() or "", None), None
        # A lease that the server named is known by that name in the very answer that brings it.
        if isinstance(answer, rpc.LeaseGrantResponse) and isinstance(step.request, rpc.LeaseGrantRequest) and not step.request.ID:
            self.normal.leases.add(answer.ID)
        return Answer("OK", "", self.normal.tree(step.request, answer)), answer

    def member_id(self) -> int:
        """The server's own id, which is the other's too."""
        answer: rpc.StatusResponse = self.start(Step("Status", rpc.StatusRequest())).result()
        return answer.header.member_id

    def received(self, stream: Conversation, request: Message) -> Answer:
        """The next answer of a stream, or its end."""
        try:
            return Answer("OK", "", self.normal.tree(request, stream.receive()))
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details() or "", None)
        except StopIteration:
            return Answer("OK", "end of stream", None)

    def encoded(self, request: Message) -> bytes:
        """The request as this server is to see it."""
        own = type(request).FromString(request.SerializeToString())
        self.normal.leases.to_ids(own)
        return own.SerializeToString()

    def converse(self, method: str) -> Conversation:
        """A stream in both directions."""
        return Conversation(self.channel.stream_stream(METHODS.path(method), None, METHODS.answer(method).FromString), STREAM_TIMEOUT_S, {})

    def collect(self, method: str, request: Message) -> tuple[Answer, list[Any]]:
        """A stream of answers to one request, with its status."""
        call = self.channel.unary_stream(METHODS.path(method), None, METHODS.answer(method).FromString)(
            self.encoded(request), timeout=TIMEOUT_S
        )
        answers: list[Any] = []
        try:
            answers.extend(call)
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details() or "", None), answers
        return Answer("OK", "", None), answers


class Lockstep:
    """Asks both servers and judges what they say.

    Invariant: `view` is the state of both, as long as they agree.
    """

    def __init__(self, pair: Pair, rules: Sequence[Rule]) -> None:
        self.etcd, self.raftkv = Side(pair.etcd), Side(pair.raftkv)
        self.view = View()
        self.verdict = Verdict(rules)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for side in self.sides:
            side.channel.close()

    @property
    def sides(self) -> tuple[Side, Side]:
        """etcd first."""
        return self.etcd, self.raftkv

    def ask(self, method: str, request: Message, *, called: str = "", **metadata: str) -> Exchange:
        """One unary call to each, both on their way at the same time."""
        step = Step(method, request, tuple(metadata.items()), called)
        calls = [side.start(step) for side in self.sides]
        (etcd, body), (raftkv, _) = (side.finish(step, call) for side, call in zip(self.sides, calls, strict=True))
        self.verdict.requests += 1
        if body is not None:
            self._take(step.request, body)
        return self.judge(called or method, request, etcd, raftkv)

    def answer_of_etcd(self, method: str, request: Message) -> Answer:
        """For what is compared with another request to raftkv."""
        step = Step(method, request)
        self.verdict.requests += 1
        return self.etcd.finish(step, self.etcd.start(step))[0]

    def keep_alive(self, streams: Sequence[Conversation], lease_id: int) -> Exchange:
        """One renewal on each side's own stream, and its answer."""
        request = rpc.LeaseKeepAliveRequest(ID=lease_id)
        for side, stream in zip(self.sides, streams, strict=True):
            stream.send(side.encoded(request))
        self.verdict.requests += 1
        etcd, raftkv = (side.received(stream, request) for side, stream in zip(self.sides, streams, strict=True))
        return self.judge("LeaseKeepAlive", request, etcd, raftkv)

    def judge(self, method: str, request: Any, etcd: Answer, raftkv: Answer) -> Exchange:
        """Enters an exchange, however it came about."""
        exchange = Exchange(self.verdict.requests, method, request, etcd, raftkv)
        self.verdict.judge(exchange)
        return exchange

    def _take(self, request: Message, answer: Any) -> None:
        """What an answer of etcd's says about the state."""
        view = self.view
        if answer.HasField("header") and answer.header.revision:
            view.revision = answer.header.revision
        if isinstance(request, rpc.CompactionRequest):
            view.compact_revision = request.revision
        elif isinstance(request, rpc.LeaseRevokeRequest):
            view.leases.remove(request.ID)
        elif isinstance(answer, rpc.LeaseGrantResponse):
            view.leases.append(answer.ID)
