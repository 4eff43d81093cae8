"""The spec of a table: what the paper measures, never how."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from vaebench.errors import UserError, nearest
from vaebench.registry.layout import Layout
from vaebench.registry.merging import merge
from vaebench.registry.names import SCALES
from vaebench.registry.strict import Strict

DATA = "data.itself"  # the method of a row that is the data themselves: no model, nothing trained
THIS = "this"  # as an input's row: the row for which a named run or a column is wanted


class InputRun(Strict):
    """The run whose trained model is wanted: a row's, or one that is named under `runs`; of the
    same group, scale and seed unless the spec says otherwise."""

    row: str | None = None
    run: str | None = None
    group: str | None = None
    seed: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _a_row_or_a_run(self) -> "InputRun":
        if (self.row is None) == (self.run is None):
            raise ValueError("expected either 'row' or 'run'")
        return self


class RunPart(Strict):
    """Some of what a run needs; parts from table, group and row are merged in this order."""

    method: str | None = None
    arguments: dict[str, Any] = {}
    data: dict[str, Any] = {}
    training: dict[str, Any] = {}
    inputs: dict[str, InputRun] = Field(
        default={}, description="input runs by the method's argument that takes the trained model"
    )
    step_ms: float | None = Field(
        default=None, description="milliseconds a training step on one core, for cost estimates"
    )


class Group(RunPart):
    """A column group: mostly a data set, sometimes a variant of training or a family of probes."""

    evaluations: dict[str, dict[str, Any]] = Field(
        default={}, description="parameters of evaluators in this group, by the evaluator's name"
    )
    columns: dict[str, dict[str, Any]] = Field(
        default={}, description="what a column is in this group, laid over what it is elsewhere"
    )


class Row(RunPart):
    """A line of the table. Without a method it is never run; `cited` values are quoted in print."""

    groups: dict[str, RunPart] = {}
    evaluations: dict[str, dict[str, Any]] = Field(
        default={}, description="parameters of evaluators in this row, by the evaluator's name"
    )
    stands_for: tuple[str, ...] = Field(
        default=(), description="runs in whose place columns are measured on the row's own run"
    )
    cited: bool = False
    extra: bool = False
    seeds: int | None = Field(default=None, ge=1, description="how many, if fewer than the table's")


Aggregation = Literal["single", "mean", "best"]


class Column(Strict):
    """A printed quantity: the evaluator and the value of it that we measure, and its dialect.

    `aggregation` over the seeds: the first alone; mean and population deviation; or the value of
    the seed that the table's `select` criterion picks. `also` adds an extra column with another.
    Where an evaluation is itself a mean over repetitions, a `single` column may name the value that
    is their `deviation`.

    `run` names the run under `runs` that is evaluated instead of the row's own. `data` is laid over
    the run's view of the data, for this column alone; an empty value takes a setting away. `inputs`
    are runs whose trained models the evaluator takes, and `files` files that it takes, both by
    argument; a file is named by its entry in the catalogue, and where it is not there the column
    stays open. An extra column may be kept to some `groups`, and to the cells that a published one
    has, which it stands `beside`.
    """

    evaluation: str
    value: str
    parameters: dict[str, Any] = {}
    dialect: str
    unit: str
    better: Literal["lower", "higher"] | None = None
    aggregation: Aggregation
    also: Aggregation | None = None
    deviation: str | None = None
    digits: int | None = None
    extra: bool = False
    data: dict[str, Any] = {}
    run: str | None = None
    inputs: dict[str, InputRun] = {}
    files: dict[str, str] = {}
    groups: tuple[str, ...] | None = None
    beside: str | None = None

    @model_validator(mode="after")
    def _a_deviation_is_of_one_run(self) -> "Column":
        if self.deviation is not None and self.aggregation != "single":
            raise ValueError(
                f"deviation: {self.deviation!r} is that of one run; aggregate by `single`"
            )
        return self


def _with_also(columns: dict[str, Column]) -> dict[str, Column]:
    found = dict(columns)
    for name, column in columns.items():
        if column.also is not None:
            change = {"aggregation": column.also, "also": None, "deviation": None, "extra": True}
            found[f"{name} ({column.also})"] = column.model_copy(update=change)
    return found


def _changed(column: Column, change: dict[str, Any]) -> dict[str, Any]:
    return merge(column.model_dump(exclude_unset=True), change)


class Select(Strict):
    """The criterion of best-of-n columns."""

    evaluation: str
    value: str
    better: Literal["lower", "higher"]
    says: str


class PaperSpec(Strict):
    """What all tables of a paper share."""

    paper: str
    title: str
    reference: str
    version: int = Field(ge=1)
    profiles: dict[str, dict[str, Any]] = Field(
        default={}, description="what several tables share, by name: parts of a table's own file"
    )


def _several(names: Any) -> Any:
    """A single name as a list of one."""
    return [names] if isinstance(names, str) else names


class TableSpec(Strict):
    """One table of one paper at one scale."""

    table: str
    paper: str
    caption: str
    published: str | None = None
    layout: Layout
    seeds: int = Field(default=1, ge=1)
    profile: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        default=(), description="what this file is laid over: profiles of its paper, one or more"
    )
    defaults: RunPart = RunPart()
    evaluations: dict[str, dict[str, Any]] = Field(
        default={}, description="parameters of evaluators in all columns, by the evaluator's name"
    )
    groups: dict[str, Group] = {}
    columns: dict[str, Column] = {}
    rows: dict[str, Row] = {}
    runs: dict[str, Row] = Field(
        default={}, description="runs that are no rows: second stages, judges; data from the group"
    )
    select: Select | None = None
    assumptions: tuple[str, ...] = ()
    misprints: tuple[str, ...] = ()
    findings: dict[str, tuple[str, ...]] = Field(
        default={}, description="by scale, what the committed runs show of the paper's claims"
    )
    reduced: str | None = Field(
        default=None, description="what this scale reduces against the paper, in words"
    )

    _source: str = PrivateAttr("")

    @property
    def id(self) -> str:
        return self.table

    @property
    def source(self) -> str:
        """The file it was read from, for messages."""
        return self._source or self.table

    def read_from(self, source: str) -> "TableSpec":
        """Remember the file."""
        self._source = source
        return self

    @property
    def runnable(self) -> bool:
        """Whether any row has a method."""
        return any(self.has_method(row) for row in self.rows.values())

    def has_method(self, row: Row) -> bool:
        """Whether the row, or what is merged with it, names a method."""
        around = (self.defaults, *self.groups.values(), *row.groups.values())
        return not row.cited and any(part.method for part in (row, *around))

    def all_columns(self) -> dict[str, Column]:
        """The columns, and the extra ones that `also` adds: `Rec. (mean)`."""
        return _with_also(self.columns)

    def columns_of(self, group: str) -> dict[str, Column]:
        """The same as they are in a group."""
        changed = self.groups[group].columns
        found = {
            name: Column(**_changed(column, changed[name])) if name in changed else column
            for name, column in self.columns.items()
        }
        return _with_also(found)

    def told_columns(self) -> dict[str, Column]:
        """The columns without extra ones of `also`; apart, what they are in groups where they are
        something else: `100 (Linear)`."""
        found = {name: column for name, column in self.columns.items() if self._is_plain(name)}
        for group, part in self.groups.items():
            changed = self.columns_of(group)
            found |= {f"{name} ({group})": changed[name] for name in part.columns}
        return found

    def _is_plain(self, name: str) -> bool:
        """Whether a column is itself in any group that has it."""
        groups = self.columns[name].groups or tuple(self.groups)
        return not groups or any(name not in self.groups[group].columns for group in groups)

    @model_validator(mode="after")
    def _columns_stand_in_groups(self) -> "TableSpec":
        for name, column in self.columns.items():
            for group in column.groups or ():
                if group not in self.groups:
                    told = nearest(group, self.groups)
                    raise ValueError(f"columns.{name}.groups: no group is called {group!r}; {told}")
        return self

    @model_validator(mode="after")
    def _groups_change_columns(self) -> "TableSpec":
        for group, part in self.groups.items():
            for name, change in part.columns.items():
                if name not in self.columns:
                    told = nearest(name, self.columns)
                    raise ValueError(f"groups.{group}.columns: no column is {name!r}; {told}")
                try:
                    Column.read(_changed(self.columns[name], change), f"groups.{group}.columns")
                except UserError as error:
                    raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _evaluators_are_those_of_columns(self) -> "TableSpec":
        used = {column.evaluation for column in self.told_columns().values()}
        groups = [part.evaluations for part in self.groups.values()]
        rows = [part.evaluations for part in (*self.rows.values(), *self.runs.values())]
        for parameters in (self.evaluations, *groups, *rows):
            for name in parameters.keys() - used:
                raise ValueError(
                    f"evaluations: {nearest(name, used)} (no column is measured by {name!r})"
                )
        return self

    @model_validator(mode="after")
    def _findings_are_of_scales(self) -> "TableSpec":
        for scale in self.findings.keys() - set(SCALES):
            raise ValueError(f"findings: no scale is called {scale!r}; {nearest(scale, SCALES)}")
        return self

    @model_validator(mode="after")
    def _rows_stand_for_named_runs(self) -> "TableSpec":
        for row, part in self.rows.items():
            for name in part.stands_for:
                if name not in self.runs:
                    told = nearest(name, self.runs)
                    raise ValueError(f"rows.{row}.stands_for: no run is called {name!r}; {told}")
        return self

    @model_validator(mode="after")
    def _best_needs_a_criterion(self) -> "TableSpec":
        if self.select is None and any(c.aggregation == "best" for c in self.columns.values()):
            raise ValueError("a column aggregates by `best`, so `select` must say by what")
        return self

    @model_validator(mode="after")
    def _best_is_of_the_rows_own_runs(self) -> "TableSpec":
        for name, column in self.columns.items():
            if column.run is not None and "best" in (column.aggregation, column.also):
                raise ValueError(f"columns.{name}: a column of another run cannot take the `best`")
        return self
