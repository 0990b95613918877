"""From arguments and environment to frozen settings, or to the reason why there is no start.

The order is etcd's: syntax (exit 2), help and version (exit 0), a stray argument, a flag and its variable both set, then the
checks (all exit 1), so that the first line a script or a person sees is the one etcd would have written.
"""

from __future__ import annotations

import logging
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import raftkv
from raftkv.config import values
from raftkv.config.command_line import Arguments, read_arguments
from raftkv.config.flag_table import FLAGS
from raftkv.config.flags import GATES, Use
from raftkv.config.help_text import FLAGS_TEXT, USAGE_TEXT
from raftkv.config.sources import CONFLICT, Chosen, Notice, config_file_path, from_command_line, from_file
from raftkv.config.validation import flag_faults, unknown_level
from raftkv.logs import LogSettings
from raftkv.server.settings import MemberSettings

QUOTA_BYTES_ADVISED_MAX = 8 * 1024**3
REQUEST_BYTES_ADVISED_MAX = 10 * 1024**2
BATCH_INTERVAL_MS = 100
BATCH_LIMIT = 10_000
COMPACTION_SLEEP_MS = 10

DEFAULT_PEER_URLS = ("http://localhost:2380",)
VERIFY_FAILED = "failed to verify flags"


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything a process needs to become a member."""

    member: MemberSettings
    logs: LogSettings
    notices: tuple[Notice, ...]
    """To be logged once logging is set up."""


@dataclass(slots=True, eq=False)
class Stop(Exception):
    """There is nothing to start. Written as: `stdout`, then `stderr`, then the notices as log records; then the exit status."""

    status: int
    stdout: str = ""
    stderr: str = ""
    notices: list[Notice] = field(default_factory=list)


def read_launch(arguments: Sequence[str], environ: Mapping[str, str], *, default_host: Callable[[], str] | None = None) -> Launch:
    """Raises Stop when the arguments ask for help or version, or when a member cannot be started with them.

    `default_host` finds the address other machines reach this one at; asked only when the member listens on all of them.
    """
    said = read_arguments(arguments)
    _stop_for_syntax(said)
    path = config_file_path(said, environ)
    try:
        chosen = from_file(path) if path else from_command_line(said, environ)
    except OSError as exc:
        raise _refusal([f"open {path}: {(exc.strerror or str(exc)).lower()}"], []) from exc
    if chosen.conflict:
        raise Stop(1, notices=[*chosen.notices, Notice(logging.CRITICAL, CONFLICT, {"environment-variable": chosen.conflict})])
    if unknown_level(chosen):
        raise Stop(2, stderr=f"panic: {unknown_level(chosen)}\n")
    faults = chosen.faults or flag_faults(chosen)
    initial_cluster: tuple[tuple[str, str], ...] = ()
    advertised = _advertised_peer_urls(chosen, default_host or address_of_default_route)
    try:
        initial_cluster = _initial_cluster(chosen, advertised)
    except ValueError as exc:
        faults.append(f"error setting up initial cluster: {exc}")
    if faults:
        raise _refusal(faults, chosen.notices)
    notices = (*chosen.notices, *_warnings(chosen))
    return Launch(_member_settings(chosen, advertised, initial_cluster), _log_settings(chosen), notices)


def _stop_for_syntax(said: Arguments) -> None:
    if said.faults:
        raise Stop(2, stderr="".join(fault + "\n" for fault in said.faults) + USAGE_TEXT)
    if said.wants_help:
        raise Stop(0, stdout=FLAGS_TEXT, stderr=USAGE_TEXT)
    if said.stray is not None:
        raise _refusal([f"'{said.stray}' is not a valid flag"], [])
    if said.wants_version:
        raise Stop(0, stdout=version_text())


def _refusal(faults: Sequence[str], notices: Sequence[Notice]) -> Stop:
    return Stop(1, notices=[*notices, *(Notice(logging.WARNING, VERIFY_FAILED, {"error": fault}) for fault in faults)])


def version_text() -> str:
    """The four lines `etcd --version` prints; scripts read the first, ours stands in the second."""
    return (
        f"etcd Version: {raftkv.ETCD_VERSION}\n"
        f"Git SHA: raftkv-{raftkv.__version__}\n"
        f"Go Version: none ({platform.python_implementation()} {platform.python_version()})\n"
        f"Go OS/Arch: {platform.system().lower()}/{_architecture()}\n"
    )


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def address_of_default_route() -> str:
    """The address this machine would use towards the world; empty when there is no route. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _advertised_peer_urls(chosen: Chosen, default_host: Callable[[], str]) -> tuple[str, ...]:
    advertised: tuple[str, ...] = chosen.value("initial-advertise-peer-urls")
    listening: tuple[str, ...] = chosen.value("listen-peer-urls")
    host, port = values.url_host_port(listening[0]) if listening else ("", "")
    if advertised == DEFAULT_PEER_URLS and host == "0.0.0.0":
        address = default_host()
        if address:
            return (f"{advertised[0].partition('://')[0]}://{address}:{port}",)
    return advertised


def _initial_cluster(chosen: Chosen, advertised: Sequence[str]) -> tuple[tuple[str, str], ...]:
    default = FLAGS["initial-cluster"].default
    text = chosen.value("initial-cluster")
    if text == default and (chosen.value("name") != "default" or tuple(advertised) != DEFAULT_PEER_URLS):
        # `--name abc` alone is enough for a cluster of one.
        return tuple((chosen.value("name"), url) for url in advertised)
    return values.parse_pairs(text)


