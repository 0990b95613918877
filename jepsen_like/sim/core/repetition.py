"""Whether a seed is one run: the same trace twice in this process and once in a fresh one with another hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from jepsen_like.sim.core.runs import run

OTHER_HASH_SEED = "20211"
_CODE = """\
import sys
from jepsen_like.sim.core.runs import run
for seed in sys.argv[2:]:
    print(run(int(seed), virtual_s=float(sys.argv[1])).trace_hash)
"""


def differing(seeds: Sequence[int], virtual_s: float = 60.0) -> list[int]:
    """The seeds whose three traces are not one. Raises CalledProcessError when the fresh process fails."""
    command = [sys.executable, "-c", _CODE, str(virtual_s), *map(str, seeds)]
    environment = {**os.environ, "PYTHONHASHSEED": OTHER_HASH_SEED}
    fresh = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    here = [(run(seed, virtual_s=virtual_s).trace_hash, run(seed, virtual_s=virtual_s).trace_hash) for seed in seeds]
    output, _ = fresh.communicate()
    if fresh.returncode:
        raise subprocess.CalledProcessError(fresh.returncode, command)
    return [seed for seed, (once, again), there in zip(seeds, here, output.split(), strict=True) if not once == again == there]
