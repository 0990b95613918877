from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.member",
    old=("            self.leases.become_leader()\n        elif"),
    new=("            pass\n        elif"),
    rule="design §4 rule 12: leases end",
    level=Level.SERVER,
)
