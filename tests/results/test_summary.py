"""The CSV of a table: what is in it, what its name says, and that it never loses seeds."""

import csv
import errno

import pytest

from vaebench.errors import UserError
from vaebench.results import summary
from vaebench.results.cells import measure
from vaebench.results.summary import FIELDS, summary_path, write_summary
from vaebench.store.store import Store

UNITS = {"au": 4, "kind": "x"}


def write(toy, scale="paper", variant=None, **how):
    """Write the CSV from the store and read it back: lines by row and column."""
    expansion = toy.expansion(scale, **how)
    path = write_summary(toy.store, expansion, measure(expansion, toy.store), scale, variant)
    return path, read(path)


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return {(line["row"], line["column"]): line for line in csv.DictReader(stream)}


def complete(toy):
    for seed, au in enumerate((4, 4, 5)):
        toy.done("A", seed, toy.fit(5.0 + seed, 1.0), {"au": au, "kind": "a, b"})


def test_a_line_says_all_that_stands_behind_its_number(toy):
    complete(toy)
    path, lines = write(toy)
    assert path.name == "toy.paper.csv"
    line = lines["A", "AU"]
    assert list(line) == FIELDS
    assert float(line["value"]) == 13 / 3
    assert float(line["std"]) == pytest.approx((2 / 9) ** 0.5)
    expected = {
        "table": "toy",
        "column_group": "G",
        "state": "measured",
        "seeds": "3",
        "wanted": "3",
        "aggregation": "mean",
        "dialect": "au@test",
        "unit": "nats",
        "scale": "paper",
        "data": "mnist",
        "data_kind": "original",
        "data_sha256": "ab" * 32,
        "protocol": "igp 1",
        "runs": " ".join(toy.run("A", seed).id for seed in range(3)),
        "commit": "0123456789abcdef",
        "modified": "False",
        "torch": "2.9.0",
        "device": "cpu",
        "threads": "1",
        "cpu": "some processor",
    }
    assert {name: line[name] for name in expected} == expected
    assert lines["A", "Kind"]["value"] == "a, b"


def test_published_numbers_stand_beside_ours(toy):
    toy.spec["published"] = "igp-table12"
    toy.spec["groups"] = {"MNIST": toy.spec["groups"]["G"]}
    toy.spec["layout"]["panels"][0]["group"] = "MNIST"
    toy.spec["rows"] = {"VAE, DGP": toy.spec["rows"]["A"]}
    toy.spec["layout"]["panels"][0]["blocks"] = [{"lines": ["VAE, DGP"]}]
    for name in ("One", "Kind"):
        toy.spec["columns"][name]["extra"] = True
    _, lines = write(toy)
    assert lines["VAE, DGP", "Rec."]["published"] == "78.64"
    assert lines["VAE, DGP", "KL (mean)"]["published"] == ""


def test_every_cell_has_its_line_whatever_its_state(toy):
    complete(toy)
    toy.diverged("B", 0)
    _, lines = write(toy)
    assert len(lines) == 12
    assert lines["B", "AU"]["state"] == "diverged"
    assert lines["B", "AU"]["value"] == ""
    assert lines["B", "AU"]["runs"] == toy.run("B", 0).id
    assert lines["B", "AU"]["commit"] == "0123456789abcdef"
    toy.failed("B", 1)
    assert write(toy)[1]["B", "AU"]["state"] == "diverged"


def test_missing_failed_and_not_applicable_are_told_apart(toy):
    toy.failed("A", 0)
    toy.done("B", 0, toy.fit(5.0, None))
    _, lines = write(toy)
    assert lines["A", "AU"]["state"] == "failed"
    assert lines["B", "AU"]["state"] == "missing"
    assert lines["B", "KL"]["state"] == "not applicable"
    assert {lines["A", "AU"]["value"], lines["B", "AU"]["value"], lines["B", "KL"]["value"]} == {""}
    assert lines["A", "AU"]["seeds"] == "0"


