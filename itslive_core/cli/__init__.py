"""The command line `itslive`.

Nothing heavy is imported here or in the modules below before a subcommand runs: ``itslive --help`` answers at
once. Results go to files or to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING

import click

from itslive_core.cli.compare import compare
from itslive_core.cli.cubes import cubes, demo, info, pairs
from itslive_core.cli.estimate import command_of
from itslive_core.cli.events import events
from itslive_core.cli.physics import flux, strain
from itslive_core.cli.plot import plot
from itslive_core.cli.profile import profile
from itslive_core.cli.rerun import rerun
from itslive_core.cli.season import season
from itslive_core.cli.watch import watch
from itslive_core.errors import ItsliveError, SettingsError
from itslive_core.estimators import all_estimators

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["itslive", "main", "run"]

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class _TerminatedError(BaseException):
    """Somebody asked the process to end: whatever is at work cleans up behind itself."""


EPILOG = """\
Examples:

\b
  itslive demo demo.zarr
  itslive info demo.zarr
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc
  itslive cubes --lon 76.4 --lat 35.74

Every command has a --help of its own. Exit code: 0 done; 1 failed or found nothing; 2 wrong usage;
3 finished, but some blocks or points failed; 4 `watch` found a change.
"""


class _InOrder(click.Group):
    """A group that lists its commands in the order in which one meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, as they were added."""
        return list(self.commands)


@click.group(
    cls=_InOrder,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def itslive(ctx: click.Context, version: bool) -> None:
    """Regular glacier velocity series, with error bars, from ITS_LIVE image pairs."""
    if version:
        from itslive_core import __version__

        click.echo(f"itslive {__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    if version:
        ctx.exit()


_estimates = map(command_of, all_estimators())
for _command in (
    demo,
    cubes,
    info,
    pairs,
    season,
    *_estimates,
    profile,
    compare,
    plot,
    rerun,
    events,
    watch,
    strain,
    flux,
):
    itslive.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and turn every error into plain text and an exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``itslive``; by default the arguments of the process.

    Returns
    -------
    int
        0; 1 failed or found nothing; 2 wrong usage; 3 finished, but some blocks or points failed; 4 changed;
        130 interrupted; 143 terminated.
    """
    debug = bool(os.environ.get("ITSLIVE_DEBUG"))
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        try:
            if any("\0" in one for one in arguments or ()):
                raise click.UsageError("an argument holds a character of no name, NUL: leave it out")
            code = itslive.main(args=arguments, prog_name="itslive", standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of the pipe has had enough (`itslive cubes ... | head -1`): nobody is left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except _TerminatedError:
            _complain("terminated")
            return TERMINATED
        except (KeyboardInterrupt, click.Abort):
            _complain("interrupted")
            return INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the user gets a sentence
            if debug:
                traceback.print_exc()
            return _explain(error)
    return code if isinstance(code, int) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; the console script ``itslive``."""
    given = sys.argv[1:] if arguments is None else arguments
    if not any(one.startswith(("--dask", "--help", "-h")) for one in given):
        # xarray looks for arrays of dask wherever it makes a variable. This process has none, and
        # loading dask takes a quarter of the time of a point.
        for name in ("dask", "distributed"):
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    _end_in_order()
    sys.exit(run(arguments))


def _end_in_order() -> None:
    """Let what asks the process to end be an exception, so that no half of a result stays behind."""

    def end(*_: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)  # asked once is enough: cleaning up goes on
        raise _TerminatedError

    # One that is ignored, as nohup does, stays so.
    signals = [
        one
        for name in ("SIGTERM", "SIGHUP")
        if (one := getattr(signal, name, None)) is not None and signal.getsignal(one) == signal.SIG_DFL
    ]
    for one in signals:
        signal.signal(one, end)


def _explain(error: Exception) -> int:
    """Tell the user what went wrong, in at most three lines, and return the exit code."""
    if isinstance(error, click.UsageError):
        _complain(error.format_message())
        command = error.ctx.command_path if error.ctx else "itslive"
        click.echo(f"Usage and examples: {command} --help", err=True)
        return USAGE
    if isinstance(error, click.ClickException):
        _complain(error.format_message())
        return FAILED
    if isinstance(error, ItsliveError):
        _complain(str(error))
        return USAGE if isinstance(error, SettingsError) else FAILED
    _complain(f"unexpected {type(error).__name__}: {error}")
    click.echo("Set ITSLIVE_DEBUG=1 to see where, and please report it.", err=True)
    return FAILED


def _complain(message: str) -> None:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
