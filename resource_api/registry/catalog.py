"""From a kind's model to a served resource: its reader, its field ownership, its scale. Composition only; loop only."""

from __future__ import annotations

import asyncio

from raftkv.clock import Clock
from resource_api.cache.caches import Caches
from resource_api.cache.item import Decode
from resource_api.cache.reader import METADATA_FIELDS, Reader
from resource_api.cache.watch_cache import CacheSettings
from resource_api.errors import Object
from resource_api.patch.apply import FieldOwnership
from resource_api.registry.admission import Admission
from resource_api.registry.custom import CustomModel
from resource_api.registry.model import Model
from resource_api.registry.resource import Resource
from resource_api.registry.scale import ScalePaths, ScaleView
from resource_api.registry.store import Store
from resource_api.registry.stored_form import StoredForm, stored_form
from resource_api.schema.builtin import field_labels


class Catalog:
    """Makes resources over one store."""

    def __init__(
        self,
        store: Store,
        *,
        group: asyncio.TaskGroup,
        clock: Clock,
        admission: Admission,
        event_ttl_s: int = 3600,
        cache: CacheSettings | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.admission = admission
        self.caches = Caches(store, lambda type: stored_form(type).decode, clock=clock, group=group, settings=cache)
        self._event_ttl_s = event_ttl_s

    def resource(self, model: Model, *, scale: ScalePaths | None = None) -> Resource:
        """The resource of a model, over the kind's storage."""
        kind = model.type
        form = stored_form(kind)
        is_event = kind.kind == "Event" and not kind.custom
        made = Resource(
            model,
            self.store,
            self._reader(model, form),
            admission=self.admission,
            manager=FieldOwnership(model.schema, kind) if kind.custom else LazyOwnership(model),
            clock=self.clock,
            form=form,
            ttl_s=self._event_ttl_s if is_event else 0,
        )
        if scale is not None:
            made.scale = ScaleView(made, scale)
        elif "scale" in kind.subresources and not kind.custom:
            made.scale = ScaleView(made, ScalePaths())
        return made

    def _reader(self, model: Model, form: StoredForm) -> Reader:
        kind = model.type
        same = kind.stored_as is None or kind.stored_as == kind.gvk
        labels = model.field_labels if isinstance(model, CustomModel) else field_labels(kind.group, kind.kind)
        fields = {**METADATA_FIELDS, **labels}
        seen: Decode | None = None if same and not kind.custom else lambda stored: model.from_storage(form.decode(stored))
        return self.caches.reader(kind, fields, seen)


class LazyOwnership:
    """A FieldOwnership made on the kind's first write: reading the schemas of seventy kinds is not for the start."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: FieldOwnership | None = None

    @property
    def _manager(self) -> FieldOwnership:
        if self._made is None:
            self._made = FieldOwnership(self._model.schema, self._model.type)
        return self._made

    def on_update(self, live: Object | None, new: Object, *, manager: str, subresource: str, now: str) -> Object:
        """See FieldOwnership."""
        return self._manager.on_update(live, new, manager=manager, subresource=subresource, now=now)

    def apply(self, live: Object | None, applied: Object, *, manager: str, force: bool, subresource: str, now: str) -> Object:
        """See FieldOwnership."""
        return self._manager.apply(live, applied, manager=manager, force=force, subresource=subresource, now=now)
