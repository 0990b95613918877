"""What cannot be had from a fresh one-member cluster: sizes, alarms, several members, odd names."""

from __future__ import annotations

import io
import json
import sys

import pytest
from raftctl.fault import Fault
from raftctl.output import Health, make_cluster_printer, make_printer

from raftkv import client as c

HEADER = c.Header(cluster_id=0xCDF818194E3A8C32, member_id=0x8E9E05C52164694D, revision=9, raft_term=2)


def status(**changes):
    """A member of version 3.7."""
    fields = {
        "header": HEADER,
        "version": "3.7.0",
        "db_size_bytes": 20480,
        "leader": HEADER.member_id,
        "raft_index": 10,
        "raft_term": 2,
        "raft_applied_index": 10,
        "errors": [],
        "db_size_in_use_bytes": 16384,
        "is_learner": False,
        "storage_version": "3.7.0",
        "db_size_quota_bytes": 2147483648,
        "downgrade_target_version": "",
        "downgrade_enabled": False,
        "downgrade_known": True,
    }
    return c.Status(**(fields | changes))


@pytest.fixture
def printed(monkeypatch):
    """Calls a printer's method and gives back what it wrote."""

    def call(method, *arguments, **options):
        stream = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdout", stream)
        method(*arguments, **options)
        return stream.buffer.getvalue().decode("utf-8", "backslashreplace")

    return call


def cluster(format_name, hexadecimal=False):
    """A format for members and endpoints."""
    return make_cluster_printer(format_name, hexadecimal=hexadecimal)


def test_status_in_each_format_has_every_field(printed):
    """Columns and names are those of etcdctl 3.6 and later."""
    rows = [("127.0.0.1:2379", status()), ("h2:2379", status(leader=1, db_size_bytes=0, errors=["etcdserver: no leader"]))]
    assert printed(cluster("simple").status, rows) == (
        "127.0.0.1:2379, 8e9e05c52164694d, 3.7.0, 3.7.0, 20 kB, 16 kB, 20%, 2.1 GB, true, false, 2, 10, 10, , , false\n"
        "h2:2379, 8e9e05c52164694d, 3.7.0, 3.7.0, 0 B, 16 kB, 0%, 2.1 GB, false, false, 2, 10, 10, etcdserver: no leader, , false\n"
    )
    assert printed(cluster("table").status, rows[:1]) == (
        "+----------------+------------------+---------+-----------------+---------+--------+-----------------------+--------+-----------+"
        "------------+-----------+------------+--------------------+--------+--------------------------+-------------------+\n"
        "|    ENDPOINT    |        ID        | VERSION | STORAGE VERSION | DB SIZE | IN USE | PERCENTAGE NOT IN USE | QUOTA  | IS LEADER |"
        " IS LEARNER | RAFT TERM | RAFT INDEX | RAFT APPLIED INDEX | ERRORS | DOWNGRADE TARGET VERSION | DOWNGRADE ENABLED |\n"
        "+----------------+------------------+---------+-----------------+---------+--------+-----------------------+--------+-----------+"
        "------------+-----------+------------+--------------------+--------+--------------------------+-------------------+\n"
        "| 127.0.0.1:2379 | 8e9e05c52164694d |   3.7.0 |           3.7.0 |   20 kB |  16 kB |                   20% | 2.1 GB |      true |"
        "      false |         2 |         10 |                 10 |        |                          |             false |\n"
        "+----------------+------------------+---------+-----------------+---------+--------+-----------------------+--------+-----------+"
        "------------+-----------+------------+--------------------+--------+--------------------------+-------------------+\n"
    )
    assert printed(cluster("json").status, rows[:1]) == (
        '[{"Endpoint":"127.0.0.1:2379","Status":{"header":{"cluster_id":14841639068965178418,"member_id":10276657743932975437,'
        '"revision":9,"raft_term":2},"version":"3.7.0","dbSize":20480,"leader":10276657743932975437,"raftIndex":10,"raftTerm":2,'
        '"raftAppliedIndex":10,"dbSizeInUse":16384,"storageVersion":"3.7.0","dbSizeQuota":2147483648,"downgradeInfo":{}}}]\n'
    )
    fields = printed(cluster("fields").status, rows[1:])
    assert '"StorageVersion" : "3.7.0"\n' in fields
    assert '"Errors" : [etcdserver: no leader]\n' in fields
    assert fields.endswith('"DowngradeTargetVersion" : ""\n"DowngradeEnabled" : false\n\n')


def test_table_is_as_wide_as_its_widest_cell(printed):
    """Headings in the middle, cells to the right."""
    rows = [Health("127.0.0.1:2379", healthy=True, took_s=1.208058e-3), Health("h:1", healthy=False, took_s=5, error="timeout")]
    assert printed(cluster("table").health, rows) == (
        "+----------------+--------+------------+---------+\n"
        "|    ENDPOINT    | HEALTH |    TOOK    |  ERROR  |\n"
        "+----------------+--------+------------+---------+\n"
        "| 127.0.0.1:2379 |   true | 1.208058ms |         |\n"
        "|            h:1 |  false |         5s | timeout |\n"
        "+----------------+--------+------------+---------+\n"
    )


