"""One request is at most four times the work when it is four times as long: comparisons are counted, no clock is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from resource_api.errors import Json, Object
from resource_api.patch import strategic
from resource_api.registry.preparation import drop_duplicate_owners
from resource_api.registry.requests import Context, User
from resource_api.schema.builtin import schema_of
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.validation.pod import validate_pod
from tests.resource_api.plane import served
from tests.resource_api.world import config_map

POD = schema_of(GroupVersionKind("", "v1", "Pod"))


class Counted(str):
    """A text that counts what it is compared with and how often it is looked up."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)  # type: ignore[return-value]

    def __hash__(self) -> int:
        Counted.compared += 1
        return str.__hash__(self)


class CountedOwner(dict[str, Json]):
    """An owner reference that counts what it is compared with."""

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return dict.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]


def texts(count: int, first: str = "e") -> list[Json]:
    """Different ones."""
    return [Counted(f"{first}{number}") for number in range(count)]


def deleted_by_key(count: int) -> None:
    """Items of a list by `$patch: delete`."""
    pod = {"spec": {"containers": [{"name": "c", "env": [{"name": name, "value": "v"} for name in texts(count)]}]}}
    gone = [{"name": name, "$patch": "delete"} for name in texts(count)]
    patched = strategic.apply(pod, {"spec": {"containers": [{"name": "c", "env": gone}]}}, POD)
    assert patched["spec"]["containers"][0]["env"] == []


def deleted_by_value(count: int) -> None:
    """Items of a list by `$deleteFromPrimitiveList`."""
    pod = {"metadata": {"finalizers": texts(count)}}
    patched = strategic.apply(pod, {"metadata": {"$deleteFromPrimitiveList/finalizers": texts(count // 2)}}, POD)
    assert len(patched["metadata"]["finalizers"]) == count - count // 2


def retained(count: int) -> None:
    """Fields by `$retainKeys`."""
    labels = dict.fromkeys(texts(count), "v")
    patched = strategic.apply({"metadata": {"labels": labels}}, {"metadata": {"labels": {"$retainKeys": texts(count), **labels}}}, POD)
    assert len(patched["metadata"]["labels"]) == count


def ordered(count: int) -> None:
    """A list that is merged and put in order."""
    pod = {"metadata": {"finalizers": texts(count)}}
    order = [*texts(count, "f"), *texts(count)]
    change = {"metadata": {"$setElementOrder/finalizers": order, "finalizers": texts(count, "f")}}
    assert len(strategic.apply(pod, change, POD)["metadata"]["finalizers"]) == 2 * count


def owners(count: int) -> None:
    """Owner references, all but one of them different."""
    warnings: list[str] = []
    found: list[Json] = [CountedOwner(uid=f"u{number}", name="x") for number in range(count)]
    obj: Object = {"metadata": {"ownerReferences": [*found, {"uid": "u0", "name": "x"}]}}
    drop_duplicate_owners(Context(User("a"), "n", warn=warnings.append), obj)
    assert obj["metadata"]["ownerReferences"] == found
    assert len(warnings) == 1


def tolerations(count: int) -> None:
    """Of a Pod that is there: none may go."""

    def pod(first: int) -> Object:
        held = [{"key": key, "operator": "Exists"} for key in texts(count)[first:]]
        return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "tolerations": held}}

    refused = validate_pod(pod(1), pod(0), "")
    assert [problem.path for problem in refused if problem.path == "spec.tolerations"] == ["spec.tolerations"]


@pytest.mark.parametrize("work", [deleted_by_key, deleted_by_value, retained, ordered, owners, tolerations])
def test_work_grows_no_faster_than_the_request(work: Callable[[int], None]):
    """A body has room for a hundred thousand items: what compares each with each stops the loop for minutes."""

    def compared(count: int) -> int:
        Counted.compared = 0
        work(count)
        return Counted.compared

    few = compared(100)
    assert compared(400) <= 5 * few + 1000


@pytest.mark.asyncio
@pytest.mark.slow
async def test_large_bodies_are_worked_on_apart_from_the_loop():
    """Three megabytes take seconds; an object of two kilobytes is not worth a thread."""
    told: list[bool] = []
    here = threading.get_ident()

    def ctx(body_bytes: int) -> Context:
        return Context(User("a"), "default", warn=lambda _: told.append(threading.get_ident() == here), body_bytes=body_bytes)

    async with served() as server:
        maps = server.plane.api.find("", "configmaps")
        await maps.create(ctx(2000), {**config_map("small"), "x": 1})
        made = await maps.create(ctx(2_000_000), {**config_map("large"), "x": 1})
        await maps.update(ctx(2_000_000), "large", {**made, "x": 1})
        await maps.patch(ctx(2_000_000), "large", lambda obj: {**obj, "x": 1}, patch_text="")
    assert told == [True, False, False, False]
