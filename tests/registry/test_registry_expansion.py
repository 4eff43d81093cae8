"""From a spec to runs: what is laid over what, and what the command line picks and changes."""

import re

import pytest

from vaebench.errors import UserError
from vaebench.registry import loading
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.merging import merge
from vaebench.registry.selection import Selection
from vaebench.registry.spec import PaperSpec

LAYERS = ("profile", "table", "group", "row", "row's group")


def run_of(path, row="A", **selection):
    """The first run of a row."""
    expanded = expand(load_table(path), Selection(**selection))
    return next(m.runs[0] for m in expanded.measurements if m.key.row == row)


def test_merge_goes_mapping_by_mapping():
    base = {"a": {"x": 1, "y": {"p": 1}}, "b": [1, 2], "c": 1}
    over = {"a": {"y": {"q": 2}}, "b": [3], "c": {"z": 1}, "d": None}
    assert merge(base, over) == {
        "a": {"x": 1, "y": {"p": 1, "q": 2}},
        "b": [3],
        "c": {"z": 1},
        "d": None,
    }
    assert base == {"a": {"x": 1, "y": {"p": 1}}, "b": [1, 2], "c": 1}


def layered(tiny, monkeypatch, section, key, values):
    """The tiny spec with `key` of `section` set in each layer that `values` names."""
    profile = {section: {key: values["profile"]}} if "profile" in values else {}
    paper = PaperSpec(
        paper="igp", title="", reference="", version=1, profiles={"images": {"defaults": profile}}
    )
    monkeypatch.setattr(loading, "paper_spec", lambda name: paper)
    tiny["profile"] = "images"
    row = tiny["rows"]["A"]
    row["groups"] = {"G": {}}
    places = {
        "table": tiny["defaults"],
        "group": tiny["groups"]["G"],
        "row": row,
        "row's group": row["groups"]["G"],
    }
    for layer, value in values.items():
        if layer != "profile":
            places[layer].setdefault(section, {})[key] = value
    return tiny


@pytest.mark.parametrize("deepest", range(1, len(LAYERS) + 1))
@pytest.mark.parametrize(
    ("section", "key", "read"),
    [
        ("arguments", "strength", lambda run: run.arguments["strength"]),
        ("training", "epochs", lambda run: run.training.epochs),
        ("data", "limit", lambda run: run.data.limit),
    ],
)
def test_the_nearer_layer_wins(section, key, read, deepest, tiny, spec_file, monkeypatch):
    values = {layer: 10 + number for number, layer in enumerate(LAYERS[:deepest])}
    spec = layered(tiny, monkeypatch, section, key, values)
    if section == "training" and "table" not in values:
        del spec["defaults"]["training"]["epochs"]
    assert read(run_of(spec_file(spec))) == 10 + deepest - 1


def test_layers_are_merged_key_by_key(tiny, spec_file):
    tiny["rows"]["A"]["training"] = {"optimizer": {"lr": 0.5}}
    tiny["groups"]["G"]["training"] = {"optimizer": {"eps": 1e-7}}
    run = run_of(spec_file(tiny))
    assert (run.training.optimizer.lr, run.training.optimizer.eps) == (0.5, 1e-7)
    assert run.training.epochs == 4
    assert run.arguments == {"latent": 2, "hidden": [8], "posterior": "diagonal"}


@pytest.mark.parametrize("layer", ["table", "group", "row's group"])
def test_a_method_may_come_from_around_the_row(layer, tiny, spec_file):
    row = tiny["rows"]["A"]
    method = row.pop("method")
    row["groups"] = {"G": {}}
    places = {"table": "defaults", "group": "groups"}
    place = tiny[places[layer]] if layer in places else row["groups"]
    (place if layer == "table" else place["G"])["method"] = method
    assert run_of(spec_file(tiny)).method == "igp.vae"
    assert load_table(spec_file(tiny)).runnable


def test_a_cited_row_is_never_run(tiny, spec_file):
    tiny["rows"]["A"]["cited"] = True
    expanded = expand(load_table(spec_file(tiny)))
    assert {m.key.row for m in expanded.measurements} == {"B"}


def test_a_group_gives_its_evaluations_parameters(tiny, spec_file):
    tiny["evaluations"] = {"reconstruction": {"samples": 4, "seed": 3}}
    tiny["groups"]["G"]["evaluations"] = {"reconstruction": {"samples": 5, "split": "test"}}
    tiny["columns"]["Rec."]["parameters"] = {"split": "train"}
    (first, *_) = expand(load_table(spec_file(tiny))).measurements
    assert first.evaluation.parameters == {"samples": 5, "split": "train", "seed": 3}


