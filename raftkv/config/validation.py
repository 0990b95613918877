"""etcd's start-up checks that need nothing but the settings, in etcd's order and words.

A list of texts comes out, the first being the one etcd would show. Checks that need the other members are made over
the peer hello; checks of the data directory by the storage. Source: etcd's server/embed/config.go (Validate) and
server/config/config.go (VerifyBootstrap).
"""

from __future__ import annotations

import ipaddress
import pathlib
from collections.abc import Sequence

from raftkv.config import values
from raftkv.config.flag_table import FLAGS
from raftkv.config.flags import Use
from raftkv.config.sources import Chosen
from raftkv.logs import LEVELS
from raftkv.server.settings import MemberSettings

ELECTION_MS_MAX = 50_000
HEARTBEATS_PER_ELECTION_MIN = 5

CERTIFICATE_FLAGS = {
    "listen-client-urls": ("client", "--cert-file, --key-file", "cert-file", "auto-tls"),
    "listen-peer-urls": ("peer", "--peer-cert-file, --peer-key-file", "peer-cert-file", "peer-auto-tls"),
}

REASONS = {
    "auth-token": "only simple tokens exist",
    "force-new-cluster": "a member cannot be made the only one yet; export its keys (raftctl get --consistency=s) into a new cluster",
    "host-whitelist": "requests are not filtered by their Host header yet",
    "proxy": "the v2 proxy no longer exists",
}
"""Why a refused flag is refused, where its group does not say it."""

GROUP_REASONS = {
    "Security": "TLS is not supported yet, and a port that was meant to be encrypted must not open in plain text",
    "Clustering": "discovery is not supported; name the members with --initial-cluster",
}


def flag_faults(chosen: Chosen) -> list[str]:
    """Every fault the flags show by themselves."""
    return [
        *_logging_faults(chosen),
        *_binding_faults(chosen),
        *_bootstrap_flag_faults(chosen),
        *_timing_faults(chosen),
        *_advertise_faults(chosen),
        *_compaction_faults(chosen),
        *_scheme_faults(chosen),
        *_limit_faults(chosen),
        *_refused(chosen),
    ]


def _binding_faults(chosen: Chosen) -> list[str]:
    names = ("listen-peer-urls", "listen-client-urls", "listen-client-http-urls", "listen-metrics-urls")
    faults = [f"expected IP in URL for binding ({url})" for name in names for url in chosen.value(name) if not _bindable(url)]
    faults += [f"--{name} is empty; a member must listen somewhere" for name in names[:2] if not chosen.value(name)]
    return faults


def _bindable(url: str) -> bool:
    if url.startswith("unix"):
        return True
    host, _ = values.url_host_port(url)
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _scheme_faults(chosen: Chosen) -> list[str]:
    faults = []
    for name, (kind, flags, certificate, automatic) in CERTIFICATE_FLAGS.items():
        if chosen.value(certificate) or chosen.value(automatic):
            continue
        faults += [
            f"TLS key/cert ({flags}) must be provided for {kind} url {url} with HTTPS scheme"
            for url in chosen.value(name)
            if url.startswith(("https:", "unixs:"))
        ]
    return faults


def _bootstrap_flag_faults(chosen: Chosen) -> list[str]:
    ways = [chosen.is_set("initial-cluster"), *(bool(chosen.value(name)) for name in ("discovery", "discovery-endpoints", "discovery-srv"))]
    if sum(ways) > 1:
        return [
            "multiple discovery or bootstrap flags are set. "
            'Choose one of "initial-cluster", "discovery", "discovery-endpoints" or "discovery-srv"'
        ]
    return []


def _timing_faults(chosen: Chosen) -> list[str]:
    heartbeat_ms, election_ms = chosen.value("heartbeat-interval"), chosen.value("election-timeout")
    faults = []
    if heartbeat_ms == 0:
        faults.append(f"--heartbeat-interval must be >0 (set to {heartbeat_ms}ms)")
    if election_ms == 0:
        faults.append(f"--election-timeout must be >0 (set to {election_ms}ms)")
    if heartbeat_ms and election_ms and HEARTBEATS_PER_ELECTION_MIN * heartbeat_ms > election_ms:
        faults.append(
            f"--election-timeout[{election_ms}ms] should be at least as {HEARTBEATS_PER_ELECTION_MIN} times "
            f"as --heartbeat-interval[{heartbeat_ms}ms]"
        )
    if election_ms > ELECTION_MS_MAX:
        faults.append(f"--election-timeout[{election_ms}ms] is too long, and should be set less than {ELECTION_MS_MAX}ms")
    return faults


