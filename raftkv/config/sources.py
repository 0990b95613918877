"""Where settings come from: the command line with the environment, or a file alone. Merges them into one text per flag.

Reads the environment it is handed and the one file it is told of. Source: etcd's pkg/flags (SetFlagsFromEnv) and
server/etcdmain (configFromFile).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raftkv.config import values
from raftkv.config.command_line import Arguments, value_fault
from raftkv.config.flag_table import FLAGS
from raftkv.config.flags import Flag, Kind

PREFIXES = ("RAFTKV", "ETCD")
"""Prefixes of environment variables; the first one that is set wins."""

NOT_FLAGS = ("ETCD_UNSUPPORTED_ARCH", "ETCD_VERSION", "RAFTKV_GOLDEN", "RAFTKV_FAILPOINTS", "RAFTKV_FAILPOINTS_HTTP")
"""Variables with these prefixes that are read elsewhere."""

CONFLICT = (
    "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag)"
)

TLS_SECTIONS = ("client-transport-security", "peer-transport-security")
MILLISECONDS = ("heartbeat-interval", "election-timeout")


@dataclass(frozen=True, slots=True)
class Notice:
    """A log record that waits until logging is set up."""

    level: int
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Chosen:
    """One text per flag that was set, by current names."""

    texts: dict[str, str] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    conflict: str = ""
    """A variable whose flag is set too; etcd ends there, before anything else is looked at."""

    def is_set(self, name: str) -> bool:
        """Whether the user said anything about the flag."""
        return name in self.texts

    def value(self, name: str) -> Any:
        """The typed value, the default when the flag was not set. The text was checked when it was read."""
        flag = FLAGS[name]
        return flag.parse(self.texts.get(name, flag.default))


def variable(prefix: str, name: str) -> str:
    """The environment variable of a flag."""
    return f"{prefix}_{name.upper().replace('-', '_')}"


def config_file_path(arguments: Arguments, environ: Mapping[str, str]) -> str:
    """The file to read instead of flags and environment, or the empty text."""
    named = (environ.get(variable(prefix, "config-file"), "") for prefix in PREFIXES)
    return arguments.config_file or next(filter(None, named), "")


def from_command_line(arguments: Arguments, environ: Mapping[str, str]) -> Chosen:
    """Flags, and the environment for flags that were not given."""
    chosen = Chosen()
    for name, text in arguments.texts.items():
        chosen.texts[_current(chosen, name)] = text
    used = {variable(prefix, "config-file") for prefix in PREFIXES}
    for flag in FLAGS.values():
        _from_variables(chosen, flag, arguments.texts, environ, used)
    for key in sorted(environ):
        if key.startswith(tuple(f"{prefix}_" for prefix in PREFIXES)) and key not in used and key not in NOT_FLAGS:
            chosen.notices.append(
                Notice(logging.WARNING, "unrecognized environment variable", {"environment-variable": f"{key}={environ[key]}"})
            )
    return chosen


def _from_variables(chosen: Chosen, flag: Flag, given: Mapping[str, str], environ: Mapping[str, str], used: set[str]) -> None:
    for prefix in reversed(PREFIXES):
        key = variable(prefix, flag.name)
        text = environ.get(key, "")
        if key in environ:
            used.add(key)
        if not text:
            continue
        if flag.name in given:
            chosen.conflict = chosen.conflict or key
            continue
        fault = value_fault(flag, text, key)
        if fault:
            chosen.faults.append(fault)
            continue
        chosen.texts[_current(chosen, flag.name)] = text
        shown = "*" if "password" in flag.name else text
        chosen.notices.append(
            Notice(logging.INFO, "recognized and used environment variable", {"variable-name": key, "variable-value": shown})
        )


def _current(chosen: Chosen, name: str) -> str:
    current = FLAGS[name].current
    if current:
        message = f"--{name} is deprecated, use --{current}"
        chosen.notices.append(Notice(logging.WARNING, message))
    return current or name


def from_file(path: str) -> Chosen:
    """The file alone. Keys are flag names; durations are nanoseconds or Go's text. Raises OSError when it cannot be read."""
    chosen = Chosen()
    with open(path, encoding="utf-8") as file:
        content = file.read()
    try:
        document = _document(path, content)
    except ValueError as exc:
        chosen.faults.append(str(exc))
        return chosen
    chosen.notices.append(
        Notice(
            logging.INFO,
            "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided",
            {"path": path},
        )
    )
    for key, value in document.items():
        _from_entry(chosen, str(key), value)
    return chosen


def _document(path: str, content: str) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        document = _yaml_document(path, content)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ValueError(f"error parsing {path}: the file must be one mapping of flag names to values")
    return document


def _yaml_document(path: str, content: str) -> object:
    try:
        import yaml
    except ImportError:
        raise ValueError(f"error parsing {path}: it is not JSON, and reading YAML needs a package: pip install PyYAML") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as exc:
        raise ValueError(f"error parsing {path}: {exc}") from exc


def _from_entry(chosen: Chosen, key: str, value: object) -> None:
    if key in TLS_SECTIONS:
        for inner, text in (value if isinstance(value, dict) else {}).items():
            _from_entry(chosen, _section_flag(key, str(inner)), text)
        return
    flag = FLAGS.get(key)
    if flag is None:
        chosen.notices.append(Notice(logging.WARNING, "unrecognized key in the configuration file", {"key": key}))
        return
    text = _entry_text(flag, value)
    fault = value_fault(flag, text, key)
    if fault:
        chosen.faults.append(fault)
    else:
        chosen.texts[_current(chosen, key)] = text


def _section_flag(section: str, inner: str) -> str:
    name = {"allowed-cn": "cert-allowed-cn", "allowed-hostname": "cert-allowed-hostname", "crl-file": "crl-file"}.get(inner, inner)
    if section.startswith("peer"):
        return f"peer-{name}"
    return f"client-{name}" if name in ("cert-allowed-hostname", "crl-file") else name


def _entry_text(flag: Flag, value: object) -> str:
    if value is None:
        return flag.default
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={_entry_text(flag, part)}" for name, part in value.items())
    if isinstance(value, int) and flag.kind is Kind.DURATION:
        return values.format_duration(value) if value % 10**6 == 0 else f"{value}ns"
    return str(value)
