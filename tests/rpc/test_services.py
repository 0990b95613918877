"""The composition: which methods exist, and which must not."""

from __future__ import annotations

from raftkv.pb import health, rpc
from raftkv.server.api import Alarm
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


def test_metrics_of_the_member_are_read_off_it():
    bench = Bench()
    bench.member.alarms = [Alarm(bench.member.member_id, rpc.NOSPACE)]
    text = bench.metrics.render().decode()
    own_id = f"{bench.member.member_id:x}"
    for line in (
        'etcd_cluster_version{cluster_version="3.7"} 1',
        f'etcd_server_id{{server_id="{own_id}"}} 1',
        f'etcd_debugging_server_alarms{{server_id="{own_id}",alarm_type="NOSPACE"}} 1',
        f'etcd_network_known_peers{{Local="{own_id}",Remote="{own_id}"}} 1',
        "etcd_server_has_leader 1",
        "etcd_server_is_leader 1",
        "etcd_server_is_learner 0",
        "etcd_server_proposals_applied_total 4",
        "etcd_server_quota_backend_bytes 2147483648",
        "etcd_mvcc_db_total_size_in_bytes 20480",
        "etcd_debugging_mvcc_current_revision 1",
    ):
        assert f"\n{line}\n" in text
    bench.member.leader_id, bench.member.alarms = 0, []
    text = bench.metrics.render().decode()
    assert "\netcd_server_has_leader 0\n" in text and "\netcd_server_is_leader 0\n" in text
    assert "etcd_debugging_server_alarms{" not in text


def test_series_of_every_method_and_code_exist_from_the_start():
    """Error ratios are computed over them before the first error."""
    text = Bench().metrics.render().decode()
    for name in ("started", "msg_received", "msg_sent"):
        labels = 'grpc_type="bidi_stream",grpc_service="etcdserverpb.Watch",grpc_method="Watch"'
        assert f"grpc_server_{name}_total{{{labels}}} 0" in text
    handled = 'grpc_server_handled_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"'
    assert text.count(handled) == 17 and f'{handled},grpc_code="InvalidArgument"}} 0' in text
