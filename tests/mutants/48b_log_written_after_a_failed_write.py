from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.wal",
    old=("            self._write(parts, sync=sync)\n        except OSError as exc:\n            self._failure = exc\n            raise\n"),
    new=("            self._write(parts, sync=sync)\n        except OSError as exc:\n            raise\n"),
    rule="design §4 rule 2: after a failed write the log takes no more",
    level=Level.SERVER,
)
