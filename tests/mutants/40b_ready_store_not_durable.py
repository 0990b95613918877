from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.install",
    old=(
        '        _rename_store(self._fs, self._opener, f"{self._directory}/{BUILDING}", self._ready)\n'
        "        self._fs.sync_dir(self._directory)\n"
    ),
    new='        _rename_store(self._fs, self._opener, f"{self._directory}/{BUILDING}", self._ready)\n',
    rule="design §4 rule 8: the received store is durable under its own name before the log records it",
    level=Level.UNIT,
    tests=("tests/storage/test_crash.py::test_power_cut_before_any_call_restarts_to_a_legal_state",),
)
