"""PodSecurity: labels of a namespace say which Pod Security Standard its pods must meet, and of which they are warned.

Source: KEP-2579; label names, texts and what is exempt as upstream's admission library. Audit annotations are not written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from resource_api.errors import FieldError, Object, invalid, invalid_object
from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused
from resource_api.security.admission.pod_security_standards import LEVELS, violations
from resource_api.security.lookup import Lookup, cached_or_newest

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
VERSION = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
PODS_SHOWN_MAX = 3000
"""How many pods of a namespace are looked at when its level changes."""

TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "podtemplates"): ("template",),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where kinds that make pods hold them; these are warned of, never refused."""


class Policy(NamedTuple):
    """One mode of a namespace."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f'"{self.level}:{self.version}"'


class PodSecurity(PassivePlugin):
    """Pods are refused by `enforce`; pods and what makes them are warned of by `warn`."""

    name = "PodSecurity"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Pods, what makes pods, namespaces."""
        if request.operation not in ("CREATE", "UPDATE"):
            return False
        if request.type.plural == "pods" and not request.type.group:
            return request.subresource in ("", "ephemeralcontainers", "resize")
        if request.subresource:
            return False
        return (request.type.group, request.type.plural) in TEMPLATES or is_write_of(request, "", "namespaces", "CREATE", "UPDATE")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403, or 422 for labels of a namespace that mean nothing."""
        assert request.obj is not None
        if request.type.plural == "namespaces":
            await self._namespace(request, request.obj)
            return
        namespace = await cached_or_newest(self._lookup, "", "namespaces", "", request.namespace)
        policies, _ = policies_of(namespace or {})
        if request.type.plural == "pods":
            self._pod(request, request.obj, policies)
            return
        template: Object = request.obj
        for step in TEMPLATES[request.type.group, request.type.plural]:
            template = template.get(step) or {}
        self._warn(request, template, policies["warn"])

    def _pod(self, request: AdmissionRequest, pod: Object, policies: dict[str, Policy]) -> None:
        if request.old is not None and not _is_significant(pod, request.old):
            return
        enforce = policies["enforce"]
        found = violations(*enforce, pod.get("metadata") or {}, pod.get("spec") or {})
        if found:
            raise refused(request, f"violates PodSecurity {enforce}: {', '.join(map(str, found))}")
        if policies["warn"] != enforce:
            self._warn(request, pod, policies["warn"])

    def _warn(self, request: AdmissionRequest, pod: Object, policy: Policy) -> None:
        found = violations(*policy, pod.get("metadata") or {}, pod.get("spec") or {})
        if found:
            request.warn(f"would violate PodSecurity {policy}: {', '.join(map(str, found))}")

    async def _namespace(self, request: AdmissionRequest, namespace: Object) -> None:
        policies, problems = policies_of(namespace)
        before: dict[str, Policy] = {}
        if request.old is not None:
            before, known = policies_of(request.old)
            problems = [problem for problem in problems if problem not in known]
        if problems:
            raise invalid_object("", "Namespace", request.name, problems)
        enforce = policies["enforce"]
        if request.old is None or enforce in (before["enforce"], Policy(version=enforce.version)):
            return
        for text in await self._existing(request.name, enforce):
            request.warn(text)

    async def _existing(self, namespace: str, policy: Policy) -> list[str]:
        """What pods that are already there would be refused for."""
        pods = await self._lookup.find("", "pods").list_objects(namespace)
        groups: dict[str, list[str]] = {}
        for pod in pods[:PODS_SHOWN_MAX]:
            found = violations(*policy, pod["metadata"], pod.get("spec") or {})
            if found:
                groups.setdefault(", ".join(one.reason for one in found), []).append(pod["metadata"]["name"])
        if not groups:
            return []
        texts = [f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level {policy}']
        for reasons, names in groups.items():
            others = len(names) - 1
            more = f" (and {others} other {'pod' if others == 1 else 'pods'})" if others else ""
            texts.append(f"{names[0]}{more}: {reasons}")
        return texts


def policies_of(namespace: Object) -> tuple[dict[str, Policy], list[FieldError]]:
    """A namespace's policies, and the labels that are wrong; what is wrong counts as `restricted`, or the latest version."""
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    policies: dict[str, Policy] = {}
    problems: list[FieldError] = []
    for mode in MODES:
        level, version = labels.get(PREFIX + mode, "privileged"), labels.get(f"{PREFIX}{mode}-version", "latest")
        if level not in LEVELS:
            problems.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}"))
            level = "restricted"
        if VERSION.fullmatch(version) is None:
            text = 'must be "latest" or "v1.x"'
            problems.append(invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, text))
            version = "latest"
        policies[mode] = Policy(level, version)
    if PREFIX + "warn" not in labels and f"{PREFIX}warn-version" not in labels and PREFIX + "enforce" in labels:
        # Who enforces a level is warned of what makes pods that will not pass it.
        policies["warn"] = policies["enforce"]
    return policies, problems


def _is_significant(pod: Object, old: Object) -> bool:
    """Whether a change touches more than what no check reads: labels, other annotations, tolerations."""
    one, other = (dict(obj.get("spec") or {}) for obj in (pod, old))
    for spec in (one, other):
        for field in ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds"):
            spec.pop(field, None)
    return one != other
