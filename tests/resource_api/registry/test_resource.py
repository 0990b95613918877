"""The write pipeline: create, update, patch and apply, as every kind has them (spec B.1, B.2, B.6)."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.errors import MODIFIED, Object, forbidden
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.store import ChangedError, KeyExistsError, OutcomeUnknownError, ValueTooLargeError
from resource_api.security.admission.plugin import PassivePlugin, refused
from tests.resource_api.registry.builtins import object_of
from tests.resource_api.world import World, config_map, refusal, run
from tests.support.memory_store import MemoryStore

LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "default"}, "spec": {}}


async def allow() -> None:
    """Nothing stands in the way."""


# What the server sets.


def test_create_sets_what_only_the_server_sets():
    """uid, creationTimestamp and resourceVersion are the server's; what a client sends of them is dropped."""

    async def scenario(world: World) -> None:
        sent = config_map(uid="mine", creationTimestamp="2001-01-01T00:00:00Z", deletionTimestamp="2001-01-01T00:00:00Z", selfLink="/x")
        made = (await world.create(sent))["metadata"]
        assert made["uid"] != "mine"
        assert len(made["uid"]) == 36
        assert made["creationTimestamp"] == "2027-01-15T08:00:00Z"
        assert made["resourceVersion"] == str(world.store.now)
        assert "deletionTimestamp" not in made
        assert "selfLink" not in made
        assert b"resourceVersion" not in (await world.store.get("configmaps/default/a")).value

    run(scenario)


def test_create_with_a_resource_version_is_refused():
    """Upstream answers a plain error, which is a 500."""

    async def scenario(world: World) -> None:
        error = await refusal(world.create(config_map(resourceVersion="5")))
        assert (error.code, error.message) == (500, "resourceVersion should not be set on objects to be created")
        assert world.store.now == 1

    run(scenario)


def test_create_of_what_is_there_is_refused_and_takes_no_uid():
    """409; the one that is there stays as it is."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        error = await refusal(world.create(config_map(data={"a": "b"})))
        assert (error.code, error.reason, error.message) == (409, "AlreadyExists", 'configmaps "a" already exists')
        assert await world.find(made) == made

    run(scenario)


def test_create_where_one_is_ending_says_so():
    """The name is still taken by an object that waits for its finalizers."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=["example.com/hold"]))
        await world.delete(made)
        error = await refusal(world.create(config_map()))
        assert error.message == 'object is being deleted: configmaps "a" already exists'

    run(scenario)


def test_object_belongs_to_the_namespace_of_the_url():
    """Another one is refused; none is filled in; what stands in no namespace loses it."""

    async def scenario(world: World) -> None:
        resource = world.of("configmaps")
        error = await refusal(resource.create(world.context("b"), config_map(namespace="c")))
        assert (error.code, error.message) == (
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        )
        made = await resource.create(world.context("b"), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        assert made["metadata"]["namespace"] == "b"
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "namespace": "b"}}
        assert "namespace" not in (await world.create(node))["metadata"]

    run(scenario)


def test_generated_name_is_the_base_cut_and_five_letters():
    """The base is cut so that the whole is a DNS label."""

    async def scenario(world: World) -> None:
        made = await world.create({**config_map(), "metadata": {"namespace": "default", "generateName": "web-"}})
        assert made["metadata"]["name"][:4] == "web-"
        assert len(made["metadata"]["name"]) == 9
        long = await world.create({**config_map(), "metadata": {"namespace": "default", "generateName": "x" * 80}})
        assert len(long["metadata"]["name"]) == 63
        named = await world.create({**config_map("b"), "metadata": {"namespace": "default", "name": "b", "generateName": "web-"}})
        assert named["metadata"]["name"] == "b"

    run(scenario)


class Colliding(MemoryStore):
    """The first so many creations find their key taken."""

    def __init__(self, collisions: int) -> None:
        super().__init__()
        self.collisions = collisions
        self.tried: list[str] = []

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        self.tried.append(key)
        if len(self.tried) <= self.collisions:
            raise KeyExistsError(key)
        return await super().create(key, value, ttl_s=ttl_s)


@pytest.mark.parametrize("collisions", [0, 1, 7])
def test_taken_generated_name_is_drawn_again(collisions: int):
    """Up to eight names are tried, each another."""

    async def scenario(world: World) -> None:
        made = await world.create({**config_map(), "metadata": {"namespace": "default", "generateName": "web-"}})
        store = world.store
        assert isinstance(store, Colliding)
        assert store.tried[-1] == f"configmaps/default/{made['metadata']['name']}"
        assert len(set(store.tried)) == collisions + 1

    run(scenario, store=Colliding(collisions))


def test_generated_names_run_out_after_eight():
    """409, and the client is told to come back."""

    async def scenario(world: World) -> None:
        error = await refusal(world.create({**config_map(), "metadata": {"namespace": "default", "generateName": "web-"}}))
        assert (error.code, error.reason, error.retry_after_s) == (409, "AlreadyExists", 1)
        assert error.message.endswith("already exists, the server was not able to generate a unique name for the object")
        store = world.store
        assert isinstance(store, Colliding)
        assert len(store.tried) == 8

    run(scenario, store=Colliding(8))


