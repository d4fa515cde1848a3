"""The command `rerun`: make a result again from its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from itslive_core.cli.arguments import STDOUT, destination
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
  itslive rerun first.nc
  itslive rerun first.nc --as python -o first.py
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@output_option(
    "an ending that such a result has, or - for CSV; without it the result is made again only to be compared"
    " with FILE",
    required=False,
)
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
    output: Path | None,
    cube: tuple[str, ...],
    anyway: bool,
    way: str | None,
    workers: int | None,
    quiet: bool,
) -> int:
    """Make the result in FILE again, from the recipe that it carries.

    FILE is a .nc, .zarr or .tif of this program, a .csv whose recipe lies beside it (FILE.recipe.json), or
    the recipe itself. The arrays come out the same. Where a datacube has changed since, nothing is made, and
    what differs is said. Without -o the new result is compared with FILE: "identical", with the digest of its
    values, or what differs and exit code 1.
    """
    from itslive_core.export import check_output
    from itslive_core.export.differences import digest_of
    from itslive_core.export.files import replacing
    from itslive_core.export.recipes import read_recipe
    from itslive_core.recipes import compare_again, located, version_note
    from itslive_core.recipes import rerun as make_again
    from itslive_core.retelling import WAYS

    options: dict[str, Any]
    report = Reporter(quiet=quiet)
    recipe = read_recipe(file)
    note = version_note(recipe)
    if note:
        report.say(note)
    if way is not None:
        if anyway or workers is not None:
            raise click.UsageError("--as makes nothing: leave out --anyway and --workers")
        if output is None:
            raise click.UsageError("--as needs -o OUT, or -o - for the screen")
        text = WAYS[way](located(recipe, file, cube or None)).rstrip() + "\n"
        if str(output) == STDOUT:
            click.echo(text, nl=False)
            return 0
        with replacing(check_output(output, (_ENDINGS[way],))) as path:
            path.write_text(text, encoding="utf-8")
        report.say(f"Wrote {output}")
        return 0
    options = {"cubes": cube or None, "anyway": anyway, "workers": workers}
    if output is None:
        with report.compiling():
            found = compare_again(file, **options)
        click.echo("; ".join(found.differences) or f"identical (digest {found.digest})")
        return 1 if found.differences else 0
    with destination(output) as path, report.compiling():
        digest = digest_of(make_again(file, path, **options))
    report.say(f"Wrote {output} (digest {digest})")
    return 0
