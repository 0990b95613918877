"""Writes the transcripts anew: `python -m tests.raftctl.record NAME…`; the diff is then reviewed like code.

What etcdctl prints is recorded, except for cases with an `@ ` line: there raftctl follows later versions or is better on purpose,
and its own answer is recorded.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

from tests.client.servers import Server, running
from tests.raftctl.run import raftctl_command, run_inside, run_outside
from tests.raftctl.transcript import Case, Names, join, parse

FOLDER = pathlib.Path(__file__).with_name("golden")


def names_of(server: Server) -> Names:
    """What stands for what at a server."""
    import contextlib
    import io
    import json

    from raftctl.main import run

    out = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(out):
        assert run([f"--endpoints={server.endpoint}", "-w", "json", "endpoint", "status"]) == 0
    out.seek(0)
    header = json.loads(out.read())[0]["Status"]["header"]
    return Names(server.endpoint, server.peer_url, header["cluster_id"], header["member_id"])


def ask_raftctl(case: Case, names: Names, server: Server) -> tuple[str, str, int]:
    """raftctl's answer."""
    if case.endless or "--" in case.words:
        return run_outside(raftctl_command(), case, names, server, expected=names.insert(case.stdout))
    return run_inside(case, names, server)


def answer(case: Case, result: tuple[str, str, int], names: Names) -> Case:
    """The case with another result."""
    stdout, stderr, status = result
    return Case(
        case.words,
        case.line,
        case.endless,
        case.environment,
        case.stdin,
        names.remove(stdout),
        names.remove(stderr),
        status,
        case.difference,
        case.heading,
    )


def main(wanted: list[str]) -> None:
    """Records the named transcripts."""
    for name in wanted:
        path = FOLDER / f"{name}.txt"
        cases = parse(path.read_text())
        with tempfile.TemporaryDirectory() as folder, running("etcd", pathlib.Path(folder)) as server:
            names = names_of(server)
            recorded = []
            for case in cases:
                if case.difference:
                    if case.endless:
                        result = run_outside(raftctl_command(), case, names, server)
                    else:
                        result = ask_raftctl(case, names, server)
                else:
                    result = run_outside(["etcdctl"], case, names, server)
                recorded.append(answer(case, result, names))
        path.write_text(join(recorded))
        subprocess.run(["git", "--no-pager", "diff", "--stat", "--", str(path)], check=False)


if __name__ == "__main__":
    main(sys.argv[1:])
