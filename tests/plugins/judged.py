"""A plugin whose evaluators look through the trained model of another run."""

from torch import nn
from torch.nn import functional as F

from vaebench.data.dataset import DataInfo
from vaebench.evaluation import evaluator
from vaebench.methods import method
from vaebench.training.recipe import Recipe


@method
def classifier(data: DataInfo) -> Recipe:
    """A softmax layer on pixels: no LatentModel."""
    pixels = data.shape[0] * data.shape[1] * data.shape[2]

    def objective(model, batch, clock):
        return {"loss": F.cross_entropy(model(batch.x), batch.y)}

    return Recipe(nn.Sequential(nn.Flatten(), nn.Linear(pixels, data.classes)), objective)


@evaluator
def judged(model, data, *, judge):
    """How often the judge sees the digit in its reconstruction, and the judge's own weights."""
    assert not judge.training and not any(p.requires_grad for p in judge.parameters())
    x = data.test.take(data.test.labels.argsort()).x
    y = data.test.labels.sort().values
    seen = judge(model.decoder.mean(model.infer(x).mean)).argmax(-1)
    weights = sum(float(p.double().sum()) for p in judge.parameters())
    return {"agreement": float((seen == y).double().mean()), "weights": weights}


@evaluator
def distance(model, data, *, other):
    """How far the weights of a model of the same kind are."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return {"distance": sum(float((a - b).double().square().sum()) for a, b in pairs)}
