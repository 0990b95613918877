"""Log replication: what a leader sends to each member, and what a follower does with it.

Hot path. A leader does not send when something happens but when its Ready is taken (`flush`): proposals, acknowledgements
and a new commit index of one turn become one append per follower, and followers in the same state share one tuple of
entries. Source: thesis §3.5, §3.6, §10.2; etcd-io/raft for back-tracking of rejected appends.
"""

from __future__ import annotations

from raftkv.raft.core import Core
from raftkv.raft.heartbeat import start_read_round
from raftkv.raft.messages import Entry, Message, MessageKind, Role, new_append
from raftkv.raft.storage import CompactedIndexError, SnapshotUnavailableError
from raftkv.raft.trace import TraceKind
from raftkv.raft.tracker import Progress, ProgressState

_LEADER = Role.LEADER
_PROBE, _REPLICATE, _SNAPSHOT = ProgressState.PROBE, ProgressState.REPLICATE, ProgressState.SNAPSHOT
_Shared = dict[int, tuple[int, tuple[Entry, ...], int]]
"""next → (term before, entries, bytes of their data): what one flush has already cut out of the log."""


def flush(core: Core) -> None:
    """Sends every member what it can take now: entries, the commit index, a snapshot, a read round."""
    core.flush_due = False
    if core.role is not _LEADER:
        return
    if core.reads.is_waiting and core.has_committed_in_term:
        start_read_round(core)
    last_index = core.log.last_index
    commit = core.log.commit
    shared: _Shared = {}
    for progress in core.tracker.progress.values():
        if progress.member_id == core.member_id:
            continue
        while progress.next <= last_index and not progress.is_paused:
            if not _send_append(core, progress, shared):
                break
        if progress.sent_commit < commit and progress.may_tell_commit(commit):
            _send_append(core, progress, shared, is_empty=True)


def poke(core: Core, progress: Progress) -> None:
    """Sends an append, if need be an empty one, to a member that answered a heartbeat and lags: the answer to it shows
    which messages were lost, also when those lost ones fill the inflight window."""
    progress.probe_sent = False
    if progress.state is not _SNAPSHOT and (progress.match < core.log.last_index or progress.state is _PROBE):
        _send_append(core, progress, {}, is_empty=progress.is_paused)


def on_append(core: Core, message: Message) -> None:
    """A follower takes entries of its leader and acknowledges them, or says where its log differs."""
    log, index = core.log, message.index
    if index < log.commit:
        # All up to commit equals the leader's; a late append must not be looked at entry by entry again.
        core.reply_append(message.sender, log.commit)
        return
    entries = message.entries
    if entries and (entries[0].index != index + 1 or entries[-1].index != index + len(entries)):
        return  # No run of entries that follows what it says it follows.
    truncation_count = log.truncation_count
    taken = log.maybe_append(previous=index, previous_term=message.log_term, entries=entries, commit=message.commit)
    if taken >= 0:
        if log.truncation_count != truncation_count:
            core.emit(TraceKind.LOG_TRUNCATED, peer=message.sender, detail=f"last index is now {log.last_index}")
        core.reply_append(message.sender, taken)
        return
    hint, hint_term = log.find_probe(message.index, message.log_term)
    core.emit(TraceKind.APPEND_REJECTED, peer=message.sender, detail=f"index {message.index}, hint {hint}")
    core.send(
        Message(
            MessageKind.APPEND_REPLY,
            message.sender,
            core.member_id,
            core.term,
            log_term=hint_term,
            index=message.index,
            reject=True,
            reject_hint=hint,
        )
    )


def on_append_reply(core: Core, message: Message) -> None:
    """A leader takes an acknowledgement or a reject."""
    progress = core.tracker.progress.get(message.sender)
    if progress is None:
        return
    progress.recent_active = True
    if message.reject:
        _on_reject(core, progress, message)
        return
    index = message.index
    if index > core.log.last_index:
        return
    was_probe_answer = progress.state is _PROBE and progress.match == index
    if not progress.maybe_update(index) and not was_probe_answer:
        return
    if progress.state is _REPLICATE:
        progress.free_to(index)
    elif progress.state is _PROBE or progress.match + 1 >= core.log.first_index:
        # Also out of SNAPSHOT, without waiting for its outcome, once entries can follow what the member has.
        progress.become_replicate()
    core.flush_due = True
    if progress.match > core.log.commit:
        core.maybe_commit()
    if core.transferee == message.sender:
        maybe_hand_over(core, progress)


