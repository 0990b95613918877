"""The other members: two connections out to each, a greeting on every one, and what comes in.

Heartbeats, votes and read indexes have a lane of their own, so that they never queue behind appends; snapshots have a
third connection (`snapshot_transfer.py`). A message that cannot be sent is dropped and consensus is told: it sends
again what is still needed. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from raftkv.errors import ConfigError, RemoteProtocolError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.pb import peer
from raftkv.raft.messages import Message, MessageKind
from raftkv.server import hello
from raftkv.server.peer_codec import EntryBlobs, decode_message, encode_batches
from raftkv.transport.channel import Channel, ChannelLimits, ClientCall, RpcError

UnaryDone = Callable[[bytes | None, Exception | None], None]

log = logging.getLogger("raftkv.peers")

MESSAGES_PATH = "/raftkv.Peer/Messages"
ROUND_TRIP_PATH = "/raftkv.Peer/RoundTrip"

PROBE_S = 5.0
"""Between two measurements of the round trip to each member, as etcd's prober does."""

UNSENT_BYTES_MAX = 32 << 20
"""Bytes waiting for a slow peer's connection; beyond it messages to the peer are dropped."""

RECONNECT_S_MIN = 0.05
RECONNECT_S_MAX = 1.0
GREETING_TIMEOUT_S = 5.0

PING_S = 1.0
PONG_TIMEOUT_S = 2.0
PEER_CHANNEL = ChannelLimits(keepalive_s=PING_S, keepalive_timeout_s=PONG_TIMEOUT_S)
"""A connection into nothing (a partition, a stopped machine) is noticed within three seconds and made again: TCP alone would go
on retrying ever more rarely, and a healed link would stay silent for as long as it was cut."""

_BULK = frozenset({MessageKind.APPEND, MessageKind.APPEND_REPLY, MessageKind.PROPOSE})


class PeerView(Protocol):
    """What peers need to know of their own member."""

    def peer_state(self, member_id: int) -> tuple[bool, bool, bool]:
        """(known, removed, started) of another member, by the applied state; see `hello.refusal`."""

    def last_index(self) -> int:
        """Last index of the own log."""

    def on_message(self, message: Message) -> None:
        """A raft message arrived."""

    def on_unreachable(self, member_id: int) -> None:
        """Messages to the member were dropped."""

    def on_connected(self) -> None:
        """A lane to another member was opened."""

    def on_fatal(self, error: Exception) -> None:
        """The cluster does not want this member."""


