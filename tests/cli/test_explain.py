"""`vaebench explain`: what it prints of a cell."""

import shlex
from pathlib import Path

import pytest
from commands import invoke
from specs import tiny_spec, write_spec

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.runs import Evaluation
from vaebench.store.store import Store, plain

RECORDS = Path(__file__).resolve().parents[2] / "results"


def ok(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A table of a user's own, one of two seeds finished, in the current folder."""
    monkeypatch.chdir(tmp_path)
    spec = tiny_spec(assumptions=["We assume."], misprints=["They misprint."])
    write_spec(tmp_path, spec)
    runs = list(expand(load_table("mine.yaml")).runs.values())
    provenance = {
        "commit": "0123456789abcdef",
        "modified": True,
        "vaebench": "0.1.0",
        "torch": "2.9.0",
        "cpu": "some processor",
        "data_sha256": "ab" * 32,
        "finished": "2026-01-02T03:04:05+00:00",
        "training_seconds": 61.2,
        "evaluation_seconds": 2.0,
        "numerics": {"device": "cpu", "threads": 1, "matmul": "onednn", "precision": "float32"},
    }
    record = {
        "id": runs[0].id,
        "status": "done",
        "reason": None,
        "configuration": plain(runs[0].configuration),
        "provenance": provenance,
        "history": {"loss": [4.0, 3.0, 2.5, 2.0]},
        "evaluations": {Evaluation("reconstruction").key: {"values": {"rec": 5.25}}},
    }
    Store(tmp_path / "results").write_record(record)
    return runs


def test_a_measured_cell_is_told_from_print_to_command(mine):
    done, waiting = mine[:2]
    paper = (
        "The Neglected Sibling: Isotropic Gaussian Posterior for VAE. "
        "Lan Zhang, Wray Buntine, Ehsan Shareghi (2021), arXiv:2110.07383"
    )
    assert ok("explain", "mine.yaml", "a", "rec").splitlines() == [
        "tiny: A · G · Rec.",
        "A table for tests.",
        "",
        "paper      prints no such number",
        f"           {paper}",
        "ours       5.25 nats an image, mean of 2 seeds with population deviation, "
        "1 of them so far",
        "           paper scale",
        "           rec@test-one-sample: rec of reconstruction",
        "",
        "  seed    value           loss    made        run",
        f"     0     5.25           4 → 2   2026-01-02  {done.id}",
        f"     1        –  not run                      {waiting.id}",
        "",
        "records    results/records/<run>.json",
        "method     igp.vae(latent=2, hidden=[8], posterior=diagonal)",
        "data       digits-28x28 (stand-in), scikit-learn's 8x8 digits, enlarged to 28x28, "
        f"sha256 {'ab' * 32}",
        "training   4 epochs, batch size 32, adam (lr 0.001, betas 0.9 and 0.999, eps 1e-08)",
        "protocol   igp 1, mine.yaml",
        "code       commit 0123456789abcdef, with changes that are not committed",
        "versions   vaebench 0.1.0, torch 2.9.0",
        "machine    some processor, device cpu, threads 1, matmul onednn, precision float32",
        "made       2026-01-02T03:04:05+00:00",
        "time       training 61 s, evaluation 2 s a run",
        "curve      █▅▃▁ seed 0, loss of 4 epochs",
        "Assumption: We assume.",
        "Misprint: They misprint.",
        "to measure what is missing: vaebench run mine.yaml --only A",
        "to make it again, in a new folder: vaebench run mine.yaml --only A --results-dir again",
    ]


def test_a_deviation_that_the_evaluation_found_is_told(mine, tmp_path):
    spec = tiny_spec()
    spec["columns"]["Rec."] |= {"aggregation": "single", "deviation": "kl"}
    write_spec(tmp_path, spec)
    store = Store(tmp_path / "results")
    record = store.record(mine[0].id)
    record["evaluations"][Evaluation("reconstruction").key]["values"]["kl"] = 0.125
    store.write_record(record)
    told = ok("explain", "mine.yaml", "a", "rec")
    assert "ours       5.25 ± 0.125 nats an image, the first seed with its kl\n" in told
    assert "(nats an image, the first seed with its kl)" in ok("explain", "mine.yaml", "b", "rec")


def test_the_command_that_is_printed_runs_the_row(tmp_path):
    text = ok("explain", "igp-table12", "VAE, DGP", "Rec.", "--results-dir", RECORDS)
    (line,) = (line for line in text.splitlines() if line.startswith("to make it again"))
    command = line.partition(": ")[2]
    assert command == "vaebench run igp-table12 --only 'VAE, DGP' --results-dir again"
    words = shlex.split(command)[1:-1]
    plan = invoke(*words, tmp_path / "again", "--dry-run").stdout.splitlines()
    assert plan[0] == "5 runs, 0 of them finished"
    assert "posterior=diagonal)/mnist, seeds 0, 1, 2, 3, 4:" in plan[1]
    assert len(plan) == 3
    for part in (
        "paper      78.64\n           best of 5 runs\n",
        "ours       79.016677 nats an image, best of 5 seeds\n",
        "(negative_elbo of reconstruction, lower)",
        "  picked  205.564 → 100.558  2026-11-21  igp.vae-mnist-seed3-812d38b3b74e\n",
        "sha256 57cdc2f72499d301d1a6708e6d05bdab9f9c0a1b6184c770679c46c563300aa8\n",
        "AMD EPYC, device cpu, threads 1, matmul onednn, precision float32\n",
        "Assumption: Pixels are real values",
        "(1 more on other columns: `vaebench show igp-table12`)\n",
    ):
        assert part in text
    assert "Assumption: CLF" not in text


def test_without_records_it_says_how_to_measure(tmp_path):
    text = ok("explain", "igp-table12", "AE", "KL", "--results-dir", tmp_path / "my results")
    assert "ours       not measured yet (nats an image, best of 5 seeds)\n" in text
    assert text.count("not run") == 5
    assert text.endswith(
        "to measure what is missing: vaebench run igp-table12 --only AE "
        f"--results-dir '{tmp_path / 'my results'}'\n"
    )
    assert "again" not in text and "records  " not in text
    assert list(tmp_path.iterdir()) == []


def test_changed_runs_are_named_with_their_command(tmp_path):
    line = ["explain", "igp-table12", "AE", "AU", "--scale", "smoke", "--limit", "100"]
    text = ok(*line, "--set", "training.epochs=2", "--results-dir", tmp_path)
    assert "changed runs (--limit 100 --set training.epochs=2)" in text
    assert "smoke scale, reduced, so not comparable with the paper: " in text
    options = "--scale smoke --only AE --limit 100 --set training.epochs=2"
    assert f"vaebench run igp-table12 {options}" in text


def test_a_cell_that_exists_in_print_only(tmp_path):
    text = ok("explain", "mae-table3", "pixelcnn++", "BITS/DIM", "--results-dir", tmp_path)
    assert text.startswith("mae-table3: PixelCNN++ (Salimans et al., 2017) · CIFAR-10 · bits/dim\n")
    assert "paper      2.92\n" in text
    assert (
        "ours       not measured: the paper quotes this row from elsewhere; it is never run\n"
        in text
    )
    assert "vaebench run" not in text


def test_a_dash_of_print_is_a_dash(tmp_path):
    text = ok("explain", "igp-table12", "AE", "KL", "--results-dir", RECORDS)
    assert "paper      –\n           dash in the paper (not applicable)\n" in text
    assert "ours       not applicable (nats an image, best of 5 seeds)\n" in text


def test_of_smoke_runs_every_fact_is_there(finished):
    text = ok("explain", "igp-table12", "VAE, IGP", "CLF", "--scale", "smoke", "--results-dir",
              finished)  # fmt: skip
    for word in ("picked", "digits-28x28 (stand-in)", "sha256 ", "torch ", "threads ", "training "):
        assert word in text