def test_refusal_of_a_generated_name_shows_its_base():
    """A name that was drawn and never used means nothing to the client."""

    class Refusing(PassivePlugin):
        async def validate(self, request: AdmissionRequest) -> None:
            raise refused(request, "no")

    async def scenario(world: World) -> None:
        world.plug(Refusing())
        error = await refusal(world.create({**config_map(), "metadata": {"namespace": "default", "generateName": "web-"}}))
        assert error.message == 'configmaps "web-" is forbidden: no'

    run(scenario)


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


# Places and names.


def test_update_and_patch_stay_with_the_name_of_the_url():
    """400 in upstream's words, for the name and for the namespace."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        resource, ctx = world.of("configmaps"), world.context()
        wrong_name = "the name of the object (b) does not match the name on the URL (a)"
        wrong_namespace = "the namespace of the object (other) does not match the namespace on the URL (default)"
        no_name = "the name of the object (a based on URL) was undeterminable: name must be provided"
        for body, text in ((config_map("b"), wrong_name), (config_map(namespace="other"), wrong_namespace), (config_map(""), no_name)):
            error = await refusal(resource.update(ctx, "a", body))
            assert (error.code, error.message) == (400, text)
        for change, text in (({"name": "b"}, wrong_name), ({"namespace": "other"}, wrong_namespace), ({"name": None}, no_name)):
            error = await refusal(world.change(made, lambda obj, change=change: obj["metadata"].update(change)))  # type: ignore[misc]
            assert (error.code, error.message) == (400, text)

    run(scenario)


def test_update_of_what_is_missing_is_not_found_unless_the_kind_is_made_so():
    """ConfigMaps are not; Leases are, for who may create them."""

    async def scenario(world: World) -> None:
        error = await refusal(world.of("configmaps").update(world.context(), "a", config_map(), may_create=allow))
        assert error.code == 404
        leases = world.of("leases", "coordination.k8s.io")
        made, created = await leases.update(world.context(), "l", {**LEASE, "metadata": dict(LEASE["metadata"])}, may_create=allow)  # type: ignore[call-overload]
        assert created
        assert made["metadata"]["uid"]

        async def refuse() -> None:
            raise forbidden("coordination.k8s.io", "leases", "m", "no")

        body = {**LEASE, "metadata": {"name": "m", "namespace": "default"}}
        assert (await refusal(leases.update(world.context(), "m", body, may_create=refuse))).code == 403

    run(scenario)


def test_update_of_something_missing_with_a_uid_is_a_conflict():
    """Who names a uid means an object that was there."""

    async def scenario(world: World) -> None:
        leases = world.of("leases", "coordination.k8s.io")
        body = {**LEASE, "metadata": {"name": "l", "namespace": "default", "uid": "u"}}
        error = await refusal(leases.update(world.context(), "l", body, may_create=allow))
        assert (error.code, "UID in precondition: u, UID in object meta: " in error.message) == (409, True)

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


# Fields nobody knows.


def test_unknown_fields_are_dropped_with_the_outcry_that_was_asked_for():
    """Ignore says nothing, Warn warns, Strict refuses."""

    async def scenario(world: World) -> None:
        body = {**config_map(), "spec": 1, "metadata": {"name": "a", "namespace": "default", "foo": 2}}
        made = await world.create(body, field_validation="Ignore")
        assert "spec" not in made
        assert "foo" not in made["metadata"]
        assert world.warnings == []
        await world.update({**made, "metadata": {**made["metadata"], "foo": 2}}, field_validation="Warn")
        assert world.warnings == ['unknown field "metadata.foo"']
        error = await refusal(world.update({**made, "bar": {}}, field_validation="Strict"))
        assert (error.code, error.reason) == (400, "BadRequest")
        assert error.message.endswith('strict decoding error: unknown field "bar"')

    run(scenario)


def test_unknown_field_of_a_patch_is_an_invalid_patch():
    """422 on the field `patch`."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        ctx = world.context(field_validation="Strict")
        error = await refusal(world.of("configmaps").patch(ctx, "a", lambda obj: {**obj, "bar": 1}, patch_text='{"bar":1}'))
        assert error.code == 422
        assert [cause.field for cause in error.causes] == ["patch"]
        assert 'strict decoding error: unknown field "bar"' in error.message
        assert await world.find(made) == made

    run(scenario)


def test_faults_of_the_body_are_told_with_the_unknown_fields():
    """A field that stands twice was found by whoever read the body."""

    async def scenario(world: World) -> None:
        resource = world.of("configmaps")
        await resource.create(world.context(), {**config_map(), "x": 1}, ['duplicate field "data.a"'])
        assert world.warnings == ['duplicate field "data.a"', 'unknown field "x"']
        error = await refusal(resource.create(world.context(field_validation="Strict"), config_map("b"), ['duplicate field "data.a"']))
        assert error.message.endswith('strict decoding error: duplicate field "data.a"')

    run(scenario)


# Owners.


