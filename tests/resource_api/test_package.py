"""What `resource_api` offers to the programs that embed it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import resource_api


def test_import_of_the_package_alone_loads_nothing_of_it():
    """Whoever wants the client does not wait for the server."""
    code = "import sys, resource_api; print(sorted(name for name in sys.modules if name.startswith(('resource_api', 'raftkv', 'asyncio'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['resource_api']"


@pytest.mark.parametrize("name", resource_api.__all__)
def test_public_name_is_the_one_of_its_module(name):
    """A name loaded late is the same object, in the module its class says."""
    value = getattr(resource_api, name)
    assert value.__name__ == name
    assert vars(resource_api)[name] is value


def test_name_that_is_not_public_is_an_attribute_error():
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        resource_api.nothing  # noqa: B018
