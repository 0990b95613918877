"""What a CustomResourceDefinition may say: names, scope, versions, columns, subresources, approval (spec C.1, C.3). Pure.

Source: apiextensions `pkg/apis/apiextensions/validation`. What this server does not do yet — CEL rules, conversion by webhook — is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from resource_api.errors import FieldError, Json, Object, duplicate, forbidden_field, invalid, not_supported, required, too_many
from resource_api.schema import names
from resource_api.schema.structural.documents import document_errors

APPROVAL = "api-approved.kubernetes.io"
PROTECTED_SUFFIXES = ("k8s.io", "kubernetes.io")
SELECTABLE_MAX = 8
WARNING_CHARACTERS_MAX = 256
WEBHOOK_REFUSED = "conversion by webhook is not supported by this server yet"

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")

IMMUTABLE = "field is immutable"

_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"
_FIELD_PATH = re.compile(r"(?:\.[A-Za-z_][A-Za-z0-9_]*|\['[^']+'\])+")
_FIELD_PART = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^']+)'\]")

Approval = Literal["approved", "bypassed", "missing", "invalid"]


def is_protected(group: str) -> bool:
    """Groups of the Kubernetes community need its approval."""
    return any(group == suffix or group.endswith("." + suffix) for suffix in PROTECTED_SUFFIXES)


def approval_of(crd: Object) -> tuple[Approval, str]:
    """How the approval annotation reads, and what is said of it."""
    text = str((crd["metadata"].get("annotations") or {}).get(APPROVAL) or "")
    if not text:
        return "missing", f'protected groups must have approval annotation "{APPROVAL}", {_SEE}'
    if text.startswith("unapproved"):
        return "bypassed", f'not approved: "{text}"'
    if re.match(r"[a-z][a-z0-9+.-]*://[^\s/]+", text):
        return "approved", f"approved in {text}"
    detail = f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with "unapproved", {_SEE}'
    return "invalid", detail


def is_established(crd: Object) -> bool:
    """The condition clients wait for."""
    return has_condition(crd, "Established")


def has_condition(crd: Object, kind: str, status: str = "True") -> bool:
    """Whether a condition of this type has this status."""
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == kind and condition.get("status") == status for condition in conditions)


def definition_errors(crd: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
    """Everything wrong with a new definition, or with a changed one, metadata excepted but for the name and the approval."""
    status = crd.get("status") or {}
    if subresource == "status":
        return _names(status.get("acceptedNames") or {}, "status.acceptedNames")
    spec = crd.get("spec") or {}
    errors = []
    wanted = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
    if old is None and crd["metadata"].get("name") != wanted:
        errors.append(invalid("metadata.name", crd["metadata"].get("name") or "", 'must be spec.names.plural+"."+spec.group'))
    if old is None or spec != old.get("spec"):
        # A definition as another server stored it can still be labelled and deleted.
        errors += _spec(spec)
    if old is not None:
        errors += _unchanged(spec, old.get("spec") or {}, established=is_established(old))
        errors += _stored_versions(status.get("storedVersions") or [], spec.get("versions") or [])
    errors += _names(status.get("acceptedNames") or {}, "status.acceptedNames")
    errors += _approval(crd, old)
    was = ((old or {}).get("spec") or {}).get("preserveUnknownFields")
    if spec.get("preserveUnknownFields") and not was:
        detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errors.append(invalid("spec.preserveUnknownFields", True, detail))
    return errors


def _spec(spec: Object) -> list[FieldError]:
    errors = _group(str(spec.get("group") or ""))
    scope = spec.get("scope") or ""
    if not scope:
        errors.append(required("spec.scope"))
    elif scope not in ("Cluster", "Namespaced"):
        errors.append(not_supported("spec.scope", scope, ("Cluster", "Namespaced")))
    versions: list[Object] = spec.get("versions") or []
    for index, version in enumerate(versions):
        if not _schema_of(version):
            errors.append(required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required"))
    for index, version in enumerate(versions):
        errors += _version(version, f"spec.versions[{index}]")
    if any(count > 1 for count in Counter(version.get("name") for version in versions).values()):
        errors.append(invalid("spec.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        errors.append(invalid("spec.versions", versions, "must have exactly one version marked as storage version"))
    given = spec.get("names") or {}
    errors += [required(f"spec.names.{field}") for field in ("plural", "singular", "kind", "listKind") if not given.get(field)]
    errors += _names(given, "spec.names")
    errors += _conversion(spec.get("conversion"))
    return errors


def _group(group: str) -> list[FieldError]:
    if not group:
        return [required("spec.group")]
    faults = names.dns_subdomain(group)
    if faults:
        return [invalid("spec.group", group, ",".join(faults))]
    return [] if "." in group else [invalid("spec.group", group, "should be a domain with at least one dot")]


def _names(given: Object, path: str) -> list[FieldError]:
    errors = []
    for field in ("plural", "singular"):
        if given.get(field) and (faults := names.dns_1035_label(given[field])):
            errors.append(invalid(f"{path}.{field}", given[field], ",".join(faults)))
    for field in ("kind", "listKind"):
        if given.get(field) and (faults := names.dns_1035_label(given[field].lower())):
            detail = "may have mixed case, but should otherwise match: " + ",".join(faults)
            errors.append(invalid(f"{path}.{field}", given[field], detail))
    errors += _labels(given.get("shortNames"), f"{path}.shortNames")
    if given.get("kind") and given["kind"] == given.get("listKind"):
        errors.append(invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same"))
    errors += _labels(given.get("categories"), f"{path}.categories")
    return errors


def _labels(given: list[str] | None, path: str) -> list[FieldError]:
    return [
        invalid(f"{path}[{index}]", one, ",".join(faults)) for index, one in enumerate(given or []) if (faults := names.dns_1035_label(one))
    ]


def _schema_of(version: Object) -> Object | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _version(version: Object, path: str) -> list[FieldError]:
    name, props = str(version.get("name") or ""), _schema_of(version)
    subresources = version.get("subresources") or {}
    errors = [invalid(f"{path}.name", name, ",".join(faults))] if (faults := names.dns_1035_label(name)) else []
    errors += _warning(version, f"{path}.deprecationWarning")
    if props:
        errors += document_errors(props, f"{path}.schema.openAPIV3Schema", status=subresources.get("status") is not None)
    errors += _scale(subresources.get("scale"), f"{path}.subresources")
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        errors += _column(column, f"{path}.additionalPrinterColumns[{index}]")
    errors += _selectable(version.get("selectableFields") or [], props or {}, f"{path}.selectableFields")
    return errors


def _warning(version: Object, path: str) -> list[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return []
    details = []
    if not version.get("deprecated"):
        details = ["can only be set for deprecated versions"]
    else:
        if len(text.encode()) > WARNING_CHARACTERS_MAX:
            details.append(f"must be <= {WARNING_CHARACTERS_MAX} characters long")
        if not text:
            details.append("must not be an empty string")
        for index, character in enumerate(text):
            if not character.isprintable():
                details.append(f"must only contain printable UTF-8 characters; non-printable character found at index {index}")
                break
    return [invalid(path, text, detail) for detail in details]


def _simple_path(text: str, path: str) -> list[FieldError]:
    return [] if text.startswith(".") else [invalid(path, text, "must be a simple json path starting with .")]


def _scale(scale: Object | None, path: str) -> list[FieldError]:
    errors = []
    for field, roots, where in (
        ("specReplicasPath", (".spec.",), "under .spec"),
        ("statusReplicasPath", (".status.",), "under .status"),
        ("labelSelectorPath", (".spec.", ".status."), "under either .spec or .status"),
    ):
        given, at = (scale or {}).get(field) or "", f"{path}.scale.{field}"
        if scale is None or (not given and field == "labelSelectorPath"):
            continue
        if not given:
            errors.append(required(at))
        elif faults := _simple_path(given, at):
            errors += faults
        elif not given.startswith(roots):
            errors.append(invalid(at, given, f"should be a json path {where}"))
    return errors


def _column(column: Object, path: str) -> list[FieldError]:
    errors = [] if column.get("name") else [required(f"{path}.name")]
    kind, shaped, given = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    if kind not in COLUMN_TYPES:
        detail = "must be one of " + ",".join(COLUMN_TYPES)
        errors.append(invalid(f"{path}.type", kind, detail) if kind else required(f"{path}.type", detail))
    if shaped and shaped not in COLUMN_FORMATS:
        errors.append(invalid(f"{path}.format", shaped, "must be one of " + ",".join(COLUMN_FORMATS)))
    errors += _simple_path(given, f"{path}.JSONPath") if given else [required(f"{path}.JSONPath")]
    return errors


def field_path(text: str) -> tuple[str, ...]:
    """The fields a selectable path goes through. Raises ValueError."""
    if _FIELD_PATH.fullmatch(text) is None:
        raise ValueError("expected a path of fields like .spec.name")
    return tuple(plain or quoted for plain, quoted in _FIELD_PART.findall(text))


def _selectable(fields: list[Object], props: Object, path: str) -> list[FieldError]:
    errors, seen = [], set()
    for index, field in enumerate(fields):
        text, at = field.get("jsonPath") or "", f"{path}[{index}].jsonPath"
        if not text:
            errors.append(required(at))
            continue
        try:
            parts = field_path(text)
            leaf = _leaf(props, parts)
        except ValueError as error:
            errors.append(invalid(at, text, f"is an invalid path: {error}"))
            continue
        if parts[0] == "metadata":
            errors.append(invalid(at, text, "must not point to fields in metadata"))
        if leaf.get("type") not in ("string", "boolean", "integer"):
            detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            errors.append(invalid(at, text, detail))
        if parts in seen:
            errors.append(duplicate(at, text))
        seen.add(parts)
    if len(seen) > SELECTABLE_MAX:
        errors.append(too_many(path, len(seen), SELECTABLE_MAX))
    return errors


def _leaf(props: Object, parts: tuple[str, ...]) -> Object:
    node: Json = props
    for part in parts:
        if node.get("type") == "array":
            raise ValueError("does not refer to a valid field")
        node = (node.get("properties") or {}).get(part) or node.get("additionalProperties")
        if not isinstance(node, dict):
            raise ValueError("does not refer to a valid field")
    return dict(node)


def _conversion(conversion: Object | None) -> list[FieldError]:
    if conversion is None:
        return []
    strategy, path = conversion.get("strategy") or "", "spec.conversion"
    if not strategy:
        return [required(f"{path}.strategy")]
    if strategy == "Webhook":
        return [forbidden_field(f"{path}.strategy", WEBHOOK_REFUSED)]
    if strategy != "None":
        return [not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))]
    if conversion.get("webhook"):
        return [forbidden_field(f"{path}.webhookClientConfig", "should not be set when strategy is not set to Webhook")]
    return []


def _unchanged(spec: Object, before: Object, *, established: bool) -> list[FieldError]:
    names_now, names_before = spec.get("names") or {}, before.get("names") or {}
    pairs = [("spec.scope", spec.get("scope"), before.get("scope")), ("spec.names.kind", names_now.get("kind"), names_before.get("kind"))]
    pairs = pairs if established else []
    pairs.append(("spec.group", spec.get("group"), before.get("group")))
    pairs.append(("spec.names.plural", names_now.get("plural"), names_before.get("plural")))
    return [invalid(path, now, IMMUTABLE) for path, now, was in pairs if now != was]


def _stored_versions(stored: list[str], versions: list[Object]) -> list[FieldError]:
    path = "status.storedVersions"
    if not stored:
        return [invalid(path, stored, "must have at least one stored version")]
    there = {version.get("name") for version in versions}
    errors = [
        invalid(path, stored, f"must have the storage version {version.get('name')}")
        for version in versions
        if version.get("storage") and version.get("name") not in stored
    ]
    for index, name in enumerate(stored):
        if name not in there:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage "
                f"migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )
            errors.append(invalid(f"{path}[{index}]", name, detail))
    return errors


def _approval(crd: Object, old: Object | None) -> list[FieldError]:
    if not is_protected(str((crd.get("spec") or {}).get("group") or "")):
        return []
    state, reason = approval_of(crd)
    if state in ("approved", "bypassed") or (old is not None and approval_of(old)[0] == state):
        return []
    path = f"metadata.annotations[{APPROVAL}]"
    if state == "missing":
        return [required(path, reason)]
    return [invalid(path, crd["metadata"]["annotations"][APPROVAL], reason)]
