"""Where the specs lie and how one is read: paper defaults, the file, the overlay of a scale."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vaebench.errors import UserError, nearest, unknown
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.merging import merge
from vaebench.registry.names import PAPERS, SCALES, benchmarks_dir, figure_paths, table_paths
from vaebench.registry.published import Key, Printed, read_published
from vaebench.registry.spec import PaperSpec, TableSpec
from vaebench.registry.yaml import read_file


def paper_spec(paper: str) -> PaperSpec:
    """What the tables of `paper` share."""
    if paper not in PAPERS:
        raise unknown("paper", paper, PAPERS)
    return _read_paper(benchmarks_dir() / paper / "paper.yaml")


@cache
def _read_paper(path: Path) -> PaperSpec:
    """Read once: every table of the paper asks for it, some twice."""
    return PaperSpec.read(read_file(path), str(path))


def spec_path(name: str) -> Path:
    """The file of a table: a built-in id or the path of a user's own spec."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UserError(f"{name}: no such file")
        return path
    if name in figure_paths():
        raise UserError(f"{name} is a figure, not a table; `vaebench plot {name}` draws it")
    if name not in table_paths():
        raise unknown("table", name, [*table_paths(), *figure_paths()])
    return table_paths()[name]


def load_table(name: str, scale: str = "paper") -> TableSpec:
    """The table `name` (an id or a file) at `scale`, checked against its published cells."""
    path = spec_path(name)
    where = _short(path)
    spec = _at_scale(read_file(path), scale, where)
    _check_owner(spec, path, where)
    _check_names(spec, where)
    return spec.read_from(where)


def own_table(figure: FigureSpec, scale: str = "paper", where: str | None = None) -> TableSpec:
    """The runs of a figure's own, as a table under its name of which no paper prints a number."""
    where = where or figure.id
    head = {
        "table": figure.id,
        "paper": figure.paper,
        "caption": figure.caption,
        "layout": {"panels": []},
        "assumptions": list(figure.assumptions),
    }
    spec = _at_scale(head | (figure.runs or {}), scale, f"{where}: runs")
    _check_names(spec, f"{where}: runs")
    return spec.read_from(figure.id)


def _at_scale(raw: dict[str, Any], scale: str, where: str) -> TableSpec:
    """What a file says of a table, laid over its profiles and under the overlay of a scale."""
    raw = _with_profile(raw, where)
    overlays = raw.pop("scales", {})
    if not isinstance(overlays, dict):
        raise UserError(f"{where}: scales: expected a mapping of scale to changes")
    for key, overlay in overlays.items():
        if key not in SCALES[1:]:
            raise UserError(f"{where}: scales: {unknown('scale', str(key), SCALES[1:])}")
        if not isinstance(overlay, dict):
            raise UserError(f"{where}: scales.{key}: expected a mapping of changes")
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    TableSpec.read(raw, where)  # so that an error in the file itself is told at its own key
    merged = merge(raw, overlays.get(scale, {}))
    return TableSpec.read(merged, where if scale == "paper" else f"{where} (scales.{scale})")


def typed_name(spec: TableSpec) -> str:
    """What names the table on the command line: its id, or the file of a user's own."""
    return spec.id if spec.id in table_paths() else spec.source


def load_figure(name: str) -> FigureSpec:
    """The figure `name`."""
    if name not in figure_paths():
        raise unknown("figure", name, figure_paths())
    return read_figure(figure_paths()[name])


def read_figure(path: Path) -> FigureSpec:
    """The figure in the file `path`, checked against the tables that it is drawn from."""
    where = _short(path)
    figure = FigureSpec.read(read_file(path), where)
    wanted = [
        (place, panel.table, [("row", panel.row), ("group", panel.group)])
        for place, panel in figure.named_panels().items()
    ]
    for i, axes in enumerate(figure.axes):
        names = [("column", axes.column), *(("group", g) for g in axes.groups)]
        names += [("row", axes.level)] if axes.level else []
        wanted.append((f"axes.{i}", axes.table, names))
    if figure.sweep is not None:
        sweep = figure.sweep
        names = [
            ("row", sweep.row),
            ("column", sweep.column),
            *(("group", g) for g in sweep.groups),
        ]
        wanted.append(("sweep", sweep.table, names))
    known: dict[str, dict[str, set[str]]] = {}
    if figure.runs is not None:
        known[figure.id] = _names_of(own_table(figure, where=where))
    for place, table, names in wanted:
        if table not in known:
            try:
                known[table] = _names_of(load_table(table))
            except UserError as error:
                raise UserError(f"{where}: {place}.table: {error}") from None
        for kind, name in names:
            if name not in known[table][kind]:
                told = unknown(kind, name, known[table][kind])
                raise UserError(f"{where}: {place}.{kind}: {table}: {told}")
    for i, axes in enumerate(figure.axes):
        rows = known[axes.table]["row"]
        if not any(row.startswith(f"{axes.against} = ") for row in rows):
            raise UserError(f"{where}: axes.{i}.against: no row of {axes.table} is called so")
        found = {point[0] for row in rows if (point := axes.point(row))}
        for curve in axes.curves:
            if curve not in found:
                raise UserError(
                    f"{where}: axes.{i}.curves: no row of {axes.table} is called "
                    f"'{axes.against} = …, {curve}'"
                )
    return figure


