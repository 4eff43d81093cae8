"""Decoded sentences: of draws of the prior, and between sentences of the test set."""

import pytest
import torch
from fixtures import METHOD_CASES, build, dataset, is_text, text_dataset, tiny_model

from vaebench.data.tokenizers import EOS
from vaebench.errors import UserError
from vaebench.evaluation.sentences import interpolated_sentences, prior_sentences
from vaebench.models import decoding

DATA = text_dataset()
LONGEST = 100
(VAE,) = [case for case in METHOD_CASES if case.name == "du_vae.vae" and is_text(case)]


def words(ids):
    """The words of ids, by hand."""
    kept = ids[: ids.index(EOS)] if EOS in ids else ids
    return " ".join(DATA.tokenizer.words[place] for place in kept if place > EOS)


def model_of(seed=0):
    """A model whose sentences differ: its weights are large."""
    model = build(VAE, DATA, seed).model.eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_()
    return model


@pytest.mark.parametrize(("decode", "width"), [("greedy", 0), ("sample", 0), ("beam", 3)])
def test_prior_sentences_are_decoded_draws(decode, width):
    model = model_of()
    torch.manual_seed(3)
    found = prior_sentences(model, DATA, count=8, decode=decode, width=width)
    torch.manual_seed(3)
    z = torch.randn(8, 3)
    ids = {
        "greedy": lambda: decoding.greedy(model.decoder, z, LONGEST),
        "sample": lambda: decoding.sampled(model.decoder, z, LONGEST),
        "beam": lambda: decoding.beam(model.decoder, z, LONGEST, 3),
    }[decode]()
    assert list(found) == [f"sentence_{i}" for i in range(1, 9)]
    assert list(found.values()) == [words(row) for row in ids.tolist()]
    assert len(set(found.values())) > 2


def test_ways_lead_from_the_mean_of_a_sentence_to_that_of_another():
    model, data = model_of(), DATA
    found = interpolated_sentences(model, data, pairs=6, steps=5)
    whole = data.test.take(torch.arange(len(data.test)))
    texts = [words(row) for row in whole.x.tolist()]
    assert len(found) == 6 * (2 + 5)
    for pair in range(1, 7):
        ends = []
        for side in ("source", "target"):
            (index, *_) = [i for i, text in enumerate(texts) if text == found[f"{side}_{pair}"]]
            alone = data.test.take(torch.tensor([index])).x  # without padding
            ends.append(model.infer(alone).mean[0])
        for step in range(5):
            z = ends[0] + step / 4 * (ends[1] - ends[0])
            (ids,) = decoding.greedy(model.decoder, z[None], LONGEST).tolist()
            assert found[f"sentence_{pair}_{step + 1}"] == words(ids)


def test_pairs_are_the_same_for_every_model():
    one, other = (interpolated_sentences(model_of(seed), DATA, pairs=5, steps=3) for seed in (0, 1))
    ends = [key for key in one if not key.startswith("sentence")]
    assert len(ends) == 10 and all(one[key] == other[key] for key in ends)
    assert one != other


@pytest.mark.parametrize(
    ("decode", "width", "told"),
    [
        ("best", 0, "decode is 'best'; expected one of greedy, beam, sample"),
        ("greedy", 5, "width is 5 for decode 'greedy'; only a beam has one"),
        ("beam", 0, "width is 0 for decode 'beam'; only a beam has one"),
    ],
)
def test_what_cannot_be_decoded_is_told(decode, width, told):
    with pytest.raises(UserError, match=told):
        prior_sentences(model_of(), DATA, count=2, decode=decode, width=width)


def test_models_of_images_are_refused():
    model = tiny_model(shape=(1, 4, 4)).eval()
    with pytest.raises(UserError, match="synthetic: this model decodes no sentences"):
        prior_sentences(model, dataset(), count=2, decode="greedy", width=0)
    with pytest.raises(UserError, match="synthetic: this model decodes no sentences"):
        interpolated_sentences(model, dataset(), pairs=2, steps=3)
