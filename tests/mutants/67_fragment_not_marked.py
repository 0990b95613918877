from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.rpc.watch",
    old='self._stream.send(b"".join((head, _FRAGMENT, events[start:end])))\n',
    new='self._stream.send(b"".join((head, events[start:end])))\n',
    rule="events of one revision that come in several responses are marked as fragments",
    level=Level.SERVER,
)
