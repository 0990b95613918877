"""Watches: from a reader's notices to a stream of frames, with a clean end (spec B.8).

What there is at once goes out in one write; frames are made by `watch_frames.py` and shared between watchers; when a watch ends is decided
by the cache's `Watching`. Loop only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resource_api.cache.item import Event
from resource_api.cache.watching import Bookmark, Notice, Watching
from resource_api.errors import method_not_allowed
from resource_api.http.counters import RequestCounters
from resource_api.http.messages import Answer, Outlet, Request, Stream
from resource_api.http.negotiation import wanted_stream
from resource_api.http.representation import Representations, include_object
from resource_api.http.request import RequestInfo, list_options
from resource_api.http.splicing import reads_as_stored
from resource_api.http.watch_frames import WatchFrames
from resource_api.http.websocket import Handshake, handshake
from resource_api.registry.resource import Resource
from resource_api.turns import Turn

WRITTEN_BYTES_MAX = 1 << 20
"""Frames that are handed to the connection before it must have taken them: what a client that stalls may leave there."""

LENGTH_BYTES = 4
"""Before each protobuf frame."""


class Watches:
    """Opens watches."""

    def __init__(self, representations: Representations, counters: RequestCounters) -> None:
        self._representations = representations
        self._counters = counters

    async def open(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        """Raises StatusError for what is wrong before the first byte."""
        type = resource.type
        if "watch" not in type.verbs or request.method != "GET":
            raise method_not_allowed("")
        asked, agreed = wanted_stream(request), handshake(request)
        include = include_object(request) if asked.target == "Table" else ""
        options = list_options(request.query)
        name = info.name if info.name and len(info.parts) == 2 else ""
        if name:
            exact = f"metadata.name={name}"
            options = replace(options, field_selector=f"{options.field_selector},{exact}" if options.field_selector else exact)
        watching = await resource.reader.watch(info.namespace, options)
        frames = WatchFrames(type, asked, include, self._representations, check=resource.form.check if reads_as_stored(resource) else None)
        stream = _WatchStream(watching, frames, agreed, self._counters, (type.group, type.version, type.kind), (type.group, type.plural))
        if agreed is not None:
            return Stream(stream.run, watching.close, "", 101, agreed.headers(), agreed)
        return Stream(stream.run, watching.close, frames.content_type)


class _WatchStream:
    """One watch on its way to one client."""

    def __init__(
        self,
        watching: Watching,
        frames: WatchFrames,
        agreed: Handshake | None,
        counters: RequestCounters,
        gvk: tuple[str, str, str],
        resource: tuple[str, str],
    ) -> None:
        self._watching = watching
        self._frames = frames
        self._agreed = agreed
        self._counters = counters
        self._gvk = gvk
        self._label = ("watch", *resource)

    async def run(self, outlet: Outlet) -> None:
        """Until the watch ends, or the client is gone."""
        running, sent = self._counters.long_running, self._counters.watch_events
        running[self._label] = running.get(self._label, 0) + 1
        try:
            async with self._watching as watching:
                async for notices in watching:
                    await self._write(notices, outlet)
                    sent[self._gvk] = sent.get(self._gvk, 0) + len(notices)
                    await outlet.drain()
        except ConnectionError:
            return  # The client went while it was slow: nobody is left to tell.
        finally:
            running[self._label] -= 1

    async def _write(self, notices: Sequence[Notice], outlet: Outlet) -> None:
        """In one piece when the frames are made already or are few; what takes longer than a turn, or is large, goes out as it is made."""
        if len(notices) == 1:
            outlet.write(self._frame(notices[0]))
            return
        turn = Turn()
        frames: list[bytes] = []
        size_bytes = 0
        for notice in notices:
            frames.append(self._frame(notice))
            size_bytes += len(frames[-1])
            if size_bytes > WRITTEN_BYTES_MAX:
                outlet.write(b"".join(frames))
                frames.clear()
                size_bytes = 0
                await outlet.drain()
            elif turn.is_over:
                outlet.write(b"".join(frames))
                frames.clear()
                await turn.next()
        outlet.write(b"".join(frames))

    def _frame(self, notice: Notice) -> bytes:
        if self._agreed is None:
            return self._made(notice)
        # A WebSocket message has its own length: the one before a protobuf frame is left out.
        binary, made = self._frames.binary, self._made(notice)
        return self._agreed.message(made[LENGTH_BYTES:] if binary else made, binary=binary)

    def _made(self, notice: Notice) -> bytes:
        if isinstance(notice, Event):
            return self._frames.event(notice)
        if isinstance(notice, Bookmark):
            return self._frames.bookmark(notice.revision, initial_end=notice.ends_initial)
        return self._frames.error(notice.error)
