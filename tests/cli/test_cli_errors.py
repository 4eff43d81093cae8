"""What a user's mistake is answered with: exit code 2, one or two lines, the nearest name."""

import pytest
from commands import invoke, python
from specs import without_rows

from vaebench.cli import main
from vaebench.errors import UserError


def refused(*arguments):
    """The lines on stderr."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert 1 <= len(lines) <= 2
    assert lines[0].startswith("vaebench: ")
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("line", ["run {}", "train {} --row AE", "eval {}"])
def test_a_table_without_methods_is_not_run(line, tmp_path):
    path = without_rows(tmp_path)
    told = refused(*line.format(path).split())
    assert "none of its rows has a method; `vaebench table " in told and "bare.yaml` shows" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tabel igp-table12", "unknown command 'tabel'; did you mean table"),
        ("table igp-tabel12", "unknown table 'igp-tabel12'; did you mean igp-table12"),
        ("table igp-table12 --scale smok", "unknown scale 'smok'; did you mean smoke?"),
        ("table igp-figure6", "is a figure, not a table; `vaebench plot igp-figure6` draws it"),
        ("table igp-table12 --only *VEA*", "--only '*VEA*': unknown row or group '*VEA*'; "),
        ("table igp-table12 --only MINST", "did you mean MNIST"),
        ("table igp-table12 --seeds 9", "--seeds 9: igp-table12 has seeds 1 to 5"),
        ("table igp-table12 --set epochs=1", "expected SECTION.KEY=VALUE"),
        ("table igp-table12 --set training.epoch=1", "did you mean epochs?"),
        ("explain igp-tabel12 AE AU", "did you mean igp-table12"),
        ("explain igp-table12 EA AU", "unknown row 'EA'; did you mean AE"),
        ("explain igp-table12 AE UA", "unknown column 'UA'; did you mean AU"),
        ("explain igp-table12 AE AU --group MINST", "unknown group 'MINST'; did you mean MNIST?"),
        ("explain igp-table12 IWAE AU", "row 'IWAE' may be any of: 'IWAE (k = 1), DGP', "),
        ("explain du-vae-table1 VAE NLL", "stands in 3 groups; choose one with --group: Yahoo, "),
        ("explain igp-figure6 AE AU", "is a figure, not a table"),
        ("explain igp-table12 AE AU --scale smok", "did you mean smoke?"),
        ("explain igp-table12 AE AU --set epochs=1", "expected SECTION.KEY=VALUE"),
        ("show igp-tabel12", "did you mean igp-table12"),
        ("show igp-tabel12 --yaml", "did you mean igp-table12"),
        ("show nowhere.yaml", "nowhere.yaml: no such file"),
        ("list --paper ipg", "unknown paper 'ipg'; did you mean igp?"),
        ("status igp-tabel12", "did you mean igp-table12"),
        ("status --scale smok", "did you mean smoke?"),
        ("plot igp-figur6", "did you mean igp-figure6"),
        ("run", "which table? `vaebench list` shows them"),
        ("run igp-tabel12", "did you mean igp-table12"),
        ("run igp-figur6", "did you mean igp-figure6"),
        ("run igp-table12 --scale smal", "did you mean small"),
        (
            "run igp-table12 --scale smoke --set data.dataset=mnits",
            "did you mean mnist or omniglot?",
        ),
        ("run igp-table12 --scale smoke --set data.pixels=grey", "Input should be 'real'"),
        ("run igp-table12 --plugin no_such_module", "--plugin no_such_module: No module named"),
        ("train igp-tabel12 --row AE", "did you mean igp-table12"),
        ("train igp-table12 --row EA", "unknown row 'EA'; did you mean AE"),
        ("train igp-table12 --row AE --group MINST", "unknown group 'MINST'; did you mean MNIST?"),
        ("train igp-table12 --row AE --seed 5", "--seed 5: igp-table12 has seeds 0 to 4"),
        ("eval igp-tabel12", "unknown table or run 'igp-tabel12'; did you mean igp-table12"),
        ("eval igp-table12", "no finished run of igp-table12 has its weights in"),
        (
            "fetch-data mnits",
            "unknown data set or weights 'mnits'; did you mean mnist or omniglot?",
        ),
    ],
)
def test_a_mistake_is_answered_in_words(line, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = line.split(" ")
    assert told in refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_that_does_not_exist_is_told(finished):
    line = ["eval", "igp-table12", "--scale", "smoke", "--results-dir", finished]
    told = refused(*line, "--evaluation", "lineer_probe")
    assert "unknown evaluation 'lineer_probe'; did you mean linear_probe?" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("table", "Missing argument 'TABLE'"),
        ("table igp-table12 --sede 3", "No such option"),
        ("table igp-table12 --format pdf", "'pdf' is not one of 'md', 'console', 'csv'"),
        ("explain igp-table12 AE", "Missing argument 'COLUMN'"),
        ("table igp-table12 --limit 5", "5 is not in the range x>=10"),
        ("run igp-table12 --seeds many", "'many' is not a valid integer"),
        ("train igp-table12", "Missing option '--row'"),
        ("--debgu list", "No such option"),
    ],
)
def test_wrong_usage_is_answered_by_click(line, told):
    result = invoke(*line.split(" "))
    assert result.exit_code == 2
    assert told in result.stderr and "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback():
    with pytest.raises(UserError, match="did you mean igp-table12"):
        invoke("--debug", "table", "igp-tabel12")
    assert invoke("table", "igp-tabel12").exit_code == 2


def test_missing_data_is_told_with_what_to_type(tmp_path):
    data, results = tmp_path / "my data", tmp_path / "results"
    line = ["run", "igp-table12", "--data-dir", data, "--results-dir", results]
    result = invoke(*line)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "45 runs, 0 finished before",
        f"vaebench: the data set mnist is not in {data}",
        f"`vaebench fetch-data mnist --data-dir '{data}'` downloads it, "
        f"`vaebench fetch-data mnist --data-dir '{data}' --from DIR` takes files you have, "
        "and `--scale smoke` needs no data",
    ]
    assert not (results / "runs").exists()


def test_a_damaged_record_is_named_wherever_it_is_read(results):
    path = next((results / "records").glob("*.json"))
    path.write_text("{")
    for command in ("run", "table", "explain", "status", "plot"):
        cell = ["VAE, DGP", "AU"] if command == "explain" else []
        told = refused(command, "igp-table12", *cell, "--scale", "smoke", "--results-dir", results)
        assert str(path) in told and "restore it or delete it" in told


def test_a_results_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    line = ["run", "igp-table12", "--scale", "smoke", "--results-dir", file / "results"]
    told = refused(*line)
    assert "cannot be written" in told and "--results-dir" in told


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    """`vaebench list | head -1`: nothing but what head read, and no traceback."""
    script = (
        "import subprocess, sys\n"
        "left = [sys.executable, '-m', 'vaebench', 'table', 'du-vae-table1']\n"
        "one = subprocess.Popen(left, stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "one.stdout.close()\n"
        "sys.stderr.write(one.stderr.read().decode())\n"
    )
    done = python(script, tmp_path)
    assert "Traceback" not in done.stderr


def test_every_command_explains_itself():
    overview = invoke("--help").stdout
    for name in main.commands:
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ") and f" {name} " in result.stdout.splitlines()[0]
        assert f"\n  {name} " in overview