def test_a_column_may_be_measured_otherwise_in_a_group(tiny, spec_file):
    change = {"evaluation": "active_units", "value": "au", "dialect": "au@test"}
    tiny["groups"]["H"] = {**tiny["groups"]["G"], "columns": {"Rec.": change}}
    spec = load_table(spec_file(tiny))
    found = {m.key.group: m for m in expand(spec).measurements}
    assert found["G"].evaluation.name == "reconstruction"
    assert found["H"].evaluation.name == "active_units"
    assert (found["H"].column.value, found["H"].column.unit) == ("au", "nats an image")
    assert {name: c.dialect for name, c in spec.told_columns().items()} == {
        "Rec.": "rec@test-one-sample",
        "Rec. (H)": "au@test",
    }


def test_of_a_column_that_every_group_changes_its_own_measure_is_not_told(tiny, spec_file):
    change = {"evaluation": "active_units", "value": "au", "dialect": "au@test"}
    tiny["groups"]["G"]["columns"] = {"Rec.": change}
    tiny["groups"]["H"] = {**tiny["groups"]["G"], "columns": {}}
    assert list(load_table(spec_file(tiny)).told_columns()) == ["Rec.", "Rec. (G)"]
    tiny["columns"]["Rec."]["groups"] = ["G"]
    assert list(load_table(spec_file(tiny)).told_columns()) == ["Rec. (G)"]


def test_a_group_that_a_column_names_must_be_there(tiny, spec_file):
    tiny["columns"]["Rec."]["groups"] = ["g"]
    told = r"yaml: columns\.Rec\.\.groups: no group is called 'g'; did you mean G\?"
    with pytest.raises(UserError, match=told):
        load_table(spec_file(tiny))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"Re": {}}, "groups.G.columns: no column is 'Re'; did you mean Rec."),
        ({"Rec.": {"evaluations": "x"}}, "groups.G.columns: unknown key 'evaluations'"),
    ],
)
def test_what_a_group_changes_is_a_column(tiny, spec_file, columns, told):
    tiny["groups"]["G"]["columns"] = columns
    with pytest.raises(UserError, match=re.escape(told)):
        load_table(spec_file(tiny))


def test_parameters_of_an_evaluator_without_a_column_are_refused(tiny, spec_file):
    tiny["evaluations"] = {"reconstructions": {"samples": 4}}
    with pytest.raises(UserError, match=r"yaml: evaluations: did you mean reconstruction\?"):
        load_table(spec_file(tiny))


def test_a_single_column_is_measured_on_the_first_seed(tiny, spec_file):
    tiny["columns"]["Rec."]["aggregation"] = "single"
    tiny["columns"]["Rec."]["also"] = "mean"
    single, mean, *_ = expand(load_table(spec_file(tiny))).measurements
    assert [run.seed for run in single.runs] == [0]
    assert single.wanted == 1 and not single.extra
    assert mean.key.column == "Rec. (mean)"
    assert [run.seed for run in mean.runs] == [0, 1]
    assert mean.wanted == 2 and mean.extra


def test_best_needs_its_criterion_too(tiny, spec_file):
    tiny["columns"]["Rec."]["aggregation"] = "best"
    tiny["select"] = {
        "evaluation": "likelihood",
        "value": "nll",
        "better": "lower",
        "says": "the lowest NLL",
    }
    (first, *_) = expand(load_table(spec_file(tiny))).measurements
    assert [e.name for e in first.evaluations] == ["reconstruction", "likelihood"]
    del tiny["select"]
    with pytest.raises(UserError, match="select"):
        load_table(spec_file(tiny))


def test_scales_are_laid_over_the_file(tiny, spec_file):
    tiny["scales"] = {
        "smoke": {
            "seeds": 1,
            "defaults": {"training": {"epochs": 2}},
            "rows": {"A": {"arguments": {"posterior": "isotropic"}}},
        }
    }
    path = spec_file(tiny)
    smoke = expand(load_table(path, "smoke"))
    assert {run.seed for run in smoke.runs.values()} == {0}
    assert {run.training.epochs for run in smoke.runs.values()} == {2}
    assert {run.training.batch_size for run in smoke.runs.values()} == {32}
    # With this change both rows are the same run, and it is there once.
    assert len(smoke.runs) == 1 and len(smoke.measurements) == 2
    assert len(expand(load_table(path)).runs) == 4
    assert len(expand(load_table(path, "small")).runs) == 4


