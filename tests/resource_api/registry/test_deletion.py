"""How objects go: at once, after a grace period, when their finalizers are done (spec B.5)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from resource_api.errors import Object, StatusError
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.deletion import Outcome, is_finished, mark
from resource_api.registry.requests import DeleteOptions, ListOptions
from resource_api.registry.store import ChangedError
from resource_api.schema.times import rfc3339
from resource_api.security.admission.plugin import PassivePlugin
from tests.resource_api.registry.builtins import model_of, object_of
from tests.resource_api.world import WALL_S, World, config_map, refusal, run
from tests.support.memory_store import MemoryStore

HOLD = "example.com/hold"


def pod(node: str = "n", phase: str = "Running", grace_s: int | None = 30, **metadata: Any) -> Object:
    """A pod as it is stored."""
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "generation": 1, **metadata},
        "spec": {
            **spec,
            **({"nodeName": node} if node else {}),
            **({} if grace_s is None else {"terminationGracePeriodSeconds": grace_s}),
        },
        "status": {"phase": phase},
    }


def ending(grace_s: int, *finalizers: str, in_s: int = 0) -> Object:
    """A pod that has been deleted, with so much grace."""
    metadata: Object = {"deletionTimestamp": rfc3339(WALL_S + in_s), "deletionGracePeriodSeconds": grace_s}
    return pod(**metadata, **({"finalizers": list(finalizers)} if finalizers else {}))


def marked(obj: Object, **options: Any) -> tuple[Outcome, Object]:
    """What is decided, and the metadata that makes."""
    changed = copy.deepcopy(obj)
    outcome = mark(model_of(obj).strategy, changed, DeleteOptions(**options), WALL_S)
    return outcome, changed["metadata"]


# Grace.


@pytest.mark.parametrize(
    ("obj", "asked", "grace_s"),
    [
        (pod(), None, 30),
        (pod(grace_s=None), None, 30),
        (pod(grace_s=5), None, 5),
        (pod(), 7, 7),
        (pod(), -1, 1),
        (pod(grace_s=-5), None, 1),
    ],
)
def test_running_pod_is_given_time(obj: Object, asked: int | None, grace_s: int):
    """As asked, else its own; a negative one means a second. It is to be gone when the time is over."""
    outcome, metadata = marked(obj, grace_period_s=asked)
    assert (outcome, metadata["deletionGracePeriodSeconds"]) == ("marked", grace_s)
    assert metadata["deletionTimestamp"] == rfc3339(WALL_S + grace_s)
    assert metadata["generation"] == 2


@pytest.mark.parametrize(
    ("obj", "asked"),
    [(pod(node=""), None), (pod(phase="Succeeded"), None), (pod(phase="Failed"), 60), (pod(), 0), (pod(grace_s=0), None)],
)
def test_pod_that_runs_nowhere_or_is_not_given_time_goes_at_once(obj: Object, asked: int | None):
    """Nobody is there to end it."""
    assert marked(obj, grace_period_s=asked)[0] == "remove"


def test_second_deletion_may_only_shorten():
    """Longer, the same or nothing changes nothing; shorter moves the end."""
    there = ending(30, in_s=20)
    for asked in (None, 30, 31):
        assert marked(there, grace_period_s=asked) == ("pending", there["metadata"])
    outcome, metadata = marked(there, grace_period_s=5)
    assert (outcome, metadata["deletionGracePeriodSeconds"]) == ("marked", 5)
    assert metadata["deletionTimestamp"] == rfc3339(WALL_S + 20 - 30 + 5)
    assert metadata["generation"] == 1
    assert marked(there, grace_period_s=0)[0] == "remove"


def test_negative_shortening_is_one_second():
    """And no end at once."""
    outcome, metadata = marked(ending(30), grace_period_s=-1)
    assert (outcome, metadata["deletionGracePeriodSeconds"]) == ("marked", 1)


def test_finalizers_hold_a_pod_whose_time_is_over():
    """Kept with no grace; its finalizers are all it waits for."""
    outcome, metadata = marked(ending(30, HOLD), grace_period_s=0)
    assert (outcome, metadata["deletionGracePeriodSeconds"], metadata["finalizers"]) == ("marked", 0, [HOLD])
    outcome, metadata = marked(ending(0, HOLD))
    assert outcome == "marked"
    assert marked(ending(0))[0] == "remove"


# Finalizers and propagation.


@pytest.mark.parametrize(
    ("present", "options", "finalizers"),
    [
        ([], {}, None),
        ([], {"propagation": "Background"}, None),
        ([], {"propagation": "Orphan"}, ["orphan"]),
        ([], {"propagation": "Foreground"}, ["foregroundDeletion"]),
        ([], {"orphan_dependents": True}, ["orphan"]),
        ([], {"orphan_dependents": False}, None),
        ([HOLD], {"propagation": "Foreground"}, [HOLD, "foregroundDeletion"]),
        ([HOLD, "orphan"], {}, [HOLD, "orphan"]),
        (["orphan"], {"propagation": "Foreground"}, ["foregroundDeletion"]),
        (["foregroundDeletion"], {"propagation": "Background"}, None),
        (["foregroundDeletion"], {"orphan_dependents": True}, ["orphan"]),
        (["orphan", HOLD], {"orphan_dependents": False}, [HOLD]),
    ],
)
def test_propagation_is_asked_else_there_else_background(present: list[str], options: Any, finalizers: list[str] | None):
    """What a deletion asks for replaces what stands there; nobody's own finalizers are touched."""
    outcome, metadata = marked(config_map(finalizers=present) if present else config_map(), **options)
    if finalizers is None:
        assert outcome == "remove"
    else:
        assert (outcome, metadata["finalizers"]) == ("marked", finalizers)
        assert (metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]) == (rfc3339(WALL_S), 0)


