"""How far posteriors lie apart and how evenly: MAE, Table 4."""

from statistics import fmean

import torch

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators import pairwise
from vaebench.estimators.pairwise import Gaussians
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_whole
from vaebench.evaluation.encoding import posteriors
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior


@evaluator
@torch.no_grad()
def mutual_divergence(model: LatentModel, data: Dataset, *, batch_size: int) -> dict[str, Value]:
    """`mpd` and `std`, in nats: the mean and the unbiased standard deviation of KL(q_i || q_j) over
    the ordered pairs i != j of a minibatch of posteriors.

    Both are plain means over the minibatches of the test set, shuffled once; a smaller last one
    counts as much as the others, and one datum left over has no pair and is left out. A
    deterministic encoder has neither. MAE, Section 3.2.
    """
    check_whole("mutual_divergence", 2, batch_size=batch_size)
    if len(data.test) < 2:
        raise UserError("mutual_divergence: the test set has no two examples")
    posterior = posteriors(model, data.test)
    if not isinstance(posterior, GaussianPosterior):
        return {"mpd": None, "std": None}
    means, log_variances = posterior.mean, posterior.log_variance
    order = torch.randperm(len(means)).to(means.device)
    minibatches = [index for index in torch.split(order, batch_size) if len(index) > 1]
    found = [Gaussians.of(means[index], log_variances[index]) for index in minibatches]
    kls = map(pairwise.kl_matrix, found)
    return {
        "mpd": fmean(float(pairwise.mean_kl_by_dimension(some).sum()) for some in found),
        "std": fmean(float(pairwise.off_diagonal_std(some)) for some in kls),
    }
