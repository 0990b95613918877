"""The string formats, one value that fits and ones that do not."""

from __future__ import annotations

import pytest

from resource_api.schema.structural.formats import is_known, string_format

CASES = {
    "bsonobjectid": (["507f1f77bcf86cd799439011"], ["507f1f77bcf86cd79943901"]),
    "byte": (["YQ==", "YWJj"], ["", "YQ=", "a b"]),
    "cidr": (["10.0.0.0/8", "10.1.2.3/8", "fd00::/8"], ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0"]),
    "creditcard": (["4111 1111 1111 1111"], ["4111111111111112", "12"]),
    "date": (["2024-02-29"], ["2023-02-29", "2024-2-1", ""]),
    "date-time": (["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123456789+02:00"], ["2024-01-01", "2024-13-01T00:00:00Z", "now"]),
    "duration": (["1h30m", "10ns", "3 days", "1.5h", "0"], ["", "1", "h", "-"]),
    "email": (["a@b.c", "A B <a@b.c>"], ["a", "@b", "a@"]),
    "hexcolor": (["#fff", "a0B1c2"], ["#ff", "#ggg"]),
    "hostname": (["a", "a.example.com", "1a.de", "b\u00fccher.example"], ["", "-a", "a-", "a..b", "a_b", "a" * 64, "a.b"]),
    "ipv4": (["1.2.3.4"], ["1.2.3", "::1", "01.2.3.4"]),
    "ipv6": (["::1", "fe80::1"], ["1.2.3.4", ":::"]),
    "isbn10": (["0-306-40615-2"], ["0-306-40615-3"]),
    "isbn13": (["978-0-306-40615-7"], ["978-0-306-40615-8"]),
    "isbn": (["0306406152", "9780306406157"], ["1"]),
    "k8s-short-name": (["a-b"], ["a.b", "A", "-a"]),
    "k8s-long-name": (["a.b-c"], ["a..b", "A"]),
    "mac": (["00:00:5e:00:53:01", "00-00-5e-00-53-01", "0000.5e00.5301"], ["00:00", "00:00-5e:00:53:01"]),
    "password": (["anything"], []),
    "rgbcolor": (["rgb(0, 10,255)"], ["rgb(0,0,256)", "rgb(0,0)"]),
    "ssn": (["078-05-1120"], ["07-05-1120"]),
    "uri": (["http://a/b?c", "/path", "urn:x"], ["a b", "path", "", "http://a/%zz"]),
    "uuid": (["AF5DAA6C-2f4b-4b5b-9d3c-0f5c0d9d2f5d"], ["af5daa6c"]),
    "uuid3": (["af5daa6c-2f4b-3b5b-9d3c-0f5c0d9d2f5d"], ["af5daa6c-2f4b-4b5b-9d3c-0f5c0d9d2f5d"]),
    "uuid4": (["af5daa6c-2f4b-4b5b-9d3c-0f5c0d9d2f5d"], ["af5daa6c-2f4b-4b5b-7d3c-0f5c0d9d2f5d"]),
    "uuid5": (["af5daa6c-2f4b-5b5b-9d3c-0f5c0d9d2f5d"], ["af5daa6c-2f4b-4b5b-9d3c-0f5c0d9d2f5d"]),
}


@pytest.mark.parametrize("name", CASES)
def test_format_takes_its_values_and_no_others(name: str):
    """Every format of the list is enforced."""
    holds = string_format(name)
    assert holds is not None
    fitting, others = CASES[name]
    assert [text for text in fitting if not holds(text)] == []
    assert [text for text in others if holds(text)] == []


def test_unknown_format_is_not_enforced():
    """A format nobody knows says nothing; the definition's writer is warned of it."""
    assert string_format("quantity") is None
    assert not is_known("quantity")
    assert is_known("int32")