def _advertise_faults(chosen: Chosen) -> list[str]:
    if chosen.is_set("listen-client-urls") and not chosen.texts.get("advertise-client-urls"):
        return ["--advertise-client-urls is required when --listen-client-urls is set explicitly"]
    return []


def _compaction_faults(chosen: Chosen) -> list[str]:
    mode, retention = chosen.value("auto-compaction-mode"), chosen.value("auto-compaction-retention")
    if mode not in ("periodic", "revision"):
        return [f"unknown auto-compaction-mode {values.quote(mode)}"]
    if retention.isdecimal() or not retention:
        return []
    if mode == "revision":
        return [f"error parsing CompactionRetention: strconv.Atoi: parsing {values.quote(retention)}: invalid syntax"]
    try:
        values.parse_duration_ns(retention)
    except ValueError as exc:
        return [f"error parsing CompactionRetention: {exc}"]
    return []


def _logging_faults(chosen: Chosen) -> list[str]:
    faults = []
    if chosen.value("logger") != "zap":
        faults.append(f"unknown logger option {values.quote(chosen.value('logger'))}")
    if chosen.value("log-format") not in ("json", "console"):
        faults.append(f"unknown log format {values.quote(chosen.value('log-format'))}, supported values json, console")
    if not chosen.value("log-outputs") or "systemd/journal" in chosen.value("log-outputs"):
        faults.append("--log-outputs takes default, stderr, stdout or paths of files")
    return faults


def unknown_level(chosen: Chosen) -> str:
    """etcd panics over a wrong level instead of reporting it; empty when the level is one."""
    level = chosen.value("log-level")
    return "" if level in LEVELS else f"unknown level {values.quote(level)}"


POSITIVE = ("snapshot-count", "max-txn-ops", "max-request-bytes", "compaction-batch-limit")
NOT_NEGATIVE = (
    "backend-batch-limit",
    "backend-batch-interval",
    "compaction-sleep-interval",
    "watch-progress-notify-interval",
)


def _limit_faults(chosen: Chosen) -> list[str]:
    faults = [f"--{name} must be >0 (set to {chosen.value(name)})" for name in POSITIVE if chosen.value(name) < 1]
    faults += [f"--{name} must not be negative (set to {chosen.texts[name]})" for name in NOT_NEGATIVE if chosen.value(name) < 0]
    return faults


def _refused(chosen: Chosen) -> list[str]:
    faults = []
    for name in chosen.texts:
        flag = FLAGS[name]
        if flag.use is not Use.REFUSED or chosen.value(name) == flag.parse(flag.default):
            continue
        if name == "auth-token" and chosen.value(name).partition(",")[0] not in ("simple", "jwt"):
            faults.append("auth: invalid auth options")
        elif name == "auth-token" and chosen.value(name).startswith("simple"):
            continue
        else:
            faults.append(f"--{name}: {REASONS.get(name) or GROUP_REASONS[flag.group]}")
    return faults


def holds_data(settings: MemberSettings) -> bool:
    """Whether a member has lived in the data directory; then the flags that form a cluster are ignored, as with etcd."""
    folder = pathlib.Path(settings.wal_dir) if settings.wal_dir else pathlib.Path(settings.data_dir, "member", "wal")
    return folder.is_dir() and any(folder.glob("*.wal"))


def bootstrap_faults(settings: MemberSettings) -> list[str]:
    """What is wrong with the way a member without data would form or join its cluster. Not asked of one that has data."""
    cluster = settings.initial_cluster
    shown = ",".join(f"{name}={url}" for name, url in sorted(cluster))
    own = sorted(url for name, url in cluster if name == settings.name)
    faults = []
    if not own:
        faults.append(f"couldn't find local name {values.quote(settings.name)} in the initial cluster configuration")
    elif settings.initial_cluster_state == "new":
        faults += _advertise_mismatch(settings.name, own, sorted(settings.initial_advertise_peer_urls))
    urls = [url for _, url in cluster]
    if len(set(urls)) != len(urls):
        faults.append(f"initial cluster {shown} has duplicate url")
    return faults


def _advertise_mismatch(name: str, own: Sequence[str], advertised: Sequence[str]) -> list[str]:
    missing = [f"{name}={url}" for url in own if url not in advertised]
    if missing:
        return [f"--initial-cluster has {','.join(missing)} but missing from --initial-advertise-peer-urls={','.join(advertised)}"]
    missing = [url for url in advertised if url not in own]
    if missing:
        shown = ",".join(f"{name}={url}" for url in advertised)
        return [f"--initial-advertise-peer-urls has {','.join(missing)} but missing from --initial-cluster={shown}"]
    return []
