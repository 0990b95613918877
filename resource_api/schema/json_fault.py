"""Why a text is no JSON, in the words of Go's decoder: `invalid character 'x' looking for beginning of value`.

Runs only after the fast decoder has refused a body; a scanner of states, not a second decoder.
"""

from __future__ import annotations

import codecs
import math
import re

_SPACE = frozenset(b" \t\r\n")
_DIGITS = frozenset(b"0123456789")
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_ESCAPES = frozenset(b'"\\/bfnrt')
_HEX = frozenset(b"0123456789abcdefABCDEF")

_ESCAPED = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
)
"""Escapes of JSON from left to right: a pair of surrogates, half a one (the group), any other."""

END = "unexpected end of JSON input"


class _Fault(Exception):
    """Carries the sentence."""


def describe(body: bytes, otherwise: str) -> str:
    """The sentence; `otherwise` when this scanner finds the text in order."""
    try:
        _Scanner(body).document()
    except _Fault as fault:
        return str(fault)
    return otherwise


def readable(body: bytes) -> bytes:
    """The text with U+FFFD for every byte that is no UTF-8 and every escape that is half a surrogate pair, as Go reads both."""
    text = body.decode(errors=_REPLACE)
    return _ESCAPED.sub(lambda found: found[0] if found[1] is None else "\ufffd", text).encode()


def _replaced(error: UnicodeError) -> tuple[str, int]:
    # Python's own handler makes one character of several bytes that begin a sequence.
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


_REPLACE = "resource_api.json_fault.replace"
codecs.register_error(_REPLACE, _replaced)


def number_out_of_range(body: bytes) -> str:
    """The sentence about the first number that no float64 holds; empty when there is none, or the text is no JSON."""
    scanner = _Scanner(body)
    try:
        scanner.document()
    except _Fault:
        return ""
    return f"json: cannot unmarshal number {scanner.too_large} into Go value of type float64" if scanner.too_large else ""


class _Scanner:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self.too_large = ""
        """The first number past float64, as it is written."""

    def document(self) -> None:
        """One value, and nothing behind it. Raises _Fault."""
        # A stack of open brackets instead of recursion: the text may be as deep as it likes.
        stack: list[int] = []
        after_value = False
        while True:
            if after_value:
                if not stack:
                    if (left := self._peek(required=False)) is not None:
                        raise self._unexpected(left, "after top-level value")
                    return
                after_value = not self._after_element(stack)
                continue
            character = self._peek()
            assert character is not None
            if character in b"{[":
                self._at += 1
                stack.append(character)
                after_value = self._opened(stack)
            else:
                self._scalar(character)
                after_value = True

    def _opened(self, stack: list[int]) -> bool:
        """After an opening bracket; True when it closed at once."""
        closing = ord("}") if stack[-1] == ord("{") else ord("]")
        if self._peek() == closing:
            self._at += 1
            stack.pop()
            return True
        if closing == ord("}"):
            self._name("looking for beginning of object key string")
        return False

    def _after_element(self, stack: list[int]) -> bool:
        """After a value inside brackets; True when another value is to follow."""
        character = self._peek()
        in_object = stack[-1] == ord("{")
        if character == ord(","):
            self._at += 1
            if in_object:
                self._name("looking for beginning of object key string")
            return True
        if character == (ord("}") if in_object else ord("]")):
            self._at += 1
            stack.pop()
            return False
        assert character is not None
        raise self._unexpected(character, "after object key:value pair" if in_object else "after array element")

    def _name(self, context: str) -> None:
        character = self._peek()
        assert character is not None
        if character != ord('"'):
            raise self._unexpected(character, context)
        self._string()
        character = self._peek()
        assert character is not None
        if character != ord(":"):
            raise self._unexpected(character, "after object key")
        self._at += 1

    def _scalar(self, character: int) -> None:
        if character == ord('"'):
            self._string()
        elif character in _LITERALS:
            self._literal(_LITERALS[character])
        elif character in _DIGITS or character == ord("-"):
            self._number()
        else:
            raise self._unexpected(character, "looking for beginning of value")

    def _literal(self, word: bytes) -> None:
        for offset, expected in enumerate(word):
            got = self._byte()
            if got != expected:
                said = word.decode()
                raise self._unexpected(got, f"in literal {said} (expecting '{chr(word[offset])}')")
            self._at += 1

    def _string(self) -> None:
        self._at += 1
        while (character := self._byte()) != ord('"'):
            if character < 0x20:
                raise self._unexpected(character, "in string literal")
            self._at += 1
            if character == ord("\\"):
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        character = self._byte()
        if character == ord("u"):
            for _ in range(4):
                self._at += 1
                if (digit := self._byte()) not in _HEX:
                    raise self._unexpected(digit, "in \\u hexadecimal character escape")
        elif character not in _ESCAPES:
            raise self._unexpected(character, "in string escape code")
        self._at += 1

    def _number(self) -> None:
        start = self._at
        self._number_text()
        text = self._body[start : self._at].decode()
        if not self.too_large and math.isinf(float(text)):
            self.too_large = text

    def _number_text(self) -> None:
        if self._byte() == ord("-"):
            self._at += 1
            if self._byte() not in _DIGITS:
                raise self._unexpected(self._byte(), "in numeric literal")
        if self._byte() == ord("0"):
            self._at += 1
        else:
            self._digits()
        if self._next() == ord("."):
            self._at += 1
            if self._byte() not in _DIGITS:
                raise self._unexpected(self._byte(), "after decimal point in numeric literal")
            self._digits()
        if self._next() in (ord("e"), ord("E")):
            self._at += 1
            if self._byte() in b"+-":
                self._at += 1
            if self._byte() not in _DIGITS:
                raise self._unexpected(self._byte(), "in exponent of numeric literal")
            self._digits()

    def _digits(self) -> None:
        while self._next() in _DIGITS:
            self._at += 1

    def _next(self) -> int | None:
        return self._body[self._at] if self._at < len(self._body) else None

    def _byte(self) -> int:
        if self._at >= len(self._body):
            raise _Fault(END)
        return self._body[self._at]

    def _peek(self, *, required: bool = True) -> int | None:
        while (character := self._next()) in _SPACE:
            self._at += 1
        if character is None and required:
            raise _Fault(END)
        return character

    def _unexpected(self, character: int, context: str) -> _Fault:
        return _Fault(f"invalid character {_quoted(character)} {context}")


def _quoted(character: int) -> str:
    if character == ord("'"):
        return "'\\''"
    if character == ord('"'):
        return "'\"'"
    if character in (0x09, 0x0A, 0x0D):
        return {0x09: "'\\t'", 0x0A: "'\\n'", 0x0D: "'\\r'"}[character]
    if character < 0x20 or character == 0x7F:
        return f"'\\x{character:02x}'"
    return f"'{chr(character)}'"
