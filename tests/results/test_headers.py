"""Headers in storeys: what spans its neighbours, and what grows up where nothing is above it."""

from vaebench.registry.layout import PrintedColumn
from vaebench.registry.loading import load_table, published_cells
from vaebench.results.grid import Header, build
from vaebench.results.headers import storeys


def texts(*headers):
    """Text, columns and storeys of each entry, line by line."""
    return [[(c.text, c.columns, c.storeys) for c in line] for line in storeys(headers)]


def test_plain_headers_are_one_line():
    assert texts(Header("KL"), Header("AU")) == [[("KL", 1, 1), ("AU", 1, 1)]]
    assert texts(Header("KL"), Header("KL")) == [[("KL", 1, 1), ("KL", 1, 1)]]


def test_a_header_over_its_neighbours():
    yahoo, yelp = Header("KL", "Yahoo"), Header("KL", "Yelp")
    assert texts(yahoo, Header("AU", "Yahoo"), yelp) == [
        [("Yahoo", 2, 1), ("Yelp", 1, 1)],
        [("KL", 1, 1), ("AU", 1, 1), ("KL", 1, 1)],
    ]


def test_what_has_nothing_above_grows_up():
    found = texts(Header("MSE"), Header("10", "Gap"), Header("100", "Gap"))
    assert found == [[("MSE", 1, 2), ("Gap", 2, 1)], [("10", 1, 1), ("100", 1, 1)]]


def test_halves_share_the_text_of_their_pair_alone():
    pair = [Header("KL", None, "paper"), Header("KL", None, "ours")]
    assert texts(*pair, *pair) == [
        [("KL", 2, 1), ("KL", 2, 1)],
        [("paper", 1, 1), ("ours", 1, 1), ("paper", 1, 1), ("ours", 1, 1)],
    ]


def test_equal_headers_under_different_ones_stay_apart():
    knn, linear = (Header("100", "classification", None, name) for name in ("KNN", "Linear"))
    assert texts(knn, linear)[1:] == [
        [("KNN", 1, 1), ("Linear", 1, 1)],
        [("100", 1, 1), ("100", 1, 1)],
    ]


def published_head(name):
    spec = load_table(name)
    grid = build(spec.layout, published_cells(spec), {}, {}, "published")
    return [[(c.text, c.columns, c.storeys) for c in s] for s in storeys(grid.panels[0].headers)]


def test_three_storeys_of_the_papers():
    assert published_head("mae-table2")[:2] == [
        [("unsupervised clustering", 3, 1), ("semi-supervised classification", 6, 1)],
        [("K-Means", 3, 1), ("KNN", 3, 1), ("Linear", 3, 1)],
    ]
    assert published_head("ar-elbo-table3")[:2] == [
        [("MNIST", 4, 1), ("CelebA", 5, 1)],
        [("MSE", 1, 2), ("FID", 3, 1), ("MSE", 1, 2), ("FID", 4, 1)],
    ]
    stochastic, deterministic = published_head("ar-elbo-table1")[0]
    assert stochastic == ("Stochastic encoding", 7, 1)
    assert deterministic == ("Deterministic encoding", 5, 1)
    assert published_head("ar-elbo-table1")[1][4] == ("Expected gap", 2, 1)


def test_a_column_may_name_the_storey_between():
    column = PrintedColumn(header="10", over="MNIST", between="FID", column="FID 10")
    assert column.model_dump(exclude_unset=True)["between"] == "FID"
