"""What the log's segments say after a stop of any kind: the decision table, and the log opened again.

Owns the difference between the end of the log, a torn tail and damage. A process that died may leave zeros or a part
of its last writes behind the last whole record; nothing else may be wrong with a log, and whatever else is wrong ends
the start with the file, the offset and what to do (design §4 rule 3). `scan_log` reads only; `open_log` also cuts the
torn tail off. Both run before the loop does.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from raftkv.errors import ConfigError, CorruptionError
from raftkv.raft.messages import Entry, HardState, SnapshotMeta
from raftkv.storage.fs import File, FileSystem, read_all
from raftkv.storage.log_index import BatchIndex, Position, TermRuns
from raftkv.storage.record import (
    FORMAT,
    FRAME_BYTES,
    MAGIC,
    Frame,
    Head,
    Mark,
    RecordType,
    WalMetadata,
    decode_batch,
    decode_frame,
    decode_head,
    decode_header,
    decode_snapshot,
    entry_positions,
)
from raftkv.storage.wal import NEXT_SEGMENT, LogState, Segment, Wal, WalSettings, list_segments

ADVICE = (
    "Do not delete or edit the log. If other members hold the data, remove this member from the cluster and add it again with an empty "
    "data directory; otherwise restore the cluster from a backup."
)


class Found(Enum):
    """What stands where the next record should."""

    RECORD = "a whole record that continues the chain"
    UNCHAINED = "a whole record that does not continue the chain"
    ZEROS = "nothing but zeros, or nothing, to the end of the file"
    BROKEN = "something that is not a whole record"


class Act(Enum):
    """What recovery does about it."""

    ACCEPT = "take the record and go on"
    NEXT_SEGMENT = "go on in the next segment"
    END = "the log ends here"
    TRUNCATE = "the log ends here; cut off what follows, it was never durable"
    REFUSE = "the log is damaged: do not start"


def judge(found: Found, *, head: bool, last_segment: bool, proven: bool) -> Act:
    """The decision table of recovery.

    head: it is a segment's first record, durable before the segment got its name. last_segment: no segment follows; a
    segment that is followed was wholly durable before. proven: a whole record further on says that this one was durable.
    """
    match found:
        case Found.RECORD:
            return Act.ACCEPT
        case Found.UNCHAINED:
            # A torn write leaves parts of a record, never a whole one of another place: a misdirected write or a swapped file.
            return Act.REFUSE
        case Found.ZEROS if not head:
            # With zeros to the end there is no record further on, so `proven` cannot be; if it is, our search is wrong.
            if proven:
                return Act.REFUSE
            return Act.END if last_segment else Act.NEXT_SEGMENT
        case Found.BROKEN if last_segment and not head and not proven:
            return Act.TRUNCATE
        case _:
            return Act.REFUSE


class TornTail(NamedTuple):
    """What was cut off: bytes from offset on that are not zero were part of a write that never became durable."""

    path: str
    offset: int
    size_bytes: int


class Step(NamedTuple):
    """One step of a scan: the segment, where, what was found and decided, and the record when it is to be taken."""

    segment: Segment
    offset: int
    found: Found
    act: Act
    frame: Frame | None


class _Chain:
    """What the next record must carry; unknown before the first one."""

    __slots__ = ("crc", "sequence")

    def __init__(self) -> None:
        self.sequence = -1
        self.crc = 0

    def accepts(self, frame: Frame) -> bool:
        return self.sequence < 0 or (frame.sequence == self.sequence + 1 and frame.link == self.crc)


class LogReplay:
    """The log's content as its records say: later entries replace earlier ones, an installed snapshot replaces all.

    Also used by `dump.py`, which shows what it can of a log that `open_log` refuses.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self.hard_state = HardState()
        self.mark: Mark | None = None
        self.batches = BatchIndex()
        self.terms = TermRuns()
        self.last_index = 0

    def take(self, segment: Segment, offset: int, frame: Frame) -> None:
        """Takes the next record. Raises CorruptionError when what it says cannot follow what was said before."""
        if frame.type == RecordType.HEAD:
            self._take_head(segment, decode_head(frame.payload))
        elif self.head is None:
            raise CorruptionError("the segment does not begin with a head")
        elif frame.type == RecordType.BATCH:
            self._take_batch(segment, offset, frame)
        else:
            mark, self.hard_state = decode_snapshot(frame.payload)
            self._take_mark(mark)

    def finish(self) -> None:
        """Raises CorruptionError when the records do not add up to a log."""
        first, snapshot_index = self.batches.first(), self.mark.meta.index if self.mark else 0
        if first > snapshot_index + 1:
            raise CorruptionError(f"entries {snapshot_index + 1} to {first - 1} are missing and no snapshot stands in their place")
        if self.hard_state.commit > self.last_index:
            raise CorruptionError(f"the log ends at entry {self.last_index}, but entries up to {self.hard_state.commit} were committed")

    def _take_head(self, segment: Segment, head: Head) -> None:
        if head.format != FORMAT:
            raise ConfigError(f"log segment {segment.name} has format {head.format}, not {FORMAT}; start it with the version that wrote it")
        if head.segment != segment.number or head.first_index != segment.first_index:
            raise CorruptionError(f"the segment's head says it is {Segment(head.segment, head.first_index).name}")
        if self.head is None:
            # Older segments were purged: this head stands for them.
            self.hard_state, self.last_index = head.hard_state, head.first_index - 1
            if head.mark is not None:
                self._take_mark(head.mark._replace(installed=False))
                self.mark = head.mark
        elif head.metadata != self.head.metadata:
            raise CorruptionError("the segment belongs to the log of another member")
        self.head = head

    def _take_batch(self, segment: Segment, offset: int, frame: Frame) -> None:
        batch = decode_batch(frame.payload)
        if batch.hard_state is not None:
            self.hard_state = batch.hard_state
        if not batch.last_index:
            return
        entries = entry_positions(batch.blob)
        if [index for index, _ in entries] != list(range(batch.first_index, batch.last_index + 1)):
            raise CorruptionError(f"a record of entries {batch.first_index} to {batch.last_index} holds others")
        if batch.first_index > self.last_index + 1:
            raise CorruptionError(f"entry {batch.first_index} follows entry {self.last_index}")
        self.batches.add(Position(batch.first_index, batch.last_index, segment.number, offset, frame.end - offset))
        self.terms.extend(entries)
        self.last_index = batch.last_index

    def _take_mark(self, mark: Mark) -> None:
        self.mark = mark
        index, term, _ = mark.meta
        if mark.installed or index > self.last_index:
            self.batches.clear()
            self.terms.reset(index, term)
            self.last_index = index


