"""Runs on a GPU: the numbers of a CPU up to rounding, one device a worker, resumed bit for bit."""

import pytest
import torch
from commands import finish, start, wait_until
from fixtures import LATENT_CASES, METHOD_CASES, build, data_for, training

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.selection import Selection
from vaebench.store.store import Store
from vaebench.training.loop import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
]

COMMAND = ["run", "igp-table12", "--scale", "smoke", "--seeds", "1", "--only", "VAE, *"]


@pytest.mark.parametrize("case", LATENT_CASES, ids=str)
def test_a_deterministic_loss_is_that_of_the_cpu(case):
    """Losses on the posterior mean: the draws of two devices differ, their arithmetic must not."""
    data, losses = data_for(case), []
    for device in ("cpu", "cuda"):
        model = build(case, data).model.to(device).eval()
        x = data.train.to(device).take(torch.arange(20, device=device)).x
        with torch.no_grad():
            z = model.infer(x).mean.unsqueeze(0)
            losses.append(model.decoder.log_prob(x, z).cpu())
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("case", METHOD_CASES, ids=str)
def test_training_resumes_bit_for_bit(case, tmp_path):
    data, weights = data_for(case), []
    for name, stops in (("straight", (3,)), ("stopped", (1, 2, 3))):
        for epochs in stops:
            torch.manual_seed(7)
            recipe = build(case, data, 7)
            train(
                recipe,
                data.to("cuda"),
                training(epochs),
                seed=7,
                device=torch.device("cuda"),
                checkpoint=tmp_path / f"{name}.pt",
            )
        weights.append(recipe.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_killed_run_on_a_numbered_gpu_ends_in_the_same_cells(tmp_path):
    runs = expand(
        load_table("igp-table12", "smoke"), Selection(seeds=1, only=("VAE, *",))
    ).runs.values()
    whole, killed = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    line = [*COMMAND, "--gpus", "0", "--set", "training.epochs=30", "--results-dir"]
    assert finish(start(*line, "whole", cwd=tmp_path))[0] == 0
    process = start(*line, "killed", cwd=tmp_path)
    assert wait_until(lambda: any((killed.root / "runs").glob("*/history.csv")), process)
    process.kill()
    process.communicate()
    assert finish(start(*line, "killed", cwd=tmp_path))[0] == 0
    assert len(runs) == 2
    records = [sorted(store.records(), key=lambda r: r["id"]) for store in (whole, killed)]
    assert len(records[0]) == 2
    for one, other in zip(*records, strict=True):
        assert one["provenance"]["gpu"] and one["provenance"]["numerics"]["device"] == "cuda"
        assert (one["history"], one["evaluations"]) == (other["history"], other["evaluations"])
