from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old=("        if ready.messages:\n            self._send(ready.messages)\n"),
    new=("        if ready.messages or ready.held:\n            self._send(ready.messages + ready.held)\n"),
    rule="design §4 rule 4: held messages leave when their write is durable",
    level=Level.SERVER,
)
