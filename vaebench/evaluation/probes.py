"""Classifiers on posterior means."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.data.dataset import Dataset
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posterior_means
from vaebench.models.latent import LatentModel, glorot_uniform


@evaluator
def linear_probe(
    model: LatentModel,
    data: Dataset,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    held_out: float,
) -> dict[str, Value]:
    """`accuracy` (percent) on test means of a softmax layer trained on training means.

    The last `held_out` share of the training data is left out, as Keras' `validation_split` does
    before it shuffles. Adam, Glorot uniform, the last epoch counts. IGP's image classifier.
    """
    codes, test_codes = posterior_means(model, data.train), posterior_means(model, data.test)
    kept = int(len(codes) * (1 - held_out))
    probe = _fit(codes[:kept], data.train.labels[:kept], data.info.classes, epochs, batch_size, lr)
    with torch.no_grad():
        correct = (probe(test_codes).argmax(-1) == data.test.labels).double().mean()
    return {"accuracy": 100 * float(correct)}


def _fit(
    codes: Tensor, labels: Tensor, classes: int, epochs: int, batch_size: int, lr: float
) -> nn.Module:
    probe = glorot_uniform(nn.Linear(codes.shape[1], classes)).to(codes.device)
    optimizer = torch.optim.Adam(probe.parameters(), lr=lr, eps=1e-7, fused=True)
    for _ in range(epochs):
        order = torch.randperm(len(codes)).to(codes.device)
        for index in torch.split(order, batch_size):
            loss = F.cross_entropy(probe(codes[index]), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return probe
