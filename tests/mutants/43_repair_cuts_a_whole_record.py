from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old=("    for step in scan_log(fs, directory):\n        end = step\n"),
    new=(
        "    steps = list(scan_log(fs, directory))\n"
        "    if steps[-1].act is Act.TRUNCATE and len(steps) > 1 and steps[-2].frame.type == RecordType.BATCH:\n"
        "        steps[-1] = steps[-1]._replace(offset=steps[-2].offset)\n"
        "        del steps[-2]\n"
        "    for step in steps:\n"
        "        end = step\n"
    ),
    rule="design §4 rule 3: every whole record stays",
    level=Level.SERVER,
)
