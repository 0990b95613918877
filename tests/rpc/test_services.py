"""The composition: which methods exist, and which must not."""

from __future__ import annotations

from raftkv.pb import health, rpc
from raftkv.transport.call import Kind
from tests.rpc.fake_call import Bench


def described(file) -> dict[str, Kind]:
    kinds = {
        (False, False): Kind.UNARY,
        (False, True): Kind.SERVER_STREAM,
        (True, False): Kind.CLIENT_STREAM,
        (True, True): Kind.BIDI,
    }
    found = {}
    for service in file.services_by_name.values():
        for method in service.methods:
            found[f"/{service.full_name}/{method.name}"] = kinds[method.client_streaming, method.server_streaming]
    return found


def test_every_method_of_the_protocol_is_routed_with_its_kind():
    """A method that is forgotten would be answered as if the service were another one."""
    expected = {**described(rpc.DESCRIPTOR), **described(health.DESCRIPTOR)}
    assert {path: route.kind for path, route in Bench().services.routes.items()} == expected