class TestOnly:
    """`--only` picks rows and groups."""

    names = ("VAE", "VAE, DGP", "IWAE (k = 1)", "IWAE (k = 5)", "[A]", "MNIST")

    @pytest.mark.parametrize(
        ("patterns", "picked"),
        [
            (["VAE"], {"VAE"}),  # an exact name is only itself
            (["vae"], {"VAE"}),
            (["vae,"], {"VAE, DGP"}),
            (["WAE"], {"IWAE (k = 1)", "IWAE (k = 5)"}),
            (["VAE*"], {"VAE", "VAE, DGP"}),
            (["*k = ?)"], {"IWAE (k = 1)", "IWAE (k = 5)"}),
            (["*[5]*"], {"IWAE (k = 5)"}),
            (["[a]"], {"[A]"}),
            (["mnist"], {"MNIST"}),
            (["VAE", "MNIST"], {"VAE", "MNIST"}),
            ([], set()),
        ],
    )
    def test_patterns(self, patterns, picked):
        assert Selection(only=tuple(patterns)).picks(self.names) == picked

    @pytest.mark.parametrize("pattern", ["VEA, DGP", "*nothing", "IWAE (k = 6)"])
    def test_a_pattern_that_picks_nothing_is_told(self, pattern):
        with pytest.raises(UserError, match=r"--only .*unknown row or group") as caught:
            Selection(only=("VAE", pattern)).picks(self.names)
        assert repr(pattern) in str(caught.value)

    def test_runs(self, tiny, spec_file):
        spec = load_table(spec_file(tiny))
        assert {m.key.row for m in expand(spec, Selection(only=("a",))).measurements} == {"A"}
        assert len(expand(spec, Selection(only=("G",))).measurements) == 2
        crossing = expand(spec, Selection(only=("G", "b"))).measurements
        assert [(m.key.row, m.key.group) for m in crossing] == [("B", "G")]
        with pytest.raises(UserError, match="did you mean"):
            expand(spec, Selection(only=("AA",)))


class TestSeeds:
    """`--seeds` takes the first ones."""

    def test_fewer_seeds_are_the_first_ones(self, tiny, spec_file):
        spec = load_table(spec_file(tiny))
        one = expand(spec, Selection(seeds=1))
        assert {run.seed for run in one.runs.values()} == {0}
        assert one.runs.keys() < expand(spec).runs.keys()
        assert {m.wanted for m in one.measurements} == {2}

    @pytest.mark.parametrize("seeds", [0, -1, 3])
    def test_seeds_that_the_table_lacks_are_told(self, seeds, tiny, spec_file):
        with pytest.raises(UserError, match="tiny has seeds 1 to 2"):
            expand(load_table(spec_file(tiny)), Selection(seeds=seeds))


