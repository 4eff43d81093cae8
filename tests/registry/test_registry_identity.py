"""A run's id is a function of its configuration: of all of it, and of nothing else."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.registry.canonical import canonical, digest
from vaebench.registry.expansion import expand
from vaebench.registry.loading import every_table
from vaebench.registry.names import SCALES
from vaebench.registry.runs import Adam, DataView, Evaluation, Run, Training

RECORDS = Path(__file__).resolve().parents[2] / "results" / "records"

RUN = Run(
    method="igp.vae",
    arguments={"latent": 32, "hidden": [200, 200], "posterior": "diagonal", "rate": 0.5},
    data=DataView(dataset="mnist", pixels="real", limit=1000),
    training=Training(
        batch_size=128,
        epochs=50,
        optimizer=Adam(name="adam", lr=0.001, betas=(0.9, 0.999), eps=1e-7),
    ),
    seed=3,
    paper="igp",
    version=1,
)
OTHER = replace(RUN, seed=4)
OPTIMIZER = RUN.training.optimizer

CHANGES = {
    "method": {"method": "igp.iwae"},
    "an argument": {"arguments": {**RUN.arguments, "posterior": "isotropic"}},
    "a number in a list": {"arguments": {**RUN.arguments, "hidden": [200, 201]}},
    "the order of a list": {"arguments": {**RUN.arguments, "hidden": [201, 200]}},
    "the last digit": {"arguments": {**RUN.arguments, "rate": 0.5 + 2**-52}},
    "a text for a number": {"arguments": {**RUN.arguments, "latent": "32"}},
    "true for 1": {"arguments": {**RUN.arguments, "latent": True}},
    "an argument more": {"arguments": {**RUN.arguments, "samples": 1}},
    "an argument less": {"arguments": {"latent": 32}},
    "an argument that is null": {"arguments": {**RUN.arguments, "samples": None}},
    "data set": {"data": RUN.data.model_copy(update={"dataset": "digits-28x28"})},
    "limit": {"data": RUN.data.model_copy(update={"limit": 1001})},
    "no limit": {"data": RUN.data.model_copy(update={"limit": None})},
    "held out": {"data": RUN.data.model_copy(update={"held_out": 100})},
    "pixels": {"data": RUN.data.model_copy(update={"pixels": None})},
    "epochs": {"training": RUN.training.model_copy(update={"epochs": 51})},
    "batch size": {"training": RUN.training.model_copy(update={"batch_size": 127})},
    "learning rate": {
        "training": RUN.training.model_copy(
            update={"optimizer": OPTIMIZER.model_copy(update={"lr": 0.002})}
        )
    },
    "eps": {
        "training": RUN.training.model_copy(
            update={"optimizer": OPTIMIZER.model_copy(update={"eps": 1e-8})}
        )
    },
    "seed": {"seed": 4},
    "paper": {"paper": "mae"},
    "version": {"version": 2},
    "an input": {"inputs": {"base": OTHER}},
    "another input": {"inputs": {"base": replace(OTHER, seed=5)}},
    "what an input was trained from": {"inputs": {"base": replace(OTHER, inputs={"base": RUN})}},
    "two inputs": {"inputs": {"base": OTHER, "judge": replace(OTHER, seed=5)}},
    "the two inputs exchanged": {"inputs": {"base": replace(OTHER, seed=5), "judge": OTHER}},
}

names = st.text(max_size=8)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), names
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
mappings = st.dictionaries(names, values, max_size=6)


def shuffled(value, random):
    """The same value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    return value


