"""Where workers run: which device each sees, and what a wrong one is answered with."""

import pytest
from benches import Bench, name_plugins
from commands import invoke
from specs import column, tiny_spec

from vaebench.cli.crew import Crew
from vaebench.errors import UserError
from vaebench.execution import local, slots, workers
from vaebench.execution.slots import Slot, cpu_slots, gpu_slots

TWO = ["H200", "L4"]


def seen(slots):
    return [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots]


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("VAEBENCH_JOBS")


@pytest.mark.parametrize(
    ("visible", "gpus", "jobs", "expected"),
    [
        (None, (0, 1), None, ["0", "1"]),
        (None, (1,), None, ["1"]),
        (None, (1, 0, 1), None, ["1", "0"]),  # named twice is one GPU
        (None, (0, 1), 5, ["0", "1", "0", "1", "0"]),
        (None, (0, 1), 1, ["0"]),
        ("4,7", (0, 1), None, ["4", "7"]),
        ("4, 7", (1,), None, ["7"]),
        ("GPU-8932f937,GPU-5d1f8c60", (1,), 2, ["GPU-5d1f8c60"] * 2),
    ],
)
def test_a_worker_sees_its_own_gpu_alone(visible, gpus, jobs, expected, monkeypatch):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert seen(gpu_slots(gpus, jobs, TWO)) == expected


@pytest.mark.parametrize(
    ("gpus", "devices", "told"),
    [
        ((3,), TWO, "--gpus 3: there is no such device; here are 0 (H200), 1 (L4)"),
        ((0, -1), TWO, "--gpus -1: there is no such device; here are 0 (H200), 1 (L4)"),
        ((0,), [], "--gpus 0: there is no such device; no GPU is here: leave --gpus out"),
    ],
)
def test_a_gpu_that_is_not_there_is_told_with_those_that_are(gpus, devices, told):
    with pytest.raises(UserError) as caught:
        gpu_slots(gpus, None, devices)
    assert str(caught.value) == told


def test_cpu_workers_start_with_one_thread():
    assert cpu_slots(3) == [Slot({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})] * 3


@pytest.mark.parametrize(
    ("crew", "runs", "device", "count"),
    [
        (Crew(), 9, "cpu", 6),
        (Crew(jobs=4), 9, "cpu", 4),
        (Crew(jobs=4), 2, "cpu", 2),
        (Crew(jobs=1), 9, "cpu", None),
        (Crew(), 1, "cpu", None),
        (Crew(), 0, "cpu", None),
        (Crew(), 9, "cuda", None),
        (Crew(jobs=3), 9, "cuda", 3),
        (Crew(gpus=(1,)), 9, "cuda", 1),
        (Crew(gpus=(0, 1), jobs=4), 9, "cuda", 4),
        (Crew(gpus=(0, 1)), 0, "cuda", 0),
    ],
)
def test_the_backend_fits_the_crew_and_the_work(crew, runs, device, count, monkeypatch):
    """`count` workers, or None where one run at a time goes in this process."""
    monkeypatch.setattr(slots, "cores", lambda: 6)
    monkeypatch.setattr(slots, "gpu_names", lambda: TWO)
    backend = crew.backend(runs, device)
    if count is None:
        assert backend is local.run_plan
    else:
        assert backend.func is workers.run_plan and len(backend.keywords["slots"]) == count


@pytest.mark.parametrize(
    ("options", "devices", "told"),
    [
        ("--gpus 3", TWO, "--gpus 3: there is no such device; here are 0 (H200), 1 (L4)"),
        ("--gpus 3", [], "--gpus 3: there is no such device; no GPU is here: leave --gpus out"),
        ("--gpus x", TWO, "--gpus x: expected numbers such as 0,1"),
        ("--gpus 0,", TWO, "--gpus 0,: expected numbers such as 0,1"),
        ("--gpus 0 --device cpu", TWO, "--gpus and --device cpu exclude each other"),
        ("--device cuda", [], "--device cuda: no CUDA device here; use --device cpu"),
        ("--device cuda:1", [], "--device cuda:1: no CUDA device here; use --device cpu"),
        ("--device tpu", [], "--device tpu: expected cpu or cuda"),
        ("--device mps --jobs 2", TWO, "--device mps: expected cpu or cuda"),
    ],
)
def test_a_wrong_device_is_told_before_anything_runs(options, devices, told, tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "gpu_names", lambda: devices)
    monkeypatch.setattr("torch.cuda.is_available", lambda: bool(devices))
    command = ["run", "igp-table12", "--scale", "smoke", "--results-dir", tmp_path / "results"]
    result = invoke(*command, *options.split(" "))
    assert (result.exit_code, result.stderr) == (2, f"vaebench: {told}\n")
    assert not (tmp_path / "results" / "runs").exists()


def test_two_workers_on_two_gpus_share_none(tmp_path, monkeypatch):
    """Really: each tells the devices that it sees. The numerics are the CPU's, and no CUDA is asked
    for a device of these numbers."""
    name_plugins(monkeypatch, "misbehaving")
    monkeypatch.setenv("NOTES", str(tmp_path))
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 60
    spec["columns"]["X"] = column("place", "x")
    bench = Bench(tmp_path, spec)
    outcome, log = bench.run(workers.run_plan, slots=gpu_slots((0, 1), None, TWO))
    assert outcome.counts == {"done": 4} and log.of("again") == []
    places = {}
    for run in bench.runs():
        (values,) = [
            entry["values"]
            for entry in bench.store.record(run.id)["evaluations"].values()
            if entry["name"] == "place"
        ]
        places.setdefault(values["pid"], set()).add(values["sees"])
    assert all(len(devices) == 1 for devices in places.values())
    assert sorted(device for (device,) in places.values()) == ["0", "1"]
