from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old="    file.pwrite(file.pread(end.offset - unproven_offset, unproven_offset), unproven_offset)\n",
    new="",
    rule="design §4 rule 2: what a failed sync left readable is written again before it counts",
    level=Level.SERVER,
    tests=("tests/storage/test_crash.py::test_failure_of_any_call_ends_the_member_and_restarts_to_a_legal_state",),
)
