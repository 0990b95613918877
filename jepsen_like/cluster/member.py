"""One member of a cluster under test: where it lives, and its process while it runs.

Knows of a member what its process, its exit status and its log say; what its flags are is the system's (`systems`), where
its addresses are is the network's (`networks`).
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOG_LINES_SHOWN = 15
LOG_LINE_CHARS_SHOWN = 400

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
"""Where the packages lie, of a checkout or among installed ones; a member runs the same as this process."""

DIE_WITH_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Has the kernel end the process when this one dies without a clean-up, then becomes the member. Not done between fork and
exec: there other libraries' fork handlers run too, and gRPC's aborts a child of a process in which it has threads.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A member's addresses, each `host:port`."""

    listen_clients: tuple[str, ...]
    listen_peers: str
    clients: str
    """Where the run's clients reach it: faults between clients and members act here."""

    peers: str
    """Where members reach it."""

    admin: str
    """Where the harness reaches it, whatever is done to the network."""

    failpoints: str
    """Where its failpoints are switched, when they are."""


class MemberProcess:
    """One member. Invariant: at most one process at a time."""

    def __init__(self, name: str, folder: pathlib.Path, place: Place) -> None:
        self.name = name
        # NB: absolute, since its process does not work where this one does.
        self.folder = folder = folder.absolute()
        self.data = folder / "data"
        self.trace = folder / "trace"
        """What a power cut would take, where its files are traced; of no use to other data."""

        self.log = folder / "log"
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None
        self.starts_total = 0
        self.joins = ""
        """The members of a running cluster that was told to expect it at its next start, itself among them, as its flag names them."""

        folder.mkdir(parents=True, exist_ok=True)

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return self.place.clients

    @property
    def peer_url(self) -> str:
        """Where members reach it."""
        return f"http://{self.place.peers}"

    @property
    def pid(self) -> int:
        """Of its latest process; 0 before the first."""
        return self.process.pid if self.process is not None else 0

    @property
    def running(self) -> bool:
        """True while there is a process that has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def status(self) -> int | None:
        """What the last process ended with, as a shell says it: 128 + n for signal n. None while it runs."""
        assert self.process is not None, "never started"
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def state(self) -> str:
        """The kernel's letter for its main thread: R, S, D, T (stopped), Z; empty when there is no process."""
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] if self.running else ""
        except OSError:
            return ""

    @property
    def paused(self) -> bool:
        """Stopped by a signal."""
        return self.state == "T"

    @property
    def cpu_ticks(self) -> int:
        """Processor time used by its latest process, in clock ticks of the kernel."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    @property
    def bad_checksums(self) -> int:
        """TCP segments its host's kernel threw away because their checksum was wrong."""
        names, values = [
            line.split() for line in pathlib.Path(f"/proc/{self.pid}/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
        ]
        return int(values[names.index("InCsumErrors")])

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts a process; returns before it serves. It dies with this one."""
        assert not self.running, f"{self.name} runs"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-ISc", DIE_WITH_PARENT, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # What it is told by a relative path, or writes unasked, belongs to it alone.
                cwd=self.folder,
                env=dict(environment),
                # A group of its own: Ctrl-C is for the run, which asks the members once more before it ends them.
                process_group=0,
            )
        self.starts_total += 1

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to its process, if one runs."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9; it has ended when this returns. Of one that does not run: nothing."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def wipe(self) -> None:
        """Its disk is lost."""
        assert not self.running
        for folder in (self.data, self.trace):
            for entry in folder.iterdir() if folder.exists() else ():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def log_text(self, start: int = 0) -> str:
        """What it wrote from an offset in bytes on, over all its starts."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def log_size(self) -> int:
        """Bytes it ever wrote."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self) -> str:
        """The end of its log, for people."""
        return "\n".join(f"    {line[:LOG_LINE_CHARS_SHOWN]}" for line in self.log_text().splitlines()[-LOG_LINES_SHOWN:])

    def describe(self) -> str:
        """For people."""
        state = "never started"
        if self.process is not None:
            state = f"runs ({self.state})" if self.running else f"ended with {self.status}"
        return f"  {self.name}: {state}, started {self.starts_total} times, log {self.log}:\n{self.log_tail()}"


def clean_environment() -> dict[str, str]:
    """This process's, without settings that would reach members, and with the way to its packages, wherever it works."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ETCD_", "RAFTKV_"))}
    paths = [str(ROOT), *(os.path.abspath(one) for one in kept.get("PYTHONPATH", "").split(os.pathsep) if one)]
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
