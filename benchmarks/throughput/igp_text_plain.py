"""IGP's text VAE in the way of its official Keras code, written plainly in PyTorch."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.data.tokenizers import BOS, EOS, PAD

VOCABULARY, EMBEDDING, HIDDEN, LATENT = 12_003, 200, 512, 32
BATCH, TARGET = 128, 5.0
DECODED = 200  # sentences at a time


class PlainVae(nn.Module):
    """One LSTM each way, the whole split's padding in every batch, logits at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.encoder = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self.mean, self.log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, 1)
        self.decoder = nn.LSTM(EMBEDDING + LATENT, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, VOCABULARY)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x|z) and the KL of every sentence: x [B, T] with <s>."""
        words = x[:, 1:]
        outputs, _ = self.encoder(self.embedding(words))
        ended = (words == EOS).unsqueeze(2)
        features = (outputs * ended).sum(1)
        mean, log_variance = self.mean(features), self.log_variance(features)
        log_variance = log_variance.repeat(1, LATENT)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        codes = z.unsqueeze(1).repeat(1, words.shape[1], 1)
        outputs, _ = self.decoder(torch.cat([self.embedding(x[:, :-1]), codes], 2))
        logits = self.output(outputs)
        rec = F.cross_entropy(logits.transpose(1, 2), words, reduction="none")
        return (rec * (words != PAD)).sum(1), kl

    def loss(self, x: Tensor) -> Tensor:
        rec, kl = self.terms(x)
        return (rec + (kl - TARGET).abs()).mean()

    @torch.no_grad()
    def decode(self, z: Tensor, longest: int) -> Tensor:
        """The likeliest words of codes [N, K], every sentence to the `longest` step."""
        parts = []
        for codes in z.split(DECODED):
            words = torch.full((len(codes), 1), BOS)
            state, found = None, []
            for _ in range(longest):
                inputs = torch.cat([self.embedding(words), codes.unsqueeze(1)], 2)
                outputs, state = self.decoder(inputs, state)
                words = self.output(outputs).argmax(2)
                found.append(words)
            parts.append(torch.cat(found, 1))
        return torch.cat(parts)


class PlainTraining:
    """Adam as torch makes it by default, shuffled batches of a padded matrix, the loss read."""

    def __init__(self, model: PlainVae, sentences: Tensor) -> None:
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, eps=1e-7)
        self.sentences = sentences
        self.batches = self._forever()
        self.total = 0.0

    def step(self) -> None:
        x = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.model.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.total += loss.item() * len(x)

    def _forever(self) -> Iterator[Tensor]:
        while True:
            for rows in torch.randperm(len(self.sentences)).split(BATCH):
                yield self.sentences[rows]