class Recovered(NamedTuple):
    """The log as it was found, open for appending. `terms` covers every entry readable and the snapshot's own index."""

    wal: Wal
    metadata: WalMetadata
    hard_state: HardState
    snapshot: SnapshotMeta | None
    installed: bool
    first_index: int
    last_index: int
    terms: TermRuns
    torn_tail: TornTail | None

    def entries(self) -> list[Entry]:
        """Entries after the snapshot mark, read from disk."""
        low = max(self.first_index, self.snapshot.index + 1 if self.snapshot else 1)
        return self.wal.read_entries(low, self.last_index + 1) if low <= self.last_index else []


def scan_log(fs: FileSystem, directory: str) -> Iterator[Step]:
    """Reads the segments in order; the last step is not an ACCEPT. Writes nothing. Raises CorruptionError for a missing segment."""
    segments = list_segments(fs, directory)
    chain = _Chain()
    for position, segment in enumerate(segments):
        if segment.number != segments[0].number + position:
            raise CorruptionError(f"a log segment is missing in {directory} before {segment.name}. {ADVICE}")
        last_segment = position == len(segments) - 1
        blob = read_all(fs, f"{directory}/{segment.name}")
        for step in _scan_segment(segment, blob, chain, last_segment=last_segment):
            yield step
        if step.act is not Act.NEXT_SEGMENT:
            return


def _scan_segment(segment: Segment, blob: bytes, chain: _Chain, *, last_segment: bool) -> Iterator[Step]:
    offset, act = 0, Act.ACCEPT
    while act is Act.ACCEPT:
        frame = decode_frame(blob, offset)
        proven = False
        if frame is not None:
            found = Found.RECORD if chain.accepts(frame) else Found.UNCHAINED
        elif blob.count(0, offset) == len(blob) - offset:
            found = Found.ZEROS
        else:
            found = Found.BROKEN
            proven = _was_durable(blob, offset, chain.sequence + 1)
        act = judge(found, head=offset == 0, last_segment=last_segment, proven=proven)
        yield Step(segment, offset, found, act, frame if act is Act.ACCEPT else None)
        if frame is not None and act is Act.ACCEPT:
            chain.sequence, chain.crc = frame.sequence, frame.crc
            offset = frame.end


