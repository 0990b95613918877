"""The write pipeline: what meets other writes, what changes nothing, dry runs and apply (spec B.1, B.6)."""

from __future__ import annotations

import asyncio
import json

import pytest

from resource_api.errors import MODIFIED, Object
from resource_api.registry.store import ChangedError
from tests.resource_api.world import LEASE, World, allow, config_map, refusal, run
from tests.support.memory_store import MemoryStore

# Versions and conflicts.


def test_update_with_the_present_version_writes():
    """What a client read and changed is what stands there then."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"a": "1"}))
        made["data"] = {"b": "2"}
        changed = await world.update(made)
        assert changed["data"] == {"b": "2"}
        assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
        assert await world.find(made) == changed

    run(scenario)


def test_update_with_an_old_version_is_a_conflict():
    """The one message everybody knows; nothing is written."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        newer = await world.update({**made, "data": {"a": "1"}})
        error = await refusal(world.update({**made, "data": {"a": "2"}}))
        assert (error.code, error.reason) == (409, "Conflict")
        assert error.message == f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}'
        assert await world.find(made) == newer

    run(scenario)


def test_update_without_a_version_takes_the_place_of_what_is_there():
    """Most kinds allow it."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"a": "1"}))
        changed = await world.update(config_map(data={"b": "2"}))
        assert changed["data"] == {"b": "2"}
        assert changed["metadata"]["uid"] == made["metadata"]["uid"]

    run(scenario)


@pytest.mark.parametrize("version", [None, "0", ""])
def test_update_of_a_lease_must_carry_a_version(version: str | None):
    """Leader election rests on it."""

    async def scenario(world: World) -> None:
        await world.create(LEASE)
        metadata = {**LEASE["metadata"], **({} if version is None else {"resourceVersion": version})}  # type: ignore[dict-item]
        error = await refusal(world.update({**LEASE, "metadata": metadata}))
        assert error.code == 422
        assert error.message == (
            'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
        )

    run(scenario)


def test_update_of_another_uid_is_a_conflict():
    """Who insists on a uid means the object he read, not the one of the same name."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        error = await refusal(world.update(config_map(uid="other")))
        assert error.code == 409
        assert f"Precondition failed: UID in precondition: other, UID in object meta: {made['metadata']['uid']}" in error.message

    run(scenario)


class Raced(MemoryStore):
    """Somebody else is faster, so many times: right before an update, what stands there is written once more."""

    def __init__(self, races: int) -> None:
        super().__init__()
        self.races = races

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        if self.races:
            self.races -= 1
            other = (await self.get(key)).value.replace(b'"n":"0"', b'"n":"0","other%d":"x"' % self.races)
            self.put(key, other)
        return await super().update(key, value, expected_revision=expected_revision, ttl_s=ttl_s)


def test_patch_is_made_again_on_what_others_wrote():
    """Neither change is lost."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"n": "0"}))
        changed = await world.change(made, lambda obj: obj["data"].update(mine="y"))
        assert changed["data"] == {"n": "0", "other0": "x", "other1": "x", "other2": "x", "mine": "y"}

    run(scenario, store=Raced(3))


def test_patch_gives_up_when_others_are_always_faster():
    """A conflict after a bounded number of tries."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"n": "0"}))
        error = await refusal(world.change(made, lambda obj: obj["data"].update(mine="y")))
        assert error.code == 409

    run(scenario, store=Raced(1000))


def test_patch_that_names_a_version_insists_on_it():
    """A conflict, also when the version was the present one until somebody was faster."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"n": "0"}))
        version = made["metadata"]["resourceVersion"]

        def insisting(obj: Object) -> None:
            obj["data"]["mine"] = "y"
            obj["metadata"]["resourceVersion"] = version

        error = await refusal(world.change(made, insisting))
        assert (error.code, MODIFIED in error.message) == (409, True)

    run(scenario, store=Raced(1))


def test_update_that_insists_is_a_conflict_when_somebody_was_faster():
    """Between the check and the write."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"n": "0"}))
        error = await refusal(world.update({**made, "data": {"mine": "y"}}))
        assert (error.code, MODIFIED in error.message) == (409, True)
        found = await world.find(made)
        assert found is not None
        assert "mine" not in found["data"]

    run(scenario, store=Raced(1))


