"""Why a server cannot start, as its operator needs it: the cause and what to do, on one line. Faults of ours have no such line.

Pure; `__main__` asks. What can be mended by flags, files and the surroundings is listed here; everything else is ours and keeps its
traceback.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import ssl

from raftkv.errors import RaftKVError
from resource_api.config import ApiConfig, ConfigError
from resource_api.errors import StatusError
from resource_api.registry.store import StoreError
from resource_api.security.files import FileContentError
from resource_api.server import ListenError

STORE_CODES = (429, 500, 503, 504)
"""What requests are refused with when the store does not answer: those of the start are requests too."""


def explain(error: BaseException, config: ApiConfig) -> str:
    """Cause and advice; empty when any part of it is a fault of ours."""
    if isinstance(error, BaseExceptionGroup):
        found = [explain(one, config) for one in error.exceptions]
        return found[0] if all(found) else ""
    text = _explained(error, config)
    return " ".join(text.split())


def _explained(error: BaseException, config: ApiConfig) -> str:
    match error:
        case ListenError():
            return f"{error.strerror}; {_for_address(error.errno)}"
        case FileContentError():
            return (
                str(error)
                if error.has_advice
                else f"{error}; mend the file, or name another with {_flags(str(error), config) or '--cert-dir'}"
            )
        case StoreError():
            return _store(str(error), config)
        case StatusError() if error.code in STORE_CODES:
            return _store(error.message, config)
        case ConfigError() | RaftKVError():
            flags = _flags(str(error), config)
            return f"{error}; check {flags}" if flags else str(error)
        case ssl.SSLError():
            return f"a certificate or key file cannot be used: {error}; check the files that flags name"
        case OSError():
            return _for_file(error, config)
    return ""


def _for_address(number: int | None) -> str:
    if number == errno.EADDRINUSE:
        return "end what listens there, or give another port with --secure-port or --insecure-port (0 takes a free one)"
    if number in (errno.EACCES, errno.EPERM):
        return "give a port above 1023 with --secure-port or --insecure-port"
    return "--bind-address must be an address of this machine"


def _store(text: str, config: ApiConfig) -> str:
    if config.embedded:
        return f"the store does not answer: {text}; look at the folder of --embedded, {config.embedded}"
    return f"the store does not answer: {text}; check that it runs and is reached at --etcd-servers={','.join(config.etcd_servers)}"


def _for_file(error: OSError, config: ApiConfig) -> str:
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    reason = error.strerror or str(error)
    if not name:
        return f"{reason}; the disk or the network has refused what a start needs"
    flags = _flags(name, config)
    return f"{name}: {reason}; check that it exists and may be used by this user" + (f", or change {flags}" if flags else "")


def _flags(text: str, config: ApiConfig) -> str:
    """The flag whose value the text names, or names a part of; the longest of them."""
    found: list[tuple[int, str]] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str) and "/" in one and (one.rstrip("/") in text or one.startswith(f"{text}/")):
                found.append((len(one), "--" + field.name.replace("_", "-")))
    return max(found)[1] if found else ""