class TestChanges:
    """`--limit` and `--set` make other runs under a mark of their own."""

    def test_settings_reach_every_section(self, tiny, spec_file):
        settings = ("training.optimizer.lr=1e-4", "data.limit=50", "arguments.hidden=[4, 3]")
        run = run_of(spec_file(tiny), settings=settings)
        assert run.training.optimizer.lr == 1e-4
        assert run.data.limit == 50
        assert run.arguments["hidden"] == [4, 3]
        assert run.training.batch_size == 32

    def test_a_setting_skips_methods_without_the_argument(self, tiny, spec_file):
        tiny["rows"]["A"] = {"method": "igp.autoencoder"}
        changed = ("arguments.posterior=isotropic",)
        assert "posterior" not in run_of(spec_file(tiny), settings=changed).arguments

    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            ("epochs=2", "expected SECTION.KEY=VALUE"),
            ("training.epochs", "expected SECTION.KEY=VALUE"),
            ("training.=2", "expected SECTION.KEY=VALUE"),
            ("", "expected SECTION.KEY=VALUE"),
            ("trainin.epochs=2", "unknown section 'trainin'; did you mean training"),
            ("training.epoch=2", "unknown key 'epoch'; did you mean epochs"),
            ("training.optimizer.rate=2", "unknown key 'optimizer.rate'"),
            ("training.epochs=0", "epochs: Input should be greater"),
            ("training.epochs=two", "epochs: Input should be a valid integer"),
            ("training.epochs=2.5", "epochs: Input should be a valid integer"),
            ("training.epochs=", "epochs: Input should be a valid integer"),
            ("training.optimizer.lr=-1", "optimizer.lr: Input should be greater than 0"),
            ("training.optimizer=adam", "optimizer: Input should be"),
            ("training.epochs={a: ", "not valid YAML"),
            ("data.limits=20", "unknown key 'limits'; did you mean limit"),
            ("data.limit=5", "limit: Input should be greater"),
            ("arguments.posteriors=x", "unknown argument 'posteriors'; did you mean posterior"),
            ("arguments.latent=2020-01-02", "date has no place in an identity"),
            ("arguments.latent=.nan", "Out of range float"),
        ],
    )
    def test_a_wrong_setting_is_told(self, setting, told, tiny, spec_file):
        with pytest.raises(UserError) as caught:
            expand(load_table(spec_file(tiny)), Selection(settings=(setting,)))
        assert told in str(caught.value)

    def test_a_limit_is_a_view_of_the_data(self, tiny, spec_file):
        run = run_of(spec_file(tiny), limit=60)
        assert run.data.limit == 60
        assert run.id != run_of(spec_file(tiny)).id

    def test_a_limit_overrides_that_of_the_scale(self, tiny, spec_file):
        tiny["groups"]["G"]["data"]["limit"] = 500
        assert run_of(spec_file(tiny), limit=60).data.limit == 60

    def test_the_mark_names_the_changes_and_only_them(self):
        assert Selection().variant is None
        assert Selection(seeds=1, only=("A",)).variant is None
        assert Selection(limit=60).variant == "limit60"
        one, two = ("training.epochs=2", "data.limit=60")
        assert Selection(settings=(one, two)).variant == Selection(settings=(two, one)).variant
        assert Selection(settings=(one,)).variant != Selection(settings=(two,)).variant
        assert Selection(limit=60, settings=(one,)).variant.startswith("limit60-set-")


def test_a_column_may_see_another_view_of_the_data(tiny, spec_file):
    """An empty value takes a setting of the run's view away; the run itself stays what it is."""
    tiny["groups"]["G"]["data"] |= {"limit": 50, "held_out": 300}
    before = run_of(spec_file(tiny))
    column = tiny["columns"]["Rec."]
    tiny["columns"]["Whole"] = column | {"data": {"limit": None, "pixels": "real"}, "extra": True}
    found = expand(load_table(spec_file(tiny))).measurements
    whole = next(m for m in found if m.key.column == "Whole")
    own = next(m for m in found if m.key.column == "Rec.")
    assert whole.runs[0].id == own.runs[0].id == before.id
    assert own.evaluation.data is None and own.evaluation.key == "reconstruction"
    seen = {"dataset": "digits-28x28", "held_out": 300, "pixels": "real"}
    assert whole.evaluation.data.model_dump(exclude_none=True) == seen
    assert whole.evaluation.key != own.evaluation.key


def test_a_view_that_cannot_be_is_told_by_its_column(tiny, spec_file):
    tiny["columns"]["Rec."]["data"] = {"pixel": "real"}
    with pytest.raises(UserError, match=r"columns\.Rec\.: data: unknown key 'pixel'"):
        expand(load_table(spec_file(tiny)))


def test_an_empty_argument_takes_away_what_was_said_before(tiny, spec_file):
    tiny["defaults"]["arguments"]["samples"] = 3
    tiny["rows"]["A"]["arguments"]["samples"] = None
    path = spec_file(tiny)
    assert "samples" not in run_of(path).arguments and run_of(path, "B").arguments["samples"] == 3


def test_what_has_another_name_takes_nothing_over():
    """Such as another schedule; the same one is changed, and so is one that is not named again."""
    fall = {"name": "fall", "factor": 0.5, "earliest": 3}
    steps = {"name": "steps", "every": 4}
    assert merge({"schedule": fall}, {"schedule": steps}) == {"schedule": steps}
    same = {"name": "fall", "factor": 0.1}
    assert merge({"schedule": fall}, {"schedule": same})["schedule"] == fall | {"factor": 0.1}
    assert merge({"schedule": fall}, {"schedule": {"factor": 0.2}})["schedule"]["earliest"] == 3
    named = merge({"schedule": {"factor": 0.5}}, {"schedule": fall})
    assert named["schedule"] == fall
    assert merge({"schedule": fall}, {"schedule": None}) == {"schedule": None}


