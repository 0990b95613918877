"""Log, snapshot and store as text, for `raftctl debug`: reads files of a stopped member and never writes.

Owns the wording only. Of a damaged file it shows what it can and then says where it stops and why. One line per record.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftkv.errors import ConfigError, CorruptionError
from raftkv.raft.messages import Entry, EntryKind
from raftkv.storage.backend import Table
from raftkv.storage.fs import FileSystem, OsFileSystem
from raftkv.storage.lmdb_backend import OfflineReader
from raftkv.storage.record import Frame, RecordType, decode_batch, decode_entries, decode_head, decode_snapshot
from raftkv.storage.recovery import Act, LogReplay, scan_log
from raftkv.storage.snapshots import read_blocks, read_header

DATA_BYTES_SHOWN = 32


def local_files() -> FileSystem:
    """The machine's own files, for a caller that may import nothing else of this package."""
    return OsFileSystem()


def table_named(name: str) -> Table | None:
    """A table by its name, in small letters or capitals; `None` if there is none."""
    return Table.__members__.get(name.upper())


def dump_wal(fs: FileSystem, directory: str, *, entries: bool = True) -> Iterator[str]:
    """Every record in order, then what the log adds up to. `entries`: one line for each entry too."""
    replay = LogReplay()
    try:
        for step in scan_log(fs, directory):
            place = f"{step.segment.name} {step.offset:>10}"
            if step.frame is None:
                if step.act is not Act.NEXT_SEGMENT:
                    yield f"{place} {step.found.value}: {step.act.value}"
                continue
            yield f"{place} {_record(step.frame)}"
            if entries and step.frame.type == RecordType.BATCH:
                yield from map(_entry, decode_entries(decode_batch(step.frame.payload).blob))
            replay.take(step.segment, step.offset, step.frame)
        replay.finish()
    except (CorruptionError, ConfigError) as exc:
        yield f"damaged: {exc}"
    if replay.head is not None:
        yield (
            f"cluster {replay.head.metadata.cluster_id:x} member {replay.head.metadata.member_id:x} {replay.hard_state} "
            f"entries {replay.batches.first()} to {replay.last_index} snapshot {replay.mark.meta if replay.mark else None}"
        )


def dump_snapshot(fs: FileSystem, path: str) -> Iterator[str]:
    """The header, one line per record, and whether the digest is right."""
    try:
        file = fs.open(path)
        try:
            yield str(read_header(file.pread(1 << 20, 0)).meta)
        finally:
            file.close()
        for table, records in read_blocks(fs, path):
            for key, value in records:
                yield f"{table.name} {_bytes(key)} {_bytes(value)}"
        yield "digest right"
    except (CorruptionError, ConfigError) as exc:
        yield f"damaged: {exc}"


def dump_store(path: str, *, table: Table | None = None) -> Iterator[str]:
    """One line per record of one table, or of all."""
    reader = OfflineReader(path)
    try:
        for wanted in Table if table is None else (table,):
            for key, value in reader.scan(wanted, b"", None):
                yield f"{wanted.name} {_bytes(key)} {_bytes(value)}"
    finally:
        reader.close()


def _record(frame: Frame) -> str:
    about = f"#{frame.sequence} durable #{frame.synced_sequence} {RecordType(frame.type).name.lower()}"
    if frame.type == RecordType.HEAD:
        head = decode_head(frame.payload)
        return f"{about} {head.metadata} {head.hard_state} {head.mark}"
    if frame.type == RecordType.SNAPSHOT:
        mark, hard_state = decode_snapshot(frame.payload)
        return f"{about} {mark} {hard_state}"
    batch = decode_batch(frame.payload)
    held = f" entries {batch.first_index} to {batch.last_index}, {len(batch.blob)} bytes" if batch.last_index else ""
    return f"{about}{held}" + (f" {batch.hard_state}" if batch.hard_state else "")


def _entry(entry: Entry) -> str:
    known = {int(kind): kind.name.lower() for kind in EntryKind}
    return f"    {entry.index} term {entry.term} {known.get(entry.kind, entry.kind)} {_bytes(entry.data)}"


def _bytes(blob: bytes) -> str:
    shown = repr(blob[:DATA_BYTES_SHOWN])[1:]
    return shown if len(blob) <= DATA_BYTES_SHOWN else f"{shown}... ({len(blob)} bytes)"
