"""The write pipeline: what is set, kept, checked and refused on the way of every kind (spec B.1, B.2, B.6)."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.errors import forbidden
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.store import KeyExistsError, OutcomeUnknownError, ValueTooLargeError
from resource_api.security.admission.plugin import PassivePlugin, refused
from tests.resource_api.registry.builtins import object_of
from tests.resource_api.world import LEASE, World, allow, config_map, refusal, run
from tests.support.memory_store import MemoryStore

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
