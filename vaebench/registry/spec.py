"""The spec of a table or figure: what the paper measures, never how."""

from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from vaebench.errors import UserError, nearest
from vaebench.registry.layout import Layout
from vaebench.registry.strict import Strict

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


class Row(RunPart):
    """A line of the table. Without a method it is never run; `cited` values are quoted in print."""

    groups: dict[str, RunPart] = {}
    evaluations: dict[str, dict[str, Any]] = Field(
        default={}, description="parameters of evaluators in this row, by the evaluator's name"
    )
    cited: bool = False
    extra: bool = False


Aggregation = Literal["single", "mean", "best"]


class Column(Strict):
    """A printed quantity: the evaluator and the value of it that we measure, and its dialect.

    `aggregation` over the seeds: the first alone; mean and population deviation; or the value of
    the seed that the table's `select` criterion picks. `also` adds an extra column with another.

    `run` names the run under `runs` that is evaluated instead of the row's own. `inputs` are runs
    whose trained models the evaluator takes, and `files` files that it takes, both by argument; a
    file is named by its entry in the catalogue, and where it is not there the column stays open.
    An extra column may be kept to some `groups`, and to the cells that a published one has, which
    it stands `beside`.
    """

    evaluation: str
    value: str
    parameters: dict[str, Any] = {}
    dialect: str
    unit: str
    better: Literal["lower", "higher"] | None = None
    aggregation: Aggregation
    also: Aggregation | None = None
    digits: int | None = None
    extra: bool = False
    run: str | None = None
    inputs: dict[str, InputRun] = {}
    files: dict[str, str] = {}
    groups: tuple[str, ...] | None = None
    beside: str | None = None


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


class TableSpec(Strict):
    """One table of one paper at one scale."""

    table: str
    paper: str
    caption: str
    published: str | None = None
    layout: Layout
    seeds: int = Field(default=1, ge=1)
    profile: str | None = Field(
        default=None, description="the paper's profile that this file is laid over"
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
        found = dict(self.columns)
        for name, column in self.columns.items():
            if column.also is not None:
                change = {"aggregation": column.also, "also": None, "extra": True}
                found[f"{name} ({column.also})"] = column.model_copy(update=change)
        return found

    @model_validator(mode="after")
    def _evaluators_are_those_of_columns(self) -> "TableSpec":
        used = {column.evaluation for column in self.columns.values()}
        groups = [part.evaluations for part in self.groups.values()]
        rows = [part.evaluations for part in (*self.rows.values(), *self.runs.values())]
        for parameters in (self.evaluations, *groups, *rows):
            for name in parameters.keys() - used:
                raise ValueError(
                    f"evaluations: {nearest(name, used)} (no column is measured by {name!r})"
                )
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


class FigurePanel(Strict):
    """A picture made of one row's run: the best by the table's criterion, else the first seed's.

    In a figure of lines and columns, `line` is what the paper prints at the side, `title` the
    header of the column, `over` a header that it shares with its neighbours.
    """

    title: str
    line: str | None = None
    over: str | None = None
    table: str
    row: str
    group: str
    run: str | None = Field(default=None, description="a named run of the row instead of its own")
    evaluation: str
    parameters: dict[str, Any] = {}
    array: str = Field(default="images", description="which of the evaluation's arrays is shown")


class PanelPart(Strict):
    """Some of what a panel needs; parts from figure, column and line are merged in this order."""

    table: str | None = None
    row: str | None = None
    group: str | None = None
    run: str | None = None
    evaluation: str | None = None
    parameters: dict[str, Any] = {}
    array: str | None = None


class FigureColumn(PanelPart):
    """A column of panels."""

    title: str
    over: str | None = None


class FigureLine(PanelPart):
    """A line of panels: one a column, or one for each of the columns with these titles."""

    line: str
    only: tuple[str, ...] | None = None


class FigureAxes(Strict):
    """A plot of one column of a table against the number in the names of its rows."""

    title: str
    table: str
    column: str
    groups: tuple[str, ...] = Field(min_length=1)
    against: str = Field(description="`log σ_x^2` for rows called `log σ_x^2 = -0.1`")


class FigureSpec(Strict):
    """One figure of one paper.

    `image-grid` and `scatter` have `panels` side by side; `perturbations` and `gallery` have
    `lines` and `columns`, a panel at each crossing; `line-plot` has `axes`.
    """

    figure: str
    paper: str
    caption: str
    kind: Literal["image-grid", "perturbations", "scatter", "gallery", "line-plot"] | None = None
    panels: tuple[FigurePanel, ...] = ()
    shared: PanelPart = PanelPart()
    columns: tuple[FigureColumn, ...] = ()
    lines: tuple[FigureLine, ...] = ()
    axes: tuple[FigureAxes, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.figure

    @property
    def runnable(self) -> bool:
        """Whether it is said what is in it."""
        return bool(self.panels or self.lines or self.axes)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it is drawn from."""
        names = [panel.table for panel in self.all_panels()] + [axes.table for axes in self.axes]
        return tuple(dict.fromkeys(names))

    def all_panels(self) -> tuple[FigurePanel, ...]:
        """The panels, and those where lines and columns cross, line by line."""
        return tuple(self.named_panels().values())

    def named_panels(self) -> dict[str, FigurePanel]:
        """All panels by their place in the file: `panels.0`, or `lines.2, columns.0`."""
        named = {f"panels.{i}": panel for i, panel in enumerate(self.panels)}
        for i, line in enumerate(self.lines):
            for j, column in enumerate(self.columns):
                if line.only is None or column.title in line.only:
                    raw: dict[str, Any] = {}
                    for part in (self.shared, column, line):
                        raw |= part.model_dump(exclude_unset=True, exclude={"only"})
                    place = f"lines.{i}, columns.{j}"
                    named[place] = FigurePanel.read(raw, place)
        return named

    @model_validator(mode="after")
    def _content_fits_the_kind(self) -> "FigureSpec":
        wanted = {
            None: set[str](),
            "image-grid": {"panels"},
            "scatter": {"panels"},
            "perturbations": {"columns", "lines"},
            "gallery": {"columns", "lines"},
            "line-plot": {"axes"},
        }[self.kind]
        for key in ("panels", "columns", "lines", "axes"):
            if bool(getattr(self, key)) != (key in wanted):
                verb = "needs" if key in wanted else "has no"
                raise ValueError(f"a figure of kind {self.kind!r} {verb} `{key}`")
        return self

    @model_validator(mode="after")
    def _panels_are_whole(self) -> "FigureSpec":
        titles = {column.title for column in self.columns}
        for i, line in enumerate(self.lines):
            for title in line.only or ():
                if title not in titles:
                    raise ValueError(f"lines.{i}.only: no column has the title {title!r}")
        for key, heads in (
            ("columns", [(column.over, column.title) for column in self.columns]),
            ("lines", [line.line for line in self.lines]),
        ):
            if len(set(heads)) < len(heads):
                raise ValueError(f"{key}: two of them have the same head")
        try:
            self.named_panels()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self
