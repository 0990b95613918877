"""The names and signatures users may rely on, frozen in public_names.txt; `make golden` rewrites it."""

from __future__ import annotations

import importlib
import inspect
import os
import pathlib
import re
import types

import pytest

GOLDEN = pathlib.Path(__file__).with_name("public_names.txt")

PUBLIC_MODULES = ("raftkv", "raftkv.client", "raftkv.errors", "resource_api")


def public_names(module: types.ModuleType) -> list[str]:
    """What `__all__` lists, or where there is none, what the module itself defines without an underscore."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return sorted(
        name for name, value in vars(module).items() if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def signature(value: object) -> str:
    """The parameters, as written; nothing for what cannot be called."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return ""
    try:
        shown = str(inspect.signature(value)) if callable(value) else ""
    except (TypeError, ValueError):
        return "(...)"
    # Newer interpreters show postponed annotations without quotes.
    shown = re.sub(r"ForwardRef\(('[^']*')\)", r"\1", shown)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", shown)


def describe(module: types.ModuleType) -> list[str]:
    """One line for each public name; of a class also its public methods."""
    lines = []
    for name in public_names(module):
        value = getattr(module, name)
        if isinstance(value, type) and issubclass(value, BaseException):
            lines.append(f"{module.__name__}.{name}({', '.join(base.__name__ for base in value.__bases__)})")
            continue
        lines.append(f"{module.__name__}.{name}{signature(value)}")
        if isinstance(value, type):
            members = sorted(member for member in vars(value) if not member.startswith("_"))
            lines += [f"{module.__name__}.{name}.{member}{signature(inspect.getattr_static(value, member))}" for member in members]
    return lines


def test_public_names_are_those_of_the_golden_file():
    """A public name or parameter disappears or changes only by intent, with the golden file in the same commit."""
    text = "".join(line + "\n" for module in PUBLIC_MODULES for line in describe(importlib.import_module(module)))
    if os.environ.get("RAFTKV_GOLDEN") == "rewrite":
        GOLDEN.write_text(text, encoding="utf-8")
    if not GOLDEN.exists():
        pytest.fail(f"{GOLDEN.name} is missing; `make golden` writes it")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_every_listed_name_exists():
    """`__all__` names nothing that is not there."""
    for module in map(importlib.import_module, PUBLIC_MODULES):
        missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
        assert not missing, f"{module.__name__}: {missing}"
