"""The command line: finds the command, and turns what goes wrong into one clear line and the right exit code.

Only click comes in here; each command's module is imported when it is called, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn, TextIO

import click

from modelgpt_edge.errors import InputError, ModelgptEdgeError, nearest

COMMANDS = {
    "build": "Make a model for a task, compile it for devices, check it, and write a package.",
    "predict": "Predict the rows of a file with a package.",
    "verify": "Check a package: checksums, and every variant against the golden rows, hop by hop.",
    "profile": "Measure a package on this machine: latency cold, warm and sustained, memory, power.",
    "finalize": "Build and check the TensorRT engines of a package, on the board.",
    "refit": "Give a package new weights without compiling it anew.",
    "inspect": "Show what a package holds: task, columns, score, variants.",
    "embed": "Write a small app around a package, in Python, C, C++ or JavaScript.",
    "serve": "Emit weights and build packages for others, over HTTP.",
    "train": "Meta-train a generator, for tables on synthetic ones or for texts on labelled ones, in legs of minutes.",
    "bench": "Check and time a server's GPU kernels, beside torch and the machine's roofs.",
    "targets": "List the devices that can be built for, and how each is checked.",
    "doctor": "Tell what works on this machine, what is missing, and the line that cures it.",
}

EPILOG = """Exit codes: 0 done; 1 a bad value or input; 2 an unknown option or a missing argument; 3 the numeric gate failed;
4 a target is not available here; 5 nothing fits the budget. Any command takes --debug for a full traceback. Completion:
eval "$(_MODELGPT_EDGE_COMPLETE=bash_source modelgpt-edge)" (or zsh_source, fish_source)."""


class Commands(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"modelgpt_edge.commands.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but an unknown command is a bad value, with the nearest names."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise InputError("there is no such command", where="modelgpt-edge", seen=args[0], cure=nearest(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the texts above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="modelgpt-edge", prog_name="modelgpt-edge")
def cli() -> None:
    """From one sentence and a handful of rows to a small, checked, compiled model on your device, with no training."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    # Ending a build must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _warn
            status = cli.main(words, prog_name="modelgpt-edge", standalone_mode=False)
            sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except ModelgptEdgeError as error:
        _fail(str(error), error.exit_code, debug)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        bad_value = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
        command = error.ctx.command_path if error.ctx else "modelgpt-edge"
        _fail(f"{error.format_message()} See: {command} --help", 1 if bad_value else 2, debug)
    except (KeyboardInterrupt, click.Abort):
        _leave(debug)
    except BrokenPipeError:
        # The reader went away, as `| head` does.
        _drop_unwritten()
        sys.exit(0)
    except MemoryError:
        _fail("the machine ran out of memory. Close other programs, or give a table with fewer columns", 1, debug)
    except OSError as error:
        _drop_unwritten()
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}. {_cure(error)}", 1, debug)
    except Exception as error:  # the last resort: a user never sees a traceback unless asked for
        _fail(f"an internal error, sorry: {type(error).__name__}: {error}. Run again with --debug and report it", 1, debug)


def _cure(error: OSError) -> str:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Check the path and its permissions"
    import tempfile

    return f"Free some space where the output goes, and in {tempfile.gettempdir()} for temporary files"


def _leave(debug: bool) -> NoReturn:
    """End at once after an interrupt: an ordinary exit would wait for the threads at work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        _fail("interrupted: nothing is left half-written", 1, debug)
    finally:
        os._exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning in one line, without the place in the code that raised it."""
    click.echo(f"warning: {message}", err=True)


def _drop_unwritten() -> None:
    """Forget what stdout holds and can't write, or Python would complain about it once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
