"""The whole HTTP face over real kinds and a store in memory: what clients see on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json

import aiohttp
import pytest

from resource_api.errors import forbidden, unauthorized
from resource_api.http.chain import ChainSettings, Guards
from resource_api.http.messages import BODY_BYTES_MAX, Answer, Outlet, Request, Stream
from resource_api.registry.requests import User
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope
from tests.resource_api.http.serving import config_map, face, open_guards

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PROTOBUF = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}

pytestmark = pytest.mark.asyncio


async def test_objects_are_created_read_changed_and_deleted():
    """One life of an object, with the codes of every step."""
    async with face() as api:
        code, made = await api.ask("POST", MAPS, config_map("a", x="1"))
        assert (code, made["data"], bool(made["metadata"]["uid"])) == (201, {"x": "1"}, True)
        assert (await api.ask("POST", MAPS, config_map("a")))[0] == 409
        code, read = await api.ask("GET", f"{MAPS}/a")
        assert (code, read) == (200, made)
        code, changed = await api.ask("PUT", f"{MAPS}/a", {**made, "data": {"x": "2"}})
        assert (code, changed["data"]) == (200, {"x": "2"})
        assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
        code, stale = await api.ask("PUT", f"{MAPS}/a", {**made, "data": {"x": "3"}})
        assert (code, stale["reason"]) == (409, "Conflict")
        code, patched = await api.ask("PATCH", f"{MAPS}/a", b'{"data":{"y":"1"}}', headers=MERGE)
        assert (code, patched["data"]) == (200, {"x": "2", "y": "1"})
        code, gone = await api.ask("DELETE", f"{MAPS}/a")
        assert (code, gone["status"], gone["details"]["name"]) == (200, "Success", "a")
        assert (await api.ask("GET", f"{MAPS}/a"))[0] == 404


async def test_apply_creates_and_then_changes():
    """201 once, 200 after it; without a manager 422; YAML is read."""
    headers = {"Content-Type": "application/apply-patch+yaml"}
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {x: one}\n"
    async with face() as api:
        assert (await api.ask("PATCH", f"{MAPS}/a", body, headers=headers))[0] == 422
        code, made = await api.ask("PATCH", f"{MAPS}/a?fieldManager=m", body, headers=headers)
        assert (code, made["data"], made["metadata"]["managedFields"][0]["operation"]) == (201, {"x": "one"}, "Apply")
        assert (await api.ask("PATCH", f"{MAPS}/a?fieldManager=m", body, headers=headers))[0] == 200


async def test_list_pages_have_tokens_and_counts():
    """Pages of one version that together are the whole."""
    async with face() as api:
        for name in "abcde":
            await api.ask("POST", MAPS, config_map(name))
        _, whole = await api.ask("GET", MAPS)
        _, first = await api.ask("GET", f"{MAPS}?limit=2")
        assert first["metadata"]["remainingItemCount"] == 3
        _, rest = await api.ask("GET", f"{MAPS}?limit=10&continue={first['metadata']['continue']}")
        assert first["items"] + rest["items"] == whole["items"]
        assert "continue" not in rest["metadata"]
        assert first["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"]
        assert all("kind" not in item and "apiVersion" not in item for item in whole["items"])
        assert (await api.ask("GET", f"{MAPS}?labelSelector=a%3D%3D%3Db"))[0] == 400


async def test_answers_come_in_the_type_that_is_accepted():
    """JSON exactly, YAML, protobuf, Table, partial metadata; 406 and 415 for what there is not."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a", x="1"))
        async with api.session.get(api.url + MAPS + "/a") as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert "Server" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-cache, private"
            assert len(answer.headers["Audit-Id"]) == 36
        async with api.session.get(api.url + MAPS + "/a", headers=PROTOBUF) as answer:
            assert answer.headers["Content-Type"] == "application/vnd.kubernetes.protobuf"
            assert decode_envelope(await answer.read())["data"] == {"x": "1"}
        async with api.session.get(api.url + MAPS, headers={"Accept": "application/yaml"}) as answer:
            assert answer.headers["Content-Type"] == "application/yaml"
            assert (await answer.text()).startswith("apiVersion: v1\nitems:\n")
        _, table = await api.ask("GET", MAPS, headers=TABLE)
        assert (table["kind"], table["rows"][0]["cells"][0], table["rows"][0]["object"]["kind"]) == ("Table", "a", "PartialObjectMetadata")
        _, table = await api.ask("GET", f"{MAPS}/a?includeObject=Object", headers=TABLE)
        assert (table["rows"][0]["object"]["data"], bool(table["metadata"]["resourceVersion"])) == ({"x": "1"}, True)
        partial = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
        _, listed = await api.ask("GET", MAPS, headers=partial)
        assert (listed["kind"], list(listed["items"][0])) == ("PartialObjectMetadataList", ["kind", "apiVersion", "metadata"])
        assert (await api.ask("GET", MAPS, headers={"Accept": "text/html"}))[0] == 406
        assert (await api.ask("POST", MAPS, b"x", headers={"Content-Type": "text/plain"}))[0] == 415
        assert (await api.ask("PATCH", f"{MAPS}/a", b"{}", headers={"Content-Type": "application/json"}))[0] == 415


