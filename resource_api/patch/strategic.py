"""Strategic merge patch: merges lists by their merge keys and obeys the directives; driven by the kind's schema.

Directives: `$patch: replace|delete` in maps and as list items, `$retainKeys`, `$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`.
None of them ever gets into the result. The order of a merged list is upstream's: items the patch (or its order list) names stand in
that order, the others keep their places among them as far as both orders agree.

Two things upstream does are not done: directives below what is new to the object are obeyed, where it stores some of them, and a map with
`$patch: replace` that is new to the object is kept, where it drops it.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import Json, Object
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, UnmergeableError
from resource_api.schema.json_values import copied, go_text, go_type
from resource_api.schema.types import ANY, Schema

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
SET_ORDER = "$setElementOrder/"

_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"
_BAD_PRIMITIVES = "invalid patch format of primitive list"


def apply(document: Object, patch: Json, schema: Schema) -> Object:
    """The patched copy. Raises BadPatchError, DoesNotApplyError, UnmergeableError."""
    if not isinstance(patch, dict):
        raise BadPatchError("json: cannot unmarshal a value that is no object into Go value of type map[string]interface {}")
    return _map(copied(document), patch, schema)


def _map(target: Object, patch: Object, schema: Schema) -> Object:
    """`target` is ours to change; `patch` is only read."""
    directive = patch.get(DIRECTIVE)
    if DIRECTIVE in patch:
        rest = {name: value for name, value in patch.items() if name != DIRECTIVE}
        if directive == "replace":
            return _map({}, rest, schema)
        if directive == "delete":
            return {}
        raise UnmergeableError(f"unknown patch type: {go_text(directive)} in map: {go_text(patch)}")
    if RETAIN_KEYS in patch:
        _retain(target, patch)
    done = _ordered_lists(target, patch, schema)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            _delete_items(target, _field_of(key, DELETE_FROM), value)
    for key, value in patch.items():
        if key in done or key.startswith(("$setElementOrder", "$deleteFromPrimitiveList", RETAIN_KEYS)):
            continue
        if key.startswith("$") and schema.properties and key not in schema.properties:
            raise BadPatchError(f"unknown directive {key} in map: {go_text(patch)}")
        if value is None or (key not in target and isinstance(value, dict) and value.get(DIRECTIVE) == "delete"):
            target.pop(key, None)
        else:
            target[key] = _value(target.get(key), value, _field(schema, key))
    return target


def _value(target: Json, patch: Json, schema: Schema) -> Json:
    """What a field becomes; a target of another type counts as none."""
    if isinstance(patch, dict):
        if "replace" in schema.patch_strategy and DIRECTIVE not in patch:
            target = None
        return _map(target if isinstance(target, dict) else {}, patch, schema)
    if isinstance(patch, list):
        if "merge" in schema.patch_strategy and isinstance(target, list):
            return _merged_list(target, patch, schema)
        return _plain_list(patch, _items(schema))
    return patch


def _field(schema: Schema, name: str) -> Schema:
    return schema.properties.get(name) or schema.additional or ANY


def _items(schema: Schema) -> Schema:
    return schema.items or ANY


def _plain_list(patch: list[Json], items: Schema) -> list[Json]:
    """A list that replaces the old one, or stands where none was; items that are directives are none.

    Nothing is merged here: a new Service may have one port twice, for TCP and for UDP, though `port` is the merge key.
    """
    for item in patch:
        if _is_directive(item) and item[DIRECTIVE] not in ("replace", "delete"):
            raise _bad_directive(item)
    return [_map({}, item, items) if isinstance(item, dict) else copied(item) for item in patch if not _is_directive(item)]


def _is_directive(item: Json) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item


def _merged_list(target: list[Json], patch: list[Json], schema: Schema) -> list[Json]:
    if not target and not patch:
        return target
    if not _check_items([*target, *patch]):
        merged = _distinct([*target, *patch])
        return _interleaved(merged, order=patch, server_order=target, ident=_scalar)
    key = schema.patch_merge_key
    if not key:
        raise UnmergeableError(f"cannot merge lists without merge key for {schema.name or 'this field'}")
    replaced, kept, changes = _without_special(target, patch, key)
    if replaced:
        return [_map({}, item, _items(schema)) for item in changes]
    ident = _by_key(key)
    merged, places = list(kept), {ident(item): place for place, item in reversed(list(enumerate(kept)))}
    for item in changes:
        if key not in item:
            raise _no_merge_key(item, key)
        place = places.get(ident(item))
        if place is None:
            places[ident(item)] = len(merged)
            merged.append(_map({}, item, _items(schema)))
        else:
            merged[place] = _map(merged[place], item, _items(schema))
    return _interleaved(merged, order=changes, server_order=kept, ident=ident)


def _without_special(target: list[Json], patch: list[Json], key: str) -> tuple[bool, list[Json], list[Object]]:
    """Whether the list is replaced, the old items without the deleted ones, and the patch's items that are no directives."""
    replaced, changes, ident = False, [], _by_key(key)
    gone: set[Json] = set()
    for item in patch:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            changes.append(item)
        elif directive == "delete":
            if key not in item:
                raise _no_merge_key(item, key)
            gone.add(ident(item))
        elif directive == "replace":
            replaced = True
        else:
            raise _bad_directive(item)
    return replaced, [old for old in target if ident(old) not in gone] if gone else target, changes


