"""IGP's LSTM networks against equations written out, a sentence and a step at a time."""

import copy
import io
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.models.heads import GaussianHead, untied
from vaebench.models.initialisation import keras, truncated_normal
from vaebench.models.keras_lstm import (
    EndEncoder,
    LanguageModel,
    encoder_and_decoder,
    sentence_classifier,
)
from vaebench.models.recurrence import Lstm

F64 = torch.float64
VOCABULARY, LATENT, EMBEDDING, HIDDEN, LONGEST = 9, 3, 4, 5, 6
PADDED = torch.tensor(
    [
        [BOS, 5, 6, 7, 5, EOS],
        [BOS, EOS, PAD, PAD, PAD, PAD],
        [BOS, 8, 4, 4, EOS, PAD],
    ]
)


def scrambled(module):
    """With weights that are no trifles, in float64."""
    torch.manual_seed(1)
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(torch.randn_like(values))
    return module.to(F64).eval()


def pair():
    return scrambled(
        nn.ModuleList(encoder_and_decoder(VOCABULARY, LATENT, EMBEDDING, HIDDEN, LONGEST))
    )


def codes(samples, size=3):
    return torch.randn(samples, size, LATENT, dtype=F64, generator=torch.manual_seed(2))


def steps(lstm, inputs):
    """The output after every one of inputs [T, I], from a state of zeros."""
    kernel, recurrent = (lstm.layer.get_parameter(f"weight_{of}_l0") for of in ("ih", "hh"))
    bias = lstm.layer.get_parameter("bias_ih_l0")
    h = c = torch.zeros(lstm.hidden, dtype=F64)
    for x in inputs:
        i, f, g, o = (kernel @ x + recurrent @ h + bias).chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        yield h


def at_the_end(lstm, words, embedding):
    """The sum over positions of the output times whether </s> is there."""
    outputs = steps(lstm, embedding.weight[words])
    return sum(h * (word == EOS) for h, word in zip(outputs, words, strict=True))


def plain_log_prob(decoder, words, z):
    scores = torch.zeros((), dtype=F64)
    seen = [torch.cat([row, z]) for row in decoder.embedding.weight[words[:-1]]]
    for h, word in zip(steps(decoder.lstm, seen), words[1:], strict=True):
        logits = decoder.output.weight @ h + decoder.output.bias
        if word != PAD:
            scores = scores + logits[word] - torch.logsumexp(logits, 0)
    return scores


def size_of(module):
    return sum(values.numel() for values in module.parameters())


@pytest.mark.parametrize(
    ("sizes", "encoder_lstm", "decoder_lstm", "mean", "shared_variance"),
    [
        ((12_003, 32, 200, 512), 1_460_224, 1_525_760, 16_416, 513),
        ((7_003, 8, 50, 128), 91_648, 95_744, 1_032, 129),
    ],
)
def test_the_networks_are_as_large_as_the_papers(
    sizes, encoder_lstm, decoder_lstm, mean, shared_variance
):
    vocabulary, latent, embedding, hidden = sizes
    with torch.device("meta"):
        encoder = EndEncoder(vocabulary, embedding, hidden, show_start=False)
        tied, free = (GaussianHead(hidden, latent, isotropic=tied) for tied in (True, False))
        model = LanguageModel(vocabulary, embedding, hidden, 30)
    assert size_of(encoder.lstm) == encoder_lstm
    assert size_of(encoder) == encoder_lstm + vocabulary * embedding
    assert (size_of(tied.mean), size_of(tied.log_variance)) == (mean, shared_variance)
    assert size_of(free) == 2 * mean
    words = vocabulary * (embedding + hidden + 1)
    assert size_of(model) == words + decoder_lstm - 4 * hidden * latent
    with torch.device("meta"):
        both = nn.ModuleList(encoder_and_decoder(*sizes, 30))
    assert size_of(both) == encoder_lstm + decoder_lstm + words


