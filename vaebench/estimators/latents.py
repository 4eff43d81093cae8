"""Statistics of latent codes."""

from torch import Tensor


def active_units(means: Tensor, threshold: float) -> int:
    """How many dimensions of the posterior means [N, K] vary by more than `threshold` over data.

    Unbiased variance (divided by N - 1); Burda et al. (2016), Section 5.2.
    """
    return int((means.var(dim=0, correction=1) > threshold).sum())
