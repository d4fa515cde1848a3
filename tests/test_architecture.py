"""The rules that hold the architecture together, read from the source and tried in fresh interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "itslive_core"
DASHBOARD = ROOT / "dashboard"

DRAWING = {"panel", "panel_material_ui", "holoviews", "bokeh", "param", "geoviews", "hvplot"}
ON_DEMAND = {"torch", "sklearn", "distributed", "rasterio", "matplotlib", "rich", "click"}
HEAVY = {
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "zarr",
    "numba",
    "geopandas",
    "shapely",
    "pyproj",
    "dask",
    "fsspec",
    "s3fs",
}


def modules(package: Path) -> list[str]:
    """Dotted names of all modules of a package."""
    names = []
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def imported_by(code: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after running some code."""
    report = "import sys\nprint('<loaded>', *{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("<loaded>")[2].split())


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function, but not under TYPE_CHECKING."""
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)

    Visitor().visit(ast.parse(path.read_text("utf-8")))
    return found


def violations(paths: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    """Imports of a module at or below one of the forbidden names."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(imports_of(path))
        if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)
    ]


def test_core_never_imports_what_draws():
    code = "\n".join(f"import {name}" for name in modules(CORE))
    loaded = imported_by(code)
    assert not loaded & DRAWING


def test_core_source_never_imports_what_draws():
    assert not violations(sorted(CORE.rglob("*.py")), (*sorted(DRAWING), "dashboard"))


def test_optional_and_slow_libraries_wait_until_they_are_needed():
    code = "\n".join(f"import {name}" for name in modules(CORE) if not name.startswith("itslive_core.cli"))
    assert not imported_by(code) & ON_DEMAND


def test_importing_the_public_api_is_light():
    assert not imported_by("import itslive_core\nassert itslive_core.__version__") & HEAVY


def test_every_public_name_resolves():
    import itslive_core

    for name in itslive_core.__all__:
        assert getattr(itslive_core, name) is not None
    assert set(itslive_core.__all__) <= set(dir(itslive_core))


def test_help_of_the_command_line_imports_nothing_heavy():
    code = """
import sys
from itslive_core.cli import main
sys.argv = ["itslive", "--help"]
try:
    main()
except SystemExit:
    pass
"""
    assert not imported_by(code) & (HEAVY | DRAWING | ON_DEMAND - {"click"})


@pytest.mark.parametrize(
    ("where", "forbidden"),
    [
        ("solvers", ("estimators", "jobs", "datacube", "catalog", "glaciers", "pairs", "export", "cli")),
        ("estimators", ("jobs", "datacube", "catalog", "glaciers", "export", "cli")),
        ("pairs.py", ("solvers", "estimators", "jobs", "datacube", "export", "cli")),
        ("selection.py", ("solvers", "estimators", "jobs", "datacube", "export", "cli")),
        ("time_grid.py", ("solvers", "estimators", "jobs", "datacube", "pairs", "export", "cli")),
        ("outliers.py", ("solvers", "estimators", "jobs", "datacube", "export", "cli")),
        ("datacube.py", ("solvers", "estimators", "jobs", "export", "cli")),
        ("catalog.py", ("solvers", "estimators", "jobs", "datacube", "export", "cli")),
        ("glaciers.py", ("solvers", "estimators", "jobs", "datacube", "export", "cli")),
        ("jobs", ("cli",)),
        ("export.py", ("solvers", "estimators", "jobs", "cli")),
    ],
)
def test_dependencies_of_the_core_run_one_way(where: str, forbidden: tuple[str, ...]):
    target = CORE / where
    if not target.exists():  # a module that grew into a package
        target = target.with_suffix("")
    paths = [target] if target.is_file() else sorted(target.rglob("*.py"))
    assert paths, f"{where} is gone: mend this test"
    assert not violations(paths, tuple(f"itslive_core.{name}" for name in forbidden))


def test_state_knows_no_view_and_views_know_no_worker():
    state = sorted((DASHBOARD / "state").rglob("*.py"))
    views = sorted((DASHBOARD / "views").rglob("*.py"))
    assert state
    assert views
    drawing = tuple(sorted(DRAWING - {"param"}))
    assert not violations(state, (*drawing, "dashboard.views", "dashboard.runner", "dashboard.application"))
    assert not violations(views, ("dashboard.runner", "dashboard.application"))


def test_no_file_is_too_long():
    files = [
        path for top in (CORE, DASHBOARD, ROOT / "tests", ROOT / "benchmarks") for path in top.rglob("*.py")
    ]
    long = {
        str(path.relative_to(ROOT)): n
        for path in files
        if (n := len(path.read_text("utf-8").splitlines())) > 500
    }
    assert not long


def test_no_module_of_the_dashboard_shadows_a_top_level_import():
    """`panel serve dashboard/app.py` puts that folder first on sys.path."""
    own = {path.stem for path in DASHBOARD.glob("*.py")} - {"__init__"}
    own |= {path.name for path in DASHBOARD.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    taken = set(sys.stdlib_module_names) | {"dashboard", "itslive_core"} | DRAWING | ON_DEMAND | HEAVY
    for path in [*CORE.rglob("*.py"), *DASHBOARD.rglob("*.py")]:
        taken |= {name.partition(".")[0] for name in imports_of(path)}
    assert not own & taken


def test_every_module_says_what_it_is_for():
    silent = [
        str(path.relative_to(ROOT))
        for top in (CORE, DASHBOARD)
        for path in top.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent
