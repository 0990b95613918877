"""Which version of a Pod Security Standard has which checks: v1.0 to the latest, each as it was when it came.

A namespace that pins a version keeps its rules, tightened or relaxed later or not. Order, versions and what replaces what are those of
upstream's policy library.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

from resource_api.errors import Object
from resource_api.security.admission import pod_security_checks as checks
from resource_api.security.admission.pod_security_checks import Check, Violation, but_own_users, but_windows

Level = Literal["baseline", "restricted"]
LEVELS = ("privileged", "baseline", "restricted")
LATEST_MINOR = 37
"""Later versions are checked as this one."""

_SYSCTLS_0 = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range"),
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS_0 | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {f"net.ipv4.tcp_{name}" for name in ("keepalive_time", "fin_timeout", "keepalive_intvl", "keepalive_probes")}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
_SYSCTLS_37 = _SYSCTLS_32 | {"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat"}


class Rule(NamedTuple):
    """One rule of a standard; `versions` are the minor versions it changed with, in order, and what it checks since."""

    name: str
    level: Level
    versions: tuple[tuple[int, Check], ...]
    replaces: str = ""
    """A rule of baseline that restricted has no more beside this one."""


RULES = (
    Rule("appArmorProfile", "baseline", ((0, checks.apparmor),)),
    Rule("capabilities_baseline", "baseline", ((0, checks.capabilities_baseline),)),
    Rule("hostNamespaces", "baseline", ((0, checks.host_namespaces),)),
    Rule("hostPathVolumes", "baseline", ((0, checks.host_path_volumes),)),
    Rule("hostPorts", "baseline", ((0, checks.host_ports),)),
    Rule("hostProbesAndHostLifecycle", "baseline", ((34, checks.host_of_probes),)),
    Rule("privileged", "baseline", ((0, checks.privileged),)),
    Rule("procMount", "baseline", ((0, checks.proc_mount), (35, but_own_users(checks.proc_mount)))),
    Rule("seLinuxOptions", "baseline", ((0, checks.selinux_options()), (31, checks.selinux_options("container_engine_t")))),
    Rule("seccompProfile_baseline", "baseline", ((0, checks.seccomp_annotations), (19, checks.seccomp_baseline))),
    Rule(
        "sysctls",
        "baseline",
        tuple(
            (minor, checks.sysctls(allowed))
            for minor, allowed in ((0, _SYSCTLS_0), (27, _SYSCTLS_27), (29, _SYSCTLS_29), (32, _SYSCTLS_32), (37, _SYSCTLS_37))
        ),
    ),
    Rule("windowsHostProcess", "baseline", ((0, checks.windows_host_process),)),
    Rule("allowPrivilegeEscalation", "restricted", ((8, checks.privilege_escalation), (25, but_windows(checks.privilege_escalation)))),
    Rule(
        "capabilities_restricted",
        "restricted",
        ((22, checks.capabilities_restricted), (25, but_windows(checks.capabilities_restricted))),
        "capabilities_baseline",
    ),
    Rule("procMount_restricted", "restricted", ((35, checks.proc_mount),), "procMount"),
    Rule("restrictedVolumes", "restricted", ((0, checks.restricted_volumes),), "hostPathVolumes"),
    Rule("runAsNonRoot", "restricted", ((0, checks.run_as_non_root), (35, but_own_users(checks.run_as_non_root)))),
    Rule("runAsUser", "restricted", ((23, checks.run_as_user), (35, but_own_users(checks.run_as_user)))),
    Rule(
        "seccompProfile_restricted",
        "restricted",
        ((19, checks.seccomp_restricted), (25, but_windows(checks.seccomp_restricted))),
        "seccompProfile_baseline",
    ),
)


@functools.cache
def checks_of(level: str, minor: int) -> tuple[Check, ...]:
    """The checks of a standard in a version, in the order of the rules."""
    if level == "privileged":
        return ()
    there = [rule for rule in RULES if rule.versions[0][0] <= minor and level in (rule.level, "restricted")]
    replaced = {rule.replaces for rule in there}
    return tuple(next(check for since, check in reversed(rule.versions) if since <= minor) for rule in there if rule.name not in replaced)


def violations(level: str, version: str, metadata: Object, spec: Object) -> list[Violation]:
    """Everything wrong with a pod at a level of a version: `latest`, `v1.25`."""
    minor = LATEST_MINOR if version == "latest" else min(int(version.removeprefix("v1.")), LATEST_MINOR)
    found = (check(metadata, spec) for check in checks_of(level, minor))
    return [one for one in found if one is not None]
