"""Specs written for a test."""

import pytest
from specs import tiny_spec, write_spec


@pytest.fixture
def tiny():
    """A spec as a mapping, to be changed."""
    return tiny_spec()


@pytest.fixture
def spec_file(tmp_path):
    """Write a mapping, or text, to a spec file; its path."""

    def write(content):
        return write_spec(tmp_path, content)

    return write
