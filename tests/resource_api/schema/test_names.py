"""Names: what upstream accepts is accepted, and what is wrong is said in its words."""

from __future__ import annotations

import pytest

from resource_api.schema import builtin, names

SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def rule_of(group: str, kind: str) -> names.NameRule:
    return names.name_rule(next(item for item in builtin.resource_types() if (item.group, item.kind) == (group, kind)))


@pytest.mark.parametrize(
    ("check", "value", "said"),
    [
        (names.dns_subdomain, "a-1.example.com", []),
        (names.dns_subdomain, "A", [SUBDOMAIN_TEXT]),
        (names.dns_subdomain, "a.", [SUBDOMAIN_TEXT]),
        (names.dns_subdomain, "a\n", [SUBDOMAIN_TEXT]),
        (names.dns_subdomain, "a" * 254, ["must be no more than 253 characters"]),
        (names.dns_label, "123-abc", []),
        (names.dns_label, "a.b", ["must not contain dots"]),
        (names.dns_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.dns_1035_label, "abc-123", []),
        (names.wildcard_subdomain, "*.bar.com", []),
        (names.path_segment, "system:node", []),
        (names.path_segment, "..", ["may not be '..'"]),
        (names.path_segment, "a/b%", ["may not contain '/'", "may not contain '%'"]),
        (names.qualified_name, "example.com/My_Name", []),
        (names.qualified_name, "/a", ["prefix part must be non-empty"]),
        (names.qualified_name, "a" * 64, ["name part must be no more than 63 bytes"]),
        (names.label_value, "", []),
        (names.label_value, "a_b.c", []),
        (names.label_value, "a" * 64, ["must be no more than 63 bytes"]),
        (names.http_header, "X-Header", []),
        (names.env_name, "1 a", []),
        (names.env_name, "", ["environment variable name must be non-empty"]),
        (names.config_key, "key.name", []),
        (names.config_key, "..", ["must not be '..'"]),
        (names.config_key, "..a", ["must not start with '..'"]),
        (names.port_name, "http", []),
        (names.port_name, "80", ["must contain at least one letter (a-z)"]),
        (names.port_name, "-a--b", ["must not contain consecutive hyphens", "must not begin or end with a hyphen"]),
        (names.ip_address, "2001:db8::1", []),
        (names.ip_address, "2001:0db8::1", ['must be in canonical form ("2001:db8::1")']),
        (names.ip_address, "x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.cron_job, "a" * 53, ["must be no more than 52 characters"]),
    ],
)
def test_check_says_exactly_what_is_wrong(check, value, said):
    assert check(value) == said


@pytest.mark.parametrize(
    ("check", "value", "begins"),
    [
        (names.dns_1035_label, "1a", "a DNS-1035 label must consist of"),
        (names.wildcard_subdomain, "*.*.com", "a wildcard DNS-1123 subdomain must start with '*.'"),
        (names.qualified_name, "a/b/c", "a valid label key must consist of alphanumeric characters"),
        (names.qualified_name, "A b", "name part must consist of alphanumeric characters"),
        (names.qualified_name, "EX/a", "prefix part a lowercase RFC 1123 subdomain"),
        (names.label_value, "-a", "a valid label must be an empty string or consist of"),
        (names.http_header, "a b", "a valid HTTP header must consist of"),
        (names.config_key, "a b", "a valid config key must consist of"),
        (names.env_name, "a=b", "a valid environment variable name must consist only of"),
    ],
)
def test_check_says_which_rule_is_broken(check, value, begins):
    assert len(check(value)) == 1
    assert check(value)[0].startswith(begins)


def test_generated_name_may_end_in_a_dash():
    """Something is added to it; to a name nothing is."""
    assert names.dns_subdomain("web-", prefix=True) == []
    assert names.dns_subdomain("web-") == [SUBDOMAIN_TEXT]
    assert names.path_segment("..", prefix=True) == []


def test_rule_depends_on_the_kind():
    """Most names are subdomains."""
    assert rule_of("", "Pod") is names.dns_subdomain
    assert rule_of("", "Namespace") is names.dns_label
    assert rule_of("", "Service") is names.dns_1035_label
    assert rule_of("rbac.authorization.k8s.io", "Role")("system:x:y") == []
    assert {(item.group, item.kind) for item in builtin.resource_types()} >= names.RULES.keys()
