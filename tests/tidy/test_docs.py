"""The documents tell the truth where a program can tell: links, flags and commands they name exist."""

from __future__ import annotations

import re

import pytest

from raftkv.config.flag_table import FLAGS
from resource_api.config import FLAGS as API_FLAGS
from tests.tidy.source import ROOT, report

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

OTHER_FLAGS = {
    "members",
    "data-dir",
    "base-port",
    "config-file",
    "kubernetes",
    "help",
    "version",
    "endpoints",
    "prefix",
    "consistency",
    "discovery*",
    "learner",
    "peer-urls",
    "raw",
}
"""Flags of `raftkv up`, of raftctl, of kubectl and of the command itself."""

OTHERS_FLAG = re.compile(r"auto-compaction-\*|initial-\*")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_documents_lead_somewhere(path):
    """A reader never meets a missing page."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing, report(missing)


def test_flags_in_operations_exist():
    """The handbook names no flag that the server refuses as unknown."""
    text = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*\*?)", text))
    known = {*FLAGS, *API_FLAGS, *OTHER_FLAGS}
    unknown = sorted(name for name in named if name not in known and not OTHERS_FLAG.fullmatch(name))
    assert not unknown, report(unknown)


def test_make_targets_in_documents_exist():
    """Every `make x` a document shows is a target."""
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {word for path in DOCUMENTS for word in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(encoding="utf-8"), re.M)}
    assert named <= targets, report(sorted(named - targets))


def test_continuous_integration_runs_the_readmes_command():
    """What a newcomer types and what is checked are one thing."""
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
