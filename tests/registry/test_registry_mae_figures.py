"""MAE's figures: which models they show, and where."""

from itertools import groupby, product

from vaebench.registry.loading import load_figure

BEST = {
    "MNIST": ("mae-table1", "MAE: η = 1.0, γ = 0.5"),
    "OMNIGLOT": ("mae-table1", "MAE: η = 0.5, γ = 0.2"),
    "CIFAR-10": ("mae-table3", "MAE: η = 0.5, γ = 1.5"),
}
THRESHOLDED = {"pixels": "thresholded", "binarisations": None}


def panels(number):
    return load_figure(f"mae-figure{number}").panels


def test_images_are_of_the_models_with_the_best_nll_and_of_vlae():
    groups = set()
    for panel in (*panels(2), *panels(3), *panels(4), *panels(6)):
        table, row = BEST[panel.group]
        theirs = "VLAE" in (panel.title, panel.title.rpartition(" ")[2])
        assert (panel.table, panel.row) == (table, "VLAE (re-impl)" if theirs else row)
        groups.add(panel.group)
    assert groups == set(BEST)


def test_reconstructions_are_triples_of_thresholded_images_and_of_colours_as_they_are():
    triples = [*panels(2), *panels(4)[:3]]
    for _, members in groupby(triples, key=lambda panel: panel.over):
        shown = [(panel.title, panel.array) for panel in members]
        ours = [(name, "reconstructions") for name in ("MAE", "VLAE")]
        assert shown == [("original", "originals"), *ours]
    for panel in triples:
        assert panel.parameters == {"count": 27, "draws": 50}
        assert panel.data == ({} if panel.group == "CIFAR-10" else THRESHOLDED)


def test_samples_are_nine_by_nine():
    for panel in (*panels(3), panels(4)[3], *panels(6)):
        assert (panel.evaluation, panel.parameters) == ("prior_samples", {"count": 81})


def test_samples_of_vlae_stand_beside_those_of_mae_line_by_line():
    order = [(panel.line, panel.group) for panel in panels(6)]
    assert order == [(name, name) for name in BEST for _ in range(2)]
    assert [panel.title[:3] for panel in panels(6)] == [f"({letter})" for letter in "abcdef"]


def test_maps_go_down_in_gamma_and_across_in_eta():
    others, grid = panels(5)[:3], panels(5)[3:]
    assert [(panel.line, panel.title) for panel in others] == [
        (None, title) for title in ("ResNet VAE", "VLAE 1", "VLAE 2")
    ]
    rows = ["ResNet VAE with AF", "VLAE (w.o free bits)", "VLAE (w. free bits)"]
    assert [panel.row for panel in others] == rows
    places = product(("0.1", "0.5", "1.0"), ("0.5", "1.0", "2.0"))
    assert [(panel.line, panel.title, panel.row) for panel in grid] == [
        (f"γ = {gamma}", f"η = {eta}", f"MAE (η = {eta}, γ = {gamma})") for gamma, eta in places
    ]
    settings = {"perplexity": 40, "iterations": 1000, "exaggeration": 12, "learning_rate": 200}
    for panel in panels(5):
        assert (panel.table, panel.group, panel.data) == ("mae-table4", "MNIST", THRESHOLDED)
        assert panel.parameters == {"draws": 50, **settings}
