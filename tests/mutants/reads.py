"""Linearizable reads, local reads and watches."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "read-served-before-applied",
        "raftkv.server.pipeline",
        "        serving.extend(reads.take_ready(self.applier.applied))\n",
        "        serving.extend(reads.take_ready(1 << 62))\n",
        "11: the reader waits until applied reaches the index",
    ),
    Mutant(
        "read-joins-a-running-round",
        "raftkv.server.reads",
        """        if self._round is not None or not self.waiting:
            return None
""",
        """        if self._round is not None:
            self._round.reads += self.waiting
            self.waiting = []
        if self._round is not None or not self.waiting:
            return None
""",
        "11: a read joins only a round that starts after it arrived",
    ),
    Mutant(
        "read-without-a-round",
        "raftkv.raft.heartbeat",
        "    if core.tracker.is_sole_voter(core.member_id):\n",
        "    if True:\n",
        "11: a quorum confirms the leader after the read arrived",
    ),
    Mutant(
        "read-before-a-commit-of-the-term",
        "raftkv.raft.replication",
        "    if core.reads.is_waiting and core.has_committed_in_term:\n",
        "    if core.reads.is_waiting:\n",
        "11: the leader answers after an entry of its own term is committed",
    ),
    Mutant(
        "read-at-the-applied-index",
        "raftkv.raft.heartbeat",
        "    core.reads.start(member_id=core.member_id, commit=core.log.commit)\n",
        "    core.reads.start(member_id=core.member_id, commit=core.log.applied)\n",
        "11: the index is the commit index at the round's start",
    ),
    Mutant(
        "read-context-used-again",
        "raftkv.server.reads",
        "        self._counter += 1\n",
        "",
        "11: a round's context is unique for the life of the process",
    ),
    Mutant(
        "late-answer-confirms-the-newest-round",
        "raftkv.raft.read_index",
        "            self._answered[member_id] = number\n\n    def take_confirmed",
        "            self._answered[member_id] = self._number\n\n    def take_confirmed",
        "11: an answer confirms the round it was given for",
    ),
    Mutant(
        "read-without-leader-never-ends",
        "raftkv.server.pipeline",
        "        if reads.waiting or reads.is_unasked:\n",
        "        if (reads.waiting or reads.is_unasked) and node.leader_id != 0:\n",
        "a read without quorum ends with `request timed out`",
    ),
    Mutant(
        "events-of-one-slice-lost",
        "raftkv.server.applier",
        "            self.hub.notify(events, machine.store.revision)\n",
        "            self.hub.notify(events[:1], machine.store.revision)\n",
        "every event reaches every watcher",
    ),
    Mutant(
        "events-skipped-by-a-snapshot-lost",
        "raftkv.mvcc.watch_hub",
        "                        watcher.next_revision = old_revision + 1\n",
        "                        watcher.next_revision = self._revision + 1 if self._revision - old_revision > 9 else old_revision + 1\n",
        "watchers read from the new history what a snapshot skipped",
    ),
    Mutant(
        "events-repeated-after-a-snapshot",
        "raftkv.mvcc.watch_hub",
        "                        watcher.next_revision = old_revision + 1\n",
        "                        watcher.next_revision = old_revision\n",
        "an event comes once",
    ),
    Mutant(
        "watch-hub-keeps-the-old-store",
        "raftkv.server.member",
        "        self.hub.restored(state.store)\n",
        "",
        "after a snapshot everything reads from the new store",
    ),
]
