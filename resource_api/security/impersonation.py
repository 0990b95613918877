"""`Impersonate-*` headers: acting as somebody else, for whoever may `impersonate` each part of him.

Source: spec D.2. The constrained impersonation verbs of 1.36 are not asked: `impersonate` alone decides.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence

from resource_api.errors import bad_request
from resource_api.registry.requests import User
from resource_api.schema.json_values import go_text
from resource_api.security.authn import AUTHENTICATED, UNAUTHENTICATED
from resource_api.security.authorization import Attributes, Authorizer, refusal

USER, GROUP, UID, EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
AUTHENTICATION_GROUP = "authentication.k8s.io"
SERVICE_ACCOUNT = "system:serviceaccount:"


def wanted_user(headers: Mapping[str, Sequence[str]]) -> User | None:
    """Whom the headers (by lower-case name) ask to be; None when they do not. Raises StatusError when a user is missing."""
    names = headers.get(USER) or ()
    name = names[0] if names else ""
    groups = tuple(headers.get(GROUP) or ())
    uids = headers.get(UID) or ()
    extra: dict[str, tuple[str, ...]] = {}
    for header, values in headers.items():
        if header.startswith(EXTRA):
            key = urllib.parse.unquote(header.removeprefix(EXTRA))
            extra[key] = (*extra.get(key, ()), *values)
    if not name:
        if groups or uids or extra:
            raise bad_request(f"requested {go_text(list(groups) or list(uids) or list(extra))} without impersonating a user")
        return None
    return User(name, groups, uids[0] if uids else "", extra)


def split_service_account(name: str) -> tuple[str, str] | None:
    """Namespace and name of `system:serviceaccount:NAMESPACE:NAME`, or None."""
    parts = name.removeprefix(SERVICE_ACCOUNT).split(":") if name.startswith(SERVICE_ACCOUNT) else []
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def questions(user: User, wanted: User) -> list[Attributes]:
    """What `user` must be allowed to become `wanted`."""
    account = split_service_account(wanted.name)
    if account is not None:
        asked = [Attributes(user, "impersonate", "", "v1", "serviceaccounts", "", account[0], account[1])]
    else:
        asked = [Attributes(user, "impersonate", "", "v1", "users", "", "", wanted.name)]
    asked += [Attributes(user, "impersonate", "", "v1", "groups", "", "", group) for group in wanted.groups]
    for key, values in wanted.extra.items():
        asked += [Attributes(user, "impersonate", AUTHENTICATION_GROUP, "v1", "userextras", key, "", value) for value in values]
    if wanted.uid:
        asked.append(Attributes(user, "impersonate", AUTHENTICATION_GROUP, "v1", "uids", "", "", wanted.uid))
    return asked


def impersonate(user: User, headers: Mapping[str, Sequence[str]], authorizer: Authorizer) -> User:
    """Who the request acts as: `user` himself without headers. Raises StatusError 403."""
    wanted = wanted_user(headers)
    if wanted is None:
        return user
    for asked in questions(user, wanted):
        decision = authorizer.authorize(asked)
        if not decision.allowed:
            raise refusal(asked, decision.reason)
    groups = wanted.groups
    account = split_service_account(wanted.name)
    if account is not None and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    if wanted.name == "system:anonymous":
        groups = groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(wanted.name, groups, wanted.uid, wanted.extra)