def test_later_deletion_may_ask_for_another_propagation():
    """As long as the object waits for finalizers and not for its grace."""
    there = config_map(deletionTimestamp=rfc3339(WALL_S), deletionGracePeriodSeconds=0, finalizers=["foregroundDeletion"])
    assert marked(there, propagation="Orphan")[1]["finalizers"] == ["orphan"]
    assert marked(there, propagation="Background")[0] == "remove"
    assert marked(ending(30, "orphan"), propagation="Background")[0] == "pending"
    assert marked(ending(30, "orphan"), propagation="Background", grace_period_s=3)[1].get("finalizers") is None


def test_marking_counts_once():
    """The generation rises with the first deletion, of kinds that have one."""
    there = config_map(finalizers=[HOLD])
    assert "generation" not in marked(there)[1]
    counted = {**object_of("Deployment")}
    counted["metadata"] = {**counted["metadata"], "generation": 4, "finalizers": [HOLD]}
    assert marked(counted)[1]["generation"] == 5
    counted["metadata"] |= {"deletionTimestamp": rfc3339(WALL_S), "deletionGracePeriodSeconds": 0}
    assert marked(counted)[1]["generation"] == 4


def test_finished_means_deleted_and_waiting_for_nobody():
    """Neither for grace nor for finalizers."""
    strategy = model_of(config_map()).strategy
    gone = {"deletionTimestamp": "2027-01-01T00:00:00Z"}
    assert is_finished(strategy, config_map(**gone))
    assert is_finished(strategy, config_map(**gone, deletionGracePeriodSeconds=0, finalizers=[]))
    assert not is_finished(strategy, config_map(**gone, deletionGracePeriodSeconds=5))
    assert not is_finished(strategy, config_map(**gone, finalizers=[HOLD]))
    assert not is_finished(strategy, config_map())


# Carried out.