def test_mixed_provenance_is_told(toy):
    for seed, torch in enumerate(("2.9.0", "2.9.0", "2.10.0")):
        toy.done("A", seed, units=UNITS, provenance={"torch": torch})
    assert write(toy)[1]["A", "AU"]["torch"] == "2.9.0 / 2.10.0"


def test_a_store_with_fewer_records_takes_no_seed_away(toy):
    complete(toy)
    path, before = write(toy)
    for record in (toy.store.root / "records").glob("*.json"):
        record.unlink()
    toy.done("A", 0, toy.fit(9.0, 9.0), {"au": 9, "kind": "x"})
    _, after = write(toy)
    assert after["A", "AU"] == before["A", "AU"]
    assert after["A", "Rec."] == before["A", "Rec."]
    assert after["A", "One"]["value"] == "9.0"  # as many seeds as before: the newer number
    text = path.read_bytes()
    write(toy)
    assert path.read_bytes() == text


def test_more_seeds_replace_fewer(toy):
    toy.done("A", 0, units=UNITS)
    assert write(toy)[1]["A", "AU"]["seeds"] == "1"
    complete(toy)
    assert write(toy)[1]["A", "AU"]["seeds"] == "3"


def test_numbers_of_another_protocol_do_not_stay(toy):
    """What a change of the spec left behind is not the number of the runs that the spec names
    now, however many seeds it had."""
    complete(toy)
    write(toy)
    toy.spec["defaults"]["training"]["epochs"] = 5
    toy.done("A", 0, units={"au": 7, "kind": "x"})
    line = write(toy)[1]["A", "AU"]
    assert (line["value"], line["seeds"], line["runs"]) == ("7", "1", toy.run("A", 0).id)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("seeds", "sseeds", 1),
        lambda text: "<<<<<<< ours\n" + text,
        lambda text: text.replace("\n", "\n<<<<<<< ours\n", 1),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(",3,3,", ",three,3,"),
        lambda text: "",
    ],
    ids=["another format", "conflict above", "conflict inside", "cut", "no number", "empty"],
)
def test_a_damaged_csv_is_written_anew(damage, toy):
    complete(toy)
    path, whole = write(toy)
    path.write_text(damage(path.read_text()))
    assert write(toy)[1] == whole


def test_a_csv_that_is_no_text_is_named(toy):
    complete(toy)
    path, _ = write(toy)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read") as caught:
        write(toy)
    assert str(path) in str(caught.value)


def test_a_csv_that_cannot_be_written_is_named_and_kept(toy, monkeypatch):
    complete(toy)
    path, whole = write(toy)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(summary, "write_text", full)
    with pytest.raises(UserError, match="No space left on device") as caught:
        write(toy)
    assert str(path) in str(caught.value)
    assert read(path) == whole


def test_the_name_says_what_the_numbers_are_of(toy, tmp_path):
    root = tmp_path / "results"
    assert summary_path(root, toy.expansion(), "paper", None) == root / "toy.paper.csv"
    assert summary_path(root, toy.expansion(), "small", "limit60").name == "toy.small.limit60.csv"
    toy.spec["groups"]["G"]["data"]["dataset"] = "digits-28x28"
    path = summary_path(root, toy.expansion(), "smoke", None)
    assert path.name == "toy.smoke.digits-28x28.csv"


def test_a_changed_run_does_not_touch_the_plain_csv(toy):
    complete(toy)
    path, _ = write(toy)
    before = path.read_bytes()
    for seed in range(3):
        toy.done("A", seed, units={"au": 9, "kind": "x"}, limit=50)
    other, lines = write(toy, variant="limit50", limit=50)
    assert other != path and path.read_bytes() == before
    assert float(lines["A", "AU"]["value"]) == 9


def test_the_same_records_give_the_same_bytes(toy):
    complete(toy)
    path, _ = write(toy)
    first = path.read_bytes()
    path.unlink()
    elsewhere = Store(toy.folder / "elsewhere")
    for record in reversed(list(toy.store.records())):
        elsewhere.write_record(record)
    toy.store = elsewhere
    assert write(toy)[0].read_bytes() == first
