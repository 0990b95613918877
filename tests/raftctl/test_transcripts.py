"""raftctl prints what the reviewed transcripts say, and what etcdctl prints where that is installed."""

from __future__ import annotations

import pytest

from tests.client.servers import etcd_unavailable, running
from tests.raftctl.record import FOLDER, answer, ask_raftctl, names_of
from tests.raftctl.run import run_outside
from tests.raftctl.transcript import Case, join, parse

NAMES = ["kv", "cluster", "watch", "membership"]

NOT_YET = {("raftkv", "membership")}
"""Servers that cannot do what a transcript is about, so far: they answer each change with one refusal."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_raftctl_prints_what_the_transcript_says(name, fresh_server):
    """Output, errors and exit status of every command are part of the contract with scripts."""
    if (fresh_server.kind, name) in NOT_YET:
        pytest.skip("the server does not change its membership yet")
    cases = parse((FOLDER / f"{name}.txt").read_text())
    names = names_of(fresh_server)
    answers = [answer(case, ask_raftctl(case, names, fresh_server), names) for case in cases]
    assert join(answers).splitlines() == join(cases).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_etcdctl_prints_what_the_transcript_says_but_for_the_noted_differences(name, tmp_path):
    """The transcripts are etcdctl's own answers; a difference that is noted must exist, or the note is stale."""
    if why := etcd_unavailable():
        pytest.skip(why)
    cases = parse((FOLDER / f"{name}.txt").read_text())
    faults = []
    with running("etcd", tmp_path) as server:
        names = names_of(server)
        for case in cases:
            if case.difference and _changes_state(case):
                ask_raftctl(case, names, server)  # etcdctl would leave another state behind
                continue
            result = run_outside(["etcdctl"], case, names, server, expected=names.insert(case.stdout))
            got = answer(case, result, names)
            if (got == case) is bool(case.difference):
                faults.append(("same as etcdctl, though noted as different:\n" if case.difference else "") + got.text())
    assert not faults, "\n".join(faults)


def _changes_state(case: Case) -> bool:
    return case.words[0] in ("put", "del", "txn", "lease", "defrag", "compaction")
