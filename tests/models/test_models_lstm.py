"""LSTM encoder and decoder against torch's cell and its cross-entropy, a sentence at a time."""

import copy
import itertools
import math
from contextlib import nullcontext

import pytest
import torch
from fixtures import Largest, within
from torch import nn
from torch.nn import functional as F

from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.models import lstm
from vaebench.models.heads import LinearGaussianHead
from vaebench.models.lstm import LstmDecoder, LstmEncoder, uniform
from vaebench.models.recurrence import twice_differentiable

F64 = torch.float64
VOCABULARY, LATENT, EMBEDDING, HIDDEN, LONGEST = 9, 3, 4, 5, 6
PADDED = torch.tensor(
    [
        [BOS, 5, 6, 7, 5, EOS],
        [BOS, 3, EOS, PAD, PAD, PAD],
        [BOS, 8, 4, 4, EOS, PAD],
    ]
)
UNDRAWN = 2  # <pad> and <s>
initial_state = pytest.mark.parametrize("initial_state", [True, False])


def decoder(initial_state=True, dropout=0.5, dtype=F64, seed=0):
    """A decoder in evaluation mode whose weights are no trifles."""
    torch.manual_seed(seed)
    sizes = VOCABULARY, LATENT, EMBEDDING, HIDDEN
    made = LstmDecoder(*sizes, dropout, LONGEST, initial_state=initial_state).to(dtype).eval()
    uniform(made, weights=1.0, biases=1.0, embeddings=1.0)
    return made


def encoder():
    torch.manual_seed(0)
    return LstmEncoder(VOCABULARY, EMBEDDING, HIDDEN).to(F64)


def codes(samples, size=3, dtype=F64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, size, LATENT, dtype=dtype, generator=generator)


def words(row):
    """A sentence without its padding."""
    return row[: row.tolist().index(EOS) + 1]


def cell_of(layer):
    """torch's cell with the weights of a layer."""
    named = {name.removesuffix("_l0"): weight for name, weight in layer.layer.named_parameters()}
    single = nn.LSTMCell(layer.layer.input_size, layer.hidden, dtype=F64)
    return lambda x, state: torch.func.functional_call(single, named, (x, state))


def plain_logits(model, row, z, kept_words=1.0, kept_outputs=1.0):
    """Of every word of one sentence after <s>, for one z: [T - 1, V]."""
    single, logits = cell_of(model.lstm), []
    cell = z.new_zeros(HIDDEN) if model.initial is None else model.initial.weight @ z
    state = torch.tanh(cell), cell
    for word in model.embedding.weight[row[:-1]] * kept_words:
        state = single(torch.cat([word, z]), state)
        logits.append(state[0])
    return torch.stack(logits) * kept_outputs @ model.output.weight.t()


def plain(model, x, z):
    """log p(x|z), a sentence and a sample at a time."""
    return torch.stack(
        [
            torch.stack(
                [
                    -F.cross_entropy(
                        plain_logits(model, words(row), code), words(row)[1:], reduction="sum"
                    )
                    for row, code in zip(x, some, strict=True)
                ]
            )
            for some in z
        ]
    )


def size_of(model):
    return sum(weight.numel() for weight in model.parameters())


def encoder_and_head(vocabulary, embedding, hidden):
    identity = {"mean": nn.Identity(), "variance": nn.Identity()}
    head = LinearGaussianHead(hidden, 32, bias=False, **identity)
    return nn.ModuleList([LstmEncoder(vocabulary, embedding, hidden), head])


@pytest.mark.parametrize(
    ("sizes", "of_encoder", "of_decoder"),
    [((20_001, 512, 1024), 16_605_696, 37_185_024), ((8_411, 128, 512), 2_424_192, 6_779_776)],
)
def test_the_networks_are_as_large_as_the_papers(sizes, of_encoder, of_decoder):
    vocabulary, *others = sizes
    assert size_of(encoder_and_head(*sizes)) == of_encoder
    made = LstmDecoder(vocabulary, 32, *others, 0.5, 80, initial_state=True)
    assert size_of(made) == of_decoder


def test_the_encoder_ends_with_the_sentence():
    made = encoder()
    found, single = made(PADDED), cell_of(made.lstm)
    assert found.shape == (3, made.features)
    for row, h in zip(PADDED, found, strict=True):
        state = None
        for word in made.embedding.weight[words(row)]:
            state = single(word, state)
        torch.testing.assert_close(h, state[0], rtol=1e-12, atol=1e-13)


@initial_state
@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 4, 7, 100])
def test_the_likelihood_is_that_of_every_word(initial_state, samples, rows, monkeypatch):
    """With gradients, and without them however it is cut into chunks."""
    monkeypatch.setattr(lstm, "_ROWS", rows)
    model, z = decoder(initial_state), codes(samples)
    expected = plain(model, PADDED, z)
    torch.testing.assert_close(model.log_prob(PADDED, z), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(PADDED, z), expected, rtol=1e-12, atol=1e-12)


