"""What a client of the tests does, as a process of its own: any two Python etcd clients collide in one.

A session is a module that is run with an endpoint and a key prefix. It does each subject of `SUBJECTS` and says so in a line
of its output; an assertion that fails ends it with a status that is not 0.
"""

from __future__ import annotations

import os
import subprocess
import sys

from jepsen_like.cluster.member import ROOT

SUBJECTS = ("put", "get", "delete", "txn", "watch", "lease", "compaction", "status")

SESSION_S_MAX = 60
"""A session takes a second or two."""


def run_session(name: str, endpoint: str) -> None:
    """Runs a session; raises AssertionError with all it said when a subject is missing."""
    command = [sys.executable, "-m", f"tests.clients.sessions.{name}", endpoint, f"{name}/{endpoint}/"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SESSION_S_MAX, check=False)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert tuple(done.stdout.split()) == SUBJECTS, said


def perform(session: object) -> None:
    """Has the session do every subject, by its methods of those names; says each that is through."""
    for subject in SUBJECTS:
        getattr(session, subject)()
        print(subject, flush=True)


async def perform_async(session: object) -> None:
    """The same of a session whose methods are coroutines."""
    for subject in SUBJECTS:
        await getattr(session, subject)()
        print(subject, flush=True)


def arguments() -> tuple[str, int, bytes]:
    """Host, port and key prefix of a session."""
    host, port = sys.argv[1].rsplit(":", 1)
    return host, int(port), sys.argv[2].encode()