def test_update_that_does_not_insist_is_made_again():
    """Without a version the last writer wins."""

    async def scenario(world: World) -> None:
        await world.create(config_map(data={"n": "0"}))
        assert (await world.update(config_map(data={"mine": "y"})))["data"] == {"mine": "y"}

    run(scenario, store=Raced(1))


def test_object_that_goes_while_it_is_changed_is_not_found():
    """404, and it does not come back."""

    class Removed(MemoryStore):
        async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
            self.remove(key)
            raise ChangedError(None)

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        error = await refusal(world.change(made, lambda obj: obj.update(data={"a": "b"})))
        assert (error.code, error.message) == (404, 'configmaps "a" not found')
        assert await world.find(made) is None

    run(scenario, store=Removed())


# Writes that are none.


@pytest.mark.parametrize("how", ["update", "patch", "apply"])
def test_write_that_changes_nothing_is_none(how: str):
    """The version stays, and watchers hear nothing."""

    async def scenario(world: World) -> None:
        applied = config_map(data={"a": "b"})
        made, _ = await world.of("configmaps").apply(world.context(), "a", applied, force=False, may_create=allow)
        before = world.store.now
        await asyncio.sleep(5)
        if how == "update":
            again = await world.update(made)
        elif how == "patch":
            again = await world.change(made, lambda obj: obj["data"].update(a="b"))
        else:
            again, _ = await world.of("configmaps").apply(world.context(), "a", config_map(data={"a": "b"}), force=False)
        assert world.store.now == before
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    run(scenario)


def test_what_was_stored_without_defaults_can_be_changed():
    """Its immutable parts are compared as they are read upstream, where decoding fills in what is always written."""
    claim = {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "d"}}]}}}
    template = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": {"name": "r", "namespace": "default"}}

    async def scenario(world: World) -> None:
        made = await world.create({**template, "spec": claim})
        assert "metadata" in made["spec"]
        key = "resourceclaimtemplates/default/r"
        stored = json.loads((await world.store.get(key)).value)
        del stored["spec"]["metadata"]
        world.store.put(key, json.dumps(stored).encode())
        old = await world.find(made)
        assert old is not None
        same = await world.update(old)
        assert same["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
        old["metadata"]["labels"] = {"a": "b"}
        changed = await world.update(old)
        assert changed["metadata"]["labels"] == {"a": "b"}
        assert changed["spec"] == made["spec"]

    run(scenario)


def test_true_and_one_are_two_values():
    """A change between values that Python takes for equal is a change."""

    async def scenario(world: World) -> None:
        definition = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "d"}}
        parameters = [{"opaque": {"driver": "x.example.com", "parameters": {"on": 1}}}]
        first = await world.create({**definition, "spec": {"config": parameters}})

        def switch(obj: Object) -> None:
            obj["spec"]["config"][0]["opaque"]["parameters"]["on"] = True

        second = await world.change(first, switch)
        assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        assert (await world.store.get("deviceclasses/d")).value.count(b'"on":true') == 1

    run(scenario)


# Dry runs.


