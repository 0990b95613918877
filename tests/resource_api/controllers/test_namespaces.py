"""Namespaces: emptied in order, told about in their conditions, let go when nothing is left; what every one of them has (spec B.4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resource_api.controllers.authorities import AuthorityBundle
from resource_api.controllers.object_index import ObjectIndex
from resource_api.controllers.runner import Controllers
from resource_api.controllers.service_account import NamespaceContent
from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.store import StoreUnavailableError
from resource_api.schema.protobuf.envelope import decode_envelope
from resource_api.security.admission.plugin import PassivePlugin, refused
from resource_api.security.authority_bundle import certificates
from tests.resource_api.controllers.authorities import made_authority
from tests.resource_api.registry.builtins import object_of
from tests.resource_api.world import ROOT_CA, World, config_map, refusal, run
from tests.support.memory_store import MemoryStore

HOLD = "example.com/hold"


def namespace(name: str = "n", **metadata: Any) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


async def conditions(world: World, name: str = "n") -> dict[str, tuple[str, str, str]]:
    """Status, reason and message by type."""
    found = await world.find(namespace(name))
    assert found is not None
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in found["status"].get("conditions", [])}


def test_empty_namespace_goes():
    """Marked, finalised, gone; others stay."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made, other = await world.create(namespace()), await world.create(namespace("m"))
        await world.delete(made)
        await world.settle()
        assert await world.find(made) is None
        assert await world.find(other) == other

    run(scenario, lifecycle=True)


