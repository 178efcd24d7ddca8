"""The command group: finds commands, and turns every failure into one sentence on stderr.

Exit status: 0 done, 1 failed, 2 used or configured wrongly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Final

import click
from click.exceptions import NoArgsIsHelpError

from aiclient2api import __version__
from aiclient2api.errors import ConfigError

COMMANDS: Final[Mapping[str, str]] = {
    "serve": "aiclient2api.cli.serve",
    "check": "aiclient2api.cli.check",
    "state": "aiclient2api.cli.state",
    "explain": "aiclient2api.cli.explain",
    "accounts": "aiclient2api.cli.accounts",
    "keys": "aiclient2api.cli.keys",
    "convert": "aiclient2api.cli.convert",
    "simulate": "aiclient2api.cli.simulate",
    "usage": "aiclient2api.cli.usage",
}
"""Each module has a click command of its own name; it is imported when it is used, so that the small ones start
without the server."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: object = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="aiclient2api", message="%(prog)s %(version)s")
def cli() -> None:
    """One address for OpenAI, Claude and Gemini clients, in front of pools of upstream accounts."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = None if arguments is None else list(arguments)
    return told(lambda: cli.main(given, prog_name="aiclient2api", standalone_mode=False))


def told(work: Callable[[], object]) -> int:
    """The exit status of some work; a failure is told on stderr."""
    try:
        status = work()
    except ConfigError as error:
        _complain(*error.problems)
        return 2
    except click.Abort:
        return 130
    except NoArgsIsHelpError as error:  # asked for nothing: the help is no complaint
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        is_own = isinstance(error, click.BadParameter) and error.param is None and error.param_hint is None
        _complain(error.message if is_own else error.format_message())
        return error.exit_code
    except BrokenPipeError:
        return 1
    return status if isinstance(status, int) else 0


def _complain(*sentences: str) -> None:
    for sentence in sentences:
        click.echo(f"error: {sentence}", err=True)


def main() -> None:
    """The program."""
    sys.exit(run())