def test_dry_run_answers_what_would_be_and_writes_nothing():
    """A new object has a uid and no version; a changed one keeps its version."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map("new"), dry_run=True)
        assert made["metadata"]["uid"]
        assert "resourceVersion" not in made["metadata"]
        real = await world.create(config_map())
        before = world.store.now
        changed = await world.update({**real, "data": {"a": "b"}}, dry_run=True)
        patched = await world.change(real, lambda obj: obj.update(data={"c": "d"}), dry_run=True)
        applied, created = await world.of("configmaps").apply(
            world.context(dry_run=True), "other", config_map("other"), force=False, may_create=allow
        )
        code, answer = await world.delete(real, dry_run=True)
        assert (changed["data"], patched["data"], created, code, answer["status"]) == ({"a": "b"}, {"c": "d"}, True, 200, "Success")
        assert changed["metadata"]["resourceVersion"] == real["metadata"]["resourceVersion"]
        assert applied["metadata"]["uid"]
        assert world.store.now == before
        assert await world.find(real) == real

    run(scenario)


def test_dry_run_is_refused_for_what_the_store_says():
    """A name that is taken, a version that is old, a precondition that fails."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        await world.update({**made, "data": {"a": "b"}})
        assert (await refusal(world.create(config_map(), dry_run=True))).reason == "AlreadyExists"
        assert (await refusal(world.update({**made, "data": {}}, dry_run=True))).reason == "Conflict"
        assert (await refusal(world.delete(made, dry_run=True, precondition_uid="x"))).reason == "Conflict"

    run(scenario)


# Apply.


def test_apply_makes_what_is_missing_for_who_may():
    """201 with ownership; without the permission its refusal."""

    async def scenario(world: World) -> None:
        resource = world.of("configmaps")
        made, created = await resource.apply(world.context(), "a", config_map(data={"a": "b"}), force=False, may_create=allow)
        assert created
        (entry,) = made["metadata"]["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("tester", "Apply")
        assert (await refusal(resource.apply(world.context(), "b", config_map("b"), force=False))).code == 404
        assert (await refusal(resource.apply(world.context(), "b", config_map("a"), force=False))).code == 400
        assert (await refusal(resource.apply(world.context("x"), "a", config_map("a"), force=False))).code == 400

    run(scenario)


def test_apply_of_a_uid_that_is_gone_is_a_conflict():
    """It does not make another object of that name."""

    async def scenario(world: World) -> None:
        work = world.of("configmaps").apply(world.context(), "a", config_map(uid="gone"), force=False, may_create=allow)
        error = await refusal(work)
        assert (error.code, error.reason) == (409, "Conflict")
        assert world.store.now == 1

    run(scenario)


def test_apply_that_another_creation_outran_merges_into_it():
    """The name was free when it looked."""

    class Outrun(MemoryStore):
        async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
            if b'"applied"' in value and self.now == 1:
                self.put(key, value.replace(b'"applied"', b'"other"'))
            return await super().create(key, value, ttl_s=ttl_s)

    async def scenario(world: World) -> None:
        applied = config_map(data={"applied": "x"})
        made, created = await world.of("configmaps").apply(world.context(), "a", applied, force=False, may_create=allow)
        assert not created
        assert made["data"] == {"applied": "x", "other": "x"}

    run(scenario, store=Outrun())


def test_apply_conflicts_until_it_is_forced():
    """Another manager's value is not changed by the way."""

    async def scenario(world: World) -> None:
        resource = world.of("configmaps")
        await world.create(config_map(data={"a": "1"}), field_manager="first")
        ctx = world.context(field_manager="second")
        error = await refusal(resource.apply(ctx, "a", config_map(data={"a": "2"}), force=False))
        assert [(cause.reason, cause.field) for cause in error.causes] == [("FieldManagerConflict", ".data.a")]
        forced, _ = await resource.apply(ctx, "a", config_map(data={"a": "2"}), force=True)
        assert forced["data"] == {"a": "2"}

    run(scenario)


@pytest.mark.parametrize(
    ("agent", "manager"),
    [("kubectl/v1.37.1 (linux/amd64)", "kubectl"), ("", "unknown"), ("a\x07b\n/1", "ab"), ("x" * 300, "x" * 128), ("\x00/1", "unknown")],
)
def test_manager_is_named_after_the_user_agent(agent: str, manager: str):
    """Up to the slash, what can be shown of it, 128 bytes at most."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"a": "b"}), field_manager="", user_agent=agent)
        assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == [manager]

    run(scenario)
