"""Records, histories and the start of a run."""

import json
import os

import pytest

from vaebench.errors import UserError
from vaebench.registry.runs import Adam, DataView, Evaluation, Run, Training
from vaebench.store.store import Store

REC = Evaluation("reconstruction")
CPU = {"device": "cpu", "threads": 1, "matmul": "default", "precision": "float32"}
GPU = {"device": "cuda", "threads": 1, "matmul": "default", "precision": "float32"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def run():
    return Run(
        method="igp.vae",
        arguments={"latent": 2},
        data=DataView(dataset="digits-28x28"),
        training=Training(batch_size=8, epochs=3, optimizer=Adam(name="adam", lr=0.01)),
        seed=0,
        paper="igp",
        version=1,
    )


def plain(run):
    """The configuration as it reads back from JSON."""
    return json.loads(json.dumps(run.configuration))


def record_of(run, status="done", evaluations=None):
    return {
        "id": run.id,
        "status": status,
        "reason": None,
        "configuration": plain(run),
        "evaluations": evaluations or {},
    }


def test_a_record_reads_back(store, run):
    assert store.record(run.id) is None
    record = record_of(run, evaluations={"é": {"values": {"x": 1.5, "none": None}}})
    store.write_record(record)
    assert store.record(run.id) == record
    assert list(store.records()) == [record]


def test_records_come_in_the_order_of_their_ids(store, run):
    for name in ("b", "a", "c"):
        store.write_record(record_of(run) | {"id": name})
    assert [record["id"] for record in store.records()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"status": "done"}', b"\xff\xfe\x00", b"7"],
)
def test_a_damaged_record_is_named(content, store, run):
    path = store.root / "records" / f"{run.id}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged") as caught:
        store.record(run.id)
    assert str(path) in str(caught.value)
    with pytest.raises(UserError, match="damaged"):
        list(store.records())


def test_an_unreadable_record_is_named(store, run):
    path = store.root / "records" / f"{run.id}.json"
    path.mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be read") as caught:
        store.record(run.id)
    assert str(path) in str(caught.value)


def test_a_half_written_record_is_no_record(store, run):
    store.write_record(record_of(run))
    (store.root / "records" / f".{run.id}.json.ab12cd").write_text("{")
    assert [record["id"] for record in store.records()] == [run.id]


def test_what_needs_no_evaluation(store, run):
    assert not store.has_values(run, REC)
    store.write_record(record_of(run))
    assert not store.has_values(run, REC)
    store.write_record(record_of(run, evaluations={REC.key: {"values": {"rec": 1.0}}}))
    assert store.has_values(run, REC)
    assert not store.has_values(run, Evaluation("reconstruction", {"samples": 2}))
    store.write_record(record_of(run, "diverged"))
    assert store.has_values(run, REC)


def test_a_first_start_notes_its_configuration_and_numerics(store, run):
    assert store.start(run, CPU) == CPU
    noted = json.loads((store.run_dir(run.id) / "run.json").read_text())
    assert noted == {"id": run.id, "configuration": plain(run), "numerics": CPU}


def test_a_run_goes_on_with_the_numerics_of_its_first_start(store, run):
    store.start(run, CPU)
    store.checkpoint(run.id).write_bytes(b"")
    assert store.start(run, GPU) == CPU
    assert store.start(run, GPU) == CPU


def test_a_run_without_a_checkpoint_starts_anew(store, run):
    store.start(run, CPU)
    assert store.start(run, GPU) == GPU
    store.checkpoint(run.id).write_bytes(b"")
    assert store.start(run, CPU) == GPU


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_start_is_named(content, store, run):
    store.start(run, CPU)
    store.checkpoint(run.id).write_bytes(b"")
    path = store.run_dir(run.id) / "run.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged") as caught:
        store.start(run, CPU)
    assert str(path) in str(caught.value)


def history(store, run):
    return (store.run_dir(run.id) / "history.csv").read_text().splitlines()


def test_history_has_one_line_an_epoch(store, run):
    assert store.epochs_done(run.id) == 0
    for epoch in (1, 2):
        store.add_epoch(run.id, epoch, {"loss": 1 / 3 * epoch, "kl": 2.0})
    assert history(store, run) == ["epoch,loss,kl", "1,0.333333,2", "2,0.666667,2"]
    assert store.epochs_done(run.id) == 2


@pytest.mark.parametrize("resumed", [1, 2, 3, 4])
def test_history_rewinds_to_where_the_run_goes_on(resumed, store, run):
    """A kill between history and checkpoint leaves an epoch that is trained once more."""
    for epoch in (1, 2, 3):
        store.add_epoch(run.id, epoch, {"loss": float(epoch)})
    store.add_epoch(run.id, resumed, {"loss": 9.0})
    kept = [f"{epoch},{epoch}" for epoch in range(1, resumed)]
    assert history(store, run) == ["epoch,loss", *kept, f"{resumed},9"]
    assert store.epochs_done(run.id) == resumed


def test_a_failure_is_kept_until_it_is_cleared(store, run):
    assert store.failure(run.id) is None
    store.clear_failure(run.id)
    store.write_failure(run.id, "it broke", "Traceback …")
    assert store.failure(run.id) == {"message": "it broke", "traceback": "Traceback …"}
    store.clear_failure(run.id)
    assert store.failure(run.id) is None


def test_a_folder_that_can_be_written_is_left_as_it_was(store):
    store.prepare()
    assert list(store.root.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_with_the_mend(store, monkeypatch):
    store.root.mkdir()
    if os.geteuid() == 0:  # root writes everywhere, so the refusal is made here

        def refuse(*arguments, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(store.root), "open", refuse)
    else:
        store.root.chmod(0o555)
    with pytest.raises(UserError, match="--results-dir") as caught:
        store.prepare()
    assert str(store.root) in str(caught.value)
    assert "Permission denied" in str(caught.value)


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="--results-dir"):
        Store(tmp_path / "results").prepare()