def _was_durable(blob: bytes, offset: int, sequence: int) -> bool:
    """Whether a whole record behind offset says that record `sequence` was durable when it was written."""
    while True:
        header = decode_header(blob, offset)
        if header is not None and header.sequence > sequence and header.synced_sequence >= sequence and decode_frame(blob, offset):
            return True
        # A whole header's payload is stepped over: clients choose what is in it.
        start = offset + 1 if header is None else max(header.end, offset + FRAME_BYTES)
        offset = blob.find(MAGIC, start)
        if offset < 0:
            return False


def open_log(fs: FileSystem, directory: str, settings: WalSettings | None = None) -> Recovered:
    """Opens a log that exists, cutting off a torn tail.

    Everything it returns is durable, also what a killed process had written and not yet synced. Raises CorruptionError
    naming file and offset, ConfigError for a format it does not know, OSError.
    """
    replay, end = LogReplay(), None
    sequence, crc = 0, 0
    unproven: list[tuple[int, int]] = []
    for step in scan_log(fs, directory):
        end = step
        path = f"{directory}/{step.segment.name}"
        if step.act is Act.REFUSE:
            raise CorruptionError(f"{path} is damaged at offset {step.offset}: there is {step.found.value}. {ADVICE}")
        if step.frame is not None:
            sequence, crc = step.frame.sequence, step.frame.crc
            # A head says that everything before it was durable, so these offsets are always of the last segment.
            unproven = [(number, offset) for number, offset in unproven if number > step.frame.synced_sequence]
            unproven.append((sequence, step.offset))
            try:
                replay.take(step.segment, step.offset, step.frame)
            except CorruptionError as exc:
                raise CorruptionError(f"{path} is damaged at offset {step.offset}: {exc}. {ADVICE}") from exc
    if end is None or replay.head is None:
        raise CorruptionError(f"{directory} holds no log segment. {ADVICE}")
    try:
        replay.finish()
    except CorruptionError as exc:
        raise CorruptionError(f"{directory}: {exc}. {ADVICE}") from exc
    file, torn = _secure(fs, f"{directory}/{end.segment.name}", end, unproven[0][1])
    return _resume(fs, directory, file, settings or WalSettings(), replay, end, torn, (sequence, crc))


def _secure(fs: FileSystem, path: str, end: Step, unproven_offset: int) -> tuple[File, TornTail | None]:
    """Cuts the torn tail off and makes durable what is kept; the segment open for writing.

    What a killed process wrote reads back without being durable, and from here on it counts as durable. A sync alone is
    not enough: after one that failed the kernel shows pages that it will never write, so they are written again.
    """
    file = fs.open(path, write=True)
    torn = None
    if end.act is Act.TRUNCATE:
        torn = TornTail(path, end.offset, file.size() - end.offset)
        file.truncate(end.offset)
    file.pwrite(file.pread(end.offset - unproven_offset, unproven_offset), unproven_offset)
    file.datasync()
    return file, torn


def _resume(
    fs: FileSystem,
    directory: str,
    file: File,
    settings: WalSettings,
    replay: LogReplay,
    end: Step,
    torn: TornTail | None,
    chain: tuple[int, int],
) -> Recovered:
    assert replay.head is not None
    if fs.exists(f"{directory}/{NEXT_SEGMENT}"):
        fs.remove(f"{directory}/{NEXT_SEGMENT}")
    fs.sync_dir(directory)
    mark = replay.mark
    state = LogState(
        metadata=replay.head.metadata,
        segments=list_segments(fs, directory),
        offset=end.offset,
        sequence=chain[0],
        crc=chain[1],
        hard_state=replay.hard_state,
        mark=mark,
        last_index=replay.last_index,
        batches=replay.batches,
    )
    wal = Wal(fs, directory, state, settings, file)
    snapshot = None if mark is None else mark.meta
    first_index = replay.batches.first() or replay.last_index + 1
    installed = mark is not None and mark.installed
    return Recovered(wal, state.metadata, state.hard_state, snapshot, installed, first_index, state.last_index, replay.terms, torn)