def test_deletion_removes_and_says_what():
    """A Status with name, plural and uid; some kinds answer the object."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        code, answer = await world.delete(made)
        assert code == 200
        assert answer == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
        }
        assert await world.find(made) is None
        account = await world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s", "namespace": "default"}})
        assert (await world.delete(account))[1] == account
        deployment = await world.create(object_of("Deployment"))
        assert (await world.delete(deployment))[1]["details"]["group"] == "apps"
        assert (await refusal(world.delete(made))).message == 'configmaps "a" not found'

    run(scenario)


def test_held_object_is_answered_and_goes_with_its_last_finalizer():
    """200 with the object, then the update that takes the last finalizer away removes it and answers the version it had."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=[HOLD, "example.com/other"]))
        code, held = await world.delete(made)
        assert (code, held["metadata"]["deletionGracePeriodSeconds"]) == (200, 0)
        assert await world.find(made) == held
        again = world.store.now
        assert (await world.delete(made))[1] == held
        assert world.store.now == again
        left = await world.change(made, lambda obj: obj["metadata"]["finalizers"].remove(HOLD))
        last = await world.change(made, lambda obj: obj["metadata"].pop("finalizers"))
        assert last["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        assert await world.find(made) is None

    run(scenario)


def test_last_finalizer_in_a_dry_run_removes_nothing():
    """It only says what would be."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=[HOLD]))
        _, held = await world.delete(made)
        await world.change(made, lambda obj: obj["metadata"].pop("finalizers"), dry_run=True)
        assert await world.find(made) == held

    run(scenario)


def test_finalizer_cannot_be_added_to_what_is_ending():
    """403 upstream's wording; it could never go otherwise."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=[HOLD]))
        await world.delete(made)
        error = await refusal(world.change(made, lambda obj: obj["metadata"]["finalizers"].append("example.com/new")))
        assert error.code == 422
        assert "no new finalizers can be added if the object is being deleted" in error.message

    run(scenario)


def test_object_left_between_mark_and_removal_goes_with_the_next_change_or_deletion():
    """A server stopped in between; nothing holds it any more."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        for end in ("change", "delete"):
            value = (await world.store.get("configmaps/default/a")).value
            mark_ = b'"deletionTimestamp":"2027-01-01T00:00:00Z","deletionGracePeriodSeconds":0,"uid"'
            world.store.put("configmaps/default/a", value.replace(b'"uid"', mark_))
            await (world.change(made, lambda obj: None) if end == "change" else world.delete(made))
            assert await world.find(made) is None
            made = await world.create(config_map())

    run(scenario)


def test_preconditions_are_checked_against_what_is_deleted():
    """409 naming the Kind; with what is there it goes."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
        error = await refusal(world.delete(made, precondition_uid="x"))
        assert (error.code, error.kind) == (409, "ConfigMap")
        assert error.message == (
            f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does not match the UID in record ({uid}). '
            "The object might have been deleted and then recreated"
        )
        error = await refusal(world.delete(made, precondition_resource_version="1"))
        assert f"the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version})." in error.message
        await world.delete(made, precondition_uid=uid, precondition_resource_version=version)
        assert await world.find(made) is None

    run(scenario)


def test_precondition_fails_when_somebody_was_faster():
    """The object that would go is another version than the one that was checked."""

    class Raced(MemoryStore):
        async def delete(self, key: str, *, expected_revision: int) -> int:
            if not self.turn:
                self.turn = 1
                self.put(key, (await self.get(key)).value.replace(b'"name"', b'"generateName":"x","name"'))
            return await super().delete(key, expected_revision=expected_revision)

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        error = await refusal(world.delete(made, precondition_resource_version=made["metadata"]["resourceVersion"]))
        assert error.code == 409
        assert await world.find(made) is not None
        world.store.turn = 0  # type: ignore[attr-defined]
        await world.delete(made)
        assert await world.find(made) is None

    run(scenario, store=Raced())


def test_deletion_another_finished_is_not_found():
    """404, as for one that came later."""

    class Gone(MemoryStore):
        async def delete(self, key: str, *, expected_revision: int) -> int:
            self.remove(key)
            raise ChangedError(None)

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        assert (await refusal(world.delete(made))).code == 404

    run(scenario, store=Gone())


def test_options_that_contradict_each_other_are_refused():
    """422 before anything is looked up."""

    async def scenario(world: World) -> None:
        error = await refusal(world.delete(config_map(), orphan_dependents=True, propagation="Orphan"))
        assert (error.code, error.kind) == (422, "DeleteOptions")
        assert "orphanDependents and deletionPropagation cannot be both set" in error.message

    run(scenario)


@pytest.mark.parametrize(("orphan", "code"), [(None, 200), (True, 200), (False, 202)])
def test_old_way_to_ask_for_background_answers_accepted(orphan: bool | None, code: int):
    """202 while something still holds the object."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=[HOLD]))
        assert (await world.delete(made, orphan_dependents=orphan))[0] == code

    run(scenario)


def test_graceful_pod_stays_until_it_is_deleted_without_grace():
    """As a kubelet does when the pod has ended."""

    async def scenario(world: World) -> None:
        made = await world.create({**object_of("Pod"), "metadata": {"name": "p", "namespace": "default"}})
        made = await world.change(made, lambda obj: obj["spec"].update(nodeName="n"), "binding")
        _, held = await world.delete(made)
        assert held["metadata"]["deletionGracePeriodSeconds"] > 0
        await world.change(made, lambda obj: obj["metadata"].update(labels={"a": "b"}))
        assert await world.find(made) is not None
        await world.delete(made, grace_period_s=0)
        assert await world.find(made) is None

    run(scenario)


def test_collection_is_deleted_as_selected():
    """Each by itself; those that are held are marked; what went meanwhile is no fault; the list is what there was."""

    async def scenario(world: World) -> None:
        for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {"x": "2"})):
            await world.create(config_map(name, labels=labels, **({"finalizers": [HOLD]} if name == "b" else {})))
        await world.create(config_map("d", "other", labels={"x": "1"}))
        gone = await world.of("configmaps").delete_collection(world.context(), ListOptions(label_selector="x=1"), DeleteOptions())
        assert [obj["metadata"]["name"] for obj in gone] == ["a", "b"]
        left = {obj["metadata"]["name"]: "deletionTimestamp" in obj["metadata"] for obj in await world.of("configmaps").list_objects()}
        assert left == {"b": True, "c": False, "d": False}

    run(scenario)


def test_namespace_is_kept_with_its_phase_and_no_grace():
    """Upstream marks a namespace in its own way: the time, the phase, nothing else."""

    async def scenario(world: World) -> None:
        made = await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        code, held = await world.delete(made)
        assert (code, held["status"]["phase"], held["spec"]["finalizers"]) == (200, "Terminating", ["kubernetes"])
        assert held["metadata"]["deletionTimestamp"]
        assert "deletionGracePeriodSeconds" not in held["metadata"]
        assert (await world.delete(made))[1] == held

    run(scenario)


# What cannot be read.

UNREAD = "ignoreStoreReadErrorWithClusterBreakingPotential"


def test_damaged_value_is_deleted_for_who_says_so():
    """Whatever held it: nothing of it can be asked. The name is free then."""

    async def scenario(world: World) -> None:
        world.plug(Refuses())
        world.store.put("configmaps/default/a", b"{broken")
        code, answer = await world.delete(config_map(), ignore_store_read_error=True)
        assert (code, answer["status"], answer["details"], answer["code"]) == (200, "Success", {"name": "a", "kind": "ConfigMap"}, 200)
        world.plug()
        assert await world.find(config_map()) is None
        await world.create(config_map())

    run(scenario)


class Refuses(PassivePlugin):
    """Every deletion, when it is asked."""

    name = "Refuses"

    def handles(self, request: AdmissionRequest) -> bool:
        return request.operation == "DELETE"

    async def validate(self, request: AdmissionRequest) -> None:
        raise StatusError(403, "Forbidden", "no")


def test_readable_object_is_not_deleted_as_a_damaged_one():
    """Nor is one that is not there: the option is for nothing else."""

    async def scenario(world: World) -> None:
        await world.create(config_map(finalizers=[HOLD]))
        for name in ("a", "b"):
            error = await refusal(world.delete(config_map(name), ignore_store_read_error=True))
            assert error.code == 422
            assert error.message == (
                f'configmaps "{name}" is invalid: {UNREAD}: Invalid value: true: is exclusively used to delete corrupt object(s), '
                "try again by removing this option"
            )
        assert await world.find(config_map()) is not None

    run(scenario)


def test_value_mended_meanwhile_is_not_deleted():
    """What is removed is what was found damaged."""

    class Mended(MemoryStore):
        async def delete(self, key: str, *, expected_revision: int) -> int:
            if expected_revision == damaged[0]:
                self.put(key, b'{"metadata":{"name":"a","namespace":"default","uid":"u"},"apiVersion":"v1","kind":"ConfigMap"}')
            return await super().delete(key, expected_revision=expected_revision)

    damaged: list[int] = []

    async def scenario(world: World) -> None:
        damaged.append(world.store.put("configmaps/default/a", b"{broken"))
        error = await refusal(world.delete(config_map(), ignore_store_read_error=True))
        assert error.code == 422
        assert await world.find(config_map()) is not None

    run(scenario, store=Mended())


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("dryRun", {"dry_run": True}),
        ("propagationPolicy", {"propagation": "Background"}),
        ("orphanDependents", {"orphan_dependents": False}),
        ("gracePeriodSeconds", {"grace_period_s": 0}),
        ("preconditions", {"precondition_uid": "u"}),
    ],
)
def test_option_for_damaged_values_goes_with_no_other(field: str, options: dict[str, Any]):
    """It could not keep what the others promise."""

    async def scenario(world: World) -> None:
        revision = world.store.put("configmaps/default/a", b"{broken")
        error = await refusal(world.delete(config_map(), ignore_store_read_error=True, **options))
        assert error.code == 422
        assert (
            error.message == f'DeleteOptions.meta.k8s.io "" is invalid: {UNREAD}: Invalid value: true: cannot be set together with .{field}'
        )
        assert world.store.now == revision

    run(scenario)
