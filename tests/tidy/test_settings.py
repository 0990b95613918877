"""Settings explain themselves: each field carries its meaning, unit and range where it stands."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.source import Source, dotted, report, sources

SUFFIX = "Settings"
"""Every frozen dataclass whose name ends so is one component's configuration."""


def undocumented_fields(source: Source) -> list[str]:
    """Fields of settings classes that no docstring follows."""
    faults = []
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and node.name.endswith(SUFFIX):
            following = [*node.body[1:], None]
            for item, after in zip(node.body, following, strict=True):
                explained = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
                if isinstance(item, ast.AnnAssign) and not explained:
                    faults.append(f"{source.where(item)}: {node.name}.{dotted(item.target)} has no docstring")
    return faults


def unfrozen_settings(source: Source) -> list[str]:
    """Settings classes that could be changed after they were validated."""
    classes = (node for node in source.nodes if isinstance(node, ast.ClassDef) and node.name.endswith(SUFFIX))
    return [
        f"{source.where(node)}: {node.name} is not a frozen dataclass"
        for node in classes
        if not any("frozen=True" in ast.unparse(mark) for mark in node.decorator_list)
    ]


@pytest.mark.parametrize("check", [undocumented_fields, unfrozen_settings], ids=lambda check: check.__name__)
def test_settings_of_the_tree_are_frozen_and_explained(check):
    """One frozen dataclass per component, every field documented."""
    faults = [fault for source in sources("raftkv", "resource_api") for fault in check(source)]
    assert not faults, report(faults)


def test_settings_checks_find_what_they_are_for():
    """The checkers themselves."""
    text = 'class XSettings:\n    """Doc."""\n    a: int = 1\n    """Explained."""\n    b: int = 2\n'
    source = Source("raftkv/x.py", text)
    assert len(undocumented_fields(source)) == 1
    assert len(unfrozen_settings(source)) == 1
