"""Two versions of one object are one object."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Object
from resource_api.registry.conversion import autoscaler_to_v1, autoscaler_to_v2, event_to_core, event_to_events
from tests.resource_api.registry.builtins import model_of, object_of, prepared

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
_MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
_SEEN = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "400m"}}}

autoscalers = st.fixed_dictionaries(
    {
        "metadata": st.sampled_from([{"name": "h"}, {"name": "h", "annotations": {"a": "b"}}]),
        "spec": st.fixed_dictionaries(
            {"maxReplicas": st.integers(1, 5), "metrics": st.lists(st.sampled_from([_MEMORY])).map(lambda others: [_CPU, *others])},
            optional={
                "behavior": st.just({"scaleDown": {"selectPolicy": "Max"}}),
            },
        ),
        "status": st.fixed_dictionaries(
            {"currentReplicas": st.integers(0, 5), "desiredReplicas": st.integers(0, 5)},
            optional={
                "currentMetrics": st.just([_SEEN]),
                "conditions": st.just([{"type": "AbleToScale", "status": "True"}]),
                "observedGeneration": st.just(1),
            },
        ),
    }
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(autoscalers)
def test_autoscaler_survives_the_older_version(obj: Object) -> None:
    """v2 → v1 → v2 loses nothing, and neither call touches what it was given."""
    obj = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", **obj}
    before = copy.deepcopy(obj)
    older = autoscaler_to_v1(obj)
    assert autoscaler_to_v2(older) == before == obj
    assert set(older["spec"]) <= {"maxReplicas", "minReplicas", "scaleTargetRef", "targetCPUUtilizationPercentage"}


def test_autoscaler_v1_target_is_a_metric_of_v2() -> None:
    """What `kubectl autoscale --cpu-percent` of old releases wrote."""
    stored = autoscaler_to_v2(prepared(object_of("HorizontalPodAutoscaler", "autoscaling/v1")))
    assert stored["spec"]["metrics"] == [_CPU]
    assert "targetCPUUtilizationPercentage" not in stored["spec"]


def test_autoscaler_annotation_that_is_no_json_is_dropped() -> None:
    """Nobody can make the stored object unreadable."""
    obj = object_of("HorizontalPodAutoscaler", "autoscaling/v1")
    obj["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "{"}
    assert autoscaler_to_v2(obj)["spec"]["metrics"] == [_CPU]


def test_event_is_the_same_in_both_groups() -> None:
    """Core's names and the new ones, there and back."""
    for kind, there, back in (("v1", event_to_events, event_to_core), ("events.k8s.io/v1", event_to_core, event_to_events)):
        obj = prepared(object_of("Event", kind))
        assert back(there(obj)) == obj
    shown = event_to_events(prepared(object_of("Event", "v1")))
    assert (shown["regarding"]["name"], shown["deprecatedFirstTimestamp"]) == ("web", "2023-12-31T22:00:00Z")
    assert "involvedObject" not in shown


@pytest.mark.parametrize(
    ("kind", "versions"), [("HorizontalPodAutoscaler", ("autoscaling/v1", "autoscaling/v2")), ("Event", ("v1", "events.k8s.io/v1"))]
)
def test_object_of_another_version_is_read_as_a_replacement_would_leave_it(kind: str, versions: tuple[str, str]) -> None:
    """Else to put back what was read would be a change: nulls, zeros and empty texts are those of the version that is asked for."""
    for written in versions:
        for asked in versions:
            source, model = prepared(object_of(kind, written)), model_of(object_of(kind, asked))
            read = model.from_storage(model_of(source).to_storage(source))
            again = copy.deepcopy(read)
            model.prune(again)
            model.default(again)
            assert again == read
