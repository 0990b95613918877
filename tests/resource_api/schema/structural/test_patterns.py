"""RE2's syntax: what is taken, what is refused, and what it means."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resource_api.schema.structural.automaton import Automaton, TooCostlyError
from resource_api.schema.structural.pattern_cost import UNBOUNDED, harmless_characters
from resource_api.schema.structural.patterns import Pattern, PatternError, compile_pattern

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
    (r"^\p{L}+$", "Grüße", True),
    (r"^\p{L}+$", "a1", False),
    (r"^\pL$", "\u00df", True),
    (r"^\P{L}$", "1", True),
    (r"^\P{L}$", "a", False),
    (r"^\p{^L}$", "1", True),
    (r"^\P{^L}$", "a", True),
    (r"^\p{Greek}+$", "\u03b1\u03b2", True),
    (r"^\p{Greek}+$", "ab", False),
    (r"^\p{Letter}$", "a", True),
    (r"^\p{uppercase letter}$", "A", True),
    (r"^\p{Han}$", "\u6f22", True),
    (r"^[\p{Lu}\d_]+$", "A_1", True),
    (r"^[\p{Lu}\d_]+$", "a", False),
    (r"^[^\p{L}]$", "a", False),
    (r"^[^\P{L}]$", "a", True),
    (r"^\p{Any}$", "\U0001f600", True),
    (r"^[\S]$", "x", True),
    (r"^[\S]$", " ", False),
    (r"^[a\S]$", "\v", True),
    (r"^\S$", "\u00a0", True),
    (r"^[[:^alpha:]]+$", "12\u00e9", True),
    (r"^[[:^alpha:]]+$", "1a", False),
    (r"(?U)^a+?$", "aaa", True),
    (r"(?iU:A)b", "ab", True),
    (r"(?U-i)a", "A", False),
    (r"^\Qa.b\E$", "a.b", True),
    (r"^\Qa\E*$", "aaa", True),
    (r"x\z", "x\n", False),
    (r"a{,2}", "a{,2}", True),
    (r"^(?s).$", "\n", True),
    (r"^.$", "\n", False),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_pattern_means_what_re2_means(pattern: str, text: str, matches: bool):
    """Translated, the pattern finds what RE2 finds."""
    assert compile_pattern(pattern).search(text) == matches


REFUSED = [
    ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
    ("(?<!a)", "error parsing regexp: invalid named capture: `(?<!a)`"),
    ("(?<=a>)", "error parsing regexp: invalid named capture: `(?<=a>`"),
    ("(?P<a", "error parsing regexp: invalid named capture: `(?P<a`"),
    ("(?P=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?P`"),
    ("(?!a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?!`"),
    ("(?<", "error parsing regexp: invalid or unsupported Perl syntax: `(?<`"),
    (r"(a)\1", r"error parsing regexp: invalid escape sequence: `\1`"),
    ("a**", "error parsing regexp: invalid nested repetition operator: `**`"),
    ("a++", "error parsing regexp: invalid nested repetition operator: `++`"),
    ("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"),
    ("(a{1000}){1000}", "error parsing regexp: invalid repeat count: `{1000}`"),
    ("((a{10}b){10}|c){11}", "error parsing regexp: invalid repeat count: `{11}`"),
    ("(x(a{101,})*y)+(?:(z{20}a){51,})", "error parsing regexp: invalid repeat count: `{51,}`"),
    ("*a", "error parsing regexp: missing argument to repetition operator: `*`"),
    ("(*)", "error parsing regexp: missing argument to repetition operator: `*`"),
    ("[a", "error parsing regexp: missing closing ]: `[a`"),
    ("(a", "error parsing regexp: missing closing ): `(a`"),
    ("a)", "error parsing regexp: unexpected ): `a)`"),
    ("a\\", "error parsing regexp: trailing backslash at end of expression: ``"),
    (r"\p{Foo}", r"error parsing regexp: invalid character class range: `\p{Foo}`"),
    (r"a[\pQ]", r"error parsing regexp: invalid character class range: `\pQ`"),
    (r"\p{L", r"error parsing regexp: invalid character class range: `\p{L`"),
    ("[[:foo:]]", "error parsing regexp: invalid character class range: `[:foo:]`"),
    (r"\C", r"error parsing regexp: invalid escape sequence: `\C`"),
    (r"a\Z", r"error parsing regexp: invalid escape sequence: `\Z`"),
    ("(?>a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?>`"),
    ("a*+", "error parsing regexp: invalid nested repetition operator: `*+`"),
    ("a?+", "error parsing regexp: invalid nested repetition operator: `?+`"),
    ("a{2}+", "error parsing regexp: invalid nested repetition operator: `{2}+`"),
]


@pytest.mark.parametrize(("pattern", "text"), REFUSED)
def test_pattern_that_cannot_be_is_refused(pattern: str, text: str):
    """With RE2's words, or saying what is not supported."""
    with pytest.raises(PatternError) as refused:
        compile_pattern(pattern)
    assert str(refused.value) == text


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_automaton_agrees_with_the_engine(pattern: str, text: str, matches: bool):
    """The way for hostile patterns gives the same answers."""
    assert Automaton(Pattern(pattern).translated).search(text) == matches


PARTS = st.sampled_from(["a", "b", ".", "[^a]", "[a-b]", r"\d", r"\W", "^", "$", r"\b", r"\B", "(?i:A)", "(?m:^)", "(?s:.)", r"\s"])
PATTERNS = st.recursive(
    PARTS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "*?"])).map("(?:{0[0]}){0[1]}".format),
    ),
    max_leaves=6,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(PATTERNS, st.text("aAb1 \n\u00e9", max_size=8))
def test_automaton_finds_what_the_engine_finds(pattern: str, text: str):
    """Whatever the pattern, on texts short enough for both. Python alone says that an empty text has no place without a boundary."""
    assume(text or r"\B" not in pattern)
    compiled = Pattern(pattern)
    assert Automaton(compiled.translated).search(text) == (re.search(compiled.translated, text, re.ASCII) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * 5000 + "b"),
        ("^(a|a)*$", "a" * 5000 + "b"),
        ("^(a?){25}a{25}$", "a" * 24),
        ("^a*a*a*a*a*$", "a" * 2000 + "b"),
        ("(x+x+)+y", "x" * 5000),
    ],
)
def test_hostile_pattern_is_answered_in_linear_time(pattern: str, text: str):
    """Python's own engine would not come back from these. A pattern that is hostile by its size is none."""
    assert not compile_pattern(pattern).search(text)


def test_text_beyond_the_budget_is_not_answered():
    """Where every character makes a set of states nobody saw before, the work ends at its bound."""
    text = f"{3**12_000:b}".replace("0", "a").replace("1", "b")
    with pytest.raises(TooCostlyError):
        compile_pattern("^([ab]*)*a[ab]{500}c$").search(text)
    with pytest.raises(PatternError, match="expression too large"):
        compile_pattern("((abcdefghijklmnopqrstuvwxyz){1000})*")


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [("^[a-z]+$", UNBOUNDED, UNBOUNDED), ("^abc?$", UNBOUNDED, UNBOUNDED), ("[a-z]+", 256, 512), ("^a*b*c*$", 32, 64), ("(a+)+", 0, 0)],
)
def test_cost_is_judged_by_the_ways_through_a_text(pattern: str, least: int, most: int):
    """One run of a character is harmless anywhere, three are for short texts, one inside of another never."""
    assert least <= harmless_characters(Pattern(pattern).translated) <= most