def parse_peer_url(url: str) -> tuple[str, int]:
    """Host and port of a peer URL."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"peer URL {url!r}: {error}") from error
    if host is None or port is None:
        raise ConfigError(f"peer URL {url!r} has no host and port")
    return host, port


class Lane:
    """One outgoing connection, kept open by `run`."""

    def __init__(self, owner: Peers, peer_id: int, urls: tuple[str, ...], name: str) -> None:
        self._owner = owner
        self.peer_id = peer_id
        self.urls = urls
        self.name = name
        self._channel: Channel | None = None
        self._call: ClientCall | None = None
        self._queue: list[Message] = []
        self.version = ""
        self.sent_bytes_total = 0
        self.dropped_total = 0
        self.disconnects_total = 0
        self._last_problem = ""
        self.opened_s = 0.0
        """Loop time at which the peer accepted the present connection."""

    @property
    def open(self) -> bool:
        """True once the peer has accepted the greeting."""
        return self._call is not None

    @property
    def takes_messages(self) -> bool:
        """True when `flush` would send and not drop."""
        return self._call is not None and self._call.unsent_bytes <= UNSENT_BYTES_MAX

    def queue(self, message: Message) -> None:
        """Adds to what `flush` sends as one batch."""
        self._queue.append(message)

    def flush(self) -> None:
        """Sends what was queued since the last flush, or drops it when there is no room or no connection."""
        messages = self._queue
        if not messages:
            return
        self._queue = []
        call, channel = self._call, self._channel
        if call is None or channel is None or not self.takes_messages:
            self.dropped_total += len(messages)
            self._owner.view.on_unreachable(self.peer_id)
            return
        for body in encode_batches(messages, self._owner.blobs):
            self.sent_bytes_total += len(body)
            call.send(body)
        channel.flush()

    def ask(self, path: str, body: bytes, done: UnaryDone, deadline_s: float) -> None:
        """A unary call on this connection; done with an error at once when it is not open."""
        if self._call is None or self._channel is None:
            done(None, ConnectionError("no connection to the peer"))
        else:
            self._channel.unary(path, body, done, deadline_s=deadline_s)

    async def run(self) -> None:
        """Connects, greets, and connects again for as long as the peer is a member."""
        delay_s = RECONNECT_S_MIN
        attempt = 0
        while True:
            try:
                await self._session(self.urls[attempt % len(self.urls)])
                delay_s = RECONNECT_S_MIN
            except (OSError, RpcError, TimeoutError, RemoteProtocolError, ConfigError) as error:
                self._problem(str(error) or type(error).__name__)
            attempt += 1
            await asyncio.sleep(delay_s * (0.75 + 0.5 * self._owner.random.random()))
            delay_s = min(delay_s * 2, RECONNECT_S_MAX)

    async def _session(self, url: str) -> None:
        host, port = parse_peer_url(url)
        loop = asyncio.get_running_loop()
        channel = Channel((host, port), limits=PEER_CHANNEL)
        try:
            await channel.connect(GREETING_TIMEOUT_S)
            greeted: asyncio.Future[peer.HelloReply] = loop.create_future()
            ended: asyncio.Future[None] = loop.create_future()

            def on_message(body: bytes) -> None:
                if not greeted.done():
                    greeted.set_result(peer.StreamReply.FromString(body).hello)

            def on_done(error: RpcError | None) -> None:
                problem = error or ConnectionError("the peer ended the connection")
                if not greeted.done():
                    greeted.set_exception(problem)
                if not ended.done():
                    ended.set_result(None)

            call = channel.stream(MESSAGES_PATH, on_message=on_message, on_done=on_done)
            greeting = self._owner.me.hello(self.peer_id, self._owner.view.last_index())
            call.send(peer.StreamFrame(hello=greeting).SerializeToString())
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                reply = await greeted
            self.hear(reply, url)
            self.version = reply.version
            self._channel, self._call = channel, call
            self.opened_s = loop.time()
            self._last_problem = ""
            self._owner.on_open(self)
            await ended
            self.disconnects_total += 1
        finally:
            self._channel = self._call = None
            channel.close()

    def hear(self, reply: peer.HelloReply, url: str) -> None:
        """The answer to this side's hello. Raises RemoteProtocolError when the connection is refused."""
        if not reply.refusal:
            return
        if reply.removed and reply.cluster_id == self._owner.me.cluster_id:
            self._owner.view.on_fatal(hello.MemberRemovedError())
        # What was said of an empty log may be read late, after this member has acknowledged more. Who lost its disk has no log until
        # somebody lets it in: without a lane of its own it answers no append.
        if reply.bootstrapped and self._owner.view.last_index() <= hello.BOOTSTRAP_INDEX:
            self._owner.view.on_fatal(ConfigError(f"{reply.refusal}: {hello.REPLACE}"))
        raise RemoteProtocolError(f"{url} refused the connection: {reply.refusal}")

    def _problem(self, text: str) -> None:
        if text != self._last_problem:
            self._last_problem = text
            log.warning(
                "lost TCP streaming connection with remote peer",
                extra={"fields": {"remote-peer-id": f"{self.peer_id:x}", "lane": self.name, "error": text}},
            )


