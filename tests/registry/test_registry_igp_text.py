"""IGP's text tables: which trainings they share, and what stands for what."""

from collections import Counter
from functools import cache

import pytest

from vaebench.execution.plan import make_plan, step_count
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import SCALES

TABLES = (2, 3, 4, 7, 8, 9, 10, 11)
SETS = ("cbt", "dbpedia", "yahoo-questions", "snli")
VAE, AE, UNTIED = "igp_text.vae", "igp_text.autoencoder", "igp_text.untied"
READER, CLASSIFIER = "judges.language_model", "judges.sentence_classifier"
SAMPLED = "judges.sampled_language_model"


@cache
def table(number, scale="paper"):
    return expand(load_table(f"igp-table{number}", scale))


@cache
def runs_of(number):
    """All runs, inputs too, by id."""
    return {work.run.id: work.run for work in make_plan([table(number)]).work.values()}


def rows_of(number, *rows, scale="paper"):
    """The ids of what is trained for some rows, and not by runs that are no rows."""
    found = table(number, scale).measurements
    return {run.id for m in found if m.key.row in rows for run in m.runs if run.method != SAMPLED}


def cell(number, row, group, column, scale="paper"):
    (found,) = (
        m for m in table(number, scale).measurements if tuple(m.key) == (row, group, column)
    )
    return found


def counted(runs):
    return Counter((run.method, run.data.dataset) for run in runs.values())


MODELS = ("AE", *(f"C = {c}, {q}" for c in (5, 15, 50) for q in ("DGP", "IGP")))


def test_the_trainings_of_all_tables_are_those_of_the_protocol():
    """Section 1.1's A to E and G to I, with the hybrid's controls; one judge a data set."""
    every = {run_id: run for number in TABLES for run_id, run in runs_of(number).items()}
    labelled = SETS[1:3]
    expected = Counter({(AE, name): 3 for name in SETS[:3]})  # A
    expected += {(VAE, name): 2 * 3 * 3 for name in SETS}  # B
    expected += {(VAE, "snli"): 3 * 2 * 3}  # C
    expected += {(VAE, name): 2 * 2 * 3 for name in ("cbt", "snli")}  # D
    expected += {(VAE, "snli"): 3 + 2 * 3, (UNTIED, "snli"): 3}  # E
    expected += {(READER, name): 1 for name in SETS[:3]}  # G
    expected += {(SAMPLED, name): 7 * 3 for name in SETS[:3]}  # H
    expected += {(CLASSIFIER, name): 1 for name in labelled}  # I
    assert counted(every) == expected
    assert len(runs_of(9)) == 9 + 72


@pytest.mark.parametrize("scale", SCALES)
def test_models_of_tables_3_4_8_and_11_are_those_of_table_9(scale):
    for number in (3, 4, 11):
        for row in MODELS:
            found = rows_of(number, row, scale=scale)
            assert found and found <= rows_of(9, row, scale=scale)
    for posterior in ("DGP", "IGP"):
        found = rows_of(8, posterior, scale=scale)
        assert found and found < rows_of(9, f"C = 15, {posterior}", scale=scale)
    assert len(rows_of(8, "DGP", "IGP")) == 18


@pytest.mark.parametrize("scale", SCALES)
def test_models_of_tables_7_and_10_are_those_of_table_9_with_a_target_of_5(scale):
    for posterior in ("DGP", "IGP"):
        nines = rows_of(9, f"C = 5, {posterior}", scale=scale)
        tens = rows_of(10, f"IG/{posterior}", scale=scale)
        sevens = rows_of(7, f"C = 5, {posterior}", scale=scale)
        assert sevens and tens and sevens <= tens <= nines
        for row in ("MoG", "MoIG"):
            assert not rows_of(10, f"{row}/{posterior}", scale=scale) & nines
    assert not rows_of(2, *table(2).spec.rows) & rows_of(9, *MODELS)


def test_table_7_goes_on_from_its_base_with_a_posterior_of_its_own():
    """As many steps as the target takes to be reached, and the base of the same seed."""
    for seed, run in enumerate(cell(7, "Base, C = 5, DGP", "SNLI", "Rec. (mean)").runs):
        assert (run.method, run.arguments) == (UNTIED, {"target": 5.0, "beta": 1.0})
        assert (run.seed, step_count(run)) == (seed, 10_000)
        (base,) = run.inputs.values()
        assert base == cell(7, "Base, IGP", "SNLI", "Rec. (mean)").runs[seed]
        assert base.arguments["posterior"] == "isotropic"
        assert step_count(base) == base.arguments["ramp"] == 5_000
    assert len(cell(7, "C = 5, DGP", "SNLI", "Rec.").runs) == 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number", [2, 3, 5, 7, 8, 9, 10, 11])
