"""Golden files do not tell how slow the machine was."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.normalising import normalised

YOUNG = """\
NAME   READY   AGE   CONTAINERS
db     0/2     7s    server
old    1/1           server

LAST SEEN         TYPE     MESSAGE
5s (x3 over 5s)   Normal   walls
5s                Normal   floors
"""

OLD = """\
NAME   READY   AGE     CONTAINERS
db     0/2     2m40s   server
old    1/1             server

LAST SEEN             TYPE     MESSAGE
2m4s (x3 over 2m4s)   Normal   walls
124s                  Normal   floors
"""

SAME = """\
NAME   READY   AGE   CONTAINERS
db     0/2     0s    server
old    1/1           server

LAST SEEN         TYPE     MESSAGE
0s (x3 over 0s)   Normal   walls
0s                Normal   floors
"""


@pytest.mark.parametrize("text", [YOUNG, OLD, SAME])
def test_tables_are_the_same_at_any_age(text):
    """An age of four letters and more makes its column wider."""
    assert normalised(text) == SAME


def test_what_is_no_table_stays_as_it_is():
    """Nor does a table that a watch goes on below, with columns of its own."""
    text = "Name:         web\nAnnotations:  <none>\n\nNAME   AGE   DATA\na      1s    1\nlonger-than   1s   1\n"
    assert normalised(text) == text.replace("1s ", "0s ")
