"""The `vaebench` group. Commands are imported when they are used, their help lines are data."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

import vaebench
from vaebench.errors import UserError, unknown

# name: (module in vaebench.cli, help line). `--help` and completion read only this table.
COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("list", "Tables and figures: what each needs, what is already measured."),
    "show": ("show", "One table: rows, columns, runs, cost, runs shared with other tables."),
    "fetch-data": ("fetch_data", "Download, import or check data sets."),
    "run": ("run", "Train and evaluate what some tables need and the store does not hold."),
    "train": ("train", "Train one run."),
    "eval": ("eval", "Evaluate finished runs again."),
    "table": ("table", "A table, the paper's numbers beside ours."),
    "plot": ("plot", "A figure of a paper, or the learning curves of a table."),
    "status": ("status", "What runs, what is done, what failed and why."),
}


class _LazyGroup(click.Group):
    """A group that imports a command only when it runs (or its own --help is asked for)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vaebench.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run; what a user can mend becomes lines on stderr and exit code 2, Ctrl-C code 130."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, *rest, **extra)
        except UserError as error:
            if "--debug" in arguments:
                raise
            click.echo(f"vaebench: {error}", err=True)
            code = 2
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("stopped", err=True)
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vaebench.__version__, prog_name="vaebench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Reproduce the tables of four papers on posterior collapse in VAEs.

    \b
    vaebench run igp-table12 --scale smoke     seconds, no download
    vaebench fetch-data mnist                  real data
    vaebench run igp-table12                   the paper's protocol
    vaebench table igp-table12                 the paper's numbers beside yours
    """
