"""Whether a tag may be released: `python .github/check_release.py v1.2.3`.

The tag is the version of `itslive_core/_version.py`, CITATION.cff, codemeta.json and the conda recipe say the
same, and the changelog has a dated section of it and nothing left under "Unreleased".
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text("utf-8")


def found(pattern: str, name: str) -> str:
    """Return what a pattern finds in a file, or nothing."""
    match = re.search(pattern, read(name), re.MULTILINE)
    return match[1] if match else ""


def versions() -> dict[str, str]:
    """Return the version that each file names."""
    return {
        "itslive_core/_version.py": found(r'^__version__ = "(.+)"$', "itslive_core/_version.py"),
        "CITATION.cff": found(r"^version: (\S+)$", "CITATION.cff"),
        "codemeta.json": json.loads(read("codemeta.json"))["version"],
        "conda/recipe.yaml": found(r'^  version: "(.+)"$', "conda/recipe.yaml"),
    }


def problems(tag: str) -> list[str]:
    """Return what speaks against releasing a tag, in sentences."""
    version = tag.removeprefix("v")
    wrong = [f"{name} says {said}, the tag {tag}" for name, said in versions().items() if said != version]
    changes = read("CHANGELOG.md")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        wrong.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    waiting = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL)
    if waiting and waiting[1].strip():
        wrong.append("CHANGELOG.md has entries under 'Unreleased': move them to the section of the release")
    return wrong


if __name__ == "__main__":
    told = problems(sys.argv[1])
    print(*told, sep="\n", file=sys.stderr)  # noqa: T201 - a command
    sys.exit(bool(told))
