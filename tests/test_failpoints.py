"""Failpoints: their language, their table, what they do, and how they are switched on from outside."""

from __future__ import annotations

import errno
import os
import random
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from raftkv.errors import ConfigError
from raftkv.failpoint_http import FailpointServer, answer
from raftkv.failpoints import FAILPOINTS, PLACES, ProcessEffects, hit, switch_off, switch_on, switch_on_all
from tests.tidy.source import ROOT, report, sources

PLACED = re.compile(r"\n(?P<before> +if FAILPOINTS\b[^\n]*)(?:\n +|)hit\(\"(?P<name>\w+)\"\)")


class Recording:
    """Effects that are written down."""

    def __init__(self, *draws: float) -> None:
        self.done: list[object] = []
        self.draws = list(draws)
        self.meant = True

    def sleep(self, duration_s):
        self.done.append(duration_s)

    def pause(self, is_over):
        self.done.append(is_over())

    def panic(self, name):
        self.done.append(name)

    def draw(self):
        return self.draws.pop(0)

    def is_meant(self):
        return self.meant


@pytest.fixture(autouse=True)
def _all_off():
    yield
    FAILPOINTS.clear()


def hits(text, count, effects=None):
    switch_on("beforeCommit", text, effects or Recording())
    return [hit("beforeCommit") for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("return", [True, True]),
        ("return(false)", [False, False]),
        ("return(-7)", [-7, -7]),
        ('return("a->b")', ["a->b", "a->b"]),
        ("1*return(1)->return(2)", [1, 2, 2]),
        ("1*return(1)->2*return(2)", [1, 2, 2, None]),
        ("1*off->return(2)", [None, 2]),
        ("print->return(2)", [None, None]),
    ],
)
def test_terms_act_in_their_order_and_number(text, values):
    """gofail: the first term whose count and chance allow it acts."""
    assert hits(text, len(values)) == values


def test_chance_is_asked_for_each_time():
    """30% acts when the draw is below 0.3, and the next term gets its turn otherwise."""
    assert hits("30%return(1)->return(2)", 3, Recording(0.29, 0.3, 0.0)) == [1, 2, 1]


def test_chance_and_count_hold_together():
    """A term counts when it acts, not when it is asked."""
    assert hits("50%2*return(1)", 4, Recording(0.9, 0.1, 0.1)) == [None, 1, 1, None]


@pytest.mark.parametrize(
    ("text", "seconds"), [("sleep(10)", 0.01), ('sleep("1.5s")', 1.5), ('sleep("20ms")', 0.02), ('sleep("2m")', 120.0)]
)
def test_sleep_is_in_milliseconds_or_says_its_unit(text, seconds):
    """As gofail's."""
    effects = Recording()
    hits(text, 1, effects)
    assert effects.done == [pytest.approx(seconds)]


@pytest.mark.parametrize(("text", "number"), [("error", errno.EIO), ("error(ENOSPC)", errno.ENOSPC), ('error("EROFS")', errno.EROFS)])
def test_error_raises_what_the_disk_would(text, number):
    """The place's own handling of a disk that fails is what is tested."""
    with pytest.raises(OSError, match="injected") as caught:
        hits(text, 1)
    assert caught.value.errno == number


def test_pause_ends_when_it_is_switched_off_or_replaced():
    """Nobody stays behind."""
    effects = Recording()
    seen: list[bool] = []

    def pause(is_over):
        seen.append(is_over())
        switch_off("beforeCommit")
        seen.append(is_over())

    effects.pause = pause
    hits("pause", 1, effects)
    assert seen == [False, True]


def test_place_does_nothing_in_another_process_than_the_one_meant():
    """A simulator runs several members over one table."""
    effects = Recording()
    effects.meant = False
    assert hits("return", 1, effects) == [None] and FAILPOINTS["beforeCommit"].hits == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "explode",
        "sleep",
        "sleep(x)",
        "panic(1)",
        "return(x)",
        "error(EWHAT)",
        "30panic",
        "panic->",
        "panic;print",
        "->panic",
        "pause(3)",
    ],
)
def test_text_that_is_not_understood_is_refused(text):
    """A misspelt fault would be one that never happens."""
    with pytest.raises(ConfigError):
        switch_on("beforeCommit", text, Recording())
    assert not FAILPOINTS


