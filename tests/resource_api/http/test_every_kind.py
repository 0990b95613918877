"""Every built-in kind through HTTP: made, read in every form, listed, watched, changed in every way, deleted (spec F)."""

from __future__ import annotations

import copy
import datetime
import json

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from resource_api.errors import Json, Object
from resource_api.registry.builtin import builtin_models
from resource_api.schema.kinds import ResourceType
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope
from tests.resource_api.controllers.test_quotas import DEFINITION
from tests.resource_api.http.serving import Face, face
from tests.resource_api.registry.builtins import UID, model_of, objects, signing_request

pytestmark = pytest.mark.asyncio

PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
STRICT = "?fieldValidation=Strict"

SERVED_ELSEWHERE = frozenset({"bindings", "componentstatuses"})
"""Rows of section F without objects to make: an action and a report."""


def more() -> list[Object]:
    """Kinds the common list has no object of."""
    group = "certificates.k8s.io/v1"
    names = {"nodeName": "n", "nodeUID": UID, "podName": "p", "podUID": UID, "serviceAccountName": "default", "serviceAccountUID": UID}
    asked = {"signerName": "example.com/s", "stubPKCS10Request": signing_request(), **names}
    return [
        DEFINITION,
        {"apiVersion": group, "kind": "ClusterTrustBundle", "metadata": {"name": "roots"}, "spec": {"trustBundle": certificate()}},
        {"apiVersion": group, "kind": "PodCertificateRequest", "metadata": {"name": "r"}, "spec": asked},
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceTaintRule",
            "metadata": {"name": "t"},
            "spec": {"deviceSelector": {"driver": "d.example.com"}, "taint": {"key": "example.com/k", "effect": "NoSchedule"}},
        },
        {
            "apiVersion": "storagemigration.k8s.io/v1",
            "kind": "StorageVersionMigration",
            "metadata": {"name": "m"},
            "spec": {"resource": {"group": "apps", "resource": "deployments"}},
        },
    ]


def certificate() -> str:
    """A self-signed root in PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    day = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day.replace(year=2036))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def place(type: ResourceType, name: str = "", sub: str = "") -> str:
    """A URL's path, in the namespace `default`."""
    parts = ["apis", type.group, type.version] if type.group else ["api", type.version]
    parts += ["namespaces", "default"] if type.namespaced else []
    return "/" + "/".join([*parts, type.plural, *filter(None, (name, sub))])