async def test_bodies_may_be_protobuf():
    """As client-go sends them."""
    async with face() as api:
        body = encode_envelope({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p"}, "data": {"x": "1"}})
        code, made = await api.ask("POST", MAPS, body, headers={"Content-Type": "application/vnd.kubernetes.protobuf"})
        assert (code, made["data"]) == (201, {"x": "1"})
        options = encode_envelope({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "wrong"}})
        code, refused = await api.ask("DELETE", f"{MAPS}/p", options, headers={"Content-Type": "application/vnd.kubernetes.protobuf"})
        assert (code, refused["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/foos", 404),
        ("POST", "/api/v1/configmaps", 405),
        ("DELETE", "/api/v1/configmaps", 405),
        ("GET", "/api/v1/configmaps/a", 404),
        ("POST", "/api/v1/namespaces/default/configmaps/a", 405),
        ("GET", "/api/v1/namespaces/default/nodes", 404),
        ("GET", "/api/v1/namespaces/default/configmaps/a/status", 404),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("OPTIONS", "/api/v1/namespaces/default/configmaps", 405),
        ("DELETE", "/version", 405),
    ],
)
async def test_what_a_resource_does_not_have_is_refused_with_a_status(method, path, code):
    """Unknown resources 404, unknown methods 405."""
    async with face() as api:
        got, status = await api.ask(method, path)
        assert (got, status["kind"], status["code"]) == (code, "Status", code)


@pytest.mark.parametrize("path", ["/apis/foo/v1/bars", "/nowhere", "/apis/apps/v2/deployments"])
async def test_paths_nobody_serves_are_a_plain_404(path):
    """As the mux says it."""
    async with face() as api:
        assert await api.ask("GET", path) == (404, "404 page not found\n")


async def test_a_body_past_the_limit_is_too_large():
    """413 with the limit; a body below it is read whole."""
    async with face() as api:
        code, status = await api.ask("POST", MAPS, b'{"data":"' + b"x" * BODY_BYTES_MAX + b'"}')
        assert (code, status["message"]) == (413, "Request entity too large: limit is 3145728")
        code, _ = await api.ask("POST", MAPS, config_map("big", x="y" * 900_000))
        assert code == 201


