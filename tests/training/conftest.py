"""What the tests of training share."""

import pytest


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "runs" / "some-run" / "checkpoint.pt"
