"""Raft messages to and from the bytes of the peer protocol (proto/raftkv/peer.proto).

Entries travel as one packed blob, the very bytes the write-ahead log holds, so a batch is packed once on the leader for
its own log and all followers, and a follower writes what it received. Loop only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raftkv.pb import peer
from raftkv.raft.messages import ConfState, Entry, Message, SnapshotMeta
from raftkv.storage.record import decode_entries, encode_entries

BLOBS_MAX = 64
"""Packed batches remembered; more than the appends one turn sends."""


FRAME_BYTES_MAX = 4 << 20
"""Entries in one frame: far below what the peer port accepts, so that a follower far behind is not refused."""


class EntryBlobs:
    """Remembers the packed form of recent batches.

    The key (index and term of the last entry, count) names the content: two logs with an equal entry are equal up to it
    (thesis §3.5, log matching).
    """

    __slots__ = ("_blobs",)

    def __init__(self) -> None:
        self._blobs: dict[tuple[int, int, int], bytes] = {}

    def pack(self, entries: Sequence[Entry]) -> bytes:
        """The packed form of a batch that is not empty."""
        last = entries[-1]
        if not last.index:
            # A forwarded proposal has no place in the log yet, so nothing names it.
            return encode_entries(entries)
        key = (last.index, last.term, len(entries))
        blob = self._blobs.get(key)
        if blob is None:
            blob = encode_entries(entries)
            self._remember(key, blob)
        return blob

    def unpack(self, blob: bytes) -> tuple[Entry, ...]:
        """The entries of a blob, which is remembered for `pack`. Raises CorruptionError on a malformed one."""
        entries = tuple(decode_entries(blob))
        if entries and entries[-1].index:
            last = entries[-1]
            self._remember((last.index, last.term, len(entries)), blob)
        return entries

    def _remember(self, key: tuple[int, int, int], blob: bytes) -> None:
        blobs = self._blobs
        if len(blobs) >= BLOBS_MAX:
            del blobs[next(iter(blobs))]
        blobs[key] = blob


def encode_batches(messages: Iterable[Message], blobs: EntryBlobs) -> list[bytes]:
    """Messages in order as StreamFrames, each of one message or at most FRAME_BYTES_MAX of entries."""
    frames: list[bytes] = []
    batch: list[peer.PeerMessage] = []
    size_bytes = 0
    for message in messages:
        encoded = encode_message(message, blobs)
        size_bytes += len(encoded.entries)
        if batch and size_bytes > FRAME_BYTES_MAX:
            frames.append(peer.StreamFrame(batch=peer.PeerBatch(messages=batch)).SerializeToString())
            batch, size_bytes = [], len(encoded.entries)
        batch.append(encoded)
    frames.append(peer.StreamFrame(batch=peer.PeerBatch(messages=batch)).SerializeToString())
    return frames


def encode_message(message: Message, blobs: EntryBlobs) -> peer.PeerMessage:
    """One message; its entries packed through `blobs`."""
    return peer.PeerMessage(
        kind=message.kind,
        to=message.to,
        sender=message.sender,
        term=message.term,
        log_term=message.log_term,
        index=message.index,
        entries=blobs.pack(message.entries) if message.entries else b"",
        commit=message.commit,
        reject=message.reject,
        reject_hint=message.reject_hint,
        context=message.context,
        snapshot=encode_snapshot(message.snapshot) if message.snapshot is not None else None,
    )


def decode_message(message: peer.PeerMessage, blobs: EntryBlobs) -> Message:
    """The reverse of `encode_message`. Raises CorruptionError on malformed entries."""
    return Message(
        kind=message.kind,
        to=message.to,
        sender=message.sender,
        term=message.term,
        log_term=message.log_term,
        index=message.index,
        entries=blobs.unpack(message.entries) if message.entries else (),
        commit=message.commit,
        reject=message.reject,
        reject_hint=message.reject_hint,
        context=message.context,
        snapshot=decode_snapshot(message.snapshot) if message.HasField("snapshot") else None,
    )


def encode_snapshot(meta: SnapshotMeta) -> peer.SnapshotMeta:
    """Where a snapshot stands, with its configuration."""
    conf = meta.conf_state
    return peer.SnapshotMeta(
        index=meta.index,
        term=meta.term,
        conf_state=peer.ConfState(
            voters=conf.voters,
            learners=conf.learners,
            voters_outgoing=conf.voters_outgoing,
            learners_next=conf.learners_next,
            auto_leave=conf.auto_leave,
        ),
    )


def decode_snapshot(meta: peer.SnapshotMeta) -> SnapshotMeta:
    """The reverse of `encode_snapshot`."""
    conf = meta.conf_state
    return SnapshotMeta(
        meta.index,
        meta.term,
        ConfState(tuple(conf.voters), tuple(conf.learners), tuple(conf.voters_outgoing), tuple(conf.learners_next), conf.auto_leave),
    )