def with_floats(value):
    """The same value with every integer that a float can hold written as one."""
    if isinstance(value, dict):
        return {key: with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(with_floats(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@given(arguments=mappings, random=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_keys_and_the_spelling_of_numbers_do_not_matter(arguments, random):
    run = replace(RUN, arguments=arguments)
    assert replace(RUN, arguments=shuffled(arguments, random)).id == run.id
    assert replace(RUN, arguments=with_floats(arguments)).id == run.id


@given(left=mappings, right=mappings)
@settings(deadline=None)
def test_equal_ids_mean_equal_configurations(left, right):
    """Canonical JSON reads back as the value itself, so no two values share a spelling."""
    for value in (left, right):
        assert json.loads(canonical(value)) == value
    same = canonical(left) == canonical(right)
    assert (replace(RUN, arguments=left).id == replace(RUN, arguments=right).id) == same


def test_the_seed_of_a_random_change_is_seen():
    assert len({replace(RUN, seed=seed).id for seed in range(100)}) == 100


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_another_run(change):
    assert replace(RUN, **change).id != RUN.id


def test_no_two_changes_are_the_same_run():
    assert len({replace(RUN, **change).id for change in CHANGES.values()}) == len(CHANGES)


def test_unset_options_leave_no_trace():
    bare = replace(RUN, data=DataView(dataset="mnist"))
    assert bare.configuration["data"] == {"dataset": "mnist"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {1, 2}])
def test_what_has_no_spelling_has_no_identity(value):
    with pytest.raises((TypeError, ValueError)):
        canonical({"x": value})


def test_the_prefix_is_readable_and_safe_in_a_file_name():
    run = replace(RUN, method="mine.a/b c", arguments={})
    assert run.id.startswith("mine.a-b-c-mnist-seed3-")
    assert RUN.sentence == (
        "igp.vae(hidden=[200, 200], latent=32, posterior=diagonal, rate=0.5)/mnist/seed=3"
    )


def test_an_evaluation_is_its_name_and_parameters():
    assert Evaluation("probe").key == "probe"
    one = Evaluation("probe", {"epochs": 30, "lr": 0.1}).key
    assert one == Evaluation("probe", {"lr": 0.1, "epochs": 30.0}).key
    assert one != Evaluation("probe", {"epochs": 31, "lr": 0.1}).key
    assert one != Evaluation("prober", {"epochs": 30, "lr": 0.1}).key


IDS = """
import json, sys
from vaebench.registry.expansion import expand
from vaebench.registry.loading import every_table
from vaebench.registry.names import SCALES
ids = [sorted(expand(spec).runs) for scale in SCALES for spec in every_table(scale)]
print(json.dumps([ids, hash("a text") ]))
"""


def test_ids_are_the_same_in_every_process():
    here = [sorted(expand(spec).runs) for scale in SCALES for spec in every_table(scale)]
    assert any(here)
    hashes = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", IDS], env=environment, capture_output=True, check=True
        )
        there, hashed = json.loads(done.stdout)
        hashes.add(hashed)
        assert there == here
    assert len(hashes) == 2  # the two processes did order their sets differently


def test_ids_of_the_protocol_stay():
    """Records name their runs by id: if this fails, every stored result has lost its run. A change
    that moves numbers raises the paper's version; nothing else may change an id."""
    pinned = Run(
        method="igp.vae",
        arguments={"latent": 32, "hidden": [200, 200], "posterior": "isotropic"},
        data=DataView(dataset="mnist", pixels="real"),
        training=RUN.training,
        seed=0,
        paper="igp",
        version=1,
    )
    assert pinned.id == "igp.vae-mnist-seed0-2a85f8a57c6a"


def test_options_that_came_later_leave_no_trace_in_a_training():
    told = {"batch_size", "epochs", "optimizer"}
    assert set(RUN.configuration["training"]) == told
    later = {"average": 0.999, "monitor": "validation-negative-elbo", "monitor_draws": 5}
    changed = Training(**RUN.training.model_dump(exclude_none=True), **later)
    assert replace(RUN, training=changed).configuration["training"].keys() == told | later.keys()
    assert replace(RUN, training=changed).id != RUN.id


def test_the_training_of_every_stored_record_reads_back_as_it_was():
    records = [json.loads(path.read_bytes()) for path in sorted(RECORDS.glob("*.json"))]
    if not records:
        pytest.skip(f"no records in {RECORDS}")
    for told in (record["configuration"].get("training") for record in records):
        if told is not None:
            again = Training.model_validate(told).model_dump(exclude_none=True)
            assert canonical(again) == canonical(told)


def test_every_stored_record_has_the_id_of_its_configuration():
    records = [json.loads(path.read_bytes()) for path in sorted(RECORDS.glob("*.json"))]
    if not records:
        pytest.skip(f"no records in {RECORDS}")
    for record in records:
        assert record["id"].rpartition("-")[2] == digest(record["configuration"])


@given(value=values)
@settings(deadline=None)
def test_a_digest_has_the_length_asked_for(value):
    assert digest(value, 6) == digest(value, 20)[:6]
    assert len(digest(value, 6)) == 6