def on_snapshot(core: Core, message: Message) -> None:
    """A follower replaces its log by a snapshot whose state has arrived, unless that would take it back."""
    snapshot = message.snapshot
    log = core.log
    if snapshot is None:
        return
    if snapshot.index <= log.commit:
        core.emit(TraceKind.SNAPSHOT_REFUSED, peer=message.sender, detail=f"{snapshot.index} at or below commit {log.commit}")
        core.reply_append(message.sender, log.commit)
        return
    if log.matches(snapshot.index, snapshot.term):
        # The log already leads there; replaying entries is cheaper and keeps them.
        log.commit_to(snapshot.index)
        core.reply_append(message.sender, log.commit)
        return
    # Its configuration may lack this member: the entry that adds it may stand above the snapshot, and follows it.
    log.restore(snapshot)
    core.tracker.apply(snapshot.conf_state, last_index=log.last_index)
    core.emit(TraceKind.SNAPSHOT_RESTORED, peer=message.sender, detail=f"index {snapshot.index}")
    core.reply_append(message.sender, snapshot.index)


def on_snapshot_outcome(core: Core, member_id: int, *, ok: bool) -> None:
    """The driver finished sending a snapshot, or failed to; after a failure the next heartbeat's answer starts another."""
    progress = core.tracker.progress.get(member_id)
    if core.role is not _LEADER or progress is None or progress.state is not _SNAPSHOT:
        return
    if not ok:
        progress.pending_snapshot = 0
    progress.become_probe()
    # Sent off, not yet acknowledged: wait for the acknowledgement or a heartbeat's answer before probing.
    progress.probe_sent = True


def on_unreachable(core: Core, member_id: int) -> None:
    """The driver lost what it was given for this member: stop pipelining to it."""
    progress = core.tracker.progress.get(member_id)
    if core.role is _LEADER and progress is not None and progress.state is _REPLICATE:
        progress.become_probe()


def maybe_hand_over(core: Core, progress: Progress) -> None:
    """Tells the chosen successor to campaign once it has the whole log (thesis §3.10)."""
    if progress.match == core.log.last_index:
        core.send(Message(MessageKind.TIMEOUT_NOW, progress.member_id, core.member_id, core.term))
    else:
        core.flush_due = True


def _on_reject(core: Core, progress: Progress, message: Message) -> None:
    hint = message.reject_hint
    if message.log_term > 0:
        # The member has a term we may hold further down only: skip all of ours that is newer (thesis §5.3, faster).
        hint, _ = core.log.find_probe(hint, message.log_term)
    if progress.maybe_decrease(rejected=message.index, hint=hint):
        if progress.state is _REPLICATE:
            progress.become_probe()
        core.flush_due = True


def _send_append(core: Core, progress: Progress, shared: _Shared, *, is_empty: bool = False) -> bool:
    """Queues one append, or a snapshot when the log is cut above it; False when nothing more can be sent now."""
    log = core.log
    following = progress.next
    entries: tuple[Entry, ...] = ()
    size_bytes = 0
    try:
        if is_empty:
            log_term = log.term(following - 1)
        elif following in shared:
            log_term, entries, size_bytes = shared[following]
        else:
            log_term = log.term(following - 1)
            entries, size_bytes = log.slice(following, log.last_index + 1, core.config.append_bytes_max)
            shared[following] = (log_term, entries, size_bytes)
    except CompactedIndexError:
        _send_snapshot(core, progress)
        return False
    previous = following - 1
    core.send(new_append(progress.member_id, core.member_id, core.term, log_term, previous, entries, log.commit))
    progress.on_sent(last_index=previous + len(entries), size_bytes=size_bytes, commit=log.commit)
    return True


def _send_snapshot(core: Core, progress: Progress) -> None:
    if not progress.recent_active:
        # A silent member would make us stream a state to nobody; its first answer asks again.
        return
    try:
        snapshot = core.storage.snapshot()
    except SnapshotUnavailableError:
        progress.probe_sent = progress.state is _PROBE
        return
    assert snapshot.index + 1 >= core.log.first_index, "the log is cut only below its snapshot"
    progress.become_snapshot(snapshot.index)
    core.emit(TraceKind.SNAPSHOT_SENT, peer=progress.member_id, detail=f"index {snapshot.index}")
    core.send(Message(MessageKind.SNAPSHOT, progress.member_id, core.member_id, core.term, snapshot=snapshot))