class Peers:
    """Every other member's lanes, and the accepting side."""

    def __init__(self, me: hello.Self, view: PeerView, blobs: EntryBlobs, rng: random.Random) -> None:
        self.me = me
        self.view = view
        self.blobs = blobs
        self.random = rng
        self._lanes: dict[int, tuple[Lane, Lane]] = {}
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.received_bytes_total: dict[int, int] = {}
        self.observe_round_trip: Callable[[int, float], None] | None = None
        """Takes a member's id and the seconds a round trip to it took."""
        self._next_probe_s = 0.0

    def start(self, group: asyncio.TaskGroup) -> None:
        """Lanes run as tasks of this group from now on."""
        self._group = group
        for peer_id in self._lanes:
            self._run(peer_id)

    def set_members(self, urls: dict[int, tuple[str, ...]]) -> None:
        """The members there are now, without this one; lanes of others end."""
        for peer_id in [known for known in self._lanes if known not in urls]:
            del self._lanes[peer_id]
            for task in self._tasks.pop(peer_id, []):
                task.cancel()
        for peer_id, peer_urls in urls.items():
            lanes = self._lanes.get(peer_id)
            if lanes is None:
                self._lanes[peer_id] = (Lane(self, peer_id, peer_urls, "control"), Lane(self, peer_id, peer_urls, "bulk"))
                self._run(peer_id)
            else:
                for lane in lanes:
                    lane.urls = peer_urls

    def _run(self, peer_id: int) -> None:
        if self._group is None:
            return
        self._tasks[peer_id] = [self._group.create_task(lane.run(), name=f"peer {peer_id:x} {lane.name}") for lane in self._lanes[peer_id]]

    def stop(self) -> None:
        """Ends every lane."""
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()
        self._tasks.clear()
        self._group = None

    def send(self, messages: Iterable[Message]) -> None:
        """Queues messages on their lanes; `flush` sends them."""
        lanes = self._lanes
        if FAILPOINTS and hit("raftDropHeartbeat"):
            messages = [message for message in messages if message.kind != MessageKind.HEARTBEAT]
        for message in messages:
            pair = lanes.get(message.to)
            if pair is not None:
                pair[1 if message.kind in _BULK else 0].queue(message)

    def flush(self) -> None:
        """One batch per lane."""
        for control, bulk in self._lanes.values():
            control.flush()
            bulk.flush()

    def ask(self, peer_id: int, path: str, body: bytes, done: UnaryDone, deadline_s: float) -> None:
        """A unary call to a member's peer port; see `Lane.ask`."""
        pair = self._lanes.get(peer_id)
        if pair is None:
            done(None, ConnectionError("no such peer"))
        else:
            pair[0].ask(path, body, done, deadline_s)

    def on_open(self, lane: Lane) -> None:
        """A lane was accepted."""
        log.info(
            "established TCP streaming connection with remote peer",
            extra={"fields": {"remote-peer-id": f"{lane.peer_id:x}", "lane": lane.name}},
        )
        self.view.on_connected()

    def reaches(self, peer_id: int) -> bool:
        """True when a proposal sent to the peer now would leave this member."""
        pair = self._lanes.get(peer_id)
        return pair is not None and pair[1].takes_messages

    def connected(self) -> list[int]:
        """Peers whose control lane is open."""
        return [peer_id for peer_id, (control, _) in self._lanes.items() if control.open]

    def connected_since(self, horizon_s: float) -> list[int]:
        """Peers whose control lane has been open since this loop time or before."""
        return [peer_id for peer_id, (control, _) in self._lanes.items() if control.open and control.opened_s <= horizon_s]

    def versions(self) -> dict[int, str]:
        """Version of each peer that was ever greeted."""
        return {peer_id: control.version for peer_id, (control, _) in self._lanes.items() if control.version}

    def probe(self, now_s: Callable[[], float]) -> None:
        """Called once a tick: measures the round trip to every member reached, each PROBE_S."""
        sent_s = now_s()
        if self.observe_round_trip is None or sent_s < self._next_probe_s:
            return
        self._next_probe_s = sent_s + PROBE_S
        observe = self.observe_round_trip

        def on_reply(peer_id: int, body: bytes | None, error: Exception | None) -> None:
            if error is None:
                observe(peer_id, now_s() - sent_s)

        for peer_id in self.connected():
            self.ask(peer_id, ROUND_TRIP_PATH, b"", partial(on_reply, peer_id), sent_s + PROBE_S)

    def urls(self, peer_id: int) -> tuple[str, ...]:
        """Peer URLs of a member; empty when it is not known."""
        lanes = self._lanes.get(peer_id)
        return lanes[0].urls if lanes is not None else ()

    def lanes(self) -> Iterable[Lane]:
        """Every lane, for metrics."""
        for pair in self._lanes.values():
            yield from pair

    # The accepting side.

    def greet(self, greeting: peer.Hello) -> peer.HelloReply:
        """Answers a peer's hello."""
        known, removed, started = self.view.peer_state(greeting.sender_id)
        text, bootstrapped = hello.refusal(self.me, greeting, known=known, removed=removed, started=started)
        if text:
            log.warning("refused a peer connection", extra={"fields": {"reason": text}})
        return self.me.reply(text, bootstrapped=bootstrapped, removed=bool(text) and removed)

    def receive(self, sender_id: int, body: bytes) -> None:
        """One frame of an accepted connection. Raises CorruptionError, RemoteProtocolError."""
        if sender_id not in self._lanes:
            # Its connection was accepted before it was removed. When it connects again it is told.
            raise RemoteProtocolError(f"member {sender_id:x} is no member of cluster {self.me.cluster_id:x} any more")
        self.received_bytes_total[sender_id] = self.received_bytes_total.get(sender_id, 0) + len(body)
        for message in peer.StreamFrame.FromString(body).batch.messages:
            if message.sender != sender_id or message.to != self.me.member_id:
                raise RemoteProtocolError(
                    f"member {sender_id:x} sent a message from {message.sender:x} to {message.to:x} "
                    f"on a connection to {self.me.member_id:x}"
                )
            self.view.on_message(decode_message(message, self.blobs))
