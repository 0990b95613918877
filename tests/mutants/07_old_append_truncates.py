from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old=(
        "                if not self.matches(entry.index, entry.term):\n"
        "                    self._overwrite(entries[position:])\n"
        "                    break\n"
    ),
    new=("                self._overwrite(entries[position:])\n                break\n"),
    rule="thesis fig. 3.1: only a conflicting entry cuts the log, never a late or repeated append",
    level=Level.CORE,
)
