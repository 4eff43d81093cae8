"""The spec of a figure: which pictures of which runs, and how they stand together."""

from itertools import product
from typing import Any, Literal

from pydantic import Field, model_validator

from vaebench.errors import UserError
from vaebench.registry.strict import Strict

Kind = Literal[
    "image-grid",
    "perturbations",
    "scatter",
    "gallery",
    "image-blocks",
    "line-plot",
    "heat-map",
    "latent-density",
    "box-plot",
]


class FigurePanel(Strict):
    """A picture made of one row's run: the best by the table's criterion, else the first seed's.

    In a figure of lines and columns, `line` is what the paper prints at the side, `title` the
    header of the column, `over` a header that it shares with its neighbours. In an `image-grid`,
    panels under the same `over` share a grid, in which their images take turns. `data` is laid over
    the run's view of the data, as that of a table's column is.
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
    data: dict[str, Any] = {}
    array: str = Field(default="images", description="which of the evaluation's arrays is shown")


class PanelPart(Strict):
    """Some of what a panel needs; parts from figure, column and line are merged in this order."""

    table: str | None = None
    row: str | None = None
    group: str | None = None
    run: str | None = None
    evaluation: str | None = None
    parameters: dict[str, Any] = {}
    data: dict[str, Any] = {}
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
    """A plot of one column of a table against the number in the names of its rows.

    There is a curve a group, or of one group the curves that rows such as `C = 5, DGP` name at
    their end. `line` is what stands at the side of plots in several lines.
    """

    title: str
    line: str | None = None
    table: str
    column: str
    groups: tuple[str, ...] = Field(min_length=1)
    against: str = Field(description="`log σ_x^2` for rows called `log σ_x^2 = -0.1`")
    curves: tuple[str, ...] = ()
    level: str | None = Field(default=None, description="a row whose value is drawn right across")

    @model_validator(mode="after")
    def _curves_are_of_one_group(self) -> "FigureAxes":
        if (self.curves or self.level) and len(self.groups) > 1:
            raise ValueError("groups: `curves` and `level` are of one group")
        return self

    def point(self, row: str) -> tuple[str | None, float] | None:
        """The curve and the number that a row says, `DGP` and 5 of `C = 5, DGP`; no curve where it
        is the group's. None for a row that is no point."""
        curve = None
        if self.curves:
            row, _, curve = row.rpartition(", ")
            if curve not in self.curves:
                return None
        head, _, tail = row.rpartition(" = ")
        try:
            return (curve, float(tail)) if head == self.against else None
        except ValueError:
            return None


class SweptArgument(Strict):
    """An argument of a method: what the paper calls it, and its values in the order of print."""

    name: str
    values: tuple[int | float, ...] = Field(min_length=1)


class FigureSweep(Strict):
    """Runs of the figure's own: those of a table's row with other values of two arguments.

    All else is the row's, so a point that is a row of the table too is the same run. `column` is
    measured at each; `best` are the values that the paper states as the best, by group.
    """

    table: str
    row: str
    column: str
    groups: tuple[str, ...] = Field(min_length=1)
    arguments: dict[str, SweptArgument] = Field(
        min_length=2, max_length=2, description="the first is drawn downwards, the second across"
    )
    best: dict[str, tuple[int | float, int | float]] = {}

    def points(self) -> dict[tuple[int | float, ...], str]:
        """Every point, line by line, with its name: `γ = 0.4, p = 1`."""
        names = [argument.name for argument in self.arguments.values()]
        return {
            values: ", ".join(f"{name} = {x:g}" for name, x in zip(names, values, strict=True))
            for values in product(*(argument.values for argument in self.arguments.values()))
        }

    @model_validator(mode="after")
    def _the_best_is_a_point(self) -> "FigureSweep":
        for group, values in self.best.items():
            if group not in self.groups or values not in self.points():
                raise ValueError(f"best.{group}: no point of this group is drawn at {values}")
        return self


class FigureMixture(Strict):
    """Gaussians in a plane, equally likely and of one deviation in all directions: where the codes
    of data come from that were made of them. Their draws are shown by Gaussian."""

    title: str
    centres: tuple[tuple[float, float], ...] = Field(min_length=1)
    deviation: float = Field(gt=0)
    draws: int = Field(ge=1)


class FigureSpec(Strict):
    """One figure of one paper.

    `image-grid`, `scatter` and `box-plot` have `panels` side by side, the first two those of one
    `line`; `perturbations`, `gallery` and `image-blocks` have `lines` and `columns`, a panel at
    each crossing; `line-plot` has `axes`;
    `heat-map` has a `sweep`, a panel a group; `latent-density` has `panels` to the right of a
    `mixture`.

    `runs` are those of no table: profile, groups, columns, rows and so on, as in a table's file.
    Panels and plots are drawn from them under the figure's own name.
    """

    figure: str
    paper: str
    caption: str
    kind: Kind | None = None
    panels: tuple[FigurePanel, ...] = ()
    shared: PanelPart = PanelPart()
    columns: tuple[FigureColumn, ...] = ()
    lines: tuple[FigureLine, ...] = ()
    axes: tuple[FigureAxes, ...] = ()
    sweep: FigureSweep | None = None
    mixture: FigureMixture | None = None
    runs: dict[str, Any] | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.figure

    @property
    def runnable(self) -> bool:
        """Whether it is said what is in it."""
        return bool(self.panels or self.lines or self.axes or self.sweep)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it is drawn from, but for its own runs."""
        names = [panel.table for panel in self.all_panels()] + [axes.table for axes in self.axes]
        names += [self.sweep.table] if self.sweep else []
        return tuple(name for name in dict.fromkeys(names) if name != self.figure)

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
            "image-blocks": {"columns", "lines"},
            "line-plot": {"axes"},
            "heat-map": {"sweep"},
            "latent-density": {"panels", "mixture"},
            "box-plot": {"panels"},
        }[self.kind]
        for key in ("panels", "columns", "lines", "axes", "sweep", "mixture"):
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

    @model_validator(mode="after")
    def _heads_of_panels_are_drawn(self) -> "FigureSpec":
        with_heads = {"image-grid": ("line", "over"), "scatter": ("line",)}.get(self.kind or "", ())
        lines: dict[str, str | None] = {}
        for i, panel in enumerate(self.panels):
            for key in ("line", "over"):
                if getattr(panel, key) is not None and key not in with_heads:
                    raise ValueError(f"panels.{i}.{key}: a figure of kind {self.kind!r} has none")
            if panel.over is not None and lines.setdefault(panel.over, panel.line) != panel.line:
                raise ValueError(f"panels.{i}.line: {panel.over!r} is over panels of another line")
        return self

    @model_validator(mode="after")
    def _runs_are_drawn(self) -> "FigureSpec":
        tables = [panel.table for panel in self.all_panels()] + [axes.table for axes in self.axes]
        if self.runs is not None and self.figure not in tables:
            raise ValueError(f"runs: no panel or plot has the table {self.figure!r}")
        return self
