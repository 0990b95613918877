"""Trials of mutants: child processes under time limits, and what they found, kept on disk so that a run can be gone on with.

A trial is one mutant at one level from one first seed on, until a seed notices it. A seed that fails without the mutant too
proves nothing and stops everything: it is a defect of the product or of the harness, and is to be mended first.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import selectors
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

from jepsen_like.sim.mutation import Mutant, mutated, source_path
from tests.mutants.children import NONE, tests_for

ROOT = pathlib.Path(__file__).resolve().parents[2]

SEED_TIMEOUT_S = {"core": 60.0, "server": 240.0, "unit": 300.0}
"""A seed, or all tests of a mutant, that take longer hang, which counts as noticed."""

SEEDS = {"core": 200, "server": 200, "unit": 1}
"""Seeds tried in one trial before the mutant counts as unnoticed at that level."""

BASE_STEP = 10_000
"""Between the first seeds of two trials."""


@functools.cache
def sources_digest() -> str:
    """Names the product and the harness as they are: what was sound yesterday need not be today."""
    digest = hashlib.blake2s(digest_size=6)
    for package in ("raftkv", "jepsen_like"):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class BrokenBaselineError(Exception):
    """A seed fails without any mutant."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One outcome. `seeds` counts up to and with the one that noticed; 0 when none of those tried did."""

    first: int
    seeds: int
    tried: int
    what: str
    wall_s: float


@dataclass(slots=True)
class Record:
    """All trials of one mutant by level. `unloaded` levels never use its module."""

    fingerprint: str
    trials: dict[str, list[Trial]] = field(default_factory=dict)
    unloaded: list[str] = field(default_factory=list)

    def killed_by(self) -> tuple[str, list[Trial]] | None:
        """The cheapest level at which more than half of the trials noticed the mutant; None when there is none."""
        for level in SEEDS:
            trials = self.trials.get(level, [])
            if trials and sum(trial.seeds > 0 for trial in trials) * 2 > len(trials):
                return level, trials
        return None


class Records:
    """Outcomes in a folder, a file a mutant. A mutant or a module that changed since begins anew."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, mutant: Mutant) -> Record:
        """What is known of a mutant."""
        fingerprint = self._fingerprint(mutant)
        path = self._folder / f"{mutant.name}.json"
        if path.exists():
            stored = json.loads(path.read_text())
            if stored["fingerprint"] == fingerprint:
                trials = {level: [Trial(**trial) for trial in trials] for level, trials in stored["trials"].items()}
                return Record(fingerprint, trials, stored["unloaded"])
        return Record(fingerprint)

    def write(self, mutant: Mutant, record: Record) -> None:
        """Keeps it; whole or not at all."""
        path = self._folder / f"{mutant.name}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(asdict(record)))
        temporary.rename(path)

    def sound(self, level: str) -> set[str]:
        """Seeds, or tests, known to find nothing in the product and the harness as they are now."""
        path = self._folder / f"sound-{level}-{sources_digest()}.json"
        return set(json.loads(path.read_text())) if path.exists() else set()

    def add_sound(self, level: str, what: str) -> None:
        """It found nothing in the unchanged product."""
        path = self._folder / f"sound-{level}-{sources_digest()}.json"
        path.write_text(json.dumps(sorted({*self.sound(level), what})))

    @staticmethod
    def _fingerprint(mutant: Mutant) -> str:
        with open(source_path(mutant.module), encoding="utf-8") as file:
            return hashlib.blake2s(mutated(mutant, file.read()).encode()).hexdigest()


def try_level(mutant: Mutant, level: str, record: Record, records: Records, *, bases: int, count: int) -> None:
    """Makes the trials of a level that are still missing. Raises BrokenBaselineError."""
    trials = record.trials.setdefault(level, [])
    for base in range(len(trials), 1 if level == "unit" else bases):
        if sum(not trial.seeds for trial in trials) * 2 > bases:
            # Whatever the others say, this level does not notice it.
            break
        first = base * BASE_STEP + 1
        trial = _trial(mutant, level, first, count)
        if trial is None:
            del record.trials[level]
            record.unloaded.append(level)
            records.write(mutant, record)
            return
        if trial.seeds:
            _prove_sound(mutant, level, first + trial.seeds - 1, records)
        trials.append(trial)
        records.write(mutant, record)


def _trial(mutant: Mutant, level: str, first: int, count: int) -> Trial | None:
    """None when the level never uses the mutant's module."""
    started_s = time.monotonic()
    tried, what = 0, ""
    for found in _child(mutant.name, level, first, first + count - 1):
        if found.get("unloaded"):
            return None
        tried += 1
        what = str(found["what"])
    return Trial(first, tried if what else 0, tried, what, round(time.monotonic() - started_s, 1))


def _prove_sound(mutant: Mutant, level: str, seed: int, records: Records) -> None:
    what = " ".join(tests_for(mutant)) if level == "unit" else str(seed)
    if what in records.sound(level):
        return
    (found,) = _child(NONE, level, seed, seed, like=mutant.name)
    if found["what"]:
        raise BrokenBaselineError(f"{level} {what} fails without any mutant: {found['what']}")
    records.add_sound(level, what)


def _child(name: str, level: str, first: int, last: int, like: str = "") -> list[dict[str, object]]:
    """The lines of one child; of one that hangs or dies, with a last one that says so."""
    command = [sys.executable, "-m", "tests.mutants", "--child", name, level, str(first), str(last), like]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    found: list[dict[str, object]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stderr is not None
        problem = ""
        text = errors = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(SEED_TIMEOUT_S[level])
                if not ready:
                    problem = f"hangs for {SEED_TIMEOUT_S[level]:.0f} s"
                    process.kill()
                    break
                for key, _ in ready:
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        text += chunk
                    else:
                        errors += chunk
        status = process.wait()
    for line in text.decode(errors="replace").splitlines():
        if line.startswith("{"):
            found.append(json.loads(line))
    if not problem and status:
        last_line = errors.decode(errors="replace").strip().rpartition("\n")[2]
        problem = f"ends with status {status}: {last_line[:200]}"
        if name == NONE or not found and status > 0:
            # Not one seed was run: that is no finding.
            raise RuntimeError(f"{name} at level {level}: the run itself failed: {errors.decode(errors='replace')[-2000:]}")
    if problem:
        found.append({"seed": first + len(found), "what": problem})
    return found
