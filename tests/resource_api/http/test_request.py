"""URLs to request info (spec A.6), and options out of queries."""

from __future__ import annotations

import pytest

from resource_api.errors import StatusError
from resource_api.http.messages import Request
from resource_api.http.request import check_patch_options, context, list_options, request_info, timeout_s
from resource_api.registry.requests import User
from tests.resource_api.http.support import make_request

INFOS = [
    ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=true", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=True", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=False", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=0", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/namespaces/a/pods/x", "get", "", "v1", "a", "pods", "", "x"),
    ("GET", "/api/v1/namespaces/a/pods/x/log", "get", "", "v1", "a", "pods", "log", "x"),
    ("POST", "/api/v1/namespaces/a/pods/x/exec", "create", "", "v1", "a", "pods", "exec", "x"),
    ("GET", "/api/v1/namespaces/a/pods/", "list", "", "v1", "a", "pods", "", ""),
    ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "", "v1", "a", "pods", "", ""),
    ("DELETE", "/api/v1/namespaces/a", "delete", "", "v1", "a", "namespaces", "", "a"),
    ("PUT", "/api/v1/namespaces/a/finalize", "update", "", "v1", "a", "namespaces", "finalize", "a"),
    ("PUT", "/api/v1/namespaces/a/status", "update", "", "v1", "a", "namespaces", "status", "a"),
    ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
    ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", "patch", "apps", "v1", "a", "deployments", "", "d"),
    ("PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", "update", "apps", "v1", "a", "deployments", "scale", "d"),
    (
        "GET",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab",
        "get",
        "rbac.authorization.k8s.io",
        "v1",
        "",
        "clusterroles",
        "",
        "a:b",
    ),
    ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/watch/namespaces/a/pods/x", "watch", "", "v1", "a", "pods", "", "x"),
    ("HEAD", "/api/v1/nodes/n", "get", "", "v1", "", "nodes", "", "n"),
]


@pytest.mark.parametrize(("method", "target", "verb", "group", "version", "namespace", "resource", "subresource", "name"), INFOS)
def test_request_info_of_resources_is_upstreams(method, target, verb, group, version, namespace, resource, subresource, name):
    """Every form of a resource's URL is told apart."""
    info = request_info(make_request(method, target))
    assert info.is_resource
    found = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert found == (verb, group, version, namespace, resource, subresource, name)


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/v1", "/api/v1/", "/apis", "/apis/apps/v1", "/healthz", "/version/", "/openapi/v3/api/v1"]
)
def test_request_info_of_other_paths_has_the_method_as_verb(path):
    """Discovery and the like are no resources."""
    info = request_info(make_request("GET", path))
    assert (info.is_resource, info.verb, info.path) == (False, "get", path)


def test_request_info_cut_short_is_a_bad_request():
    """`/watch` names nothing."""
    with pytest.raises(StatusError) as caught:
        request_info(make_request("GET", "/api/v1/watch"))
    assert (caught.value.code, caught.value.message) == (400, "unable to determine kind and namespace from url, /api/v1/watch")


@pytest.mark.parametrize(
    ("selector", "name"),
    [("metadata.name%3Dx", "x"), ("a%3Db,metadata.name==x", "x"), ("metadata.name!=x", ""), ("metadata.names=x", "")],
)
def test_list_with_an_exact_name_selector_names_that_object(selector, name):
    """Authorization by resource names covers it."""
    assert request_info(make_request("GET", f"/api/v1/pods?fieldSelector={selector}")).field_name == name


def test_list_options_are_read_from_the_query():
    """Every parameter, booleans by upstream's rule."""
    target = "/x?labelSelector=a%3Db&fieldSelector=c%3Dd&limit=5&continue=t&resourceVersion=7&resourceVersionMatch=Exact&timeoutSeconds=9"
    options = list_options(make_request("GET", target + "&allowWatchBookmarks=True&sendInitialEvents=false").query)
    assert (options.label_selector, options.field_selector, options.limit, options.continue_token) == ("a=b", "c=d", 5, "t")
    assert (options.resource_version, options.resource_version_match, options.timeout_s) == ("7", "Exact", 9)
    assert (options.allow_bookmarks, options.send_initial_events) == (True, False)
    assert list_options(make_request("GET", "/x?a=b").query).send_initial_events is None


@pytest.mark.parametrize(
    ("limit", "text"), [("x", "invalid syntax"), ("1.5", "invalid syntax"), ("99999999999999999999", "value out of range")]
)
def test_list_options_with_a_bad_number_are_refused(limit, text):
    """In Go's words."""
    with pytest.raises(StatusError) as caught:
        list_options(make_request("GET", f"/x?limit={limit}").query)
    assert (caught.value.code, caught.value.message) == (400, f'strconv.ParseInt: parsing "{limit}": {text}')


def _context(query: str, kind: str = "CreateOptions"):
    request: Request = make_request("POST", "/api/v1/namespaces/a/pods?" + query)
    return context(request, request_info(request), User("u"), kind)


def test_context_takes_options_from_the_query():
    """Dry run, manager and validation."""
    ctx = _context("dryRun=All&fieldManager=m&fieldValidation=Strict")
    assert (ctx.namespace, ctx.dry_run, ctx.field_manager, ctx.field_validation) == ("a", True, "m", "Strict")
    assert _context("").field_validation == "Warn"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("dryRun=Some", "dryRun"),
        ("fieldManager=" + "m" * 129, "fieldManager"),
        ("fieldManager=a%07", "fieldManager"),
        ("fieldValidation=x", "fieldValidation"),
    ],
)
def test_context_with_bad_options_is_unprocessable(query, path):
    """422 naming the options' kind and the field."""
    with pytest.raises(StatusError) as caught:
        _context(query, "PatchOptions")
    assert caught.value.code == 422
    assert caught.value.message.startswith('PatchOptions.meta.k8s.io "" is invalid: ' + path + ": ")
    assert [cause.field for cause in caught.value.causes] == [path]


@pytest.mark.parametrize(("query", "is_apply", "field"), [("force=true", False, "force"), ("", True, "fieldManager")])
def test_patch_options_that_do_not_fit_the_patch_are_refused(query, is_apply, field):
    """`force` is apply's, and apply needs a manager."""
    with pytest.raises(StatusError) as caught:
        check_patch_options(make_request("PATCH", "/x?" + query).query, is_apply=is_apply)
    assert [cause.field for cause in caught.value.causes] == [field]


def test_timeout_only_shortens_the_deadline():
    """`timeout=0` is the server's own."""
    assert timeout_s(make_request("GET", "/x?timeout=2s"), 60) == 2
    assert timeout_s(make_request("GET", "/x?timeout=2h"), 60) == 60
    assert timeout_s(make_request("GET", "/x?timeout=0"), 60) == 60
    with pytest.raises(StatusError, match="invalid timeout"):
        timeout_s(make_request("GET", "/x?timeout=abc"), 60)


def test_query_is_decoded_as_forms_are():
    """Several values, blanks, escapes and plus signs; what has no name is passed over."""
    query = make_request("GET", "/x?a=1&a=2&b&c=%3D+x&%64=y%26&=z&&e=f=g").query
    assert query == {"a": ["1", "2"], "b": [""], "c": ["= x"], "d": ["y&"], "e": ["f=g"]}
