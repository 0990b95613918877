"""Command lines as etcdctl reads them."""

from __future__ import annotations

import pytest
from raftctl.fault import Fault
from raftctl.flags import BOOL, DURATION, INT64, STRING, STRING_LIST, flag, parse

OPTIONS = [
    flag("name", STRING, "", "a text", short="n"),
    flag("limit", INT64, 0, "a number", short="l"),
    flag("prefix", BOOL, False, "a switch", short="p"),
    flag("quick", BOOL, False, "another", short="q"),
    flag("number", INT64, 0, "another"),
    flag("wait", DURATION, 1.0, "a time"),
    flag("endpoints", STRING_LIST, ["x"], "texts"),
]


@pytest.mark.parametrize(
    ("line", "values", "words"),
    [
        ("a b", {}, ["a", "b"]),
        ("a --name=x b", {"name": "x"}, ["a", "b"]),
        ("--name x b", {"name": "x"}, ["b"]),
        ("--name=", {"name": ""}, []),
        ("--name --prefix", {"name": "--prefix"}, []),
        ("-n x", {"name": "x"}, []),
        ("-nx", {"name": "x"}, []),
        ("-n=x", {"name": "x"}, []),
        ("-pqn x", {"prefix": True, "quick": True, "name": "x"}, []),
        ("--prefix a", {"prefix": True}, ["a"]),
        ("--prefix=false a", {"prefix": False}, ["a"]),
        ("-p=0 a", {"prefix": False}, ["a"]),
        ("-- --name x", {}, ["--name", "x"]),
        ("a -- b", {}, ["a", "b"]),
        ("-", {}, ["-"]),
        ("--limit=0x10", {"limit": 16}, []),
        ("--limit -5", {"limit": -5}, []),
        ("--wait 1m", {"wait": 60.0}, []),
        ("--endpoints a,b --endpoints=c", {"endpoints": ["a", "b", "c"]}, []),
        ("--endpoints=", {"endpoints": []}, []),
        ("--name=a --name=b", {"name": "b"}, []),
    ],
)
def test_flags_and_words_are_told_apart(line, values, words):
    """Flags may stand anywhere, take their value either way, and `--` ends them."""
    parsed = parse(OPTIONS, line.split())
    assert (parsed.values, parsed.words, parsed.given) == (values, words, set(values))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--bogus", "unknown flag: --bogus"),
        ("--bogus=1", "unknown flag: --bogus"),
        ("-x", "unknown shorthand flag: 'x' in -x"),
        ("-px", "unknown shorthand flag: 'x' in -px"),
        ("--name", "flag needs an argument: --name"),
        ("-n", "flag needs an argument: 'n' in -n"),
        ("--number=x", 'invalid argument "x" for "--number" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        ("-l x", 'invalid argument "x" for "-l, --limit" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        ("--prefix=x", 'invalid argument "x" for "-p, --prefix" flag: strconv.ParseBool: parsing "x": invalid syntax'),
        ("--wait=5", 'invalid argument "5" for "--wait" flag: time: missing unit in duration "5"'),
    ],
)
def test_wrong_flags_are_refused_in_etcdctls_words(line, text):
    """Exit status 1, which is what scripts see."""
    with pytest.raises(Fault) as caught:
        parse(OPTIONS, line.split())
    assert caught.value.status == 1
    assert caught.value.text == text


def test_help_is_asked_for_either_way():
    """Whatever follows."""
    assert parse(OPTIONS, ["--help", "--bogus"]).help
    assert parse(OPTIONS, ["-h"]).help


def test_group_reads_flags_only_up_to_the_command():
    """What follows the command's name is the command's."""
    parsed = parse(OPTIONS, ["--name", "x", "get", "--prefix"], interspersed=False)
    assert (parsed.values, parsed.words) == ({"name": "x"}, ["get", "--prefix"])


def test_dash_position_is_kept():
    """`watch key -- command` needs to know."""
    assert parse(OPTIONS, ["a", "--name=x", "--", "b"]).dash_at == 1
    assert parse(OPTIONS, ["a"]).dash_at is None
