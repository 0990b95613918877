from jepsen_like.sim.mutation import Level, Mutant

CHECKED = "            assert first <= events[0].revision and events[-1].revision <= revision\n"

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old=CHECKED,
    new=CHECKED + "            for stream in self._streams if revision > 400 else ():\n                stream.is_paused = True\n",
    rule="a watch that is open is shown every event in the end, by itself",
    level=Level.SERVER,
)