def test_everything_in_it_goes_first():
    """Of every kind, whoever owns it, and nothing of a namespace whose name begins alike."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create(namespace())
        await world.create(namespace("nn"))
        for obj in (config_map("a", "n"), config_map("a", "nn"), {**object_of("Deployment"), "metadata": {"name": "d", "namespace": "n"}}):
            await world.create(obj)
        await world.delete(made)
        await world.settle()
        assert await world.find(made) is None
        assert [key for key in world.index.by_key if "/n/" in key] == []
        assert await world.find(config_map("a", "nn")) is not None

    run(scenario, lifecycle=True)


def test_pods_go_before_everything_else():
    """What they use is there as long as they are; the conditions say what is left."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create(namespace())
        await world.create(config_map("a", "n"))
        pod = await world.create({**object_of("Pod"), "metadata": {"name": "p", "namespace": "n", "finalizers": [HOLD]}})
        await world.delete(made)
        await world.settle()
        kept = await world.find(config_map("a", "n"))
        assert kept is not None
        assert "deletionTimestamp" not in kept["metadata"]
        held = await world.find(pod)
        assert held is not None
        assert held["metadata"]["deletionTimestamp"]
        assert await conditions(world) == {
            "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered", "All resources successfully discovered"),
            "NamespaceDeletionGroupVersionParsingFailure": (
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            "NamespaceDeletionContentFailure": (
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            "NamespaceContentRemaining": (
                "True",
                "SomeResourcesRemain",
                "Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances",
            ),
            "NamespaceFinalizersRemaining": (
                "True",
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            ),
        }
        await world.change(pod, lambda obj: obj["metadata"].pop("finalizers"))
        await world.settle()
        assert await world.find(made) is None

    run(scenario, lifecycle=True)


def test_condition_keeps_the_time_of_its_last_turn():
    """And nothing is written while nothing changes."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create(namespace())
        await world.create(config_map("a", "n", finalizers=[HOLD]))
        await world.delete(made)
        await world.settle()
        found, before = await world.find(made), world.store.now
        await world.settle(100)
        assert await world.find(made) == found
        assert world.store.now == before

    run(scenario, lifecycle=True)


def test_refused_deletion_is_a_condition_and_tried_again():
    """With the texts of what refuses."""

    class Stubborn(PassivePlugin):
        refuses = True

        async def admit(self, request: AdmissionRequest) -> None:
            if self.refuses and request.operation == "DELETE" and request.type.plural == "configmaps":
                raise refused(request, "not yet")

    async def scenario(world: World) -> None:
        stubborn = Stubborn()
        world.plug(stubborn)
        world.start_controllers()
        made = await world.create(namespace())
        await world.create(config_map("a", "n"))
        await world.delete(made)
        await world.settle()
        status, reason, message = (await conditions(world))["NamespaceDeletionContentFailure"]
        assert (status, reason) == ("True", "ContentDeletionFailed")
        assert message == 'Failed to delete all resource types, 1 remaining: configmaps "a" is forbidden: not yet'
        stubborn.refuses = False
        await world.settle()
        assert await world.find(made) is None

    run(scenario)


def test_what_cannot_be_read_or_is_served_by_nobody_keeps_the_namespace():
    """It is not lost silently with it."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create(namespace())
        world.store.put("configmaps/n/damaged", b"?")
        value = b'{"metadata":{"name":"w","namespace":"n","uid":"w"},"apiVersion":"example.com/v1","kind":"Widget"}'
        world.store.put("example.com/widgets/n/w", value)
        await world.delete(made)
        await world.settle()
        message = (await conditions(world))["NamespaceDeletionContentFailure"][2]
        assert "Widget w: nobody serves example.com/v1" in message
        assert "what stands at configmaps/n/damaged cannot be decoded" in message
        world.store.remove("configmaps/n/damaged", "example.com/widgets/n/w")
        await world.settle()
        assert await world.find(made) is None

    run(scenario)


def test_finalizers_of_others_hold_the_namespace():
    """Of its metadata and of its spec; the server takes away only its own."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create({**namespace(finalizers=[HOLD]), "spec": {"finalizers": ["example.com/spec"]}})
        await world.delete(made)
        await world.settle()
        found = await world.find(made)
        assert found is not None
        assert found["spec"] == {"finalizers": ["example.com/spec"]}
        await world.change(made, lambda obj: obj["spec"].pop("finalizers"), "finalize")
        found = await world.find(made)
        assert found is not None
        assert found["spec"] == {}
        await world.change(made, lambda obj: obj["metadata"].pop("finalizers"))
        assert await world.find(made) is None

    run(scenario)


def test_new_namespace_of_an_old_name_is_another():
    """What is still done about the old one does not happen to it."""

    async def scenario(world: World) -> None:
        made = await world.create(namespace())
        await world.delete(made)
        world.start_controllers()
        await world.index.ready.wait()
        old = world.index.by_key["namespaces/n"]
        await world.settle()
        assert await world.find(made) is None
        fresh = await world.create(namespace())
        world.index.by_key["namespaces/n"] = old
        await world.namespaces.reconcile("n")
        assert await world.find(fresh) == fresh

    run(scenario)


def test_nothing_new_is_made_in_an_ending_namespace():
    """403 that says so; changes are still possible."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = await world.create(namespace())
        held = await world.create(config_map("a", "n", finalizers=[HOLD]))
        await world.delete(made)
        error = await refusal(world.create(config_map("b", "n")))
        assert (error.code, [cause.reason for cause in error.causes]) == (403, ["NamespaceTerminating"])
        await world.change(held, lambda obj: obj["metadata"].pop("finalizers"))
        await world.settle()
        assert (await refusal(world.create(config_map("b", "n")))).message == 'namespaces "n" not found'

    run(scenario, lifecycle=True)


def test_emptying_goes_on_after_a_restart():
    """Whatever the server had begun."""

    async def before(world: World) -> None:
        made = await world.create(namespace())
        await world.create(config_map("a", "n"))
        await world.delete(made)

    async def after(world: World) -> None:
        world.start_controllers()
        await world.settle()
        assert await world.find(namespace()) is None
        assert await world.find(config_map("a", "n")) is None

    run(after, store=run(before))


# What every namespace has.

ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "n"}}
BUNDLE = config_map("kube-root-ca.crt", "n")


def test_every_namespace_has_an_account_and_the_root_certificate():
    """The two that upstream's controller manager makes, as it makes them."""

    async def scenario(world: World) -> None:
        world.start_controllers(content=True)
        await world.create(namespace())
        await world.settle()
        assert await world.find(ACCOUNT) is not None
        bundle = await world.find(BUNDLE)
        assert bundle is not None
        assert bundle["data"] == {"ca.crt": ROOT_CA}
        assert bundle["metadata"]["annotations"]["kubernetes.io/description"].startswith("Contains a CA bundle")

    run(scenario, lifecycle=True)