def _bad_directive(item: Object) -> UnmergeableError:
    if item[DIRECTIVE] == "merge":
        return UnmergeableError("merging lists cannot yet be specified in the patch")
    return UnmergeableError(f"unknown patch type: {go_text(item[DIRECTIVE])} in map: {go_text(item)}")


def _bad_type(wanted: str, given: Json) -> UnmergeableError:
    kind = "%!s(<nil>)" if given is None else go_type(given)
    return UnmergeableError(f"expected a {wanted}, but received a {kind}")


def _no_merge_key(item: Object, key: str) -> UnmergeableError:
    return UnmergeableError(f"map: {go_text(item)} does not contain declared merge key: {key}")


def _check_items(items: list[Json]) -> bool:
    """Whether they are maps; raises when they are lists or of several types."""
    kinds = {go_type(item) if not isinstance(item, float) else "int64" for item in items}
    if "[]interface {}" in kinds:
        raise DoesNotApplyError("lists of lists are not supported")
    if len(kinds) > 1:
        raise UnmergeableError(f"list element types are not identical: {go_text(items)}")
    return kinds == {"map[string]interface {}"}


Ident = Callable[[Json], Json]


def _scalar(item: Json) -> Json:
    return (isinstance(item, bool), item)


def _by_key(key: str) -> Ident:
    def ident(item: Json) -> Json:
        value = item.get(key) if isinstance(item, dict) else None
        return go_text(value) if isinstance(value, dict | list) else _scalar(value)

    return ident


def _distinct(items: list[Json]) -> list[Json]:
    seen: dict[Json, Json] = {}
    for item in items:
        seen.setdefault(_scalar(item), item)
    return list(seen.values())


def _interleaved(merged: list[Json], *, order: list[Json], server_order: list[Json], ident: Ident) -> list[Json]:
    """The items `order` names in that order; the rest as the server had them, each before the first named item that stood behind it."""
    wanted = {ident(item): place for place, item in reversed(list(enumerate(order)))}
    before = {ident(item): place for place, item in reversed(list(enumerate(server_order)))}
    named = sorted((item for item in merged if ident(item) in wanted), key=lambda item: wanted[ident(item)])
    others = [item for item in merged if ident(item) not in wanted]
    others.sort(key=lambda item: before.get(ident(item), len(before)))
    result: list[Json] = []
    waiting = iter(others)
    other = next(waiting, _END)
    for item in named:
        place = before.get(ident(item))
        while other is not _END and place is not None and before.get(ident(other), place) < place:
            result.append(other)
            other = next(waiting, _END)
        result.append(item)
    if other is not _END:
        result.append(other)
        result.extend(waiting)
    return result


_END = object()


