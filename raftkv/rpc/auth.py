"""etcdserverpb.Auth as a cluster without authentication answers it.

Source: etcd's api/v3rpc/auth.go.
"""

from __future__ import annotations

from functools import partial

from raftkv.errors import AuthNotEnabledError
from raftkv.pb import rpc
from raftkv.rpc.router import Router
from raftkv.server.api import Done, MemberApi, Result
from raftkv.transport.call import Kind

SERVICE = "/etcdserverpb.Auth/"

NO_AUTH = "etcdserver: authentication is not supported by this version of raftkv"

_UNSERVED = (
    *("AuthEnable", "UserAdd", "UserGet", "UserList", "UserDelete", "UserChangePassword", "UserGrantRole", "UserRevokeRole"),
    *("RoleAdd", "RoleGet", "RoleList", "RoleDelete", "RoleGrantPermission", "RoleRevokePermission"),
)


def add_auth(router: Router, api: MemberApi) -> None:
    """Adds the service. Status goes through the log in etcd, so it is answered behind a read barrier here."""

    def status(raw: bytes, request: rpc.AuthStatusRequest, done: Done) -> None:
        # The authentication store's revision starts at 1.
        answer = rpc.AuthStatusResponse(enabled=False, authRevision=1).SerializeToString()
        api.read_barrier(partial(_answer, done, answer))

    def disable(raw: bytes, request: rpc.AuthDisableRequest, done: Done) -> None:
        # Disabling what is not enabled changes nothing and is no error.
        api.read_barrier(partial(_answer, done, b""))

    def authenticate(raw: bytes, request: rpc.AuthenticateRequest, done: Done) -> None:
        done(None, AuthNotEnabledError())

    router.unary(SERVICE + "AuthStatus", rpc.AuthStatusRequest, status)
    router.unary(SERVICE + "AuthDisable", rpc.AuthDisableRequest, disable)
    router.unary(SERVICE + "Authenticate", rpc.AuthenticateRequest, authenticate)
    for method in _UNSERVED:
        router.unimplemented(SERVICE + method, Kind.UNARY, NO_AUTH)


def _answer(done: Done, body: bytes, barrier: Result | None, error: Exception | None) -> None:
    if barrier is None:
        done(None, error)
    else:
        done((barrier[0], body), None)