def test_what_every_namespace_has_comes_back():
    """Deleted or changed by somebody; a bundle of another CA is mended."""

    async def scenario(world: World) -> None:
        world.start_controllers(content=True)
        await world.create(namespace())
        await world.settle()
        account = await world.find(ACCOUNT)
        await world.delete(ACCOUNT)
        await world.change(BUNDLE, lambda obj: obj.update(data={"ca.crt": "other", "more": "x"}))
        await world.settle()
        again = await world.find(ACCOUNT)
        assert account is not None
        assert again is not None
        assert again["metadata"]["uid"] != account["metadata"]["uid"]
        bundle = await world.find(BUNDLE)
        assert bundle is not None
        assert bundle["data"] == {"ca.crt": ROOT_CA}
        await world.delete(BUNDLE)
        await world.settle()
        assert await world.find(BUNDLE) is not None

    run(scenario, lifecycle=True)


def test_servers_with_different_authorities_join_them(caplog: pytest.LogCaptureFixture):
    """Somebody gave them different folders: pods can check each server, nobody writes again and again, and the log names both."""
    first, second = made_authority("one"), made_authority("two")

    async def scenario(world: World) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for name in ("kube-system", "n"):
                await world.create(namespace(name))
            for own in (first, second):
                index = ObjectIndex(world.store, world.api, decode_envelope)
                content = NamespaceContent(world.api, index, AuthorityBundle(world.api, own))
                tasks.append(group.create_task(Controllers(index, [content]).run()))
            await world.settle()
            before = world.store.now
            await world.settle(7200)
            assert world.store.now == before
            home = await world.find({**BUNDLE, "metadata": {**BUNDLE["metadata"], "namespace": "kube-system"}})
            bundle = await world.find(BUNDLE)
            assert home is not None and bundle is not None
            assert bundle["data"] == home["data"]
            assert sorted(certificates(bundle["data"]["ca.crt"])) == sorted(certificates(first + second))
            # A server of theirs that is gone is forgotten by deleting what all copy; those that live add themselves again.
            tasks.pop().cancel()
            await world.delete(home)
            await world.settle()
            bundle = await world.find(BUNDLE)
            assert bundle is not None and bundle["data"] == {"ca.crt": first}
            tasks.pop().cancel()

    run(scenario, lifecycle=True)
    [told] = {record.message for record in caplog.records if "other authorities" in record.message}
    assert "--cert-dir" in told


def test_somebody_who_changes_the_bundle_again_and_again_is_answered_ever_more_slowly():
    """Another controller may publish another bundle: the store is spared. Once it is content the bundle is ours again."""

    async def scenario(world: World) -> None:
        world.start_controllers(content=True)
        await world.create(namespace())
        await world.settle()
        writes = 0

        async def stubborn() -> None:
            nonlocal writes
            while True:
                found = await world.find(BUNDLE)
                if found is not None and found["data"] != {"ca.crt": "other"}:
                    await world.change(BUNDLE, lambda obj: obj.update(data={"ca.crt": "other"}))
                    writes += 1
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(stubborn())
            await world.settle(86_400)
            task.cancel()
        assert writes < 40
        await world.settle(3600)
        bundle = await world.find(BUNDLE)
        assert bundle is not None
        assert bundle["data"] == {"ca.crt": ROOT_CA}

    run(scenario, lifecycle=True)


def test_nothing_comes_back_in_an_ending_namespace():
    """The two do not fight."""

    async def scenario(world: World) -> None:
        world.start_controllers(content=True)
        made = await world.create(namespace())
        await world.settle()
        await world.delete(made)
        await world.settle()
        assert await world.find(made) is None
        assert [key for key in world.index.by_key if "/n/" in key] == []

    run(scenario, lifecycle=True)


def test_refused_account_is_tried_again():
    """A quota, or a store that was down; not given up."""

    class Flaky(MemoryStore):
        fails = 3

        async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
            if key.startswith("serviceaccounts/") and self.fails:
                self.fails -= 1
                raise StoreUnavailableError("down")
            return await super().create(key, value, ttl_s=ttl_s)

    class Full(PassivePlugin):
        refusals = 3

        async def validate(self, request: AdmissionRequest) -> None:
            if request.type.plural == "serviceaccounts" and self.refusals:
                self.refusals -= 1
                raise refused(request, "exceeded quota")

    async def scenario(world: World) -> None:
        world.plug(Full())
        world.start_controllers(content=True)
        await world.create(namespace())
        await world.settle()
        assert await world.find(ACCOUNT) is not None

    run(scenario, store=Flaky())