def _retain(target: Object, patch: Object) -> None:
    """`$retainKeys`: every field the patch sets must be among them; the target keeps no other."""
    kept = patch[RETAIN_KEYS]
    if not isinstance(kept, list) or not all(isinstance(name, str) for name in kept):
        raise BadPatchError(_BAD_RETAIN_KEYS)
    names = set(kept)
    for name, value in patch.items():
        if value is not None and name not in names and not name.startswith((DELETE_FROM, SET_ORDER, RETAIN_KEYS)):
            raise BadPatchError(_BAD_RETAIN_KEYS)
    for name in [name for name in target if name not in names]:
        del target[name]


def _field_of(key: str, prefix: str) -> str:
    field = key.removeprefix(prefix)
    if not field or "/" in field:
        raise BadPatchError(f"invalid directive {key}")
    return field


def _delete_items(target: Object, field: str, gone: Json) -> None:
    """`$deleteFromPrimitiveList`: the named values go; a list that is not there stays away."""
    if not isinstance(gone, list) or any(isinstance(item, dict | list) for item in gone):
        raise BadPatchError(_BAD_PRIMITIVES)
    old = target.get(field)
    if isinstance(old, list):
        named = set(map(_scalar, gone))
        target[field] = [item for item in old if isinstance(item, dict | list) or _scalar(item) not in named]


def _ordered_lists(target: Object, patch: Object, schema: Schema) -> set[str]:
    """`$setElementOrder`: merges and orders the lists that have one; the fields that are thereby done."""
    done = set()
    for directive, order in patch.items():
        if not directive.startswith(SET_ORDER):
            continue
        field = _field_of(directive, SET_ORDER)
        node = _field(schema, field)
        old, change = target.get(field), patch.get(field)
        if not isinstance(order, list):
            raise _bad_type("[]interface {}", order)
        if field in patch and not isinstance(change, list):
            raise _bad_type("[]interface {}", change)
        if not isinstance(old, list) and change is None:
            continue
        done.add(field)
        target[field] = _in_order(old if isinstance(old, list) else None, change, order, node)
        _delete_named(target, patch, field)
    return done


def _delete_named(target: Object, patch: Object, field: str) -> None:
    """Deletions stand beside an order; the values they name go before anything is stored."""
    gone = patch.get(DELETE_FROM + field)
    if gone is not None:
        _delete_items(target, field, gone)


def _in_order(old: list[Json] | None, change: list[Json] | None, order: list[Json], schema: Schema) -> list[Json]:
    key = schema.patch_merge_key
    for item in order if key else ():
        if not isinstance(item, dict):
            raise _bad_type("map[string]interface {}", item)
        if key not in item:
            raise _no_merge_key(item, key)
    if not key and any(isinstance(item, dict | list) for item in order):
        raise BadPatchError(_BAD_ORDER)
    ident = _by_key(key) if key else _scalar
    if change is not None:
        _check_order(change, order, ident)
    merged = (old or []) if change is None else _value(old, change, schema)
    if key and not _check_items(merged) and merged:
        raise _bad_type("map[string]interface {}", merged[0])
    if not key and any(isinstance(item, dict | list) for item in merged):
        raise UnmergeableError(f"cannot merge lists without merge key for {schema.name or 'this field'}")
    # Without a merge key objects have no place: an old list of them was replaced as a whole.
    server_order = [item for item in old or [] if key or not isinstance(item, dict | list)]
    return _interleaved(merged, order=order, server_order=server_order, ident=ident)


def _check_order(change: list[Json], order: list[Json], ident: Ident) -> None:
    """Every changed item must be named by the order, and in the same sequence; behind its last name not even a directive may stand."""
    if not change or not order:
        return
    pending = [item for item in change if not (_is_directive(item) and item[DIRECTIVE] == "delete")]
    at = place = 0
    while at < len(pending) and place < len(order):
        if _is_directive(pending[at]):
            at += 1
            continue
        at += ident(pending[at]) == ident(order[place])
        place += 1
    if at < len(pending):
        raise UnmergeableError(f"The order in patch list:\n{go_text(change)}\n doesn't match $setElementOrder list:\n{go_text(order)}\n")
