from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.wal",
    old=('    fs.rename(temporary, f"{directory}/{segment.name}")\n    fs.sync_dir(directory)\n'),
    new='    fs.rename(temporary, f"{directory}/{segment.name}")\n',
    rule="design §4 rule 9: directory sync after a rename",
    level=Level.SERVER,
)
