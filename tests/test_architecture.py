"""The rules of the house that no single room can test."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vaebench
from vaebench.registry.names import PAPERS, benchmarks_dir

PACKAGE = Path(vaebench.__file__).resolve().parent
PROJECT = Path(__file__).resolve().parent.parent
FILES = sorted(PACKAGE.rglob("*.py"))
SILENT = [path for path in FILES if PACKAGE / "cli" not in path.parents]
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]

each_file = pytest.mark.parametrize("path", FILES, ids=NAMES)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(node):
    """`torch.load` of an expression; an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls(path):
    """Every call by the dotted name of what is called."""
    nodes = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return [(dotted(node.func), node) for node in nodes]


def imports(path):
    """Every imported module, and every `module.name` of a from-import."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def test_imports_only_go_down():
    """The contracts of pyproject.toml, checked by import-linter."""
    script = "from importlinter.cli import lint_imports_command as lint; lint()"
    options = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-c", script, *options], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_room_has_its_floor():
    """A new room must be named in the contract, or the contract would not see it."""
    contract, *_ = settings()["importlinter"]["contracts"]
    named = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    rooms = {f"vaebench.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= named
    assert named - rooms == {"vaebench.errors"}


def settings():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


@pytest.mark.parametrize("path", SILENT, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    printing = {"print", "click.echo", "sys.stdout.write", "sys.stderr.write", "warnings.warn"}
    assert [name for name, _ in calls(path) if name in printing] == []
    assert {name for name in imports(path) if name.partition(".")[0] == "click"} == set()


@each_file
def test_nothing_in_a_file_is_executed_when_it_is_read(path):
    """No pickle, no torch.load of more than weights, no YAML that builds objects, no eval."""
    refused = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert {name.partition(".")[0] for name in imports(path)} & refused == set()
    for name, call in calls(path):
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        if name == "torch.load":
            assert ast.unparse(options["weights_only"]) == "True"
        if name in ("np.load", "numpy.load"):
            assert ast.unparse(options["allow_pickle"]) == "False"
        if name.startswith("yaml."):
            assert name in ("yaml.load", "yaml.YAMLError")
        if name == "yaml.load":
            assert path.name == "yaml.py" and ast.unparse(options["Loader"]) == "_SpecLoader"
        assert name not in ("eval", "exec", "os.system", "__import__")


def test_the_scans_see_what_they_look_for(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        "import pickle\nfrom torch import load\nimport torch, click\n"
        "print(torch.load('x', weights_only=False))\nclick.echo('x')\n"
    )
    assert [name for name, _ in calls(path)] == ["print", "click.echo", "torch.load"]
    assert imports(path) == {"pickle", "torch", "torch.load", "click"}


@each_file
def test_loaders_are_called_by_their_full_name(path):
    """`from torch import load` would hide from the scan above."""
    assert imports(path) & {"torch.load", "yaml.load", "numpy.load", "yaml.unsafe_load"} == set()


@each_file
def test_figures_keep_no_global_state(path):
    assert {name for name in imports(path) if name.startswith("matplotlib.pyplot")} == set()


def test_yaml_is_read_by_a_safe_loader():
    import yaml

    from vaebench.registry.yaml import _SpecLoader

    safe = (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert issubclass(_SpecLoader, safe)


def test_the_specs_travel_with_the_package():
    forced = settings()["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert forced == {f"benchmarks/{paper}": f"vaebench/benchmarks/{paper}" for paper in PAPERS}
    for paper in PAPERS:
        folder = benchmarks_dir() / paper
        tables = sorted(path.stem for path in folder.glob("table*.yaml"))
        published = sorted(path.stem for path in (folder / "published").glob("*.csv"))
        assert tables and tables == published
        assert (folder / "paper.yaml").is_file()
