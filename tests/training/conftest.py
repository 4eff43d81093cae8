"""What the tests of training share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def numerics_restored():
    """Threads and matmul route of this process as they were."""
    threads = torch.get_num_threads()
    switch = getattr(torch.backends.mkldnn, "matmul", None)
    precision = getattr(switch, "fp32_precision", None)
    yield
    torch.set_num_threads(threads)
    if precision is not None:
        switch.fp32_precision = precision


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "runs" / "some-run" / "checkpoint.pt"
