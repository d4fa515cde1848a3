"""What a release says of itself is the same everywhere: version, requirements, entry points, citation."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base", "dask": "dask-core"}
"""Distributions that conda-forge calls by another name."""


def checker():
    """The script that the release workflow runs."""
    spec = importlib.util.spec_from_file_location("check_release", ROOT / ".github" / "check_release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_version_everywhere():
    import itslive_core

    assert PROJECT["dynamic"] == ["version"]
    assert set(checker().versions().values()) == {itslive_core.__version__}


def test_a_tag_is_released_when_changelog_and_files_say_so(monkeypatch):
    import itslive_core

    release = checker()
    version = itslive_core.__version__
    told = "\n".join(release.problems("v99.0.0"))
    assert "CITATION.cff says" in told
    assert "## [99.0.0]" in told
    real = release.read
    changes = f"# Changelog\n\n## [Unreleased]\n\n## [{version}] - 2026-12-01\n\n### Added\n- All of it.\n"
    monkeypatch.setattr(release, "read", lambda name: changes if name == "CHANGELOG.md" else real(name))
    assert release.problems(f"v{version}") == []
    changes = changes.replace("[Unreleased]\n", "[Unreleased]\n- Something else.\n")
    assert "Unreleased" in release.problems(f"v{version}")[0]


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for():
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text("utf-8"))
    asked = dict(one.split(" ") for one in recipe["requirements"]["run"])
    needed = {"python": PROJECT["requires-python"]}
    for line in PROJECT["dependencies"]:
        if "python_version < " not in line:
            name, bound = re.match(r"([\w.-]+)(>=[\w.]+)", line).groups()
            needed[CONDA_NAMES.get(name, name.lower())] = bound
    assert asked == needed
    points = dict(one.split(" = ") for one in recipe["build"]["python"]["entry_points"])
    assert points == PROJECT["scripts"]


def test_the_citation_names_the_data():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    from itslive_core.series.citation import REFERENCES

    assert cited["license"] == PROJECT["license"]
    dois = [one["doi"] for one in cited["references"]]
    assert dois == re.findall(r"doi:(10\.\d+/[\w.-]+)", REFERENCES)


def test_workflows_call_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    called = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            steps = "\n".join(step.get("run", "") for step in job["steps"])
            called |= set(re.findall(r"\bmake ([\w-]+)", steps))
    assert {"docs", "test", "test-oldest", "test-python", "wheel"} <= called
    assert not [target for target in called if f"\n{target}:" not in makefile]


def test_the_paper_cites_what_its_bibliography_holds():
    text = (ROOT / "paper" / "paper.md").read_text("utf-8")
    held = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "paper" / "paper.bib").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"@(\w+)", text)) == held
