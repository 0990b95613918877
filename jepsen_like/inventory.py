"""What there is: workloads, faults of real clusters, mutants; and what of it cannot be had on this machine, and why."""

from __future__ import annotations

from typing import Any

from jepsen_like.nemesis.registry import FAULTS, GROUPS
from jepsen_like.sim import mutation
from jepsen_like.workload.catalog import VALID, WORKLOADS


def everything() -> dict[str, Any]:
    """All of it, as data."""
    return {
        "workloads": _workloads(),
        "faults": _faults(),
        "fault_groups": {name: list(names) for name, names in GROUPS.items()},
        **_mutants(),
    }


def _workloads() -> list[dict[str, Any]]:
    return [{"name": one.name, "about": one.about, "expected": one.expected} for one in WORKLOADS]


def _faults() -> list[dict[str, Any]]:
    return [{"name": name, "row": fault.row, "verified_by": fault.verified_by} for name, fault in FAULTS.items()]


def _mutants() -> dict[str, Any]:
    try:
        folder = mutation.directory()
    except mutation.MutantsMissingError as exc:
        return {"mutants": [], "mutants_unavailable": str(exc)}
    found = [mutation.load(folder, name) for name in mutation.names(folder)]
    return {"mutants": [{"name": one.name, "rule": one.rule, "level": one.level.value} for one in found]}


def text() -> str:
    """For people."""
    all_of_it = everything()
    lines = ["Workloads (run --workload NAME)"]
    for one in all_of_it["workloads"]:
        tail = "" if one["expected"] == VALID else f" [expected: {one['expected']}]"
        lines.append(f"  {one['name']:<15} {one['about']}{tail}")
    lines.append("\nFaults (run --nemesis NAME,...)")
    lines += [f"  {one['name']:<22} row {one['row']:>2}, verified by {one['verified_by']}" for one in all_of_it["faults"]]
    lines += [f"  {name:<22} {', '.join(names)}" for name, names in all_of_it["fault_groups"].items()]
    lines.append("  pause                  the only one with --endpoints, of members on this machine")
    lines.append("\nMutants (sim --mutant NAME)")
    lines += [f"  {one['name']:<48} {one['level']:<18} {one['rule']}" for one in all_of_it["mutants"]]
    if "mutants_unavailable" in all_of_it:
        lines.append(f"  not available: {all_of_it['mutants_unavailable']}")
    return "\n".join(lines)
