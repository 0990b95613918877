"""Snapshots between members, and stores that are replaced."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "installed-without-a-mark",
        "raftkv.server.snapshots",
        "            lambda: wal.mark_snapshot(meta, hard_state=ready.hard_state, installed=True), lambda: self._replace(ready, meta)\n",
        "            lambda: None, lambda: self._replace(ready, meta)\n",
        "8: the log records the snapshot before it is renamed over the store",
    ),
    Mutant(
        "ready-store-not-durable",
        "raftkv.storage.install",
        '        _rename_store(self._fs, self._opener, f"{self._directory}/{BUILDING}", self._ready)\n        self._fs.sync_dir(self._directory)\n',
        '        _rename_store(self._fs, self._opener, f"{self._directory}/{BUILDING}", self._ready)\n',
        "8: the received store is durable under its own name before the log records it",
    ),
    Mutant(
        "replacement-not-settled",
        "raftkv.server.snapshots",
        "            install.settle()\n",
        "",
        "8: directory sync after the rename, then the log is reset",
    ),
    Mutant(
        "state-newer-than-its-snapshot",
        "raftkv.server.snapshots",
        "        meta = _meta_of(view)\n",
        "        meta = message.snapshot\n        assert meta is not None\n",
        "8: a snapshot's index is that of its state",
    ),
    Mutant(
        "reads-of-a-store-that-goes",
        "raftkv.server.snapshots",
        "        core.pipeline.suspend()\n",
        "",
        "nothing reads a store while it is replaced",
    ),
    Mutant(
        "commit-into-a-store-that-goes",
        "raftkv.server.snapshots",
        "        if core.store_writer.busy or self._sending:\n",
        "        if False:\n",
        "a store is closed when nothing uses it",
    ),
    Mutant(
        "installation-taken-for-refused",
        "raftkv.server.snapshots",
        "        self._complete, self._installing = None, meta\n",
        "        self._installing = meta\n",
        "8: what is being installed is not dropped",
    ),
    Mutant(
        "refused-snapshot-unanswered",
        "raftkv.server.snapshots",
        "            core.pipeline.on_message(message)\n            raise",
        "            raise",
        "a leader learns how far a follower is",
    ),
    Mutant(
        "vanished-sender-bars-others",
        "raftkv.embedded",
        "        keepalive_s=PING_S,\n        keepalive_timeout_s=PONG_TIMEOUT_S,\n",
        "",
        "a connection into nothing is given up",
    ),
    Mutant(
        "log-written-before-the-snapshot-is-in-place",
        "raftkv.server.log_writer",
        "        if not self.idle or not self._reports or self.failed or self._replacing:\n",
        "        if not self.idle or not self._reports or self.failed:\n",
        "between the mark and the reset of the log nothing is written",
    ),
    Mutant(
        "applier-keeps-the-old-machine",
        "raftkv.server.member",
        "        self.applier.use_machine(state.machine)\n",
        "        self.applier.queue.clear()\n        self.applier.paused = False\n",
        "after a snapshot entries are applied to the new state",
    ),
    Mutant(
        "proposals-in-a-snapshot-told-lost",
        "raftkv.server.proposals",
        "        self._sent.clear()\n        self._unsure_id = self._ids.take()\n",
        "",
        "a write that a snapshot may hold is not said to be lost",
    ),
]