def test_hash_in_each_format_has_the_revision_it_was_taken_at(printed):
    """Since 3.6."""
    rows = [("127.0.0.1:2379", c.HashKV(HEADER, 2409866832, -1, 9))]
    assert printed(cluster("simple").hash_kv, rows) == "127.0.0.1:2379, 2409866832, 9\n"
    assert printed(cluster("json").hash_kv, rows).endswith('"hash":2409866832,"compact_revision":-1,"hash_revision":9}}]\n')
    assert '"Hash" : 2409866832\n"HashRevision" : 9\n\n' in printed(cluster("fields").hash_kv, rows)
    assert printed(cluster("table").hash_kv, rows) == (
        "+----------------+------------+---------------+\n"
        "|    ENDPOINT    |    HASH    | HASH REVISION |\n"
        "+----------------+------------+---------------+\n"
        "| 127.0.0.1:2379 | 2409866832 |             9 |\n"
        "+----------------+------------+---------------+\n"
    )


def test_alarms_are_printed_in_protobufs_text_form(printed):
    """With the trailing blank that scripts have learned to live with."""
    alarms = c.AlarmList(HEADER, [c.Alarm(7, 1), c.Alarm(8, 2)])
    assert printed(make_printer("simple", hexadecimal=False).alarms, alarms) == "memberID:7 alarm:NOSPACE \nmemberID:8 alarm:CORRUPT \n"
    assert printed(make_printer("json", hexadecimal=False).alarms, alarms).endswith(
        '"alarms":[{"memberID":7,"alarm":1},{"memberID":8,"alarm":2}]}\n'
    )
    assert '"MemberID" : 7\n"AlarmType" : NOSPACE\n\n' in printed(make_printer("fields", hexadecimal=False).alarms, alarms)


def test_added_member_is_printed_as_etcdctl_prints_it(printed):
    """Ids are padded with blanks, as `%16x` does."""
    member = c.Member(0xABC, "", ["http://a:1", "http://b:1"], [], True)
    added = c.MemberList(c.Header(1, 2, 0, 3), [member], member)
    assert printed(make_printer("simple", hexadecimal=False).member_change, added, member.id, "added to") == (
        "Member              abc added to cluster                1\n"
    )
    assert printed(make_printer("json", hexadecimal=False).member_change, added, member.id, "added to") == (
        '{"header":{"cluster_id":1,"member_id":2,"raft_term":3},'
        '"member":{"ID":2748,"peerURLs":["http://a:1","http://b:1"],"isLearner":true},'
        '"members":[{"ID":2748,"peerURLs":["http://a:1","http://b:1"],"isLearner":true}]}\n'
    )
    assert printed(cluster("simple").member_list, added) == "abc, unstarted, , http://a:1,http://b:1, , true\n"


def test_json_strings_are_escaped_as_go_escapes_them(printed):
    """Go's encoder is made for web pages."""
    result = c.MemberList(HEADER, [c.Member(1, '<a&b>\u2028é"\\\n', [], [], False)])
    text = printed(cluster("json").member_list, result)
    assert '"name":"\\u003ca\\u0026b\\u003e\\u2028é\\"\\\\\\n"' in text
    assert json.loads(text)["members"][0]["name"] == '<a&b>\u2028é"\\\n'


def test_values_are_written_as_they_are(printed):
    """Bytes in, bytes out."""
    result = c.RangeResult(HEADER, [c.KeyValue(b"k\xff", b"\x00\xfe")], count=1)
    assert printed(make_printer("simple", hexadecimal=False).get, result) == "k\\xff\n\x00\\xfe\n"


def test_ids_are_hexadecimal_in_fields_with_hex(printed):
    """Since 3.6."""
    text = printed(make_printer("fields", hexadecimal=True).grant, c.LeaseGrant(HEADER, 0x123, 60))
    assert text.startswith('"ClusterID" : cdf818194e3a8c32\n"MemberID" : 8e9e05c52164694d\n')
    assert text.endswith('"ID" : 0000000000000123\n"TTL" : 60\n')


def test_lease_in_json_keeps_the_spelling_of_gos_structs(printed):
    """Header fields among the others, `Error` even if empty."""
    text = printed(make_printer("json", hexadecimal=False).grant, c.LeaseGrant(c.Header(1, 2, 3, 4), 5, 60))
    assert text == '{"cluster_id":1,"member_id":2,"revision":3,"raft_term":4,"ID":5,"TTL":60,"Error":""}\n'
    listed = printed(make_printer("json", hexadecimal=False).leases, c.LeaseList(c.Header(1, 2, 3, 4), [5, -6]))
    assert listed == '{"cluster_id":1,"member_id":2,"revision":3,"raft_term":4,"leases":[{"id":5},{"id":-6}]}\n'
    empty = printed(make_printer("json", hexadecimal=False).leases, c.LeaseList(c.Header(1, 2, 3, 4), []))
    assert empty.endswith('"leases":[]}\n')


def test_progress_is_an_empty_batch_in_json(printed):
    """The line `progress notify` is the command's, not the format's."""
    batch = c.WatchBatch(c.Header(1, 2, 30, 4), [])
    assert batch.is_progress
    assert printed(make_printer("json", hexadecimal=False).watch, batch) == (
        '{"Header":{"cluster_id":1,"member_id":2,"revision":30,"raft_term":4},'
        '"Events":[],"CompactRevision":0,"Canceled":false,"Created":false}\n'
    )


@pytest.mark.parametrize("format_name", ["table", "bogus"])
def test_formats_that_do_not_exist_for_data_are_refused(format_name):
    """Exit status 4, before anything is sent."""
    with pytest.raises(Fault) as caught:
        make_printer(format_name, hexadecimal=False)
    assert caught.value.status == 4


def test_protobuf_is_the_response_as_it_came(printed):
    """Byte for byte."""
    assert printed(make_printer("protobuf", hexadecimal=False).put, c.PutResult(HEADER, None, b"\x0a\x00")) == "\n\x00"
    with pytest.raises(Fault, match="protobuf not supported as output format"):
        cluster("protobuf").status([])