def test_equal_owner_references_are_one():
    """With upstream's warning."""

    async def scenario(world: World) -> None:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
        made = await world.create(config_map(ownerReferences=[reference, dict(reference)]))
        assert made["metadata"]["ownerReferences"] == [reference]
        assert len(world.warnings) == 1
        assert "duplicate UID(s) observed: u" in world.warnings[0]

    run(scenario)


# What nobody changes.


def test_what_only_the_server_sets_is_kept_when_a_change_leaves_it_out():
    """An update without uid, times or generation has those that are stored."""

    async def scenario(world: World) -> None:
        made = await world.create(object_of("Deployment"))
        body = {**made, "metadata": {"name": made["metadata"]["name"], "namespace": "default", "labels": {"a": "b"}}}
        changed = await world.update(body)
        for field in ("uid", "creationTimestamp", "generation"):
            assert changed["metadata"][field] == made["metadata"][field]

    run(scenario)


def test_deletion_time_is_nobodys_to_change():
    """Taking it away does nothing; another value is refused."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map(finalizers=["example.com/hold"]))
        await world.delete(made)
        kept = await world.change(made, lambda obj: [obj["metadata"].pop("deletionTimestamp"), obj.update(data={"a": "b"})])
        assert kept["metadata"]["deletionTimestamp"]
        error = await refusal(world.change(made, lambda obj: obj["metadata"].update(deletionTimestamp="2001-01-01T00:00:00Z")))
        assert (error.code, "metadata.deletionTimestamp" in error.message) == (422, True)

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


# Admission around the write.


class Recording(PassivePlugin):
    """Takes something on each write and writes down how it ended."""

    def __init__(self) -> None:
        self.ended: list[bool] = []

    async def admit(self, request: AdmissionRequest) -> None:
        async def settle(written: bool) -> None:
            self.ended.append(written)

        request.settles.append(settle)


class Lossy(MemoryStore):
    """Writes, and never says so."""

    lossy = False

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        revision = await super().create(key, value, ttl_s=ttl_s)
        if self.lossy:
            raise OutcomeUnknownError("the connection was lost")
        return revision


def test_plugins_hear_how_each_write_ended():
    """Written, refused, imagined, nothing to write; a write whose outcome is unknown may have taken place."""

    async def scenario(world: World) -> None:
        plugin, store = Recording(), world.store
        assert isinstance(store, Lossy)
        world.plug(plugin)
        made = await world.create(config_map())
        await refusal(world.create(config_map()))
        await world.create(config_map("b"), dry_run=True)
        await world.update(made)
        store.lossy = True
        error = await refusal(world.create(config_map("c")))
        assert (error.code, error.reason) == (504, "Timeout")
        assert plugin.ended == [True, False, False, False, True]

    run(scenario, store=Lossy())


def test_write_that_is_given_up_in_the_store_may_have_taken_place():
    """A client that goes away before the store answered."""

    class Slow(MemoryStore):
        async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
            await asyncio.sleep(1000)
            return await super().create(key, value, ttl_s=ttl_s)

    async def scenario(world: World) -> None:
        plugin = Recording()
        world.plug(plugin)
        error = await refusal(world.create(config_map()))
        assert (error.code, error.message) == (504, "Timeout: request did not complete within the allotted timeout")
        assert plugin.ended == [True]

    run(scenario, store=Slow())


def test_plugin_that_cannot_give_back_changes_no_answer():
    """The others still hear of it."""

    class Failing(Recording):
        async def admit(self, request: AdmissionRequest) -> None:
            await super().admit(request)

            async def settle(written: bool) -> None:
                raise OutcomeUnknownError("the store is slow")

            request.settles.append(settle)

    async def scenario(world: World) -> None:
        plugin = Failing()
        world.plug(plugin)
        assert (await world.create(config_map()))["metadata"]["resourceVersion"]
        assert plugin.ended == [True]

    run(scenario)


# Sizes.


def test_object_too_large_is_tried_without_managed_fields():
    """What only accounts for changes is given up before the change is."""

    class Small(MemoryStore):
        async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
            if b"managedFields" in value or b"huge" in value:
                raise ValueTooLargeError("too large")
            return await super().create(key, value, ttl_s=ttl_s)

    async def scenario(world: World) -> None:
        made = await world.create(config_map(data={"a": "b"}))
        assert "managedFields" not in made["metadata"]
        error = await refusal(world.create(config_map("b", data={"a": "huge"})))
        assert (error.code, error.message) == (500, "etcdserver: request is too large")

    run(scenario, store=Small())


def test_damaged_value_is_named_and_never_overwritten():
    """Key and revision; neither changed nor deleted."""

    async def scenario(world: World) -> None:
        obj = config_map()
        revision = world.store.put("configmaps/default/a", b"{broken")
        for work in (world.change(obj, lambda obj: None), world.update(obj), world.delete(obj)):
            error = await refusal(work)
            assert (error.code, error.reason) == (500, "StorageReadError")
            assert f"configmaps/default/a (revision {revision})" in error.message
        assert world.store.now == revision

    run(scenario)