@initial_state
@pytest.mark.parametrize("samples", [1, 2])
def test_its_gradients_are_those_of_every_word(initial_state, samples):
    model, z = decoder(initial_state), codes(samples).requires_grad_()
    leaves, weights = [z, *model.parameters()], torch.randn(samples, 3, dtype=F64)
    ours, theirs = (
        torch.autograd.grad((function(PADDED, z) * weights).sum(), leaves)
        for function in (model.log_prob, lambda x, z: plain(model, x, z))
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_dropout_hides_words_but_no_codes(monkeypatch):
    model, z = decoder().train(), codes(2)
    shapes = [(5, 3, EMBEDDING), (5, 2 * 3, HIDDEN)]
    masks = [2 * torch.randint(2, shape).to(F64) for shape in shapes]
    left = iter(masks)

    def dropout(values, p, training):
        mask = next(left)
        assert (p, training, values.shape) == (0.5, True, mask.shape)
        return values * mask

    monkeypatch.setattr(F, "dropout", dropout)
    found = model.log_prob(PADDED, z)
    for sample, place in itertools.product(range(2), range(3)):
        row, kept = words(PADDED[place]), [mask[: len(words(PADDED[place])) - 1] for mask in masks]
        logits = plain_logits(
            model, row, z[sample, place], kept[0][:, place], kept[1][:, 3 * sample + place]
        )
        expected = -F.cross_entropy(logits, row[1:], reduction="sum")
        torch.testing.assert_close(found[sample, place], expected, rtol=1e-12, atol=1e-12)


def test_there_is_dropout_in_training_alone():
    z = codes(1)
    for dropout, expected in ((0.5, False), (0.0, True)):
        model = decoder(dropout=dropout)
        there = model.log_prob(PADDED, z)
        assert torch.equal(model.train().log_prob(PADDED, z), there) == expected
        with torch.no_grad():
            assert torch.allclose(model.log_prob(PADDED, z), there) == expected


def test_a_word_is_predicted_from_those_before_and_from_the_code():
    model, seen = decoder(), {}

    def watch(name):
        def hook(module, inputs, output):
            if output.requires_grad:
                output.retain_grad()
            seen[name] = output

        return hook

    model.embedding.register_forward_hook(watch("words"))
    model.lstm.register_forward_hook(watch("outputs"))
    z = codes(1).requires_grad_()
    model.log_prob(PADDED, z)
    for step, output in enumerate(seen["outputs"]):
        to_words, to_z = torch.autograd.grad(
            output.square().sum(), [seen["words"], z], retain_graph=True
        )
        moved = to_words.abs().amax((1, 2)) > 0
        assert moved.tolist() == [place <= step for place in range(5)]
        assert (to_z != 0).all()


@initial_state
def test_word_by_word_it_is_the_same(initial_state):
    model, z = decoder(initial_state), codes(1)[0]
    state, scores = model.start(z), torch.zeros(3, dtype=F64)
    for shown, wanted in itertools.pairwise(PADDED.t()):
        logits, state = model.advance(shown, state)
        chosen = torch.log_softmax(logits, 1).gather(1, wanted[:, None])[:, 0]
        scores += torch.where(wanted == PAD, 0, chosen)
    torch.testing.assert_close(scores, model.log_prob(PADDED, z[None])[0], rtol=1e-12, atol=1e-12)


def test_states_are_copied_by_row():
    model, z = decoder(), codes(1)[0]
    rows = torch.tensor([2, 0, 2, 2])
    _, state = model.advance(torch.tensor([BOS, BOS, BOS]), model.start(z))
    found, _ = model.advance(torch.tensor([4, 5, 6, 4]), state.select(rows))
    expected = [
        plain_logits(model, torch.tensor([BOS, w, EOS]), z[r])[1]
        for w, r in zip([4, 5, 6, 4], rows, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=1e-12)


def test_sentences_are_drawn_by_their_probability():
    """The first two words; padding and <s> are none."""
    model, z = decoder(dtype=torch.float32), codes(1, 1, torch.float32)[0, 0]
    torch.manual_seed(0)
    drawn = model.sample(z.expand(40, 500, -1)).flatten(0, 1)
    legal = torch.full((VOCABULARY,), 0.0).index_fill(0, torch.tensor([PAD, BOS]), -torch.inf)
    exact = copy.deepcopy(model).double()
    with torch.no_grad():
        for first in range(UNDRAWN, VOCABULARY):
            row = torch.tensor([BOS, first, EOS])
            logits = plain_logits(exact, row, z.double()) + legal
            p = torch.softmax(logits, 1)
            assert within((drawn[:, 1] == first).double(), float(p[0, first]))
            after = drawn[drawn[:, 1] == first, 2]
            if first == EOS:
                assert (after == PAD).all()
                continue
            for second in range(UNDRAWN, VOCABULARY):
                assert within((after == second).double(), float(p[1, second]))


def test_what_is_drawn_is_sentences():
    torch.manual_seed(0)
    x = decoder(dtype=torch.float32).sample(torch.randn(2, 300, LATENT))
    assert (x.shape, x.dtype) == ((2, 300, LONGEST), torch.int64)
    assert (x[..., 0] == BOS).all() and (x[..., 1:] != BOS).all()
    ended = (x == EOS).cumsum(-1)
    assert ended.max() == 1 and ((x == PAD) == (ended.roll(1, -1) * (ended == 1) == 1)).all()
    assert 0 < (ended[..., -1] == 0).sum() < 600  # some were cut off


def test_it_has_no_mean():
    with pytest.raises(TypeError, match="no mean"):
        decoder().mean(codes(1))
    assert decoder().constant_variance is None


def test_the_likelihood_has_second_derivatives():
    model, z = decoder(), codes(1).requires_grad_()

    def function(z, weight, of_words):
        named = {"output.weight": weight, "embedding.weight": of_words}
        with twice_differentiable():
            return torch.func.functional_call(Scored(model), prefixed(named), (PADDED[:, :4], z))

    weights = model.output.weight, model.embedding.weight
    assert torch.autograd.gradgradcheck(function, (z, *weights))


class Scored(nn.Module):
    """A decoder whose call is its likelihood."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, z):
        return self.model.log_prob(x, z)


def prefixed(named):
    return {f"model.{name}": value for name, value in named.items()}


@pytest.mark.parametrize("gradients", [True, False])
def test_bfloat16_is_near(gradients):
    torch.manual_seed(0)
    model = LstmDecoder(200, 8, 16, 64, 0.0, 20, initial_state=True)
    uniform(model, weights=0.3, biases=0.3, embeddings=1.0)
    x, z = torch.randint(4, 200, (12, 20)), torch.randn(1, 12, 8)
    inputs = torch.cat([model.embedding(x.t()), z.expand(20, -1, -1)], 2)
    largest = float(model.output(model.lstm(inputs)).detach().abs().max())
    with torch.set_grad_enabled(gradients):
        exact = model.log_prob(x, z)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.log_prob(x, z)
    assert rounded.dtype == torch.float32
    # A logit moves by 2^-9 of it with either operand, the product and the state, a log-softmax by
    # twice that; the errors of 19 words do not have one sign.
    assert 0 < (rounded - exact).abs().max() < math.sqrt(19) * 2 * 4 * 2**-9 * largest


def test_evaluation_keeps_no_more_than_a_step(monkeypatch):
    monkeypatch.setattr(lstm, "_ROWS", 8)
    model, (samples, size) = decoder(), (40, 3)
    with torch.no_grad(), Largest() as largest:
        model.log_prob(PADDED, codes(samples, size))
    allowed = max(8 * max(VOCABULARY, 4 * HIDDEN), samples * size * LATENT)
    assert largest.numel <= allowed < samples * size * 5 * VOCABULARY


@pytest.mark.parametrize("dropout", [1.0, -0.1])
def test_dropout_is_a_probability(dropout):
    with pytest.raises(ValueError, match="dropout is"):
        decoder(dropout=dropout)


@pytest.mark.parametrize("biases", [0.02, 0.0])
def test_every_kind_of_parameter_has_its_bound(biases):
    made = encoder_and_head(VOCABULARY, EMBEDDING, 40)
    assert uniform(made, weights=0.01, biases=biases, embeddings=0.1) is made
    for name, values in made.named_parameters():
        bound = 0.1 if "embedding" in name else biases if "bias" in name else 0.01
        assert values.abs().max() <= bound
        assert values.abs().max() >= 0.8 * bound and abs(values.mean()) <= 0.3 * bound


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_scores_as_a_cpu_does():
    model, z = decoder(), codes(2)
    expected, found = [], []
    for device, results in (("cpu", expected), ("cuda", found)):
        model, x, here = model.to(device), PADDED.to(device), z.to(device).requires_grad_()
        with torch.no_grad():
            results.append(model.log_prob(x, here))
        for way in (nullcontext, twice_differentiable):
            with way():
                scores = model.log_prob(x, here)
            twice = way is twice_differentiable
            (slope,) = torch.autograd.grad(scores.square().sum(), here, create_graph=twice)
            results += [scores, slope]
        results.append(torch.autograd.grad(slope.square().sum(), model.output.weight)[0])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-9, atol=1e-9)