def published_cells(spec: TableSpec) -> dict[Key, Printed]:
    """The printed cells that `spec` is compared with; a user's table may have none."""
    name = spec.published or spec.table
    if name not in table_paths():
        return {}
    path = table_paths()[name]
    return read_published(path.parent / "published" / f"{path.stem}.csv")


def every_table(scale: str = "paper") -> Iterator[TableSpec]:
    """All built-in tables."""
    for name in table_paths():
        yield load_table(name, scale)


def _with_profile(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """A table's file laid over the profiles of its paper that it names, if any.

    The assumptions of all of them count, and what each profile says that a scale reduces.
    """
    paper, named = raw.get("paper"), raw.get("profile")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or paper not in PAPERS:
        return raw  # none, or a mistake that is told when the file is read
    profiles, base = paper_spec(paper).profiles, dict[str, Any]()
    for name in names:
        if name not in profiles:
            raise UserError(f"{where}: profile: {unknown('profile', str(name), profiles)}")
        base = _with_assumptions(base, profiles[name])
    base = merge(base, {"scales": _reductions(profiles[name] for name in names)})
    return _with_assumptions(base, raw)


def _reductions(profiles: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By scale, what all of them say that it reduces; a file that says it itself replaces that."""
    told: dict[str, list[str]] = {}
    for profile in profiles:
        for scale, overlay in profile.get("scales", {}).items():
            if "reduced" in overlay:
                told.setdefault(scale, []).append(overlay["reduced"])
    return {scale: {"reduced": "; ".join(dict.fromkeys(parts))} for scale, parts in told.items()}


def _with_assumptions(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`merge`, but for the assumptions, of which none replaces another."""
    lists = [part["assumptions"] for part in (base, overlay) if part.get("assumptions")]
    merged = merge(base, overlay)
    if len(lists) == 2 and all(isinstance(part, list) for part in lists):
        merged["assumptions"] = [*dict.fromkeys([*lists[0], *lists[1]])]
    return merged


def _short(path: Path) -> str:
    """A path for messages: from benchmarks/ on for our own files."""
    try:
        return str(Path("benchmarks") / path.resolve().relative_to(benchmarks_dir()))
    except ValueError:
        return str(path)


def _names_of(spec: TableSpec) -> dict[str, set[str]]:
    """The rows, groups and columns of a table and of its print."""
    printed = published_cells(spec)
    return {
        "row": {*spec.rows, *(key.row for key in printed)},
        "group": {*spec.groups, *(key.group for key in printed)},
        "column": {*spec.all_columns(), *(key.column for key in printed)},
    }


def _check_owner(spec: TableSpec, path: Path, where: str) -> None:
    """A user's table has a name of its own."""
    builtin = table_paths().get(spec.table)
    if builtin is not None and path.resolve() != builtin.resolve():
        raise UserError(
            f"{where}: table: {spec.table!r} is the suite's own name; give yours another, "
            f"and add `published: {spec.table}` to keep the printed numbers beside it"
        )


def _check_names(spec: TableSpec, where: str) -> None:
    """Every cell that will be measured is a published one, unless its row or column is extra."""
    if spec.published is not None and spec.published not in table_paths():
        raise UserError(f"{where}: published: {unknown('table', spec.published, table_paths())}")
    if spec.paper not in PAPERS:
        raise UserError(f"{where}: paper: {unknown('paper', spec.paper, PAPERS)}")
    printed = published_cells(spec)
    for kind, names in (
        ("rows", {name for name, row in spec.rows.items() if not row.extra}),
        ("groups", set(spec.groups)),
        ("columns", {name for name, column in spec.columns.items() if not column.extra}),
    ):
        position = ("rows", "groups", "columns").index(kind)
        known = {key[position] for key in printed}
        for name in sorted(names - known) if printed else ():
            tail = " (or mark it `extra: true`)" if kind != "groups" else ""
            raise UserError(
                f"{where}: {kind}.{name}: no published cell has this {kind[:-1]}; "
                f"{nearest(name, known)}{tail}"
            )
    for name, row in spec.rows.items():
        if not row.cited and not spec.has_method(row):
            raise UserError(f"{where}: rows.{name}: the key 'method' is missing")
        for group in row.groups:
            if group not in spec.groups:
                message = unknown("group", group, spec.groups)
                raise UserError(f"{where}: rows.{name}.groups: {message}")