def test_several_are_switched_on_together_or_not_at_all():
    """A half understood line would be a half injected fault."""
    switch_on_all("beforeCommit=panic; walBeforeSync=2*sleep(3)->error;", Recording())
    assert {name: one.text for name, one in FAILPOINTS.items()} == {"beforeCommit": "panic", "walBeforeSync": "2*sleep(3)->error"}
    for text in ("afterCommit=print;noSuchPlace=print", "afterCommit=print;walAfterSync"):
        with pytest.raises(ConfigError):
            switch_on_all(text, Recording())
        assert sorted(FAILPOINTS) == ["beforeCommit", "walBeforeSync"]


def test_hits_count_what_was_done():
    """That a fault took effect is read back, not believed."""
    switch_on("beforeCommit", "2*print", Recording())
    for _ in range(3):
        hit("beforeCommit")
    assert FAILPOINTS["beforeCommit"].hits == 2


def test_panic_ends_the_process_without_any_clean_up():
    """Status 2, no `finally`, nothing flushed."""
    code = (
        "import random; from raftkv.failpoints import ProcessEffects, hit, switch_on\n"
        "switch_on('beforeCommit', 'panic', ProcessEffects(random.Random(1)))\n"
        "try:\n    print('lost'); hit('beforeCommit')\nfinally:\n    print('never', flush=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "panic: failpoint beforeCommit\n")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("PUT", "/beforeCommit", "2*print\n", 204, ""),
        ("GET", "/beforeCommit", "", 200, "sleep(1)\n"),
        ("GET", "/beforeCommit/count", "", 200, "0"),
        ("DELETE", "/beforeCommit", "", 204, ""),
        ("GET", "/afterCommit", "", 404, "failpoint afterCommit is off\n"),
        ("DELETE", "/afterCommit", "", 404, "failpoint afterCommit is off\n"),
        ("PUT", "/noSuchPlace", "print", 400, "there is no failpoint 'noSuchPlace'\n"),
        ("PUT", "/failpoints", "afterCommit=print\nwalAfterSync=off", 204, ""),
        ("POST", "/beforeCommit", "print", 405, "GET, PUT or DELETE of /NAME, or GET of /NAME/count\n"),
        ("DELETE", "/beforeCommit/count", "", 405, "GET, PUT or DELETE of /NAME, or GET of /NAME/count\n"),
    ],
)
def test_requests_are_answered_as_gofail_does(method, path, body, status, text):
    """etcd's robustness tests drive these five requests."""
    switch_on("beforeCommit", "sleep(1)", Recording())
    assert answer(method, path, body, Recording()) == (status, text)


def test_listing_names_every_place():
    """Whoever wants to know what there is asks the process."""
    switch_on("beforeCommit", "panic", Recording())
    lines = answer("GET", "/", "", Recording())[1].splitlines()
    assert len(lines) == len(PLACES) and "beforeCommit=panic" in lines and "afterCommit=" in lines


def test_server_switches_places_of_the_running_process():
    """Over a socket, while the process goes on."""
    server = FailpointServer("127.0.0.1:0", ProcessEffects(random.Random(1)))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/beforeCommit"
        urllib.request.urlopen(urllib.request.Request(url, b"return(5)", method="PUT"), timeout=5).close()
        assert hit("beforeCommit") == 5
        with urllib.request.urlopen(url + "/count", timeout=5) as counted:
            assert counted.read() == b"1"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=5).close()
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(url, timeout=5)
        refused.value.close()
    finally:
        server.close()


@pytest.mark.parametrize("address", ["", "22381", "localhost:", "localhost:http"])
def test_address_that_is_none_is_refused(address):
    """Before anything is bound."""
    with pytest.raises(ConfigError):
        FailpointServer(address, Recording())


def test_every_place_stands_in_the_product_once_and_behind_the_tables_truth():
    """A name that nobody asks for is a fault that never happens; one that is asked for always is a cost."""
    found = [(match["name"], source.path) for source in sources("raftkv") for match in PLACED.finditer(source.text)]
    asked = [
        (name, source.path)
        for source in sources("raftkv")
        for name in re.findall(r"\bhit\(\"(\w+)\"\)", source.text)
        if "failpoint" not in source.path
    ]
    assert sorted(found) == sorted(asked), report([str(one) for one in set(asked) - set(found)])
    assert sorted(name for name, _ in asked) == sorted(PLACES)


def test_page_lists_every_place():
    """docs/FAILPOINTS.md is what people read."""
    text = (ROOT / "docs" / "FAILPOINTS.md").read_text(encoding="utf-8")
    missing = [name for name in PLACES if f"| `{name}` |" not in text]
    assert not missing, report(missing)
