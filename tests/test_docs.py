"""The pages build without a warning, their code runs, their search finds what people look for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code_blocks import blocks_of, run_block

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "README.md"])
FIRST = "tutorials/first-curve.md"
"""It makes the folder in which the others work."""


def listed(page: Path) -> list[Path]:
    """Return the pages that a page lists in its tables of contents, with those that they list, in order."""
    found = []
    for block in blocks_of(page):
        if block.language == "{toctree}":
            for name in re.findall(r"^(/?[\w/-]+)$", block.code, re.MULTILINE):
                folder = DOCS if name.startswith("/") else page.parent
                inner = (folder / f"{name.removeprefix('/')}.md").resolve()
                found += [inner, *listed(inner)]
    return found


def in_order() -> list[Path]:
    """Pages with code that is run: tutorials in the order of need, then the rest."""
    pages = [page for page in listed(DOCS / "index.md") if any(runs(block) for block in blocks_of(page))]
    assert pages[0] == DOCS / FIRST
    return pages


def runs(block) -> bool:
    return block.language in ("python", "sh") and not block.reason


@pytest.mark.slow
def test_the_code_of_all_pages_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for page in in_order():
        names: dict[str, object] = {"__name__": page.stem}
        for block in blocks_of(page):
            if runs(block):
                run_block(block, names)
    assert "m/yr" in capsys.readouterr().out
    assert {"series.csv", "glacier.zarr", "points.csv", "again.nc"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_what_is_not_run_says_why():
    """Other languages are shown, not run: text, console sessions, directives of the pages."""
    known = {"python", "sh", "text", "console", ""}
    strange = [
        block
        for page in PAGES
        for block in blocks_of(page)
        if block.language not in known and not block.language.startswith("{")
    ]
    assert not strange
    assert {block.reason for page in PAGES for block in blocks_of(page) if block.reason}
    tried = {page.relative_to(ROOT).as_posix() for page in in_order()}
    coded = {
        page.relative_to(ROOT).as_posix()
        for page in PAGES
        if any(runs(block) for block in blocks_of(page)) and page.name != "README.md"
    }
    assert coded == tried


def test_the_first_curve_takes_five_lines():
    code = next(block.code for block in blocks_of(DOCS / FIRST) if block.language == "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 5


def test_every_public_name_has_its_place_in_the_reference():
    import itslive_core

    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    named = set(re.findall(r"auto(?:class|function):: itslive_core\.(\w+)$", text, re.MULTILINE))
    assert named == set(itslive_core.__all__) - {"__version__"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-b", "html"]
    done = subprocess.run(
        [*command, DOCS, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_pages_fetch_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        fetched = re.findall(r'<(?:script|img|iframe|source)[^>]+src="(https?:[^"]+)"', text)
        fetched += re.findall(r'<link[^>]+href="(https?:[^"]+)"', text)
        assert not fetched, page.name


@pytest.mark.slow
def test_links_lead_to_pages_and_headings(site):
    text = {page.resolve(): page.read_text("utf-8") for page in site.rglob("*.html")}
    broken = []
    for page, source in text.items():
        for link in re.findall(r'<a [^>]*href="(?!https?:|mailto:)([^"]*)"', source):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if target.name in ("search.html", "genindex.html", "py-modindex.html"):
                continue
            if not target.exists() or (anchor and f'id="{anchor}"' not in text.get(target, "")):
                broken.append(f"{page.name}: {link}")
    assert not broken


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("locked pairs", "tutorials/trust-it"),
        ("error bars", "how-the-estimate-works"),
        ("proxy", "hosting"),
    ],
)
def test_the_search_finds(site, words, page):
    """The index that the search of the pages reads: a page is found that holds every word, by its stem."""
    from snowballstemmer import stemmer

    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    found: set[str] | None = None
    for stem in stemmer("english").stemWords(words.split()):
        numbers = [index[part].get(stem, []) for part in ("terms", "titleterms")]
        pages = {
            index["docnames"][i] for hits in numbers for i in (hits if isinstance(hits, list) else [hits])
        }
        found = pages if found is None else found & pages
    assert page in (found or set())
