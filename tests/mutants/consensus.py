"""Elections, commit and proposals."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "older-term-committed-by-count",
        "raftkv.raft.core",
        "        if index <= self.log.commit or index < self.term_start_index:\n",
        "        if index <= self.log.commit:\n",
        "thesis §3.6.2: only entries of the own term are committed by counting",
    ),
    Mutant(
        "vote-for-a-shorter-log",
        "raftkv.raft.log",
        "return term > self.last_term or (term == self.last_term and index >= self.last_index)",
        "return term >= self.last_term",
        "thesis §3.6.1: the voter's log is not longer than the candidate's",
    ),
    Mutant(
        "vote-for-an-older-log",
        "raftkv.raft.log",
        "return term > self.last_term or (term == self.last_term and index >= self.last_index)",
        "return index >= self.last_index",
        "thesis §3.6.1: the later last term wins",
    ),
    Mutant(
        "commit-beyond-the-append",
        "raftkv.raft.log",
        "        self.commit_to(min(commit, last_new))\n",
        "        self.commit_to(min(commit, self.last_index))\n",
        "thesis fig. 3.1: commit is at most the last new entry",
    ),
    Mutant(
        "heartbeat-commits-beyond-match",
        "raftkv.raft.heartbeat",
        "            known = min(progress.match, commit)\n",
        "            known = commit\n",
        "a heartbeat never tells of a commit the member may lack",
    ),
    Mutant(
        "overwritten-write-counts",
        "raftkv.raft.log",
        "                write.valid = min(write.valid, first - 1)\n",
        "                pass\n",
        "§3: a report for an entry that was overwritten is ignored (ABA)",
    ),
    Mutant(
        "no-quorum-check",
        "raftkv.raft.heartbeat",
        "if core.config.check_quorum and not core.tracker.take_quorum_active(core.member_id):",
        "if False:",
        "thesis §6.2: a leader without quorum steps down",
    ),
    Mutant(
        "messages-sent-twice",
        "raftkv.server.peers",
        "            call.send(body)\n        channel.flush()\n",
        "            call.send(body)\n            call.send(body)\n        channel.flush()\n",
        "13: a proposal is sent once",
    ),
    Mutant(
        "proposal-sent-again",
        "raftkv.server.pipeline",
        "        proposals.drop_batch(len(batch), node.term)\n",
        "        if node.role == Role.LEADER or node.term % 3:\n            proposals.drop_batch(len(batch), node.term)\n",
        "13: a proposal is sent once",
    ),
    Mutant(
        "wrong-writes-told-lost",
        "raftkv.server.proposals",
        "            if request_id > horizon:\n                break\n",
        "",
        "a write is said to be lost only when a later term's entry shows that it is",
    ),
    Mutant(
        "wiped-member-votes",
        "raftkv.server.hello",
        "    if started and hello.last_index <= BOOTSTRAP_INDEX:\n",
        "    if False:\n",
        "15: a wiped member does not vote",
    ),
    Mutant(
        "refused-proposal-turns-the-loop",
        "raftkv.server.pipeline",
        "and self.node.leader_id != 0 and not self._refused\n",
        "and self.node.leader_id != 0\n",
        "what consensus refuses is tried again when something happened",
    ),
    Mutant(
        "proposal-sent-into-nothing",
        "raftkv.server.pipeline",
        "        if node.role != Role.LEADER and not self._peers.reaches(node.leader_id):\n",
        "        if False:\n",
        "a proposal that would be dropped waits",
    ),
    Mutant(
        "no-wake-for-the-next-batch",
        "raftkv.server.pipeline",
        "        if not self._running:\n            self.wake()\n",
        "        pass\n",
        "a durable write is taken up at once",
    ),
]
