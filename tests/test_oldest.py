"""The oldest versions that are installed for a test are those that the project says it works with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"([\w.-]+)==([\w.]+)")
BOUND = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def test_the_oldest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [one for one in project["dependencies"] if "python_version >= '3.12'" not in one]
    bounds = dict(BOUND.match(one).groups() for one in [*needed, *project["optional-dependencies"]["test"]])
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pins = dict(PIN.fullmatch(line).groups() for line in lines if not line.startswith("#"))
    assert {name: bounds[name] for name in pins} == pins
    missing = {BOUND.match(one)[1] for one in needed} - set(pins)
    assert not missing
