"""DU-VAE's text model and its evaluation in the authors' way, written plainly.

The authors' code descends from that of He et al. (2019); the parts have its order of axes.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.models.heads import ZERO_ENTROPY_VARIANCE

VOCABULARY, EMBEDDING, HIDDEN, LATENT = 20_001, 512, 1024, 32
BATCH, WORDS = 32, 80  # sentences, and words to predict in each, </s> among them
CLIP, RATE, DROPOUT = 5.0, 1.0, 0.5
GAMMA, KEEP = 0.5, 0.8
SAMPLES, CHUNK = 500, 100  # of the likelihood


class PlainEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self.linear = nn.Linear(HIDDEN, 2 * LATENT, bias=False)
        self.norm = nn.BatchNorm1d(LATENT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, the scales of the means moved back first."""
        _, (hidden, _) = self.lstm(self.embedding(x))
        mean, log_variance = self.linear(hidden[0]).chunk(2, 1)
        scales = self.norm.weight.data
        scales.mul_(GAMMA / scales.square().mean().sqrt())
        variance = log_variance.exp()
        if self.training:
            kept = torch.rand_like(variance) < KEEP
            variance = torch.where(kept, variance / KEEP, torch.zeros_like(variance))
        return self.norm(mean), (variance + ZERO_ENTROPY_VARIANCE).log()


class PlainDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.dropout_in, self.dropout_out = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT)
        self.initial = nn.Linear(LATENT, HIDDEN, bias=False)
        self.lstm = nn.LSTM(EMBEDDING + LATENT, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """x [B, T], z [B, S, K] -> [B, S], the words repeated for every sample."""
        (size, samples, _), steps = z.shape, x.shape[1] - 1
        words = self.dropout_in(self.embedding(x[:, :-1]))
        words = words.unsqueeze(1).expand(size, samples, steps, EMBEDDING).contiguous()
        codes = z.unsqueeze(2).expand(size, samples, steps, LATENT)
        inputs = torch.cat([words, codes], -1).view(size * samples, steps, -1)
        cell = self.initial(z.reshape(size * samples, LATENT)).unsqueeze(0)
        outputs, _ = self.lstm(inputs, (torch.tanh(cell), cell))
        logits = self.output(self.dropout_out(outputs))
        targets = x[:, 1:].unsqueeze(1).expand(size, samples, steps).reshape(-1)
        loss = F.cross_entropy(logits.view(-1, VOCABULARY), targets, reduction="none")
        return -loss.view(size, samples, -1).sum(-1)


class PlainVae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = PlainEncoder(), PlainDecoder()

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x|z) and the KL of every sentence."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        return -self.decoder.log_prob(x, z.unsqueeze(1))[:, 0], kl

    def loss(self, x: Tensor) -> Tensor:
        rec, kl = self.terms(x)
        return (rec + kl).mean()

    @torch.no_grad()
    def nll(self, x: Tensor) -> Tensor:
        """By importance sampling; each chunk of samples encodes the sentence again."""
        chunks = []
        for _ in range(SAMPLES // CHUNK):
            mean, log_variance = (part.unsqueeze(1) for part in self.encoder(x))
            std = torch.exp(0.5 * log_variance)
            z = mean + std * torch.randn(len(x), CHUNK, LATENT)
            log_pz = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
            squares = (z - mean).square() / log_variance.exp()
            log_qz = -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)
            chunks.append(self.decoder.log_prob(x, z) + log_pz - log_qz)
        return math.log(SAMPLES) - torch.cat(chunks, 1).logsumexp(1)


class PlainTraining:
    """Two optimisers as torch makes them by default, batches made beforehand, the losses read."""

    def __init__(self, model: PlainVae, batches: list[Tensor]) -> None:
        self.model = model
        parts = (model.encoder, model.decoder)
        self.optimizers = [torch.optim.SGD(part.parameters(), lr=RATE) for part in parts]
        self.prepared = batches
        self.batches = self._forever()
        self.total = 0.0

    def step(self) -> None:
        x = next(self.batches)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        rec, kl = self.model.terms(x)
        (rec + kl).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for optimizer in self.optimizers:
            optimizer.step()
        self.total += rec.sum().item() + kl.sum().item()

    def _forever(self) -> Iterator[Tensor]:
        while True:
            for number in torch.randperm(len(self.prepared)).tolist():
                yield self.prepared[number]