def test_a_row_may_have_another_schedule_and_another_optimizer(tiny, spec_file):
    schedule = {"name": "plateau", "factor": 0.5, "patience": 2, "threshold": 0.1}
    tiny["defaults"]["training"] |= {"monitor": "validation-loss", "schedule": schedule}
    tiny["defaults"]["data"] = {"held_out": 100}
    own = {"name": "steps", "factor": 0.2, "every": 3}
    tiny["rows"]["A"]["training"] = {"schedule": own, "optimizer": {"name": "sgd", "lr": 0.3}}
    path = spec_file(tiny)
    assert run_of(path).training.schedule.model_dump() == own
    assert run_of(path).training.optimizer.model_dump() == {"name": "sgd", "lr": 0.3}
    assert run_of(path, "B").training.schedule.model_dump() == schedule


def profiled(tiny, monkeypatch, profiles, named):
    paper = PaperSpec(paper="igp", title="", reference="", version=1, profiles=profiles)
    monkeypatch.setattr(loading, "paper_spec", lambda name: paper)
    return tiny | {"profile": named}


@pytest.mark.parametrize(("named", "found"), [(["one", "two"], 12), (["two", "one"], 11)])
def test_of_several_profiles_the_last_counts_and_the_file_above_all(
    named, found, tiny, spec_file, monkeypatch
):
    one = {"seeds": 3, "defaults": {"arguments": {"strength": 11, "first": 1, "latent": 9}}}
    two = {"defaults": {"arguments": {"strength": 12, "second": 2}}}
    spec = profiled(tiny, monkeypatch, {"one": one, "two": two}, named)
    arguments = run_of(spec_file(spec)).arguments
    assert (arguments["strength"], arguments["first"], arguments["second"]) == (found, 1, 2)
    assert arguments["latent"] == 2 and load_table(spec_file(spec)).seeds == 2


def test_assumptions_of_profiles_add_up_and_none_is_told_twice(tiny, spec_file, monkeypatch):
    profiles = {
        "one": {"assumptions": ["a", "b"]},
        "two": {"assumptions": ["b", "c"]},
        "none": {"defaults": {}},
    }
    spec = profiled(tiny, monkeypatch, profiles, ["one", "none", "two"])
    assert load_table(spec_file(spec)).assumptions == ("a", "b", "c")
    spec["assumptions"] = ["d", "a"]
    assert load_table(spec_file(spec)).assumptions == ("a", "b", "c", "d")
    assert load_table(spec_file(spec | {"profile": "two"})).assumptions == ("b", "c", "d", "a")
    spec["profile"] = ["one", "three"]
    with pytest.raises(UserError, match="profile: unknown profile 'three'"):
        load_table(spec_file(spec))


def test_a_scale_of_a_profile_lies_under_that_of_the_file(tiny, spec_file, monkeypatch):
    one = {"scales": {"small": {"seeds": 1, "defaults": {"training": {"epochs": 3}}}}}
    two = {"scales": {"small": {"defaults": {"training": {"epochs": 2, "batch_size": 7}}}}}
    spec = profiled(tiny, monkeypatch, {"one": one, "two": two}, ["one", "two"])
    spec["scales"] = {"small": {"defaults": {"training": {"batch_size": 5}}}}
    small = expand(load_table(spec_file(spec), "small"))
    assert small.spec.seeds == 1
    assert {(r.training.epochs, r.training.batch_size) for r in small.runs.values()} == {(2, 5)}
    assert run_of(spec_file(spec)).training.epochs == 4


def test_what_profiles_reduce_adds_up_unless_the_file_says_it(tiny, spec_file, monkeypatch):
    profiles = {
        "one": {"scales": {"small": {"reduced": "2 epochs"}, "smoke": {"reduced": "1 epoch"}}},
        "two": {"scales": {"small": {"reduced": "100 images"}}},
        "same": {"scales": {"small": {"reduced": "2 epochs"}}},
        "none": {"defaults": {}},
    }
    spec = profiled(tiny, monkeypatch, profiles, ["one", "none", "two", "same"])
    assert load_table(spec_file(spec), "small").reduced == "2 epochs; 100 images"
    assert load_table(spec_file(spec), "smoke").reduced == "1 epoch"
    assert load_table(spec_file(spec)).reduced is None
    spec["scales"] = {"small": {"reduced": "all of it"}}
    assert load_table(spec_file(spec), "small").reduced == "all of it"
    assert load_table(spec_file(spec), "smoke").reduced == "1 epoch"
