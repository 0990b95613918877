"""The reviews: objects that are posted with a question and come back with the answer, and are stored nowhere (201).

Plain functions from object to object; each raises StatusError for a question that makes no sense. Source: spec D.3; texts as upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import FieldError, Object, bad_request, invalid, invalid_object
from resource_api.registry.requests import User
from resource_api.security.authn import Authenticator
from resource_api.security.authorization import Attributes, Authorizer, Decision, Rules

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"


def _answer(review: Object, group: str, kind: str, status: Object) -> Object:
    answer = {name: value for name, value in review.items() if name not in ("kind", "apiVersion", "metadata", "status")}
    metadata = review.get("metadata") or {}
    return {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata, **answer, "status": status}


def _attributes(user: User, spec: Object) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None:
        return Attributes(user, (path or {}).get("verb", ""), path=(path or {}).get("path", "") or "/")
    names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(user, *(str(resource.get(name) or "") for name in names))


def _which_problems(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        return [invalid("spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes")]
    if resource is None and path is None:
        return [
            invalid("spec.resourceAttributes", None, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        ]
    return []


def _decided(decision: Decision) -> Object:
    status: Object = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    if decision.error:
        status["evaluationError"] = decision.error
    return status


def user_of(spec: Object) -> User:
    """The user a SubjectAccessReview asks about."""
    extra = {name.lower(): tuple(values or ()) for name, values in (spec.get("extra") or {}).items()}
    return User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()), str(spec.get("uid") or ""), extra)


def self_subject_access_review(review: Object, user: User, authorizer: Authorizer) -> Object:
    """May I?"""
    spec = review.get("spec") or {}
    problems = _which_problems(spec)
    if problems:
        raise invalid_object(AUTHORIZATION, "SelfSubjectAccessReview", "", problems)
    return _answer(review, AUTHORIZATION, "SelfSubjectAccessReview", _decided(authorizer.authorize(_attributes(user, spec))))


def subject_access_review(review: Object, authorizer: Authorizer, *, namespace: str | None = None) -> Object:
    """May he? With a namespace it is a LocalSubjectAccessReview posted there."""
    spec = review.get("spec") or {}
    kind = "SubjectAccessReview" if namespace is None else "LocalSubjectAccessReview"
    problems = _which_problems(spec)
    if not spec.get("user") and not spec.get("groups"):
        problems.append(invalid("spec.user", spec.get("user") or "", "at least one of user or group must be specified"))
    if namespace is not None and spec.get("nonResourceAttributes") is not None:
        problems.append(invalid("spec.nonResourceAttributes", spec["nonResourceAttributes"], "disallowed on this kind of request"))
    if problems:
        raise invalid_object(AUTHORIZATION, kind, "", problems)
    if namespace is not None:
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if asked != namespace:
            raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    return _answer(review, AUTHORIZATION, kind, _decided(authorizer.authorize(_attributes(user_of(spec), spec))))


def self_subject_rules_review(review: Object, user: User, authorizers: Sequence[Rules]) -> Object:
    """What may I do in this namespace?"""
    namespace = str((review.get("spec") or {}).get("namespace") or "")
    if not namespace:
        raise bad_request("no namespace on request")
    resource_rules: list[Object] = []
    path_rules: list[Object] = []
    errors: list[str] = []
    for authorizer in authorizers:
        rules, missing = authorizer.rules_of(user, namespace)
        errors += missing
        for rule in rules:
            (path_rules if rule.get("nonResourceURLs") else resource_rules).append(rule)
    status: Object = {"resourceRules": _merged(resource_rules), "nonResourceRules": _merged(path_rules), "incomplete": False}
    if errors:
        status["evaluationError"] = ", ".join(errors)
    return _answer(review, AUTHORIZATION, "SelfSubjectRulesReview", status)


def _merged(rules: Sequence[Object]) -> list[Object]:
    """Each rule once, in the fields a review has."""
    fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    found: list[Object] = []
    for rule in rules:
        kept = {name: list(rule[name]) for name in fields if rule.get(name)}
        if kept not in found:
            found.append(kept)
    return found


def self_subject_review(review: Object, user: User) -> Object:
    """Who am I?"""
    return _answer(review, AUTHENTICATION, "SelfSubjectReview", {"userInfo": user.info()})


async def token_review(review: Object, authenticator: Authenticator) -> Object:
    """Whose token is this?"""
    spec = review.get("spec") or {}
    token = spec.get("token") or ""
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    audiences = list(spec.get("audiences") or ())
    found = await authenticator.verify(token, audiences)
    if found is None:
        status: Object = {"authenticated": False, "user": {}, "error": "invalid bearer token"}
    else:
        status = {"authenticated": True, "user": found.user.info()}
        if found.audiences:
            status["audiences"] = list(found.audiences)
    return _answer(review, AUTHENTICATION, "TokenReview", status)
