"""What is acknowledged, voted or counted before it is on disk; disks that fail; logs that are cut too far."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "log-never-synced",
        "raftkv.server.log_writer",
        "wal.append(writes, sync=True)",
        "wal.append(writes, sync=False)",
        "1: no acknowledgement before fdatasync returned",
    ),
    Mutant(
        "persisted-reported-early",
        "raftkv.server.log_writer",
        """        def job() -> None:
            wal.append(writes, sync=True)
""",
        """        for durable in reports:
            if durable.entries:
                self._storage.append(durable.entries)
        self._on_durable(reports)
        reports = []

        def job() -> None:
            wal.append(writes, sync=True)
""",
        "1: a write counts when it has returned from disk",
    ),
    Mutant(
        "held-sent-at-once",
        "raftkv.server.pipeline",
        """        if ready.messages:
            self._send(ready.messages)
""",
        """        if ready.messages or ready.held:
            self._send(ready.messages + ready.held)
""",
        "4: held messages leave when their write is durable",
    ),
    Mutant(
        "held-not-behind-running-write",
        "raftkv.server.log_writer",
        "        if not self.idle or self._replacing:\n            self._reports.append(Durable(0",
        "        if self._replacing:\n            self._reports.append(Durable(0",
        "4: held messages leave after every write up to their own",
    ),
    Mutant(
        "append-acknowledged-at-once",
        "raftkv.raft.core",
        "        self.held.append(Message(MessageKind.APPEND_REPLY,",
        "        self.messages.append(Message(MessageKind.APPEND_REPLY,",
        "1: a follower acknowledges what is durable",
    ),
    Mutant(
        "term-leaves-before-it-is-durable",
        "raftkv.raft.core",
        """        if self.is_term_durable:
            self.messages.append(message)
""",
        """        if self.is_term_durable or True:
            self.messages.append(message)
""",
        "4: the term is synced before a message that depends on it leaves",
    ),
    Mutant(
        "term-and-vote-not-written",
        "raftkv.server.log_writer",
        "            self._hard_state = ready.hard_state\n",
        "            self._hard_state = ready.hard_state._replace(term=1, vote=0)\n",
        "4: vote and term are written",
    ),
    Mutant(
        "vote-not-written",
        "raftkv.server.log_writer",
        "            self._hard_state = ready.hard_state\n",
        "            self._hard_state = ready.hard_state._replace(vote=0)\n",
        "4: a member votes once in a term, also across a restart",
    ),
    Mutant(
        "leader-counts-itself-before-its-disk",
        "raftkv.raft.proposals",
        "    if size_bytes:\n        core.uncommitted_bytes",
        "    core.tracker.progress[core.member_id].match = log.last_index\n    if size_bytes:\n        core.uncommitted_bytes",
        "1: a quorum is of disks, the leader's own included",
    ),
    Mutant(
        "failed-log-write-ignored",
        "raftkv.server.log_writer",
        """                if error is not None:
                    raise error
                for durable in reports:""",
        """                for durable in reports:""",
        "2: an fsync error ends the member",
    ),
    Mutant(
        "failed-commit-ignored",
        "raftkv.server.store_writer",
        """                if error is not None:
                    raise error
""",
        "",
        "2: a failed commit ends the member",
    ),
    Mutant(
        "segment-name-not-durable",
        "raftkv.storage.wal",
        '    fs.rename(temporary, f"{directory}/{segment.name}")\n    fs.sync_dir(directory)\n',
        '    fs.rename(temporary, f"{directory}/{segment.name}")\n',
        "9: directory sync after a rename",
    ),
    Mutant(
        "torn-tail-kept",
        "raftkv.storage.recovery",
        "        file.truncate(end.offset)\n",
        "",
        "3: a torn tail is cut off",
    ),
    Mutant(
        "found-records-not-made-durable",
        "raftkv.storage.recovery",
        "    file.pwrite(file.pread(end.offset - unproven_offset, unproven_offset), unproven_offset)\n",
        "",
        "2: what a failed sync left readable is written again before it counts",
    ),
    Mutant(
        "purged-up-to-the-end",
        "raftkv.storage.wal",
        "needed = self._batches.lowest_segment(min(below_index, self._mark.meta.index + 1))",
        "needed = self._batches.lowest_segment(self._last_index + 1)",
        "7: a segment goes only when nothing in it is wanted",
    ),
    Mutant(
        "log-cut-above-the-snapshot",
        "raftkv.server.duties",
        "        core.raft_storage.compact(keep_from)\n",
        "        keep_from = core.raft_storage.last_index()\n        core.raft_storage.compact(keep_from)\n",
        "7: the log is cut below the snapshot",
    ),
    Mutant(
        "snapshot-marked-before-the-store-is-durable",
        "raftkv.server.duties",
        "        core.store_writer.when_durable(applied, lambda: self._mark(meta))\n",
        "        self._mark(meta)\n",
        "7: a snapshot exists when the store is durable there",
    ),
    Mutant(
        "store-durable-when-its-commit-starts",
        "raftkv.server.store_writer",
        "        self._busy = True\n        self._last_s = now_s\n",
        "        self._busy = True\n        self._last_s = now_s\n        self.durable_index = max(self.durable_index, applied)\n        self._release()\n",
        "7: the store is durable where its last returned commit stands",
    ),
    Mutant(
        "applied-index-not-stored",
        "raftkv.server.applier",
        "        machine.note_applied(self.applied, self.term)\n",
        "",
        "5: each commit carries the applied index",
    ),
    Mutant(
        "applied-index-one-slice-late",
        "raftkv.server.applier",
        "        machine.note_applied(self.applied, self.term)\n",
        "        machine._meta.save_applied(max(self.applied - 1, 1), self.term)\n",
        "5: each commit carries the applied index of exactly its changes",
    ),
    Mutant(
        "buffer-dropped-before-its-commit",
        "raftkv.server.store_writer",
        "        self._busy = True\n        self._last_s = now_s\n        backend = self.backend\n",
        "        self._busy = True\n        self._last_s = now_s\n        backend = self.backend\n        tables.committed(batches)\n        batches = ()\n",
        "6: a buffer is dropped after the commit that contains it",
    ),
]
