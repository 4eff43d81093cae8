"""The `vaebench` group: what it says to bad input, and its exit codes."""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

import vaebench
from vaebench.cli.commands import COMMANDS
from vaebench.errors import UserError, unknown


class _Group(click.Group):
    """Commands in the order of their use, errors in one or two lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typo = args and args[0] not in self.commands and not args[0].startswith("-")
        if typo and not ctx.resilient_parsing:  # the shell's completion asks without complaint
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)

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


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
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


for _command in COMMANDS:
    # Click cuts a help line that it takes from the docstring; one that is given stays whole.
    _command.short_help = (_command.help or "").partition("\n")[0]
    main.add_command(_command)
