"""The bundle of authorities: who is in it, who is not."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from resource_api.security.authority_bundle import AUTHORITIES_MAX, certificates, fingerprint, joined
from tests.resource_api.controllers.authorities import made_authority
from tests.resource_api.world import ROOT_CA, WALL_S


def test_authority_joins_those_that_hold():
    """Whatever is no certificate, or holds no more, goes when another comes; what is there already stays as it is written."""
    one, two, old = made_authority("one"), made_authority("two"), made_authority("old", lasts_s=-1)
    assert joined("", one, WALL_S) == joined("junk", one, WALL_S) == joined(old, one, WALL_S) == joined(ROOT_CA, one, WALL_S) == one
    both = joined(one, two, WALL_S)
    assert both is not None
    assert both == one + two
    assert [one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(both.encode())] == ["CN=one", "CN=two"]
    assert joined(both, one, WALL_S) == joined(both, two, WALL_S) == both
    assert joined(old + "# kept as it is\n" + both, two, WALL_S) == old + "# kept as it is\n" + both
    assert joined(old + one, two, WALL_S) == both
    # One whose own authority has ended still adds it: that it is not there would be written against by nobody.
    assert joined(one, old, WALL_S) == one + old


def test_full_bundle_takes_nobody_in():
    """Nobody is pushed out, for who is pushed out would come back."""
    bundle = ""
    for number in range(AUTHORITIES_MAX):
        made = joined(bundle, made_authority(f"a{number}"), WALL_S)
        assert made is not None
        bundle = made
    assert len(certificates(bundle)) == AUTHORITIES_MAX
    assert joined(bundle, made_authority("late"), WALL_S) is None
    assert joined(bundle, made_authority("late"), WALL_S + 1e9) is not None


def test_fingerprint_is_that_of_the_certificate():
    """So that it can be looked for in the folders."""
    pem = made_authority("one")
    [found] = certificates(pem)
    assert fingerprint(found) == x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()