class Walk:
    """One object's life; `there` is the object as the server last told it."""

    def __init__(self, api: Face, obj: Object) -> None:
        self.api = api
        self.type = model_of(obj).type
        self.written = copy.deepcopy(obj)
        self.name = obj["metadata"]["name"]
        self.there: Object = {}

    @property
    def url(self) -> str:
        """Of the object."""
        return place(self.type, self.name)

    @property
    def version(self) -> str:
        """Of the object."""
        return str(self.there["metadata"]["resourceVersion"])

    async def ask(self, method: str, path: str, body: object = None, code: int = 200, **headers: str) -> Object:
        """The answer, which must have that code."""
        status, answer = await self.api.ask(method, path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert status == code, (method, path, answer)
        return answer if isinstance(answer, dict) else {"text": answer}

    async def raw(self, path: str, accept: str) -> tuple[str, bytes]:
        """Content type and body."""
        async with self.api.session.get(self.api.url + path, headers={"Accept": accept}) as answer:
            body = await answer.read()
            assert answer.status == 200, body
            return answer.headers["Content-Type"], body

    async def create(self) -> None:
        """As JSON, strictly."""
        self.there = await self.ask("POST", place(self.type) + STRICT, self.written, 201)
        metadata = self.there["metadata"]
        assert metadata["uid"]
        assert (self.there["apiVersion"], self.there["kind"]) == (self.type.api_version, self.type.kind)

    async def read(self) -> None:
        """JSON, YAML, protobuf, Table and metadata alone say the same."""
        assert await self.ask("GET", self.url) == self.there
        assert yaml.safe_load((await self.raw(self.url, "application/yaml"))[1]) == self.there
        content_type, body = await self.raw(self.url, PROTOBUF)
        assert content_type == PROTOBUF
        assert decode_envelope(body) == _as_message(self.there)
        table = json.loads((await self.raw(self.url, TABLE))[1])
        assert [len(row["cells"]) for row in table["rows"]] == [len(table["columnDefinitions"])]
        partial = json.loads((await self.raw(self.url, PARTIAL))[1])
        assert (partial["kind"], partial["metadata"]) == ("PartialObjectMetadata", self.there["metadata"])

    async def list(self) -> None:
        """In the list it stands without its type; the list in protobuf has it too."""
        found = await self.ask("GET", place(self.type) + "?labelSelector=!nothing")
        bare = {name: value for name, value in self.there.items() if name not in ("apiVersion", "kind")}
        assert (found["kind"], found["apiVersion"]) == (self.type.kind + "List", self.type.api_version)
        assert [one for one in found["items"] if one["metadata"]["name"] == self.name] == [bare]
        decoded = decode_envelope((await self.raw(place(self.type), PROTOBUF))[1])
        assert [one["metadata"] for one in decoded["items"]] == [one["metadata"] for one in found["items"]]

    async def watch(self) -> None:
        """A watch from any version begins with it."""
        query = f"?watch=1&resourceVersion=0&fieldSelector=metadata.name={self.name}"
        async with self.api.session.get(self.api.url + place(self.type) + query) as answer:
            event = json.loads(await answer.content.readline())
        assert (event["type"], event["object"]) == ("ADDED", self.there)

    async def change(self) -> None:
        """An update of nothing writes nothing; three patches and an apply each add their annotation and touch no generation."""
        generation = self.there["metadata"].get("generation")
        same = await self.ask("PUT", self.url + STRICT, self.there)
        assert same["metadata"]["resourceVersion"] == self.version
        patches = {
            "application/merge-patch+json": {"metadata": {"annotations": {"example.com/merge": "1"}}},
            "application/strategic-merge-patch+json": {"metadata": {"annotations": {"example.com/strategic": "1"}}},
            "application/json-patch+json": [{"op": "add", "path": "/metadata/annotations/example.com~1json", "value": "1"}],
        }
        for content_type, patch in patches.items():
            changed = await self.ask("PATCH", self.url + STRICT, json.dumps(patch).encode(), Content_Type=content_type)
            assert int(changed["metadata"]["resourceVersion"]) > int(self.version)
            self.there = changed
        applied = {"apiVersion": self.type.api_version, "kind": self.type.kind}
        applied["metadata"] = {"name": self.name, "annotations": {"example.com/apply": "1"}}
        query = "?fieldManager=tester&fieldValidation=Strict"
        self.there = await self.ask("PATCH", self.url + query, json.dumps(applied).encode(), Content_Type="application/apply-patch+yaml")
        metadata = self.there["metadata"]
        assert {name.partition("/")[2] for name in metadata["annotations"] if name.startswith("example.com/")} == {
            "merge",
            "strategic",
            "json",
            "apply",
        }
        assert ("tester", "Apply") in {(one["manager"], one["operation"]) for one in metadata["managedFields"]}
        if self.type.kind != "EndpointSlice":
            assert metadata.get("generation") == generation
        assert await self.ask("GET", self.url) == self.there

    async def status(self) -> None:
        """The status endpoint answers the object; an update of nothing writes nothing there either."""
        if "status" not in self.type.subresources:
            await self.ask("GET", place(self.type, self.name, "status"), None, 404)
            return
        url = place(self.type, self.name, "status")
        assert await self.ask("GET", url) == self.there
        same = await self.ask("PUT", url, self.there)
        assert same["metadata"]["resourceVersion"] == self.version
        await self.ask("PATCH", url, b'{"status":{}}', Content_Type="application/merge-patch+json")

    async def delete(self) -> None:
        """It is gone, or waits for its finalizers."""
        await self.ask("DELETE", self.url)
        status, left = await self.api.ask("GET", self.url)
        if status == 200:
            assert left["metadata"]["deletionTimestamp"]
            if self.type.kind == "Namespace":
                left["spec"] = {}
                await self.ask("PUT", self.url + "/finalize", left)
            else:
                await self.ask("PATCH", self.url, b'{"metadata":{"finalizers":null}}', Content_Type="application/merge-patch+json")
        await self.ask("GET", self.url, None, 404)

    async def create_from_protobuf(self) -> None:
        """The same object sent as clients in Go do becomes the same object."""
        before, content = self.there, ("metadata", "status")
        answer = await self.ask("POST", place(self.type), encode_envelope(self.written), 201, Content_Type=PROTOBUF)
        mine = {name: value for name, value in answer.items() if name not in content}
        assert _timeless(mine) == _timeless({name: value for name, value in before.items() if name not in content})


def _as_message(obj: Object) -> Object:
    """Whole objects inside of one have no type in protobuf, and nothing is null."""
    obj = _without_nulls(obj)
    for one in (obj.get("spec") or {}).get("volumeClaimTemplates") or ():
        del one["apiVersion"], one["kind"]
    return obj


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_nulls(child) for name, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value


def _timeless(obj: Object) -> str:
    """Without what is drawn for each object."""
    text = json.dumps(obj, sort_keys=True)
    for name in ("controller-uid", "batch.kubernetes.io/controller-uid"):
        parts = text.split(f'"{name}": "')
        text = parts[0] + "".join(f'"{name}": "' + part[36:] for part in parts[1:])
    return text


async def test_every_served_row_has_an_object_here():
    """No kind of section F goes without the walk below."""
    walked = {(model_of(obj).type.group, model_of(obj).type.version, model_of(obj).type.plural) for obj in [*objects(), *more()]}
    stored = {key for key, model in builtin_models().items() if "get" in model.type.verbs and key[2] not in SERVED_ELSEWHERE}
    assert stored - walked == set()


@pytest.mark.parametrize("obj", [*objects(), *more()], ids=lambda obj: f"{obj['apiVersion']}/{obj['kind']}")
async def test_kind_lives_through_http(obj: Object):
    """One object's whole life."""
    type = model_of(obj).type
    if "get" not in type.verbs:
        pytest.skip("nothing of this kind is stored")
    async with face(kinds=[("", "v1", "namespaces"), (type.group, type.version, type.plural)][type.plural == "namespaces" :]) as api:
        walk = Walk(api, obj)
        await walk.create()
        await walk.read()
        await walk.list()
        await walk.watch()
        await walk.change()
        await walk.status()
        await walk.delete()
        await walk.create_from_protobuf()
