"""The Pod Security Standards: what a pod may not say at `baseline` and must say at `restricted`, in upstream's words.

Pure. Every check takes a pod's metadata and spec and answers `None` or what is wrong; `pod_security_standards` says which version of a
standard has which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from resource_api.errors import Object, shown


class Violation(NamedTuple):
    """`reason` alone for summaries, with `detail` in brackets for refusals."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Object, Object], Violation | None]

BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
RESTRICTED_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"}
)
SECCOMP_POD_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def containers_of(spec: Object) -> Iterator[Object]:
    """Init containers, containers, ephemeral ones."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _security(holder: Object) -> Object:
    return holder.get("securityContext") or {}


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(map(shown, values))


def _named(word: str, names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{word if len(names) == 1 else word + 's'} {_quoted(names)}"


def _having(holders: Iterable[Object], values_of: Callable[[Object], set[str]]) -> tuple[list[str], set[str]]:
    """The names of the containers or volumes that have any such value, and all the values."""
    found = [(holder["name"], values) for holder in holders if (values := values_of(holder))]
    return [name for name, _ in found], set().union(*(values for _, values in found))


def _use(word: str, names: list[str], what: str, values: set[str]) -> str:
    """`container "a" uses hostPort`, `containers "a", "b" use hostPorts`."""
    return f"{_named(word, names)} {'uses' if len(names) == 1 else 'use'} {what if len(values) == 1 else what + 's'}"


def _where(spec: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    """The pod and its containers whose security contexts are bad, as sentences name them."""
    places = ["pod"] if is_bad(_security(spec)) else []
    names = [container["name"] for container in containers_of(spec) if is_bad(_security(container))]
    return places + ([_named("container", names)] if names else [])


def but_windows(check: Check) -> Check:
    """Pods that say they are for Windows pass: they cannot say more."""
    return lambda metadata, spec: None if (spec.get("os") or {}).get("name") == "windows" else check(metadata, spec)


def but_own_users(check: Check) -> Check:
    """Pods in a user namespace pass: their root is nobody on the host."""
    return lambda metadata, spec: None if spec.get("hostUsers") is False else check(metadata, spec)


def privileged(metadata: Object, spec: Object) -> Violation | None:
    """No privileged containers."""
    names = [container["name"] for container in containers_of(spec) if _security(container).get("privileged")]
    return Violation("privileged", f"{_named('container', names)} must not set securityContext.privileged=true") if names else None


def host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    """Neither network nor processes nor IPC of the host."""
    bad = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(bad)) if bad else None


def host_path_volumes(metadata: Object, spec: Object) -> Violation | None:
    """No directories of the host."""
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", _named("volume", names)) if names else None


def host_ports(metadata: Object, spec: Object) -> Violation | None:
    """No ports of the host."""

    def ports_of(container: Object) -> set[str]:
        return {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}

    names, ports = _having(containers_of(spec), ports_of)
    return Violation("hostPort", f"{_use('container', names, 'hostPort', ports)} {', '.join(sorted(ports))}") if names else None


def host_of_probes(metadata: Object, spec: Object) -> Violation | None:
    """Probes and hooks ask the pod itself."""

    def hosts_of(container: Object) -> set[str]:
        handlers = [container.get(probe) or {} for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [(container.get("lifecycle") or {}).get(hook) or {} for hook in ("postStart", "preStop")]
        return {(one.get(kind) or {}).get("host") or "" for one in handlers for kind in ("httpGet", "tcpSocket")} - {""}

    names, hosts = _having(containers_of(spec), hosts_of)
    if not names:
        return None
    return Violation("probe or lifecycle host", f"{_use('container', names, 'probe or lifecycle host', hosts)} {_quoted(sorted(hosts))}")


def _added_capabilities(spec: Object, allowed: frozenset[str]) -> str:
    names, bad = _having(containers_of(spec), lambda one: set((_security(one).get("capabilities") or {}).get("add") or ()) - allowed)
    return f"{_named('container', names)} must not include {_quoted(sorted(bad))} in securityContext.capabilities.add" if names else ""


def capabilities_baseline(metadata: Object, spec: Object) -> Violation | None:
    """Only the capabilities containers have anyway."""
    text = _added_capabilities(spec, BASELINE_CAPABILITIES)
    return Violation("non-default capabilities", text) if text else None


def proc_mount(metadata: Object, spec: Object) -> Violation | None:
    """The default view of /proc."""
    names, bad = _having(containers_of(spec), lambda container: {_security(container).get("procMount") or "Default"} - {"Default"})
    if not names:
        return None
    return Violation("procMount", f"{_named('container', names)} must not set securityContext.procMount to {_quoted(sorted(bad))}")


def selinux_options(*more: str) -> Check:
    """Container types only; user and role stay as they are."""
    allowed = SELINUX_TYPES.union(more)
    return lambda metadata, spec: _selinux_options(spec, allowed)


def _selinux_options(spec: Object, allowed: frozenset[str]) -> Violation | None:
    kinds: set[str] = set()
    fields: set[str] = set()

    def is_bad(context: Object) -> bool:
        options = context.get("seLinuxOptions") or {}
        kind = options.get("type") or ""
        if kind not in allowed:
            kinds.add(kind)
        fields.update(field for field in ("user", "role") if options.get(field))
        return kind not in allowed or bool(options.get("user") or options.get("role"))

    places = _where(spec, is_bad)
    if not places:
        return None
    said = [f"{'type' if len(kinds) == 1 else 'types'} {_quoted(sorted(kinds))}"] if kinds else []
    said += [f"{field} may not be set" for field in ("user", "role") if field in fields]
    return Violation("seLinuxOptions", f"{' and '.join(places)} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}")


def _foreign_profiles(spec: Object, field: str) -> tuple[str, set[str]]:
    """Where a profile is neither the runtime's nor one of the node's, and of which types those are."""
    kinds: set[str] = set()

    def is_bad(context: Object) -> bool:
        kind = (context.get(field) or {}).get("type")
        if kind not in (None, "RuntimeDefault", "Localhost"):
            kinds.add(kind)
            return True
        return False

    return " and ".join(_where(spec, is_bad)), kinds


def _bad_seccomp(spec: Object) -> str:
    places, kinds = _foreign_profiles(spec, "seccompProfile")
    return f"{places} must not set securityContext.seccompProfile.type to {_quoted(sorted(kinds))}" if places else ""


def seccomp_baseline(metadata: Object, spec: Object) -> Violation | None:
    """Not unconfined."""
    text = _bad_seccomp(spec)
    return Violation("seccompProfile", text) if text else None


def seccomp_annotations(metadata: Object, spec: Object) -> Violation | None:
    """Not unconfined, by the annotations that were before the fields."""
    annotations = metadata.get("annotations") or {}
    names = [SECCOMP_POD_ANNOTATION, *(SECCOMP_ANNOTATION + one["name"] for one in containers_of(spec))]
    bad = {
        f"{name}={shown(annotations[name])}"
        for name in names
        if name in annotations
        and annotations[name] not in ("runtime/default", "docker/default")
        and not annotations[name].startswith("localhost/")
    }
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {'annotation' if len(bad) == 1 else 'annotations'} {', '.join(sorted(bad))}")


def sysctls(allowed: frozenset[str]) -> Check:
    """Those that stay inside the pod."""

    def check(metadata: Object, spec: Object) -> Violation | None:
        bad = [one["name"] for one in _security(spec).get("sysctls") or () if one.get("name") not in allowed]
        return Violation("forbidden sysctls", ", ".join(sorted(bad))) if bad else None

    return check


def apparmor(metadata: Object, spec: Object) -> Violation | None:
    """The runtime's profile or one of the node's, by field or by the old annotations."""
    places, kinds = _foreign_profiles(spec, "appArmorProfile")
    said = [f"{places} must not set AppArmor profile type to {_quoted(sorted(kinds))}"] if places else []
    annotations = []
    for name, value in sorted((metadata.get("annotations") or {}).items()):
        if name.startswith(APPARMOR_ANNOTATION) and value not in ("", "runtime/default") and not str(value).startswith("localhost/"):
            annotations.append(f"{name}={shown(value)}")
    if annotations:
        word = "annotation" if len(annotations) == 1 else "annotations"
        said.append(f"{word} {', '.join(annotations)}")
    if not said:
        return None
    reason = "forbidden AppArmor profile" if len(kinds) + len(annotations) == 1 else "forbidden AppArmor profiles"
    return Violation(reason, " and ".join(said))


def windows_host_process(metadata: Object, spec: Object) -> Violation | None:
    """No processes on a Windows host."""
    places = _where(spec, lambda context: bool((context.get("windowsOptions") or {}).get("hostProcess")))
    if not places:
        return None
    return Violation("hostProcess", f"{' and '.join(places)} must not set securityContext.windowsOptions.hostProcess=true")


def restricted_volumes(metadata: Object, spec: Object) -> Violation | None:
    """Volumes that are part of the API, and claims."""
    names, kinds = _having(spec.get("volumes") or (), lambda volume: volume.keys() - {"name"} - RESTRICTED_VOLUMES)
    if not names:
        return None
    return Violation("restricted volume types", f"{_use('volume', names, 'restricted volume type', kinds)} {_quoted(sorted(kinds))}")


def privilege_escalation(metadata: Object, spec: Object) -> Violation | None:
    """It must be switched off."""
    names = [one["name"] for one in containers_of(spec) if _security(one).get("allowPrivilegeEscalation") is not False]
    if not names:
        return None
    return Violation(
        "allowPrivilegeEscalation != false", f"{_named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    )


def capabilities_restricted(metadata: Object, spec: Object) -> Violation | None:
    """All dropped; NET_BIND_SERVICE may come back."""
    names = [one["name"] for one in containers_of(spec) if "ALL" not in ((_security(one).get("capabilities") or {}).get("drop") or ())]
    said = [f'{_named("container", names)} must set securityContext.capabilities.drop=["ALL"]'] if names else []
    added = _added_capabilities(spec, frozenset({"NET_BIND_SERVICE"}))
    said += [added] if added else []
    return Violation("unrestricted capabilities", "; ".join(said)) if said else None


def run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    """Said by the pod, or by every container."""
    places = _where(spec, lambda context: context.get("runAsNonRoot") is False)
    if places:
        return Violation("runAsNonRoot != true", f"{' and '.join(places)} must not set securityContext.runAsNonRoot=false")
    if _security(spec).get("runAsNonRoot"):
        return None
    names = [one["name"] for one in containers_of(spec) if _security(one).get("runAsNonRoot") is None]
    if not names:
        return None
    return Violation("runAsNonRoot != true", f"pod or {_named('container', names)} must set securityContext.runAsNonRoot=true")


def run_as_user(metadata: Object, spec: Object) -> Violation | None:
    """Not as root by number."""
    places = _where(spec, lambda context: context.get("runAsUser") == 0)
    return Violation("runAsUser=0", f"{' and '.join(places)} must not set runAsUser=0") if places else None


def seccomp_restricted(metadata: Object, spec: Object) -> Violation | None:
    """Said by the pod, or by every container."""
    text = _bad_seccomp(spec)
    if text:
        return Violation("seccompProfile", text)
    if _security(spec).get("seccompProfile"):
        return None
    names = [one["name"] for one in containers_of(spec) if not _security(one).get("seccompProfile")]
    if not names:
        return None
    return Violation(
        "seccompProfile",
        f'pod or {_named("container", names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
    )