def test_a_target_is_reached_before_half_of_the_steps(number, scale):
    """But by the base of Table 7, whose training is the rise."""
    found = table(number, scale)
    bases = {run.id for m in found.measurements if m.key.row == "Base, IGP" for run in m.runs}
    for run in found.runs.values():
        least = 1 if run.id in bases else 2
        assert step_count(run) >= least * (run.arguments.get("ramp") or 0)


@pytest.mark.parametrize("scale", SCALES)
def test_the_classifier_that_judges_is_the_first_of_original(scale):
    for group in ("DBpedia", "Yahoo Question"):
        original = cell(11, "Original", group, "F1", scale)
        assert [run.method for run in original.runs] == [CLASSIFIER] * original.wanted
        judges = {
            m.evaluation.inputs["classifier"].id
            for number, column in ((3, "Agreement"), (11, "F1"))
            for m in table(number, scale).measurements
            if (m.key.group, m.key.column) == (group, column)
        }
        assert judges == {original.runs[0].id} and original.runs[0].seed == 0


@pytest.mark.parametrize("scale", SCALES)
def test_the_language_model_that_judges_is_the_first_of_real(scale):
    for group in ("CBT", "DBpedia", "Yahoo Question"):
        real = cell(4, "Real", group, "Reverse", scale)
        assert [run.method for run in real.runs] == [READER] * real.wanted
        judges = {
            m.evaluation.inputs["language_model"].id
            for m in table(4, scale).measurements
            if m.key.group == group and m.key.column.startswith("Forward")
        }
        assert judges == {real.runs[0].id}


@pytest.mark.parametrize("scale", SCALES)
def test_reverse_perplexity_is_of_a_model_of_what_a_run_says(scale):
    (reader,) = cell(4, "Real", "DBpedia", "Reverse", scale).runs
    for row in MODELS:
        forward = cell(4, row, "DBpedia", "Forward", scale)
        reverse = cell(4, row, "DBpedia", "Reverse", scale)
        assert reverse.evaluation.inputs == {}
        for run, model in zip(forward.runs, reverse.runs, strict=True):
            assert model.method == SAMPLED and model.inputs == {"source": run}
            assert model.arguments["count"] == forward.evaluation.parameters["count"]
            assert model.training == reader.training and model.data == reader.data
            sizes = {k: v for k, v in model.arguments.items() if k != "count"}
            assert sizes == reader.arguments


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number", [4, 11])
def test_runs_that_judge_themselves_make_no_circle(number, scale):
    """They come before all that they judge, themselves among it."""
    plan = make_plan([table(number, scale)])
    judges = {
        run.id: work.run.id
        for work in plan.work.values()
        for evaluation in work.evaluations.values()
        for run in evaluation.inputs.values()
        if run.id == work.run.id
    }
    assert len(judges) == len({run.data.dataset for run in table(number, scale).runs.values()})
    order = list(plan.work)
    for work in plan.work.values():
        assert work.run.id not in work.inputs
        assert all(order.index(needed) < order.index(work.run.id) for needed in work.inputs)


def test_polluted_and_whole_sentences_have_the_same_probes():
    robust = cell(3, "AE", "DBpedia", "Robustness").evaluation
    whole = cell(11, "AE", "DBpedia", "Accuracy").evaluation
    assert robust.name == whole.name == "dense_probes"
    probes = {"count": 10, "hidden": [128, 128], "epochs": 20, "batch_size": 64, "lr": 0.001}
    assert robust.parameters == probes | {"keep": 0.7}
    assert whole.parameters == probes | {"keep": 1}


@pytest.mark.parametrize("number", TABLES)
def test_assumptions_of_profiles_and_of_the_table_add_up(number):
    spec = table(number).spec
    assert len(set(spec.assumptions)) == len(spec.assumptions)
    assert any("rebuilt from their sources" in told for told in spec.assumptions)  # of `text`
    greedy = any("greedy decodings of posterior means" in told for told in spec.assumptions)
    assert greedy == (number in (2, 7, 9, 10))  # of `reconstructions`
    assert any("with the seed 0" in told for told in spec.assumptions) == (number in (3, 11))
    assert published_cells(spec)
