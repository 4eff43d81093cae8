"""The statistics of the throughput suite; nothing here is timed."""

import importlib
from pathlib import Path

import pytest


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(
        str(Path(__file__).resolve().parents[1] / "benchmarks" / "throughput")
    )
    return importlib.import_module("timing")


def test_every_side_is_first_in_its_turn(timing):
    log = []

    def side(name):
        return timing.Side(name, lambda: log.append(f"enter {name}"), lambda: log.append(name), 0)

    turns = timing.interleave([side("a"), side("b")], rounds=2)
    first, second = ["enter a", "a", "a"], ["enter b", "b", "b"]
    assert log == [*first, *second, *first, *second, *second, *first]  # the warm-up, then two
    assert {name: len(of_side) for name, of_side in turns.items()} == {"a": 2, "b": 2}
    assert all(turn.seconds >= 0 and turn.faults >= 0 for turn in turns["a"])


def test_ratios_are_of_one_round_and_the_spread_is_theirs(timing):
    slow = [timing.Turn(seconds, 2 * seconds, 0) for seconds in (6.0, 8.0, 30.0)]
    fast = [timing.Turn(seconds, seconds, 0) for seconds in (2.0, 4.0, 10.0)]
    assert timing.ratios(slow, fast) == [3.0, 2.0, 3.0]
    assert timing.cpu_ratios(slow, fast) == [6.0, 4.0, 6.0]
    assert timing.spread([3.0, 2.0, 4.0]) == timing.Spread(3.0, 2.0, 4.0, 3)
    with pytest.raises(ValueError):
        timing.ratios(slow, fast[:2])
