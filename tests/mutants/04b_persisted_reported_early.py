from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old=('        def job() -> None:\n            if FAILPOINTS:\n                hit("raftBeforeSave")\n'),
    new=(
        "        for durable in reports:\n"
        "            if durable.entries:\n"
        "                self._storage.append(durable.entries)\n"
        "        self._on_durable(reports)\n"
        "        reports = []\n"
        "\n"
        "        def job() -> None:\n"
        "            if FAILPOINTS:\n"
        '                hit("raftBeforeSave")\n'
    ),
    rule="design §4 rule 1: a write counts when it has returned from disk",
    level=Level.SERVER,
)
