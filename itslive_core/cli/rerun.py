"""The command `rerun`: make a result again from its recipe."""

from __future__ import annotations

from pathlib import Path

import click

from itslive_core.cli.arguments import STDOUT
from itslive_core.cli.options import output_option, quiet_option
from itslive_core.cli.reporting import Reporter

__all__ = ["rerun"]

_ENDINGS = {"python": ".py", "command": ".sh", "notebook": ".ipynb"}


@click.command(
    epilog="""\
Examples:

\b
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --smoothing 30 -o first.nc
  itslive rerun first.nc -o again.nc
  itslive rerun first.nc --as python -o first.py
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@output_option("an ending that such a result has")
@click.option(
    "--cube",
    multiple=True,
    metavar="CUBE",
    help="Where the datacube is now, if it was moved; once for each, in their order.",
)
@click.option("--anyway", is_flag=True, help="Go on if a datacube has changed since.")
@click.option(
    "--as",
    "way",
    type=click.Choice(["python", "command", "notebook"]),
    help="Of the series of a point: write the program, the line of the shell or the notebook that makes it"
    " (-o - for the screen), and make nothing.",
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads [one a core].")
@quiet_option
def rerun(
    file: Path,
    output: Path,
    cube: tuple[str, ...],
    anyway: bool,
    way: str | None,
    workers: int | None,
    quiet: bool,
) -> None:
    """Make the result in FILE again, from the recipe that it carries.

    FILE is a .nc, .zarr or .tif of this program, a .csv whose recipe lies beside it (FILE.recipe.json), or
    the recipe itself. The arrays come out the same. Where a datacube has changed since, nothing is made, and
    what differs is said.
    """
    from itslive_core.export import check_output
    from itslive_core.export.files import replacing
    from itslive_core.export.recipes import read_recipe
    from itslive_core.recipes import located, version_note
    from itslive_core.recipes import rerun as make_again
    from itslive_core.retelling import WAYS

    report = Reporter(quiet=quiet)
    recipe = read_recipe(file)
    note = version_note(recipe)
    if note:
        report.say(note)
    if way is not None:
        if anyway or workers is not None:
            raise click.UsageError("--as makes nothing: leave out --anyway and --workers")
        text = WAYS[way](located(recipe, file, cube or None)).rstrip() + "\n"
        if str(output) == STDOUT:
            click.echo(text, nl=False)
            return
        with replacing(check_output(output, (_ENDINGS[way],))) as path:
            path.write_text(text, encoding="utf-8")
        report.say(f"Wrote {output}")
        return
    with report.compiling():
        written = make_again(file, output, cubes=cube or None, anyway=anyway, workers=workers)
    report.say(f"Wrote {written}")
