"""Regular expressions of a schema: RE2's syntax, run by Python's engine where that is quick for certain, else by our own automaton.

Python's engine goes back and forth: on `(a+)+$` every letter doubles its work. `pattern_cost.py` says from the pattern and the length of
a text whether that can be; then `automaton.py` answers, in time linear as RE2's or, where even an automaton would take long
(`[ab]*a[ab]{500}`), not at all: the value is refused with a text of its own, which upstream does not have. Differences that remain:
case-insensitive matching folds ASCII letters only. What RE2 refuses is refused here with its words. Source: golang.org/s/re2syntax.
"""

from __future__ import annotations

import re
import warnings

from resource_api.schema.structural.automaton import Automaton, TooLargeError
from resource_api.schema.structural.pattern_cost import UNBOUNDED, harmless_characters
from resource_api.schema.structural.unicode_classes import ANY, Ranges, as_members, class_named, without

REPEAT_MAX = 1000
"""RE2's bound on `{n}`, and on the product of those within each other."""

_SPACE = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
r"""RE2's \s: no vertical tab."""

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_SAME_ESCAPES = frozenset("dDwWtnrfva")
_GROUP = re.compile(r"\(\?(?:P?<([A-Za-z0-9_]+)>|([a-zA-Z-]*)([:)]))")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_HEX = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")


_UNICODE = re.compile(r"\{([^}]*)\}|([^{])")
r"""What stands behind \p: a name in braces, or one letter."""


def _posix_ranges(name: str) -> Ranges:
    matches = re.compile(f"[{_POSIX[name]}]").match
    return tuple((code, code) for code in range(0x80) if matches(chr(code)))


class PatternError(ValueError):
    """The text is no pattern; the message is RE2's, or says what is not supported."""


