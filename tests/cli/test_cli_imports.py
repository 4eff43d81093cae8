"""What a command may import, so that it answers at once."""

import json

import pytest
from commands import python

# Runs one command line in a fresh interpreter; the last line on stderr says what it imported.
SCRIPT = """
import json, sys
from vaebench.cli import main

try:
    main(sys.argv[1:], prog_name="vaebench")
except SystemExit as end:
    code = end.code
packages = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([code, packages]), file=sys.stderr)
"""
HEAVY = {"torch", "torchvision", "sklearn", "scipy"}
UNNEEDED_FOR_HELP = {*HEAVY, "numpy", "pandas", "matplotlib", "yaml", "pydantic", "rich"}


def run(folder, *arguments, **variables):
    """Exit code, imported packages and stdout of a command."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        done = python(SCRIPT, folder, *arguments)
    assert done.returncode == 0, done.stderr
    code, packages = json.loads(done.stderr.splitlines()[-1])
    return code, set(packages), done.stdout


def complete(folder, line):
    """What the shell offers for a command line with the cursor at its end."""
    words = line.split(" ")
    variables = {
        "_VAEBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    _, packages, out = run(folder, **variables)
    return [item.partition(",")[2] for item in out.split()], packages


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments, tmp_path):
    code, packages, out = run(tmp_path, *arguments)
    assert code == 0 and out
    assert packages & UNNEEDED_FOR_HELP == set()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vaebench ta", ["table"]),
        ("vaebench run igp-table1", ["igp-table1", "igp-table10", "igp-table11", "igp-table12"]),
        ("vaebench plot igp-figure5", ["igp-figure5"]),
        ("vaebench fetch-data mn", ["mnist"]),
        ("vaebench table --sca", ["--scale"]),
        ("vaebench tabel igp", []),
    ],
)
def test_completion_imports_nothing_heavy(line, offered, tmp_path):
    found, packages = complete(tmp_path, line)
    assert found == offered
    assert packages & UNNEEDED_FOR_HELP == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "igp-table12", "--scale", "smoke"],
        ["show", "igp-figure6"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "md"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "csv"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "console"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "latex"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "html"],
        ["table", "igp-table12", "--scale", "smoke", "--format", "json"],
        ["explain", "igp-table12", "AE", "AU", "--scale", "smoke"],
        ["status", "--scale", "smoke"],
        ["plot", "igp-figure6", "--scale", "smoke", "--out", "figure.png"],
        ["plot", "igp-table12", "--scale", "smoke", "--out", "curves.svg"],
        ["fetch-data"],
    ],
    ids=" ".join,
)
def test_looking_at_results_never_imports_torch(arguments, finished, tmp_path):
    code, packages, _ = run(tmp_path, *arguments, VAEBENCH_RESULTS=str(finished))
    assert code == 0
    assert packages & HEAVY == set()
    if arguments[0] != "plot":
        assert packages & {"matplotlib", "pandas"} == set()


def test_the_script_would_see_torch(tmp_path):
    """The check itself works: a dry run looks the methods up and so imports torch."""
    code, packages, _ = run(tmp_path, "run", "igp-table12", "--scale", "smoke", "--dry-run")
    assert code == 0
    assert "torch" in packages


def test_methods_and_evaluators_import_no_more_than_torch(tmp_path):
    """Two seconds of every worker: torch's compiler, which a decorator of it would import."""
    script = """
import sys
from vaebench import evaluation, methods

methods.methods(), evaluation.evaluators()
print(sorted({"torch._dynamo", "torchvision", "sklearn", "matplotlib"} & set(sys.modules)))
"""
    done = python(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