@pytest.mark.parametrize("show_start", [False, True])
def test_the_encoder_is_where_the_sentence_ends(show_start):
    encoder = scrambled(EndEncoder(VOCABULARY, EMBEDDING, HIDDEN, show_start=show_start))
    for row, found in zip(PADDED, encoder(PADDED), strict=True):
        shown = row if show_start else row[1:]
        expected = at_the_end(encoder.lstm, shown, encoder.embedding)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_a_sentence_without_an_end_is_zero():
    encoder, _ = pair()
    cut = torch.tensor([[BOS, 5, 6, 7], [BOS, 5, EOS, PAD]])
    found = encoder(cut)
    assert (found[0] == 0).all() and (found[1] != 0).all()


@pytest.mark.parametrize("samples", [1, 2])
def test_the_likelihood_is_that_of_every_word(samples):
    """With gradients, without, and word by word."""
    _, decoder = pair()
    z = codes(samples)
    expected = torch.stack(
        [
            torch.stack([plain_log_prob(decoder, *one) for one in zip(PADDED, some, strict=True)])
            for some in z
        ]
    )
    torch.testing.assert_close(decoder.log_prob(PADDED, z), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(decoder.log_prob(PADDED, z), expected, rtol=1e-12, atol=1e-12)
        state, scores = decoder.start(z[0]), torch.zeros(3, dtype=F64)
        for shown, wanted in itertools.pairwise(PADDED.t()):
            logits, state = decoder.advance(shown, state)
            chosen = torch.log_softmax(logits, 1).gather(1, wanted[:, None])[:, 0]
            scores += torch.where(wanted == PAD, 0, chosen)
    torch.testing.assert_close(scores, expected[0], rtol=1e-12, atol=1e-12)


def test_encoder_and_decoder_learn_one_embedding():
    """Its gradient is the sum of theirs, and what was saved is one again."""
    both = pair()
    encoder, decoder = both

    def loss(encoder, decoder):
        h = encoder(PADDED)
        return h.square().sum() + decoder.log_prob(PADDED, codes(1) + h.sum()).sum()

    loss(encoder, decoder).backward()
    apart = copy.deepcopy(encoder), copy.deepcopy(decoder)
    assert apart[0].embedding is not apart[1].embedding
    for part in apart:
        part.zero_grad()
    loss(*apart).backward()
    expected = sum(part.embedding.weight.grad for part in apart)
    torch.testing.assert_close(encoder.embedding.weight.grad, expected, rtol=1e-11, atol=1e-12)
    again = nn.ModuleList(encoder_and_decoder(VOCABULARY, LATENT, EMBEDDING, HIDDEN, LONGEST))
    again.to(F64).load_state_dict(both.state_dict())
    assert again[0].embedding.weight is again[1].embedding.weight
    assert torch.equal(again[0](PADDED), encoder(PADDED))


def test_a_gate_has_one_bias_however_the_layer_is_copied():
    layer = Lstm(4, 3, one_bias=True)
    assert size_of(layer) == 4 * 3 * (4 + 3 + 1)
    copied = copy.deepcopy(layer).requires_grad_(False).requires_grad_(True).to(F64)
    buffer = io.BytesIO()
    torch.save(copied.state_dict(), buffer)
    buffer.seek(0)
    loaded = Lstm(4, 3, one_bias=True).to(F64)
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    inputs = torch.randn(6, 2, 4, dtype=F64)
    sentences = [torch.stack(list(steps(layer.double(), x))) for x in inputs.unbind(1)]
    for one in (copied, loaded):
        torch.testing.assert_close(one(inputs), torch.stack(sentences, 1), rtol=1e-12, atol=1e-13)


def test_a_language_model_is_a_decoder_without_a_code():
    model = scrambled(LanguageModel(VOCABULARY, EMBEDDING, HIDDEN, LONGEST))
    nothing = torch.zeros(0, dtype=F64)
    expected = torch.stack([plain_log_prob(model.decoder, row, nothing) for row in PADDED])
    torch.testing.assert_close(model.log_prob(PADDED), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(PADDED), expected, rtol=1e-12, atol=1e-12)
    assert model.terms(PADDED).tolist() == [5, 1, 4]


def test_the_probabilities_of_a_language_model_sum_to_one():
    """Over all sentences of a word or none, and all beginnings of longer ones."""
    model = scrambled(LanguageModel(VOCABULARY, EMBEDDING, HIDDEN, LONGEST))
    others = [word for word in range(VOCABULARY) if word not in (PAD, EOS)]
    ends = torch.tensor([[BOS, EOS, PAD], *([BOS, word, EOS] for word in others)])
    with torch.no_grad():
        first = torch.log_softmax(model.decoder.advance(ends[:1, 0], start(model))[0], 1).exp()
        told = model.log_prob(ends).exp().sum()
        told += sum(
            model.log_prob(torch.tensor([[BOS, word, other]])).exp()[0]
            for word, other in itertools.product(others, others)
        )
        padded = first[0, PAD] + sum(
            first[0, word] * torch.softmax(after(model, word), 0)[PAD] for word in others
        )
    assert float(told + padded) == pytest.approx(1, abs=1e-12)


def start(model):
    return model.decoder.start(torch.zeros(1, 0, dtype=F64))


def after(model, word):
    _, state = model.decoder.advance(torch.tensor([BOS]), start(model))
    return model.decoder.advance(torch.tensor([word]), state)[0][0]


def test_the_classifier_is_dense_layers_on_the_end_of_a_sentence():
    model = scrambled(sentence_classifier(VOCABULARY, EMBEDDING, HIDDEN, 4))
    encoder, first, _, second, _ = model.body
    for row, found in zip(PADDED, model(PADDED), strict=True):
        h = at_the_end(encoder.lstm, row, encoder.embedding)  # with its <s>
        for layer in (first, second):
            h = torch.clamp(layer.weight @ h + layer.bias, min=0)
        torch.testing.assert_close(found, model.output.weight @ h + model.output.bias)
    assert [layer.out_features for layer in (first, second, model.output)] == [128, 128, 4]


def test_initial_weights_are_those_of_keras():
    torch.manual_seed(0)
    encoder, decoder = encoder_and_decoder(300, 8, 50, 120, 20)
    head = keras(GaussianHead(120, 1, isotropic=True))
    for lstm, inputs in ((encoder.lstm, 50), (decoder.lstm, 58)):
        kernel, recurrent, bias = lstm.weights
        for values, fan_in in ((kernel, inputs), (recurrent, 120)):
            # Keras: stddev = sqrt(1 / fan_in) / .8796..., redrawn beyond two of them.
            bound = 2 * math.sqrt(1 / fan_in) / 0.87962566103423978
            assert 0.99 * bound < values.abs().max() <= bound
            spread = values.square().mean().item() * fan_in
            assert spread == pytest.approx(1, abs=4 / math.sqrt(values.numel()))
        assert bias.view(4, 120).tolist() == [[gate == 1.0] * 120 for gate in range(4)]
    of_words = encoder.embedding.weight.abs().max()
    assert 0.0499 < of_words <= 0.05
    for layer in (decoder.output, head.mean):
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert (layer.bias == 0).all()


def test_a_truncated_normal_has_its_deviation_after_it_is_cut():
    torch.manual_seed(0)
    values = truncated_normal(torch.empty(100_000, dtype=F64), 0.3)
    assert values.std().item() == pytest.approx(0.3, rel=0.01)
    assert values.abs().max() <= 0.6 / 0.8796
    assert abs(values.mean().item()) < 4 * 0.3 / math.sqrt(100_000)


def test_lstms_of_keras_have_one_bias():
    with pytest.raises(ValueError, match="one bias"):
        keras(Lstm(3, 4))


def test_an_untied_head_begins_where_the_tied_one_ended():
    torch.manual_seed(0)
    tied = GaussianHead(HIDDEN, LATENT, isotropic=True).to(F64)
    free, h = untied(tied), torch.randn(7, HIDDEN, dtype=F64)
    one, other = tied(h), free(h)
    assert torch.equal(one.mean, other.mean)
    torch.testing.assert_close(
        other.log_variance, one.log_variance.expand(-1, LATENT), rtol=1e-14, atol=1e-15
    )
    assert size_of(free) == 2 * LATENT * (HIDDEN + 1)
    rows = free.log_variance.weight
    F.mse_loss(other.log_variance, torch.randn(7, LATENT, dtype=F64)).backward()
    assert not torch.equal(rows.grad[0], rows.grad[1])  # free from now on
    assert tied.log_variance.weight.grad is None