class Pattern:
    """One compiled pattern."""

    def __init__(self, pattern: str) -> None:
        """Raises PatternError."""
        self.translated = _Translation(pattern).run()
        """In Python's syntax."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._engine = re.compile(self.translated, re.ASCII)
                self._harmless = harmless_characters(self.translated)
                self._automaton = None if self._harmless == UNBOUNDED else Automaton(self.translated)
        except TooLargeError as error:
            raise PatternError("error parsing regexp: expression too large") from error
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternError(f"error parsing regexp: {error}: `{pattern}`") from error

    def search(self, text: str) -> bool:
        """Whether it is somewhere in the text. Raises TooCostlyError."""
        if self._automaton is None or len(text) <= self._harmless:
            return self._engine.search(text) is not None
        return self._automaton.search(text)


def compile_pattern(pattern: str) -> Pattern:
    """Ready for use. Raises PatternError."""
    return Pattern(pattern)


class _Translation:
    """One pass over the pattern, left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
        self._flags: list[str] = []
        self._groups: list[tuple[bool, list[str]]] = []
        self._multiline = False
        self._operand = False
        """Something stands before that can be repeated."""
        self._times = 1
        """How often what stands before may repeat something within it, at most; unbounded repetitions count as their least."""
        self._times_within = [1]
        """The most of it so far, in each open group."""

    def run(self) -> str:
        """The pattern in Python's syntax."""
        previous = -1  # Where the repetition began that was just read.
        while self._at < len(self._text):
            character = self._text[self._at]
            repeats = character in "*+?" or (character == "{" and _REPEAT.match(self._text, self._at) is not None)
            if repeats:
                start = self._at
                self._repeat(previous)
                previous = start
            elif character == "\\":
                self._escape(in_class=False)
            elif character == "[":
                self._class()
            elif character == "(":
                self._group()
            elif character == ")":
                self._close()
            else:
                self._plain(character)
            if not repeats and character not in "()":
                self._times = 1
            self._times_within[-1] = max(self._times_within[-1], self._times)
            previous = previous if repeats else -1
            self._operand = repeats or character not in "(|"
        if self._groups:
            raise PatternError(f"error parsing regexp: missing closing ): `{self._text}`")
        return "".join(self._out) + ")" * len(self._flags)

    def _plain(self, character: str) -> None:
        if character == "$" and not self._multiline:
            character = r"\Z"
        elif character == "{":
            character = r"\{"
        elif character == "|":
            # Flags set on the way hold for the alternatives that follow, but their groups must not swallow the bar.
            self._out += [")" * len(self._flags), "|", *self._flags]
            self._at += 1
            return
        self._out.append(character)
        self._at += 1

    def _repeat(self, previous: int) -> None:
        text, start = self._text, self._at
        match = _REPEAT.match(text, start)
        operator = match.group() if match else text[start]
        if previous >= 0:
            raise PatternError(f"error parsing regexp: invalid nested repetition operator: `{text[previous:start]}{operator}`")
        if match and any(part and int(part[:20]) > REPEAT_MAX for part in match.groups()):
            raise PatternError(f"error parsing regexp: invalid repeat count: `{operator}`")
        if match and match.group(2) and int(match.group(1)) > int(match.group(2)):
            raise PatternError(f"error parsing regexp: invalid repeat count: `{operator}`")
        if not self._operand:
            raise PatternError(f"error parsing regexp: missing argument to repetition operator: `{operator}`")
        if match:
            self._multiply(match, operator)
        self._at += len(operator)
        lazy = self._text.startswith("?", self._at)
        self._at += lazy
        self._out.append(operator + "?" * lazy)

    def _multiply(self, match: re.Match[str], operator: str) -> None:
        """A repetition of repetitions: RE2 bounds the product."""
        least, most = int(match.group(1)), match.group(2)
        times = least if most == "" else int(most or least)
        self._times = 1 if times == 0 and most != "" else self._times * max(times, 1)
        if (least >= 2 or times >= 2) and self._times > REPEAT_MAX:
            raise PatternError(f"error parsing regexp: invalid repeat count: `{operator}`")

    def _escape(self, *, in_class: bool) -> None:
        text, start = self._text, self._at
        if start + 1 == len(text):
            raise PatternError("error parsing regexp: trailing backslash at end of expression: ``")
        character = text[start + 1]
        hexadecimal = _HEX.match(text, start)
        if hexadecimal:
            self._hexadecimal(hexadecimal)
            return
        self._at += 2
        if character in _SAME_ESCAPES:
            self._out.append("\\" + character)
        elif character in "sS":
            self._members(_SPACE if character == "s" else without(_SPACE), in_class=in_class)
        elif not in_class and character in "bBA":
            self._out.append("\\" + character)
        elif not in_class and character == "z":
            self._out.append(r"\Z")
        elif not in_class and character == "Q":
            end = text.find(r"\E", self._at)
            self._out.append(re.escape(text[self._at : end if end >= 0 else len(text)]))
            self._at = end + 2 if end >= 0 else len(text)
        elif character in "pP":
            self._unicode(character, in_class=in_class)
        elif character.isascii() and character.isdigit():
            self._octal(character)
        elif character.isascii() and not character.isalnum():
            self._out.append("\\" + character)
        else:
            raise PatternError(f"error parsing regexp: invalid escape sequence: `\\{character}`")

    def _members(self, ranges: Ranges, *, in_class: bool) -> None:
        """One of these characters, or these among others of a class."""
        members = as_members(ranges)
        if not in_class and not members:
            members = as_members(ANY)
            self._out.append(f"[^{members}]")
        else:
            self._out.append(members if in_class else f"[{members}]")

    def _unicode(self, sign: str, *, in_class: bool) -> None:
        match = _UNICODE.match(self._text, self._at)
        said = self._text[self._at - 2 : match.end() if match else len(self._text)]
        name = (match[1] if match[1] is not None else match[2]) if match else ""
        ranges = class_named(name.removeprefix("^")) if match else None
        if match is None or ranges is None:
            raise PatternError(f"error parsing regexp: invalid character class range: `{said}`")
        self._at = match.end()
        negated = (sign == "P") != name.startswith("^")
        self._members(without(ranges) if negated else ranges, in_class=in_class)

    def _octal(self, character: str) -> None:
        digits = re.compile("[0-7]{1,2}").match(self._text, self._at)
        if character in "89" or (character != "0" and (digits is None or len(digits.group()) < 2)):
            raise PatternError(f"error parsing regexp: invalid escape sequence: `\\{character}`")
        more = digits.group() if digits else ""
        self._at += len(more)
        self._out.append(re.escape(chr(int(character + more, 8))))

    def _hexadecimal(self, match: re.Match[str]) -> None:
        value = int(match.group(1) or match.group(2), 16)
        if value > 0x10FFFF:
            raise PatternError(f"error parsing regexp: invalid escape sequence: `{match.group()}`")
        self._out.append(rf"\U{value:08x}")
        self._at = match.end()

    def _class(self) -> None:
        start = self._at
        self._at += 1
        self._out.append("[")
        if self._text.startswith("^", self._at):
            self._out.append("^")
            self._at += 1
        first = True
        while True:
            if self._at >= len(self._text):
                raise PatternError(f"error parsing regexp: missing closing ]: `{self._text[start:]}`")
            character = self._text[self._at]
            if character == "]" and not first:
                break
            first = False
            if self._text.startswith("[:", self._at):
                self._posix()
            elif character == "\\":
                self._escape(in_class=True)
            else:
                self._out.append("\\" + character if character in "[]&~|" else character)
                self._at += 1
        self._out.append("]")
        self._at += 1

    def _posix(self) -> None:
        end = self._text.find(":]", self._at)
        if end < 0:
            self._out.append(r"\[")
            self._at += 1
            return
        name = self._text[self._at + 2 : end]
        if name not in _POSIX:
            if name.removeprefix("^") in _POSIX:
                self._members(without(_posix_ranges(name[1:])), in_class=True)
                self._at = end + 2
                return
            raise PatternError(f"error parsing regexp: invalid character class range: `[:{name}:]`")
        self._out.append(_POSIX[name])
        self._at = end + 2

    def _group(self) -> None:
        self._groups.append((self._multiline, self._flags))
        if not self._text.startswith("(?", self._at):
            self._enter("(", 1)
            return
        match = _GROUP.match(self._text, self._at)
        if match is None:
            raise PatternError(f"error parsing regexp: {self._misread_group()}")
        name, flags, end = match.groups()
        if name is not None:
            self._enter(f"(?P<{name}>", len(match.group()))
            return
        on, _, off = flags.partition("-")
        if set(on + off) - set("imsU") or (not on and not off and end == ")") or (flags.endswith("-") and not off):
            raise PatternError(f"error parsing regexp: invalid or unsupported Perl syntax: `{match.group()}`")
        # Whether repetitions are greedy (U) decides what is found, not whether anything is.
        on, off = on.replace("U", ""), off.replace("U", "")
        opened = f"(?{on}{'-' + off if off else ''}:"
        if end == ":":
            self._enter(opened, len(match.group()))
        else:
            # Flags to the end of the group: Python has them only for a group of its own.
            self._groups.pop()
            self._out.append(opened)
            self._flags.append(opened)
            self._at += len(match.group())
        if "m" in on + off:
            self._multiline = "m" in on

    def _misread_group(self) -> str:
        rest = self._text[self._at :]
        if rest.startswith(("(?P<", "(?<")) and len(rest) > rest.index("<") + 1:
            end = rest.find(">")
            return f"invalid named capture: `{rest[: end + 1] if end >= 0 else rest}`"
        return f"invalid or unsupported Perl syntax: `{rest[:3]}`"

    def _enter(self, opened: str, length: int) -> None:
        self._out.append(opened)
        self._flags = []
        self._times, self._times_within = 1, [*self._times_within, 1]
        self._at += length

    def _close(self) -> None:
        if not self._groups:
            raise PatternError(f"error parsing regexp: unexpected ): `{self._text}`")
        self._out.append(")" * (len(self._flags) + 1))
        self._multiline, self._flags = self._groups.pop()
        self._times = self._times_within.pop()
        self._at += 1
