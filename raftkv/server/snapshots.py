"""Raft snapshots between members: the leader streams its store, the follower puts it in the place of its own.

Sending reads a pinned view of the store, which carries the applied index it stands for, in slices under the connection's
flow control, on a connection of its own. Installing follows design §4 rule 8: the received store is complete and verified
under a name of its own before consensus hears of it; then the log records it; then it is renamed into place. A member that
stops in between finishes the rename at its next start. Loop only, but for the jobs handed to the workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from raftkv.errors import ConfigError, CorruptionError, RequestError, StoppedError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.pb import peer
from raftkv.raft.messages import ConfState, Message, Ready, SnapshotMeta
from raftkv.server.bootstrap import StateParts, applied_in, state_of
from raftkv.server.log_writer import Durable
from raftkv.server.peer_codec import EntryBlobs, decode_message, encode_message
from raftkv.server.peers import PEER_CHANNEL, parse_peer_url
from raftkv.state.meta import read_conf_state
from raftkv.storage.backend import Reader
from raftkv.storage.install import STORE, SnapshotInstall
from raftkv.storage.snapshots import SnapshotReceiver, SnapshotWriter
from raftkv.transport.channel import Channel, RpcError

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore

log = logging.getLogger("raftkv.snapshot")

SNAPSHOT_PATH = "/raftkv.Peer/Snapshot"

UNSENT_BYTES_MAX = 4 << 20
"""Bytes waiting for the connection before the sender pauses."""

SEND_TIMEOUT_S = 900.0
"""A transfer that takes longer is given up; consensus asks for another one."""


class SnapshotTransfers:
    """Both directions.

    Invariants: 1. at most one transfer runs to each member; 2. at most one snapshot is taken in at a time, and one that
    consensus refused is removed; 3. `report_snapshot` is called once for each SNAPSHOT message; 4. from `install` on the
    snapshot's files are the installation's alone; 5. a transfer that failed is followed by none to that member for an election timeout.
    """

    def __init__(self, core: MemberCore) -> None:
        self._core = core
        self._group: asyncio.TaskGroup | None = None
        self._sending: dict[int, tuple[int, asyncio.Task[bool]]] = {}
        self._resting: dict[int, asyncio.TimerHandle] = {}
        """Members whose last transfer failed, until consensus is told."""
        self._sent: dict[int, int] = {}
        self._intake: Intake | None = None
        self._complete: SnapshotMeta | None = None
        self._installing: SnapshotMeta | None = None
        self.sent_total = 0
        self.received_total = 0

    def start(self, group: asyncio.TaskGroup) -> None:
        """Transfers run as tasks of this group."""
        self._group = group

    def stop(self) -> None:
        """Ends every transfer."""
        for _, task in self._sending.values():
            task.cancel()
        for timer in self._resting.values():
            timer.cancel()
        self._sending.clear()
        self._group = None

    def keep_from(self) -> int:
        """Entries above this index must stay in the log: whoever is being sent a snapshot needs them next."""
        return min((index for index, _ in self._sending.values()), default=1 << 62)

    def sent_index(self, member_id: int) -> int:
        """Where the last snapshot sent to the member stands, whether installed by now or not; 0 without one."""
        return self._sent.get(member_id, 0)

    # Sending.

    def send(self, message: Message) -> None:
        """Consensus wants a member to be sent the state."""
        if self._group is None or message.to in self._sending or message.to in self._resting:
            self._core.node.report_snapshot(message.to, ok=False)
            return
        task = self._group.create_task(self._send(message), name=f"snapshot to {message.to:x}")
        self._sending[message.to] = (self._core.applier.applied, task)
        # Not in the task: one that is cancelled before its first step runs nothing.
        task.add_done_callback(lambda ended: self._on_sent(message.to, ended))

    def _on_sent(self, member_id: int, task: asyncio.Task[bool]) -> None:
        core = self._core
        index, _ = self._sending.pop(member_id, (0, None))
        ok = not task.cancelled() and task.exception() is None and task.result()
        if ok:
            self.sent_total += 1
            self._sent[member_id] = index
        if ok or core.stopping:
            self._report(member_id, ok=ok)
        else:
            # Consensus would begin another at the next answer to a heartbeat, and under reads those come every millisecond: a member that
            # refuses, or whose disk is full, would be sent the store over and over.
            rest_s = core.settings.election_timeout_ms / 1000
            self._resting[member_id] = core.loop.call_later(rest_s, core.guarded, lambda: self._report(member_id, ok=False))

    def _report(self, member_id: int, *, ok: bool) -> None:
        core = self._core
        self._resting.pop(member_id, None)
        if not core.pipeline.stopped:
            core.node.report_snapshot(member_id, ok=ok)
            core.pipeline.wake()

    async def _send(self, message: Message) -> bool:
        view = self._core.store_writer.tables.view()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._stream(message, view)
            return True
        except (OSError, RpcError, TimeoutError, ConfigError) as error:
            log.warning("failed to send database snapshot", extra={"fields": {"remote-peer-id": f"{message.to:x}", "error": str(error)}})
            return False
        finally:
            view.close()

    async def _stream(self, message: Message, view: Reader) -> None:
        core = self._core
        meta = _meta_of(view)
        urls = core.peers.urls(message.to)
        if not urls:
            raise OSError(f"member {message.to:x} has no peer URL")
        log.info("sending database snapshot", extra={"fields": {"to": f"{message.to:x}", "snapshot-index": meta.index}})
        channel = Channel(parse_peer_url(urls[0]), limits=PEER_CHANNEL)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        room = asyncio.Event()

        def on_done(error: RpcError | None) -> None:
            room.set()
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        await channel.connect()
        try:
            call = channel.stream(SNAPSHOT_PATH, on_message=lambda body: None, on_done=on_done, on_writable=room.set)
            greeting = core.peers.me.hello(message.to, core.node.last_index)
            head = encode_message(message._replace(snapshot=meta), EntryBlobs())
            call.send(peer.SnapshotChunk(message=head, hello=greeting).SerializeToString())
            for chunk in SnapshotWriter(view, meta):
                while not ended.done() and not call.writable and call.unsent_bytes > UNSENT_BYTES_MAX:
                    room.clear()
                    await room.wait()
                if ended.done():
                    break
                call.send(peer.SnapshotChunk(data=chunk).SerializeToString())
                # One slice of the store a turn of the loop.
                await asyncio.sleep(0)
            else:
                call.half_close()
            await ended
        finally:
            if ended.done() and not ended.cancelled():
                ended.exception()
            channel.close()

    # Taking in.

    def intake(self) -> Intake:
        """A member begins to send a snapshot."""
        return Intake(self._core, self)

    def begin(self, intake: Intake) -> bool:
        """False while another snapshot is on its way in."""
        if self._intake is not None or self._complete is not None or self._installing is not None:
            return False
        self._intake = intake
        return True

    @property
    def is_receiving(self) -> bool:
        """True from the first chunk of a snapshot until it is in force, or dropped."""
        return self._intake is not None or self._complete is not None or self._installing is not None

    def release(self, intake: Intake) -> None:
        """The intake ended without a snapshot."""
        if self._intake is intake:
            self._intake = None

    def deliver(self, intake: Intake, message: Message) -> None:
        """A snapshot is whole, verified and ready: consensus decides whether it is taken."""
        assert message.snapshot is not None
        self._intake = None
        self._complete = message.snapshot
        self.received_total += 1
        self._core.pipeline.on_message(message)
        # Consensus steps it in the next turn; what it did not take by the one after that was refused.
        self._core.loop.call_later(1.0, self._drop_refused, message.snapshot)

    def _drop_refused(self, meta: SnapshotMeta) -> None:
        if self._complete == meta and not self._core.stopping:
            self._complete = None
            log.info("dropped a database snapshot that was not needed", extra={"fields": {"snapshot-index": meta.index}})
            self._submit_store(self._install_of(meta).discard, lambda: None)

    def install(self, ready: Ready) -> None:
        """Consensus took the snapshot: the log marks it, then it replaces the store, then both are told."""
        meta, core = ready.snapshot, self._core
        assert meta is not None and self._complete == meta, "a snapshot is installed that was not received"
        self._complete, self._installing = None, meta
        core.applier.paused = True
        core.applier.queue.clear()
        wal = core.writer.wal
        log.info("applying database snapshot", extra={"fields": {"snapshot-index": meta.index}})

        def mark() -> None:
            if FAILPOINTS:
                hit("raftBeforeSaveSnap")
            wal.mark_snapshot(meta, hard_state=ready.hard_state, installed=True)
            if FAILPOINTS:
                hit("raftAfterSaveSnap")

        core.writer.replace(mark, lambda: self._replace(ready, meta))

    def _replace(self, ready: Ready, meta: SnapshotMeta) -> None:
        core = self._core
        if core.pipeline.stopped:
            # The log's mark and the ready store are durable: the next start finishes the installation.
            return
        core.pipeline.suspend()
        for _, task in self._sending.values():
            task.cancel()
        if core.store_writer.busy or self._sending:
            # What still uses the store that is about to go must have returned before it is closed.
            core.loop.call_later(0.001, self._replace, ready, meta)
            return
        install = self._install_of(meta)
        tables, backend = core.store_writer.tables, core.store_writer.backend
        core.store_writer.suspend()
        platform, path = core.booted.platform, f"{core.booted.directory.store}/{STORE}"
        opened: list[StateParts] = []

        def job() -> None:
            backend.close()
            if FAILPOINTS:
                hit("raftBeforeApplySnap")
            install.replace()
            install.settle()
            if FAILPOINTS:
                hit("raftAfterApplySnap")
            install.clean()
            # The index of a large store takes seconds to read: not on the loop, which must answer the leader meanwhile.
            if FAILPOINTS:
                hit("applyBeforeOpenSnapshot")
            opened.append(state_of(platform.opener.open(path)))
            if FAILPOINTS:
                hit("applyAfterOpenSnapshot")

        def done() -> None:
            self._installed(ready, meta, opened[0])

        tables.close()
        self._submit_store(job, done)

    def _installed(self, ready: Ready, meta: SnapshotMeta, state: StateParts) -> None:
        core = self._core
        self._installing = None
        core.raft_storage.apply_snapshot(meta)
        core.use_state(state, meta.index)
        core.writer.resume()
        core.pipeline.resume()
        log.info("applied database snapshot", extra={"fields": {"snapshot-index": meta.index, "revision": state.store.revision}})
        core.pipeline.on_durable([Durable(ready.write_number, meta.term, meta.index, (), list(ready.held))])

    def _install_of(self, meta: SnapshotMeta) -> SnapshotInstall:
        platform = self._core.booted.platform
        return SnapshotInstall(platform.fs, platform.opener, self._core.booted.directory.store, meta)

    def _submit_store(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        def report(_: None, error: BaseException | None) -> None:
            if error is not None:
                self._core.fail(error)
            else:
                self._core.guarded(done)

        self._core.workers.store.submit(job, report)


class Intake:
    """One snapshot on its way in: chunks go to a file on the store's thread, in order. See `api.SnapshotIntake`."""

    def __init__(self, core: MemberCore, transfers: SnapshotTransfers) -> None:
        self._core = core
        self._transfers = transfers
        self._message: Message | None = None
        self._receiver: SnapshotReceiver | None = None
        self._failed: BaseException | None = None
        self._ended = False

    def chunk(self, body: bytes) -> None:
        """See `SnapshotIntake`."""
        part = peer.SnapshotChunk.FromString(body)
        if self._message is None:
            self._open(part)
            return
        if self._failed is not None:
            raise RequestError(str(self._failed))
        if self._core.stopping:
            raise StoppedError
        receiver, data = self._receiver, part.data
        assert receiver is not None
        self._core.workers.store.submit(lambda: receiver.write(data), self._on_written)

    def _open(self, part: peer.SnapshotChunk) -> None:
        core = self._core
        reply = core.peers.greet(part.hello)
        message = decode_message(part.message, EntryBlobs())
        if reply.refusal:
            raise RequestError(reply.refusal)
        if message.snapshot is None or message.sender != part.hello.sender_id or message.to != core.member_id:
            raise RequestError("a snapshot transfer began without a snapshot message of its sender")
        if message.snapshot.index <= core.node.commit:
            # Consensus refuses it too, and tells the leader how far this member is: it may not know.
            core.pipeline.on_message(message)
            raise RequestError(f"the snapshot at {message.snapshot.index} is not above the commit index {core.node.commit}")
        if core.stopping:
            raise StoppedError
        if not self._transfers.begin(self):
            raise RequestError("another snapshot is on its way in")
        try:
            self._receiver = SnapshotReceiver(core.booted.platform.fs, core.booted.directory.store, message.snapshot)
        except OSError as error:
            self._transfers.release(self)
            raise RequestError(f"the snapshot cannot be stored: {error}") from error
        self._message = message
        log.info(
            "receiving database snapshot",
            extra={"fields": {"from": f"{message.sender:x}", "snapshot-index": message.snapshot.index}},
        )

    def _on_written(self, _: None, error: BaseException | None) -> None:
        if error is not None and self._failed is None:
            self._failed = error
            if not isinstance(error, CorruptionError):
                # At once: the rest may be long on its way, and who sends may go before it is told.
                self._core.fail(error)

    def end(self, done: Callable[[str], None]) -> None:
        """See `SnapshotIntake`."""
        message, receiver = self._message, self._receiver
        if message is None or receiver is None or message.snapshot is None:
            done("the transfer ended before it began")
            return
        if self._core.stopping:
            done(StoppedError.text)
            return
        self._ended = True
        meta = message.snapshot
        platform = self._core.booted.platform
        install = SnapshotInstall(platform.fs, platform.opener, self._core.booted.directory.store, meta)

        def job() -> None:
            receiver.finish()
            install.build()
            install.ready()

        def report(_: None, error: BaseException | None) -> None:
            problem = self._failed or error
            if problem is None:
                self._transfers.deliver(self, message)
                done("")
                return
            log.warning("failed to receive database snapshot", extra={"fields": {"error": str(problem)}})
            self._transfers.release(self)
            done(str(problem))
            if not isinstance(problem, CorruptionError):
                self._core.fail(problem)

        self._core.workers.store.submit(job, report)

    def abort(self) -> None:
        """See `SnapshotIntake`."""
        receiver = self._receiver
        if receiver is None or self._ended:
            return
        self._ended = True
        if not self._core.stopping:
            # The next transfer may use the same file: it must be gone before.
            self._core.workers.store.submit(receiver.abort, self._on_aborted)

    def _on_aborted(self, _: None, _error: BaseException | None) -> None:
        self._transfers.release(self)


def _meta_of(view: Reader) -> SnapshotMeta:
    """Where the state in a view stands."""
    applied = applied_in(view)
    conf = read_conf_state(view)
    assert conf is not None, "a member that leads has a configuration"
    return SnapshotMeta(applied.index, applied.term, ConfState(*conf))
