"""What a seed is about: every family of faults is on with one chance in two, its rates drawn evenly by their logarithm.

A run with everything on reaches less than many runs with half of it: one fault hides another. Cluster size, timeouts,
snapshot and batch sizes vary too. Source: spec/faults.md §3c (11).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from jepsen_like.sim.core.recovery import CORE_HEALS_AT
from jepsen_like.sim.core.scenario import EVERYBODY, LEADER, Fault, Scenario
from jepsen_like.sim.streams import stream

FAULTS_MS = 1_000
"""No fault begins before; the load needs a moment."""


def draw(seed: int, virtual_s: float = 60.0) -> Scenario:
    """The scenario of a seed."""
    rng = stream(seed, "swarm")
    on = {name: rng.random() < 0.5 for name in _FAMILIES}
    weather = {name: rng.random() < 0.5 for name in ("loss", "duplicate", "replay", "reorder", "tail", "hold", "fsync_tail")}
    if not any(on[name] for name in _LASTING):
        on["pause"] = True
    voters = rng.choice((1, 2, 3, 3, 3, 5, 5, 5, 7))
    learners = rng.choice((0, 0, 0, 1, 2)) if voters < 7 else 0
    tick_ms = rng.choice((50, 100, 100, 100))
    append_bytes_max = rng.choice((1, 64, 1 << 20, 1 << 20))
    # One entry an append and one append a round trip is less than the load, and a backlog only grows.
    inflight_max = max(rng.choice((1, 4, 512, 512)), 16 if append_bytes_max == 1 else 1)
    burst = rng.choice((1, 2, 4, 4, 8))
    return Scenario(
        seed=seed,
        virtual_s=virtual_s,
        voters=voters,
        learners=learners,
        tick_ms=tick_ms,
        election_ticks=rng.choice((5, 10, 10, 10, 20)),
        pre_vote=rng.random() < 0.7,
        check_quorum=rng.random() < 0.7,
        append_bytes_max=append_bytes_max,
        inflight_max=inflight_max,
        committed_bytes_max=rng.choice((1, 64, 1 << 20, 1 << 20)),
        uncommitted_bytes_max=rng.choice((64, 1 << 20, 1 << 20)),
        batch_max=rng.choice((1, 8, 64)),
        apply_max=rng.choice((1, 8, 1_000, 1_000)),
        turn_us=int(_log(rng, 100, 4_000)),
        snapshot_count=int(_log(rng, 20, 2_000)),
        catch_up=rng.choice((0, 5, 100)),
        store_every=int(_log(rng, 1, 200)),
        ops_per_s=_log(rng, 30, 70),
        burst=burst,
        read_share=rng.choice((0.1, 0.4, 0.4, 0.7)),
        leader_share=rng.choice((0.3, 0.7, 0.9)),
        keys=rng.choice((1, 4, 16)),
        timeout_ms=rng.choice((1_000, 3_000, 5_000)),
        delay_us=int(_log(rng, 100, 5_000)),
        jitter_us=int(_log(rng, 100, 10_000)),
        tail=_log(rng, 0.001, 0.05) * weather["tail"],
        tail_factor=_log(rng, 5, 200),
        loss=_log(rng, 0.001, 0.1) * weather["loss"],
        duplicate=_log(rng, 0.001, 0.2) * weather["duplicate"],
        replay=_log(rng, 0.001, 0.05) * weather["replay"],
        reorder=weather["reorder"],
        hold=rng.random() * weather["hold"],
        fsync_us=int(_log(rng, 200, 20_000)),
        fsync_tail=_log(rng, 0.001, 0.05) * weather["fsync_tail"],
        faults=_schedule(seed, on, voters + learners, virtual_s, weather["replay"]),
    )


def _log(rng: Random, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _schedule(seed: int, on: dict[str, bool], size: int, virtual_s: float, replays: bool) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    end_ms = virtual_s * 1000 * CORE_HEALS_AT
    for name, make in _FAMILIES.items():
        if not (on[name] or (name == "replay" and replays)):
            continue
        rng = stream(seed, "schedule", name)
        gap_ms = _log(rng, 1_500, 15_000)
        at_ms = FAULTS_MS + rng.expovariate(1 / gap_ms)
        while at_ms < end_ms:
            faults.append(make(rng, int(at_ms), size))
            if name == "change" and rng.random() < 0.4:
                # Another right behind it, which the leader must refuse, or its successor take up.
                faults.append(make(rng, int(at_ms + _log(rng, 1, 200)), size))
            at_ms += rng.expovariate(1 / gap_ms)
    return tuple(sorted(faults, key=lambda fault: (fault.at_ms, fault.kind)))


def _some(rng: Random, size: int) -> tuple[int, ...]:
    """The leader half of the time, else some members, mostly few."""
    if rng.random() < 0.5:
        return (LEADER,)
    count = min(rng.choice((1, 1, 1, 2, 3)), size)
    return tuple(sorted(rng.sample(range(1, size + 1), count)))


def _crash(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "crash", EVERYBODY if rng.random() < 0.1 else _some(rng, size), int(_log(rng, 20, 2_000)))


def _power_cut(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "power_cut", EVERYBODY if rng.random() < 0.4 else _some(rng, size), int(_log(rng, 20, 1_500)))


def _pause(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "pause", EVERYBODY if rng.random() < 0.05 else _some(rng, size), int(_log(rng, 10, 3_000)))


def _disk(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "slow_disk", EVERYBODY if rng.random() < 0.2 else _some(rng, size), int(_log(rng, 100, 4_000)), _log(rng, 5, 800))


def _disk_error(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "disk_error", _some(rng, size), int(_log(rng, 100, 2_000)))


def _skew(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "skew", _some(rng, size), int(_log(rng, 500, 10_000)), _log(rng, 0.3, 3.0))


def _partition(rng: Random, at_ms: int, size: int) -> Fault:
    kind = rng.choice(("isolate", "isolate", "halves", "one_way", "ring", "bridge", "flapping"))
    for_ms = int(_log(rng, 100, 5_000))
    if kind == "halves":
        return Fault(at_ms, "isolate", tuple(sorted(rng.sample(range(1, size + 1), size // 2))), for_ms)
    members = tuple(rng.sample(range(1, size + 1), size)) if kind == "bridge" else _some(rng, size)
    return Fault(at_ms, kind, members, for_ms, float(rng.random() < 0.5))


def _weather(rng: Random, at_ms: int, _: int) -> Fault:
    if rng.random() < 0.5:
        return Fault(at_ms, "lossy", EVERYBODY, int(_log(rng, 200, 4_000)), _log(rng, 0.05, 0.6))
    return Fault(at_ms, "slow_network", EVERYBODY, int(_log(rng, 200, 4_000)), _log(rng, 5, 500))


def _transfer(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "transfer", (rng.randint(1, size),), 0, rng.random())


def _campaign(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "campaign", (rng.randint(1, size),))


def _change(rng: Random, at_ms: int, _: int) -> Fault:
    return Fault(at_ms, "change", (rng.randrange(1 << 16),), 0, round(rng.random() * 6, 3))


def _snapshot(rng: Random, at_ms: int, size: int) -> Fault:
    return Fault(at_ms, "snapshot", EVERYBODY if rng.random() < 0.3 else _some(rng, size))


def _replay(rng: Random, at_ms: int, _: int) -> Fault:
    return Fault(at_ms, "replay", EVERYBODY)


_LASTING = ("crash", "power_cut", "pause", "disk", "partition", "weather")
"""Of the families those whose faults last; a run has at least one, or no operation might meet a fault."""

_FAMILIES: dict[str, Callable[[Random, int, int], Fault]] = {
    "crash": _crash,
    "power_cut": _power_cut,
    "pause": _pause,
    "disk": _disk,
    "disk_error": _disk_error,
    "skew": _skew,
    "partition": _partition,
    "weather": _weather,
    "transfer": _transfer,
    "campaign": _campaign,
    "change": _change,
    "snapshot": _snapshot,
    "replay": _replay,
}
