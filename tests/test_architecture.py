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


def arrows(package: Path) -> dict[str, set[str]]:
    """Which modules of the project each module of a package imports: anywhere in it, for types as well."""
    known = {*modules(CORE), *modules(DASHBOARD)}
    found: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        targets = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                # `from package import module` is an arrow to the module, not to the package that holds it.
                targets |= inner & known or {node.module}
        found[name] = (targets & known) - {name}
    return found


def room_of(module: str) -> str:
    """Return the room in which a module is: the first name below the package."""
    return module.split(".")[1] if "." in module else module


LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "_version"),
    ("support", "settings"),
    ("observations", "bands", "places"),
    ("cubes", "filters", "series", "estimator"),
    ("inversion",),
    ("gaussian_process", "moving_median", "season", "neighbours", "comparison", "physics"),
    ("events",),
    ("estimators",),
    ("jobs", "export", "warming", "synthetic"),
    ("demo", "recipes", "retelling", "accessor"),
    ("xarray_engine",),
    ("itslive_core",),
    ("cli",),
)
"""The rooms of the core from the ground up: a room knows only those of the floors below it."""


FLOORS: tuple[tuple[str, ...], ...] = (
    ("dashboard", "colours", "resources", "hosting"),
    ("extension",),
    ("state",),
    ("views", "runner"),
    ("control",),
    ("screen", "address"),
    ("application",),
    ("app", "serve"),
)
"""The rooms of the dashboard from the ground up; of one floor none knows another."""
PACKAGES = pytest.mark.parametrize(("package", "levels"), [(CORE, LEVELS), (DASHBOARD, FLOORS)])


@PACKAGES
def test_every_room_has_a_floor(package: Path, levels: tuple[tuple[str, ...], ...]):
    rooms = {room_of(name) for name in modules(package)}
    assert rooms == {room for level in levels for room in level}


@PACKAGES
def test_arrows_run_down(package: Path, levels: tuple[tuple[str, ...], ...]):
    """Each arrow leads to a lower floor, so that no way of several arrows leads up either."""
    floor = {room: i for i, level in enumerate(levels) for room in level}
    upward = [
        f"{module} imports {target}"
        for module, targets in arrows(package).items()
        for target in sorted(targets)
        if target.startswith(package.name)
        and room_of(module) != room_of(target)
        and floor[room_of(target)] >= floor[room_of(module)]
    ]
    assert not upward


def test_no_circles():
    """No module reaches itself through what it imports, not even through what it imports for types."""
    graph = arrows(CORE) | arrows(DASHBOARD)
    # The public names are loaded on demand: what the package's own __init__ names is no arrow of a module.
    graph["itslive_core"] = set()
    done = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for target in sorted(graph[module]):
            follow(target, (*path, module))
        done.add(module)

    for module in sorted(graph):
        follow(module, ())


def test_state_reaches_nothing_that_draws():
    """Neither itself nor by way of what it imports from the dashboard; the core draws nothing anyway."""
    graph = arrows(DASHBOARD)
    reached: set[str] = set()
    ahead = {name for name in graph if room_of(name) == "state"}
    assert ahead
    while ahead:
        reached |= ahead
        ahead = {target for name in ahead for target in graph[name] if target in graph} - reached
    paths = [ROOT / f"{name.replace('.', '/')}.py" for name in reached]
    paths = [path if path.exists() else path.with_suffix("") / "__init__.py" for path in paths]
    assert not violations(paths, tuple(sorted(DRAWING - {"param"})))


def test_only_views_load_hvplot():
    """It loads an extension of its own when it is imported: `dashboard.views` prepares that first."""
    others = [path for path in DASHBOARD.rglob("*.py") if DASHBOARD / "views" not in path.parents]
    assert not violations(others, ("hvplot",))


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
