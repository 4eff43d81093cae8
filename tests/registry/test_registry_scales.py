"""What a reduced scale says is what its runs do."""

from collections import Counter

import pytest

from vaebench.registry import loading
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.names import PAPERS, SCALES, table_paths
from vaebench.registry.yaml import read_file

PARTS = ("data", "arguments", "training")


def leaves(tree, path=()):
    if not isinstance(tree, dict):
        yield path, tree
        return
    for name, value in tree.items():
        yield from leaves(value, (*path, name))


def at(tree, path):
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def places(overlay, measurements):
    """Each part of an overlay with the runs that it speaks of."""
    yield "defaults", overlay.get("defaults", {}), measurements
    for kind in ("groups", "rows"):
        for name, part in overlay.get(kind, {}).items():
            own = [one for one in measurements if getattr(one.key, kind[:-1]) == name]
            yield f"{kind}.{name}", part, own


@pytest.mark.parametrize("scale", [scale for scale in SCALES if scale != "paper"])
@pytest.mark.parametrize("paper", PAPERS)
def test_no_change_is_hidden_by_what_lies_over_it(paper, scale):
    """Every value has effect in a run of some table of the paper: a group or row with a value of
    its own, for instance, hides what a scale says of all."""
    effects = Counter()
    for name, path in table_paths().items():
        if path.parent.name != paper:
            continue
        overlay = loading._with_profile(read_file(path), name).get("scales", {}).get(scale, {})
        measurements = expand(load_table(name, scale)).measurements
        for where, part, own in places(overlay, measurements):
            told = [run.configuration for one in own for run in one.runs]
            for leaf, value in leaves({key: part.get(key, {}) for key in PARTS}):
                effects[where, leaf, repr(value)] += sum(at(run, leaf) == value for run in told)
    assert effects
    assert [place for place, count in effects.items() if count == 0] == []
