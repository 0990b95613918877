"""One whole run: the fixed scenarios, the random requests, the end."""

from __future__ import annotations

from raftkv.pb import rpc
from tests.differential.exchange import Verdict
from tests.differential.known import RULES
from tests.differential.lockstep import Lockstep
from tests.differential.random_requests import RandomRequests
from tests.differential.scenarios import FIRST, LAST
from tests.differential.servers import Pair


def run(pair: Pair, *, seed: int, requests: int) -> Verdict:
    """Asks two new servers at least so many random requests each, and a few dozen fixed ones."""
    with Lockstep(pair, RULES) as lockstep:
        for scenario in FIRST:
            scenario(lockstep)
        random = RandomRequests(lockstep, seed)
        try:
            # While no server has chosen a lease id, both stores hold the same bytes, and so their hashes must be equal.
            random.run(requests // 4)
            random.named_leases = True
            random.run(requests - requests // 4)
        finally:
            random.close()
        for scenario in LAST:
            if not lockstep.verdict.hopeless:
                scenario(lockstep)
        lockstep.ask("Range", rpc.RangeRequest(key=b"\0", range_end=b"\0"))
        return lockstep.verdict
