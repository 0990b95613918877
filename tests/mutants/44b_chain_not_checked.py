from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old="frame.sequence == self.sequence + 1 and frame.link == self.crc",
    new="frame.sequence == self.sequence + 1",
    rule="design §4 rule 3: a whole record in another's place is damage",
    level=Level.UNIT,
    tests=("tests/storage/test_recovery.py",),
)
