"""What names may look like: DNS names, label keys and values, keys of a ConfigMap; and which rule is whose (spec B.3).

Every check returns what is wrong, in upstream's words (apimachinery `util/validation` and `api/validate/content`), and nothing when all is
well. Lengths are in bytes. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Protocol

from resource_api.schema.kinds import ResourceType


class NameRule(Protocol):
    """What is wrong with a name of some kind; `prefix`: it is a generateName, to which something will be added."""

    def __call__(self, value: str, prefix: bool = False) -> list[str]:
        """Texts, none when the name is one."""


LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
WILDCARD = rf"\*\.{SUBDOMAIN}"
WORD = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_BYTES_MAX, SUBDOMAIN_BYTES_MAX, PORT_NAME_BYTES_MAX = 63, 253, 15
CRON_JOB_BYTES_MAX = 52
"""A job's name is the cron job's and eleven characters more."""

ALPHANUMERIC_ENDS = "and must start and end with an alphanumeric character"
_WORD_RULE = f"must consist of alphanumeric characters, '-', '_' or '.', {ALPHANUMERIC_ENDS}"


def pattern_text(rule: str, pattern: str, *examples: str) -> str:
    """How upstream says that a pattern does not match."""
    said = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} ({'e.g. ' if said else ''}{said}regex used for validation is '{pattern}')"


def _characters_max(count: int) -> str:
    return f"must be no more than {count} characters"


def _bytes_max(count: int) -> str:
    return f"must be no more than {count} bytes"


_LABEL_TEXT = pattern_text(
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {ALPHANUMERIC_ENDS}",
    LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_TEXT = pattern_text(
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {ALPHANUMERIC_ENDS}",
    SUBDOMAIN,
    "example.com",
)
_LABEL_1035_TEXT = pattern_text(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character",
    LABEL_1035,
    "my-name",
    "abc-123",
)
_WILDCARD_TEXT = pattern_text(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case"
    " alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    WILDCARD,
    "*.example.com",
)
_WORD_TEXT = pattern_text(_WORD_RULE, WORD, "MyName", "my.name", "123-abc")
_VALUE_TEXT = pattern_text(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', " + ALPHANUMERIC_ENDS,
    f"({WORD})?",
    "MyValue",
    "my_value",
    "12345",
)
_HEADER_TEXT = pattern_text("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+", "X-Header-Name")
_KEY_TEXT = pattern_text(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"
)

_label = re.compile(LABEL).fullmatch
_subdomain = re.compile(SUBDOMAIN).fullmatch
_label_1035 = re.compile(LABEL_1035).fullmatch
_wildcard = re.compile(WILDCARD).fullmatch
_word = re.compile(WORD).fullmatch
_header = re.compile("[-A-Za-z0-9]+").fullmatch
_key = re.compile("[-._a-zA-Z0-9]+").fullmatch
_port_characters = re.compile("[-a-z0-9]+").fullmatch


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


def _as_if_completed(value: str) -> str:
    """A generateName may end in a dash: judged as if something followed."""
    return value[:-2] + "a" if len(value) > 1 and value.endswith("-") else value


def dns_label(value: str, prefix: bool = False) -> list[str]:
    """RFC 1123: one part of a DNS name."""
    value = _as_if_completed(value) if prefix else value
    problems = [_characters_max(LABEL_BYTES_MAX)] if _size(value) > LABEL_BYTES_MAX else []
    if not _label(value):
        problems.append("must not contain dots" if _subdomain(value) else _LABEL_TEXT)
    return problems


def dns_1035_label(value: str, prefix: bool = False) -> list[str]:
    """RFC 1035: the same, beginning with a letter."""
    value = _as_if_completed(value) if prefix else value
    problems = [_characters_max(LABEL_BYTES_MAX)] if _size(value) > LABEL_BYTES_MAX else []
    return problems if _label_1035(value) else [*problems, _LABEL_1035_TEXT]


def dns_subdomain(value: str, prefix: bool = False) -> list[str]:
    """RFC 1123: parts with dots between them; the rule of most names."""
    value = _as_if_completed(value) if prefix else value
    problems = [_characters_max(SUBDOMAIN_BYTES_MAX)] if _size(value) > SUBDOMAIN_BYTES_MAX else []
    return problems if _subdomain(value) else [*problems, _SUBDOMAIN_TEXT]


def wildcard_subdomain(value: str) -> list[str]:
    """`*.example.com`."""
    problems = [_characters_max(SUBDOMAIN_BYTES_MAX)] if _size(value) > SUBDOMAIN_BYTES_MAX else []
    return problems if _wildcard(value) else [*problems, _WILDCARD_TEXT]


def path_segment(value: str, prefix: bool = False) -> list[str]:
    """What can stand in a URL's path: the least that is asked of every name."""
    if not prefix and value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def qualified_name(value: str) -> list[str]:
    """A label's key: a word, before it perhaps a DNS subdomain and a slash."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [f"a valid label key {_WORD_TEXT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems = []
    if slash:
        problems = [f"prefix part {text}" for text in (dns_subdomain(prefix) if prefix else ["must be non-empty"])]
    if not name:
        problems.append("name part must be non-empty")
    elif _size(name) > LABEL_BYTES_MAX:
        problems.append("name part " + _bytes_max(LABEL_BYTES_MAX))
    if not _word(name):
        problems.append("name part " + _WORD_TEXT)
    return problems


def label_value(value: str) -> list[str]:
    """A word or nothing."""
    problems = [_bytes_max(LABEL_BYTES_MAX)] if _size(value) > LABEL_BYTES_MAX else []
    return problems if not value or _word(value) else [*problems, _VALUE_TEXT]


def http_header(value: str) -> list[str]:
    """The name of a header of a probe."""
    return [] if _header(value) else [_HEADER_TEXT]


def env_name(value: str) -> list[str]:
    """The name of an environment variable: printable ASCII without `=`."""
    if not value:
        return ["environment variable name must be non-empty"]
    if value.isascii() and value.isprintable() and "=" not in value:
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or a Secret: a file's name."""
    problems = [_characters_max(SUBDOMAIN_BYTES_MAX)] if _size(value) > SUBDOMAIN_BYTES_MAX else []
    if not _key(value):
        problems.append(_KEY_TEXT)
    if value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def port_name(value: str) -> list[str]:
    """An IANA service name."""
    problems = [_characters_max(PORT_NAME_BYTES_MAX)] if _size(value) > PORT_NAME_BYTES_MAX else []
    if not _port_characters(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= letter <= "z" for letter in value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def cron_job(value: str, prefix: bool = False) -> list[str]:
    """A subdomain short enough for the names of its jobs."""
    problems = dns_subdomain(value, prefix)
    return problems + ([_characters_max(CRON_JOB_BYTES_MAX)] if _size(value) > CRON_JOB_BYTES_MAX else [])


def ip_address(value: str, prefix: bool = False) -> list[str]:
    """An address in the one form it is written in."""
    try:
        canonical = str(ipaddress.ip_address(value))
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if value == canonical else [f'must be in canonical form ("{canonical}")']


RULES: dict[tuple[str, str], NameRule] = {
    ("", "Namespace"): dns_label,
    ("", "Service"): dns_1035_label,
    ("apiregistration.k8s.io", "APIService"): path_segment,
    ("batch", "CronJob"): cron_job,
    ("certificates.k8s.io", "CertificateSigningRequest"): path_segment,
    ("certificates.k8s.io", "ClusterTrustBundle"): path_segment,
    ("networking.k8s.io", "IPAddress"): ip_address,
    ("rbac.authorization.k8s.io", "ClusterRole"): path_segment,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): path_segment,
    ("rbac.authorization.k8s.io", "Role"): path_segment,
    ("rbac.authorization.k8s.io", "RoleBinding"): path_segment,
}
"""Where the rule is not `dns_subdomain`. What a name has to do with the rest of an object (CRD, APIService …) is validation."""


def name_rule(resource: ResourceType) -> NameRule:
    """The rule of a kind's names; custom kinds have the usual one."""
    return dns_subdomain if resource.custom else RULES.get((resource.group, resource.kind), dns_subdomain)