async def test_warnings_and_strict_refusals_name_unknown_and_duplicate_fields():
    """Warn by default, 400 under Strict, nothing under Ignore."""
    body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"w"},"data":{"a":"1","a":"2"},"foo":1}'
    async with face() as api:
        async with api.session.post(f"{api.url}{MAPS}?dryRun=All", data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 201
            texts = answer.headers.getall("Warning")
            assert texts == ['299 - "duplicate field \\"data.a\\""', '299 - "unknown field \\"foo\\""']
        code, status = await api.ask("POST", f"{MAPS}?fieldValidation=Strict", body)
        assert code == 400
        assert 'strict decoding error: duplicate field "data.a", unknown field "foo"' in status["message"]
        async with api.session.post(
            f"{api.url}{MAPS}?fieldValidation=Ignore", data=body, headers={"Content-Type": "application/json"}
        ) as answer:
            assert "Warning" not in answer.headers
            assert answer.status == 201


async def test_large_answers_are_compressed_for_who_takes_it():
    """Above 128 KiB and when asked for."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("big", x="y" * 200_000))
        async with aiohttp.ClientSession(auto_decompress=False) as raw:
            async with raw.get(f"{api.url}{MAPS}/big", headers={"Accept-Encoding": "gzip"}) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                assert json.loads(gzip.decompress(await answer.read()))["data"]["x"] == "y" * 200_000
            async with raw.get(f"{api.url}{MAPS}/big", headers={"Accept-Encoding": "identity"}) as answer:
                assert "Content-Encoding" not in answer.headers


async def test_refusals_of_the_guards_are_statuses():
    """401 and 403, in the client's type."""

    async def nobody(request):
        raise unauthorized()

    async def nothing(user, info):
        raise forbidden(info.group, info.resource, info.name, f'User "{user.name}" cannot {info.verb} resource "{info.resource}"')

    everybody = open_guards(User("u"))
    async with face(guards=Guards(nobody, everybody.impersonate, everybody.authorize)) as api:
        code, status = await api.ask("GET", MAPS)
        assert (code, status["message"], status["reason"]) == (401, "Unauthorized", "Unauthorized")
    async with face(guards=Guards(everybody.authenticate, everybody.impersonate, nothing)) as api:
        code, status = await api.ask("GET", f"{MAPS}/a")
        assert (code, status["reason"], status["details"]["kind"]) == (403, "Forbidden", "configmaps")
        async with api.session.get(f"{api.url}{MAPS}", headers=PROTOBUF) as answer:
            assert decode_envelope(await answer.read())["code"] == 403


async def test_a_fault_of_ours_is_a_500_and_counted():
    """It ends that request and no other."""

    async def broken(user, info):
        raise RuntimeError("boom")

    everybody = open_guards()
    async with face(guards=Guards(everybody.authenticate, everybody.impersonate, broken)) as api:
        code, status = await api.ask("GET", MAPS)
        assert (code, status["reason"]) == (500, "InternalError")
        assert "boom" not in status["message"]
        assert api.server.counters.faults == 1


async def test_requests_have_a_deadline():
    """504 when it passes; the server goes on."""

    async def slow(user, info):
        await asyncio.sleep(60)

    everybody = open_guards()
    async with face(guards=Guards(everybody.authenticate, everybody.impersonate, slow)) as api:
        code, status = await api.ask("GET", f"{MAPS}?timeout=50ms")
        assert (code, status["reason"]) == (504, "Timeout")
        assert (await api.ask("GET", f"{MAPS}?timeout=x"))[0] == 400


async def test_more_requests_than_may_be_in_flight_are_told_to_come_back():
    """429 with Retry-After; watches and the administrator do not count."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def held(user, info):
        if info.name == "held":
            entered.set()
            await leave.wait()

    everybody = open_guards(User("u"))
    guards = Guards(everybody.authenticate, everybody.impersonate, held)
    async with face(guards=guards, settings=ChainSettings(in_flight_max=1)) as api, asyncio.TaskGroup() as group:
        first = group.create_task(api.ask("GET", f"{MAPS}/held"))
        await entered.wait()
        async with api.session.get(api.url + MAPS) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        async with api.session.get(f"{api.url}{MAPS}?watch=1&timeoutSeconds=1") as answer:
            assert answer.status == 200
        leave.set()
        assert (await first)[0] == 404


async def test_plain_http_answers_to_loopback_names_only():
    """A page that was led here by a name of its own stays outside."""
    async with face() as api:
        assert (await api.ask("GET", "/version", headers={"Host": "localhost:1"}))[0] == 200
        assert (await api.ask("GET", "/version", headers={"Host": "[::1]:1"}))[0] == 200
        assert (await api.ask("GET", "/version", headers={"Host": "evil.example"}))[0] == 403
        with pytest.raises(ValueError, match="loopback only"):
            await api.server.listen("0.0.0.0", 0, None)


async def test_health_is_told_in_upstreams_form():
    """Verbose, excluded, by name; failures without their reason."""

    async def sick() -> str:
        return "the store is gone"

    async with face() as api:
        assert await api.ask("GET", "/healthz") == (200, "ok")
        assert await api.ask("GET", "/livez/ping") == (200, "ok")
        api.server.health.ready["etcd"] = sick
        code, text = await api.ask("GET", "/readyz")
        assert (code, "[-]etcd failed: reason withheld\n" in text, text.endswith("readyz check failed\n")) == (500, True, True)
        code, text = await api.ask("GET", "/readyz?exclude=etcd&verbose")
        assert (code, "[+]etcd excluded: ok\n" in text) == (200, True)
        assert (await api.ask("GET", "/readyz/nothing"))[0] == 404


async def test_metrics_count_requests_under_upstreams_names():
    """By verb, resource and code."""
    async with face() as api:
        await api.ask("GET", f"{MAPS}/a")
        _, text = await api.ask("GET", "/metrics")
        assert (
            'apiserver_request_total{code="404",dry_run="",component="apiserver",group="",resource="configmaps",scope="resource",'
            'subresource="",verb="GET",version="v1"} 1\n' in text
        )


@pytest.mark.parametrize("metadata", [[], "", 0, False, [None], "x", {"labels": []}, {"labels": ""}])
@pytest.mark.parametrize("media", ["merge-patch", "strategic-merge-patch", "json-patch"])
async def test_patch_that_makes_something_else_of_metadata_is_refused(media: str, metadata: object):
    """Also of what is as good as nothing elsewhere."""
    async with face() as api:
        assert (await api.ask("POST", MAPS, config_map("a")))[0] == 201
        patch: object = {"metadata": metadata}
        if media == "json-patch":
            patch = [{"op": "replace", "path": "/metadata", "value": metadata}]
        code, status = await api.ask("PATCH", f"{MAPS}/a", patch, headers={"Content-Type": f"application/{media}+json"})
        assert code in (400, 422), status
        assert api.server.counters.faults == 0


async def test_delete_collection_takes_options_and_answers_what_went():
    """A dry run takes nothing."""
    async with face() as api:
        for name in "ab":
            await api.ask("POST", MAPS, config_map(name))
        code, listed = await api.ask("DELETE", f"{MAPS}?dryRun=All")
        assert (code, len(listed["items"])) == (200, 2)
        code, _ = await api.ask("DELETE", MAPS, {"propagationPolicy": "Background"})
        assert (code, (await api.ask("GET", MAPS))[1]["items"]) == (200, [])
        code, status = await api.ask("DELETE", f"{MAPS}/a", {"propagationPolicy": "Background", "orphanDependents": True})
        assert (code, status["details"]["kind"]) == (422, "DeleteOptions")
        code, status = await api.ask("DELETE", f"{MAPS}/a?propagationPolicy=Sideways")
        assert (code, status["details"]["causes"][0]["field"]) == (422, "propagationPolicy")


async def test_scale_is_read_and_patched_as_its_own_kind():
    """autoscaling/v1 Scale on the wire."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}}
    at = "/apis/apps/v1/namespaces/default/deployments"
    async with face() as api:
        assert (await api.ask("POST", at, body))[0] == 201
        code, scale = await api.ask("GET", f"{at}/d/scale")
        assert (code, scale["kind"], scale["spec"]) == (200, "Scale", {"replicas": 2})
        code, scale = await api.ask("PATCH", f"{at}/d/scale", b'{"spec":{"replicas":5}}', headers=MERGE)
        assert (code, scale["spec"]) == (200, {"replicas": 5})
        scale["spec"]["replicas"] = 1
        code, scale = await api.ask("PUT", f"{at}/d/scale", json.dumps(scale).encode(), headers={"Content-Type": ""})
        assert (code, scale["spec"]) == (200, {"replicas": 1})
        assert (await api.ask("GET", f"{at}/d"))[1]["spec"]["replicas"] == 1


async def test_a_client_of_http_1_0_gets_a_stream_that_ends_with_the_connection():
    """No chunks for who does not know them; 100-continue is answered."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {MAPS}?watch=1&timeoutSeconds=1 HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        said = await reader.read()
        assert b"Transfer-Encoding" not in said
        assert said.endswith(b"}\n")
        writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps(config_map("b")).encode()
        head = f"POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
        writer.close()


async def test_discovery_is_answered_in_both_forms():
    """Legacy by default, aggregated when asked for, with an ETag; slashes at the end do not count."""
    aggregated = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    async with face() as api:
        _, versions = await api.ask("GET", "/api/")
        assert versions["versions"] == ["v1"]
        assert versions["serverAddressByClientCIDRs"][0]["serverAddress"] == api.url.removeprefix("http://")
        assert [group["name"] for group in (await api.ask("GET", "/apis"))[1]["groups"]] == ["apps"]
        assert (await api.ask("GET", "/apis/apps"))[1]["kind"] == "APIGroup"
        assert (await api.ask("GET", "/apis/apps/v1/"))[1]["kind"] == "APIResourceList"
        assert (await api.ask("GET", "/apis/apps/v9"))[0] == 404
        async with api.session.get(api.url + "/apis", headers=aggregated) as answer:
            assert answer.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            etag = answer.headers["ETag"]
            assert json.loads(await answer.read())["kind"] == "APIGroupDiscoveryList"
        async with api.session.get(api.url + "/apis", headers={**aggregated, "If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_openapi_documents_are_found_by_their_hash():
    """The index leads to documents that never change; a wrong hash leads to the right one."""
    async with face(kinds=[("apps", "v1", "deployments")]) as api:
        _, index = await api.ask("GET", "/openapi/v3")
        where = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        async with api.session.get(api.url + where) as answer:
            assert answer.headers["Cache-Control"] == "public, immutable"
            assert answer.headers["Expires"].endswith("GMT")
            assert "components" in await answer.json()
        async with api.session.get(api.url + where + "0", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, where)
        assert (await api.ask("GET", "/openapi/v3/apis/none/v1"))[0] == 404
        assert (await api.ask("GET", "/openapi/v3", headers={"Accept": "text/html"}))[0] == 406


async def test_openapi_of_version_2_is_json_or_protobuf():
    """Each form with an ETag of its own. kubectl asks for protobuf with an `@`, and alone; with both the first is meant."""
    async with face(kinds=[("apps", "v1", "deployments")]) as api:
        async with api.session.get(api.url + "/openapi/v2") as answer:
            assert (await answer.json())["swagger"] == "2.0"
            etag = answer.headers["ETag"]
        assert (await api.ask("GET", "/openapi/v2", headers={"If-None-Match": etag}))[0] == 304
        protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        with_at = protobuf.replace("v2.v1", "v2@v1")
        for accepted in (protobuf, with_at, f"{with_at}, application/json"):
            async with api.session.get(api.url + "/openapi/v2", headers={"Accept": accepted}) as answer:
                assert (answer.status, answer.headers["Content-Type"]) == (200, protobuf)
                assert answer.headers.getall("Vary") == ["Accept", "Accept-Encoding"]
                assert answer.headers["Content-Encoding"] == "gzip"
                assert answer.headers["ETag"] != etag
                assert (await answer.read()).startswith(b"\x0a\x032.0\x12")
                named = {"Accept": accepted, "If-None-Match": answer.headers["ETag"]}
            assert (await api.ask("GET", "/openapi/v2", headers=named))[0] == 304
        for accepted in ("*/*", f"application/json, {protobuf}"):
            async with api.session.get(api.url + "/openapi/v2", headers={"Accept": accepted}) as answer:
                assert (answer.headers["Content-Type"], answer.headers["ETag"]) == ("application/json", etag)
        assert (await api.ask("GET", "/openapi/v2", headers={"Accept": "text/html"}))[0] == 406


async def test_stream_that_fails_in_its_midst_is_cut(caplog: pytest.LogCaptureFixture):
    """The client sees a connection that broke, no clean end and no second answer; the server serves on."""

    async def run(outlet: Outlet) -> None:
        outlet.write(b"begun")
        raise RuntimeError("a fault")

    async def answer(request: Request) -> Answer:
        return Stream(run, lambda: None)

    async with face() as api:
        api.server.routes.add("/broken", answer)
        with pytest.raises(aiohttp.ClientError):
            async with api.session.get(api.url + "/broken") as broken:
                await broken.read()
        assert "GET /broken failed in its midst" in caplog.text
        assert (await api.ask("GET", "/version"))[0] == 200
