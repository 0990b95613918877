"""RE2's syntax: what is taken, what is refused, and what it means."""

from __future__ import annotations

import pytest

from resource_api.schema.structural.patterns import PatternError, compile_pattern

MATCHES = [
    ("^a$", "a", True),
    ("^a$", "a\n", False),
    ("a$", "xa", True),
    ("(?m)^a$", "b\na", True),
    ("a(?i)b|c", "aB", True),
    ("a(?i)b|c", "C", True),
    ("(?i:A)b", "aB", False),
    (r"^[[:alpha:]]+\z", "abc", True),
    (r"^[[:alpha:]]+\z", "ab1", False),
    (r"\Qa.b\E", "axb", False),
    (r"\d", "\u0663", False),
    (r"(?P<n>x)(?<m>y)", "xy", True),
    (r"[]a]", "]", True),
    (r"^x{,3}$", "x{,3}", True),
    (r"\x{263a}", "\u263a", True),
    ("(|a)*b", "aab", True),
    (r"^\s$", "\v", False),
    (r"[&&||~~]", "&", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_pattern_means_what_re2_means(pattern: str, text: str, matches: bool):
    """Translated, the pattern finds what RE2 finds."""
    assert (compile_pattern(pattern).search(text) is not None) == matches


REFUSED = [
    ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
    ("(?<!a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?<!`"),
    (r"(a)\1", r"error parsing regexp: invalid escape sequence: `\1`"),
    ("a**", "error parsing regexp: invalid nested repetition operator: `**`"),
    ("a++", "error parsing regexp: invalid nested repetition operator: `++`"),
    ("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"),
    ("*a", "error parsing regexp: missing argument to repetition operator: `*`"),
    ("(*)", "error parsing regexp: missing argument to repetition operator: `*`"),
    ("[a", "error parsing regexp: missing closing ]: `[a`"),
    ("(a", "error parsing regexp: missing closing ): `(a`"),
    ("a)", "error parsing regexp: unexpected ): `a)`"),
    ("a\\", "error parsing regexp: trailing backslash at end of expression: ``"),
    (r"\p{L}", r"Unicode character classes are not supported: `\p`"),
    ("(?U)a", "the flag U is not supported: `(?U)`"),
]


@pytest.mark.parametrize(("pattern", "text"), REFUSED)
def test_pattern_that_cannot_be_is_refused(pattern: str, text: str):
    """With RE2's words, or saying what is not supported."""
    with pytest.raises(PatternError) as refused:
        compile_pattern(pattern)
    assert str(refused.value) == text
