"""A small plan in a store of its own, and methods that misbehave."""

import pytest
from benches import Bench
from specs import tiny_spec

from vaebench import evaluation, methods


@pytest.fixture(autouse=True)
def registries_restored(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(methods, "_METHODS", dict(methods.methods()))
    monkeypatch.setattr(evaluation, "_EVALUATORS", dict(evaluation.evaluators()))


@pytest.fixture
def bench(tmp_path):
    """Two rows of two seeds, four epochs of four steps each."""
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 100
    return Bench(tmp_path, spec)
