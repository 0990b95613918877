"""Who may grant what, and the rules aggregated roles collect."""

from __future__ import annotations

from resource_api.registry.requests import User
from resource_api.security.escalation import aggregated_rules, escalation_text, matches_labels, outdated_aggregates, uncovered

BOB = User("bob", ("devs", "system:authenticated"))
GET_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def test_uncovered_finds_what_no_single_rule_covers():
    """Each verb, group, resource and name is looked for alone; two rules together cover a wanted one."""
    held = [GET_PODS, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    assert uncovered(held, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]) == []
    assert uncovered(held, [{"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get"]}]) == [{**GET_PODS, "apiGroups": ["apps"]}]
    assert uncovered([{**GET_PODS, "resourceNames": ["a"]}], [GET_PODS]) == [GET_PODS]
    assert uncovered([GET_PODS], [{**GET_PODS, "resourceNames": ["a"]}]) == []
    assert uncovered([{**GET_PODS, "resources": ["*/log"]}], [{**GET_PODS, "resources": ["pods/log"]}]) == []
    assert uncovered([{**GET_PODS, "resources": ["*"]}], [{**GET_PODS, "resources": ["*"]}]) == []
    assert uncovered([GET_PODS], [{**GET_PODS, "verbs": ["*"]}]) == [{**GET_PODS, "verbs": ["*"]}]
    assert uncovered([{"nonResourceURLs": ["/a*"], "verbs": ["get"]}], [{"nonResourceURLs": ["/ab", "/b"], "verbs": ["get"]}]) == [
        {"nonResourceURLs": ["/b"], "verbs": ["get"]}
    ]


def test_escalation_text_names_user_groups_and_compact_rules():
    """Verbs of one resource stand in one line; lines are sorted."""
    wanted = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
        {"nonResourceURLs": ["/x"], "verbs": ["get"]},
    ]
    assert escalation_text(BOB, [GET_PODS], ["role missing"], [GET_PODS, *wanted]) == (
        'user "bob" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}\n'
        '{NonResourceURLs:["/x"], Verbs:["get"]}; resolution errors: [role missing]'
    )
    assert escalation_text(BOB, [GET_PODS], [], [GET_PODS]) == ""
    assert escalation_text(User("root", ("system:masters",)), [], [], wanted) == ""


def test_label_selector_takes_all_four_operators():
    """An operator nobody knows picks nothing."""
    labels = {"a": "1"}
    expressions = [
        {"key": "a", "operator": "In", "values": ["1"]},
        {"key": "b", "operator": "NotIn", "values": ["1"]},
        {"key": "a", "operator": "Exists"},
        {"key": "b", "operator": "DoesNotExist"},
    ]
    assert matches_labels({"matchLabels": {"a": "1"}, "matchExpressions": expressions}, labels)
    assert not matches_labels({"matchLabels": {"a": "2"}}, labels)
    assert not matches_labels({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, labels)
    assert not matches_labels({"matchExpressions": [{"key": "a", "operator": "Gt"}]}, labels)
    assert matches_labels({}, labels)


def test_aggregation_collects_by_name_once_and_never_itself():
    """Two roles with the same rule give it once; the aggregated role's own label does not feed it."""
    other = {**GET_PODS, "verbs": ["list"]}
    collector = {
        "metadata": {"name": "m", "labels": {"to": "m"}},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "m"}}]},
        "rules": [{**GET_PODS, "verbs": ["old"]}],
    }
    parts = [
        {"metadata": {"name": "z", "labels": {"to": "m"}}, "rules": [GET_PODS]},
        {"metadata": {"name": "b", "labels": {"to": "m"}}, "rules": [other, GET_PODS]},
        {"metadata": {"name": "c"}, "rules": [{**GET_PODS, "verbs": ["watch"]}]},
    ]
    assert aggregated_rules(collector, [*parts, collector]) == [other, GET_PODS]
    (changed,) = outdated_aggregates([*parts, collector])
    assert changed["rules"] == [other, GET_PODS]
    assert outdated_aggregates([*parts, changed]) == []
