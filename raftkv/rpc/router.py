"""Collects the methods of all services into the transport's route table.

Owns the mapping from a method's path to its handler; refuses to know what a service does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from raftkv.errors import NotSupportedForLearnerError
from raftkv.rpc.call import Call
from raftkv.rpc.method import Calls, OneRequest, Stream, UnaryMethod
from raftkv.rpc.status import Code
from raftkv.server.api import Done
from raftkv.transport.call import Kind, Route, StreamHandler

M = TypeVar("M", bound=Message)


class Router:
    """The routes of one member, as far as they were added."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.routes: dict[str, Route] = {}

    def unary(
        self, path: str, message: type[M], serve: Callable[[bytes, M, Done], None], *, with_header: bool = True, learners: bool = False
    ) -> None:
        """Adds a method that is answered once; see UnaryMethod. With `learners` one serves it too, or looks at the request itself."""
        if not learners:
            serve = self._voters_only(serve)
        method = UnaryMethod(self.calls, message, serve, with_header=with_header)
        self._add(path, Route(Kind.UNARY, method.handle))

    def stream(self, path: str, kind: Kind, open_stream: Callable[[Stream], StreamHandler], *, learners: bool = False) -> None:
        """Adds a streaming method; `open_stream` is not asked when the guard refused the call."""

        def handle(call: Call) -> StreamHandler:
            stream = Stream(self.calls, call)
            if stream.open and not learners and self.calls.api.is_learner():
                stream.fail(NotSupportedForLearnerError())
            elif stream.open:
                try:
                    return open_stream(stream)
                except Exception as error:  # the boundary of the call; status_of() logs what is not ours
                    stream.fail(error)
            return Ended()

        self._add(path, Route(kind, handle))

    def server_stream(self, path: str, message: type[M], serve: Callable[[Stream, M], Callable[[], None]]) -> None:
        """Adds a method of one request and many answers; see OneRequest."""
        # What is streamed so is read-only, and says itself whether a learner has it.
        self.stream(path, Kind.SERVER_STREAM, lambda stream: OneRequest(stream, message, serve), learners=True)

    def unimplemented(self, path: str, kind: Kind, text: str) -> None:
        """Adds a method that says why it is not served."""
        if kind is Kind.UNARY:

            def refuse(call: Call, body: bytes) -> None:
                call.fail(Code.UNIMPLEMENTED, text)

            self._add(path, Route(kind, refuse))
            return

        def refuse_stream(stream: Stream) -> StreamHandler:
            stream.fail_with(Code.UNIMPLEMENTED, text)
            return Ended()

        self.stream(path, kind, refuse_stream, learners=True)

    def _voters_only(self, serve: Callable[[bytes, M, Done], None]) -> Callable[[bytes, M, Done], None]:
        api = self.calls.api

        def refuse_learner(raw: bytes, request: M, done: Done) -> None:
            if api.is_learner():
                raise NotSupportedForLearnerError
            serve(raw, request, done)

        return refuse_learner

    def _add(self, path: str, route: Route) -> None:
        assert path not in self.routes, path
        self.routes[path] = route


class Ended:
    """The handler of a stream that was refused: whatever still arrives is dropped."""

    __slots__ = ()

    def on_message(self, body: bytes) -> None:
        """Dropped."""

    def on_half_close(self) -> None:
        """Nothing left to end."""

    def on_cancel(self) -> None:
        """Nothing left to end."""

    def on_writable(self) -> None:
        """Nothing left to send."""