def _milliseconds(nanoseconds: int, default: int = 0) -> int:
    # Rounded up, so that a wish for less than a millisecond is not read as "the default".
    return -(-nanoseconds // 10**6) or default


def _retention(mode: str, text: str) -> float:
    """Seconds for a period, where a bare number counts hours, or a number of revisions; 0 for none, as for anything below it in etcd."""
    if text.isdecimal():
        return float(text) * (3600 if mode == "periodic" else 1)
    return max(0.0, values.parse_duration_ns(text) / 10**9) if text else 0.0


def _member_settings(chosen: Chosen, advertised: tuple[str, ...], initial_cluster: tuple[tuple[str, str], ...]) -> MemberSettings:
    get = chosen.value
    mode, retention = get("auto-compaction-mode"), _retention(get("auto-compaction-mode"), get("auto-compaction-retention"))
    return MemberSettings(
        name=get("name"),
        data_dir=get("data-dir") or f"{get('name')}.etcd",
        wal_dir=get("wal-dir"),
        initial_cluster=initial_cluster,
        initial_cluster_state=get("initial-cluster-state"),
        initial_cluster_token=get("initial-cluster-token"),
        initial_advertise_peer_urls=advertised,
        advertise_client_urls=get("advertise-client-urls"),
        listen_peer_urls=get("listen-peer-urls"),
        listen_client_urls=get("listen-client-urls"),
        listen_metrics_urls=get("listen-metrics-urls"),
        heartbeat_interval_ms=get("heartbeat-interval"),
        election_timeout_ms=get("election-timeout"),
        initial_election_tick_advance=get("initial-election-tick-advance"),
        pre_vote=get("pre-vote"),
        strict_reconfig_check=get("strict-reconfig-check"),
        max_learners=get("max-learners"),
        snapshot_count=get("snapshot-count"),
        snapshot_catchup_entries=get("snapshot-catchup-entries"),
        quota_backend_bytes=get("quota-backend-bytes"),
        max_request_bytes=get("max-request-bytes"),
        max_txn_ops=get("max-txn-ops"),
        backend_batch_interval_ms=_milliseconds(get("backend-batch-interval"), BATCH_INTERVAL_MS),
        backend_batch_limit=get("backend-batch-limit") or BATCH_LIMIT,
        compaction_batch_limit=get("compaction-batch-limit"),
        compaction_sleep_interval_ms=_milliseconds(get("compaction-sleep-interval"), COMPACTION_SLEEP_MS),
        auto_compaction_period_s=retention if mode == "periodic" else 0.0,
        auto_compaction_revisions=int(retention) if mode == "revision" else 0,
        watch_progress_notify_interval_ms=_milliseconds(get("watch-progress-notify-interval"), 600_000),
        max_concurrent_streams=get("max-concurrent-streams"),
        cors=tuple(get("cors")),
        unsafe_no_fsync=get("unsafe-no-fsync"),
        log_level=get("log-level"),
        extra={name: chosen.texts[name] for name in _without_effect(chosen)},
    )


def _log_settings(chosen: Chosen) -> LogSettings:
    return LogSettings(level=chosen.value("log-level"), format=chosen.value("log-format"), outputs=chosen.value("log-outputs"))


def _without_effect(chosen: Chosen) -> list[str]:
    names = (name for name in chosen.texts if FLAGS[name].use is Use.INERT)
    return [name for name in names if name == "feature-gates" or chosen.value(name) != FLAGS[name].parse(FLAGS[name].default)]


def _warnings(chosen: Chosen) -> list[Notice]:
    warnings = []
    for name in _without_effect(chosen):
        text = chosen.texts[name]
        if name == "feature-gates":
            text = ",".join(f"{gate}={str(on).lower()}" for gate, on in chosen.value(name) if GATES[gate] != on)
        if text:
            shown = "*" if "password" in name else text
            warnings.append(_warning("flag is known but has no effect in this version", {"flag": name, "value": shown}))
    if not chosen.value("data-dir"):
        warnings.append(_warning("'data-dir' was empty; using default", {"data-dir": f"{chosen.value('name')}.etcd"}))
    quota_bytes, request_bytes = chosen.value("quota-backend-bytes"), chosen.value("max-request-bytes")
    if quota_bytes < 0:
        warnings.append(_warning("disabled backend quota", {"quota-name": "v3-applier", "quota-size-bytes": quota_bytes}))
    elif quota_bytes > QUOTA_BYTES_ADVISED_MAX:
        fields = {"quota-size-bytes": quota_bytes, "quota-maximum-size-bytes": QUOTA_BYTES_ADVISED_MAX}
        warnings.append(_warning("quota exceeds the maximum value", fields))
    if request_bytes > REQUEST_BYTES_ADVISED_MAX:
        fields = {"max-request-bytes": request_bytes, "recommended-request-bytes": REQUEST_BYTES_ADVISED_MAX}
        warnings.append(_warning("exceeded recommended request limit", fields))
    if chosen.value("unsafe-no-fsync"):
        warnings.append(
            _warning("syncing is switched off: acknowledged writes are lost when the machine stops", {"flag": "unsafe-no-fsync"})
        )
    return warnings


def _warning(message: str, fields: Mapping[str, object]) -> Notice:
    return Notice(logging.WARNING, message, fields)
