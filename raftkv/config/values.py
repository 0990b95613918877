"""Values as Go's flag package and etcd's flag types read them, with their error texts.

Pure functions from text to value; a refusal is a ValueError whose text is what etcd prints after `invalid value "x" for flag -y: `.

Source: Go's flag, strconv and time packages; etcd's pkg/flags and client/pkg/types.
"""

from __future__ import annotations

import re
from decimal import Decimal

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1
UINT32_MAX = 2**32 - 1

_NUMBER = re.compile(r"0[xX]_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[bB]_?[01]+(_[01]+)*|0[oO]?_?[0-7]+(_[0-7]+)*|[1-9][0-9]*(_[0-9]+)*|0")
_DURATION_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]+)")

SCHEMES = ("http", "https", "unix", "unixs")


def parse_bool(text: str) -> bool:
    """strconv.ParseBool."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError("parse error")


def parse_int(text: str, *, lowest: int, highest: int) -> int:
    """strconv.ParseInt with base 0: decimal, 0x, 0o, 0b and Go's old leading zero, underscores between digits."""
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if not _NUMBER.fullmatch(digits) or (lowest == 0 and text[:1] in ("-", "+")):
        raise ValueError("parse error")
    octal = re.fullmatch(r"0_?[0-7_]+", digits) is not None
    value = sign * int(digits.replace("_", ""), 8 if octal else 0)
    if not lowest <= value <= highest:
        raise ValueError("value out of range")
    return value


def parse_uint32(text: str) -> int:
    """etcd's own uint32 flag, whose errors are strconv's unshortened ones; decimal only."""
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    if int(text) > UINT32_MAX:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return int(text)


def parse_duration_ns(text: str) -> int:
    """time.ParseDuration in nanoseconds: `300ms`, `-1.5h`, `2h45m`; a bare `0` is the only number without a unit."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    total, position = Decimal(0), 0
    while position < len(body):
        part = _DURATION_PART.match(body, position)
        if part is None or not part[1].strip(".") or part[2] not in NANOSECONDS:
            raise ValueError(_duration_fault(text, part))
        total += Decimal(part[1]) * NANOSECONDS[part[2]]
        position = part.end()
    if not body or total > INT64_MAX:
        raise ValueError(_duration_fault(text, None))
    return int(-total if text[:1] == "-" else total)


def _duration_fault(text: str, part: re.Match[str] | None) -> str:
    if part is not None and part[1].strip("."):
        return f"time: unknown unit {quote(part[2])} in duration {quote(text)}"
    if re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", text):
        return f"time: missing unit in duration {quote(text)}"
    return f"time: invalid duration {quote(text)}"


def format_duration(nanoseconds: int) -> str:
    """Go's Duration.String for whole milliseconds and more: `100ms`, `5s`, `1h30m0s`."""
    if nanoseconds == 0:
        return "0s"
    if abs(nanoseconds) < 10**9:
        return f"{Decimal(nanoseconds) / 10**6:f}".rstrip("0").rstrip(".") + "ms" if nanoseconds % 10**6 else f"{nanoseconds // 10**6}ms"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    hours, left = divmod(left, NANOSECONDS["h"])
    minutes, left = divmod(left, NANOSECONDS["m"])
    seconds = f"{Decimal(left) / 10**9:f}"
    seconds = seconds.rstrip("0").rstrip(".") if "." in seconds else seconds
    return sign + (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + f"{seconds}s"


def parse_urls(text: str) -> tuple[str, ...]:
    """etcd's URL list: every one checked, duplicates dropped, sorted. The empty text is no URL at all."""
    if not text:
        return ()
    return tuple(sorted({check_url(part.strip()) for part in text.split(",")}))


def check_url(url: str) -> str:
    """Returns the URL when etcd's types.NewURLs takes it; raises ValueError with its text."""
    scheme, separator, rest = url.partition("://")
    if not separator and re.match(r"[^/:]*[^/:a-zA-Z0-9+.-][^/:]*:|[0-9][^/:]*:", url):
        raise ValueError(f"parse {quote(url)}: first path segment in URL cannot contain colon")
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"URL scheme must be http, https, unix, or unixs: {url}")
    if scheme in ("unix", "unixs"):
        return url
    address, slash, _ = rest.partition("/")
    host, port = split_host_port(address)
    if not port or (not host and address[:1] != ":"):
        raise ValueError(f'URL address does not have the form "host:port": {url}')
    if slash:
        raise ValueError(f"URL must not contain a path: {url}")
    return url


def split_host_port(address: str) -> tuple[str, str]:
    """`host:port` or `[v6]:port`; an empty port when there is none or the form is wrong."""
    bracketed = re.fullmatch(r"\[([^\]]*)\]:([0-9]+)", address)
    if bracketed:
        return bracketed[1], bracketed[2]
    plain = re.fullmatch(r"([^:\[\]]*):([0-9]+)", address)
    return (plain[1], plain[2]) if plain else (address, "")


def url_host_port(url: str) -> tuple[str, str]:
    """Host and port of an http(s) URL that `check_url` took."""
    return split_host_port(url.partition("://")[2])


def parse_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`n1=http://a:1,n2=http://b:1,n2=http://b:2` in the order given; the URLs are checked as etcd does."""
    pairs = []
    for part in text.split(","):
        if part:
            name, _, url = part.partition("=")
            pairs.append((name, check_url(url.strip())))
    return tuple(pairs)


def quote(text: str) -> str:
    """Go's %q for the texts that occur in flags."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
