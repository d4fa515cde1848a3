"""How Sphinx makes the pages: `make docs`. Nothing is fetched; every warning is an error there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes

from itslive_core import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "CHANGELOG.md": "project/changelog",
    "CODE_OF_CONDUCT.md": "project/conduct",
    "CONTRIBUTING.md": "project/contributing",
    "README.md": "index",
    "SECURITY.md": "project/security",
}
"""Files at the top of the repository that have a page."""

project = "itslive-dashboard"
author = "The itslive-dashboard authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx_click"]
html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_copy_source = False
html_show_sourcelink = False
copyright = f"2026, {author}. MIT licence"  # noqa: A001 - Sphinx calls it so

highlight_language = "none"
smartquotes = False  # two hyphens are an option, not a dash
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_number_code_blocks: list[str] = []
autodoc_typehints = "none"  # numpydoc sections name types, with shapes and units
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


def _lead_links_home(app: Sphinx, doctree: Any) -> None:
    """Lead links to files of the repository to their pages here; where there is none they become text.

    Files at the top of the repository are pages too, and are linked as GitHub shows them. A link to what does
    not exist is left to MyST, which warns of it.
    """
    name = app.env.docname
    folders = (ROOT / "docs" / Path(name).parent, ROOT)
    for node in list(doctree.findall(addnodes.pending_xref)):
        target = str(node["reftarget"]).partition("#")[0]
        places = [folder / f"{target}{ending}" for folder in folders for ending in ("", ".md")]
        place = next((place.resolve() for place in places if target and place.exists()), None)
        if place is None:
            continue
        own = PAGES.get(place.relative_to(ROOT).as_posix())
        if own is None and place.is_relative_to(ROOT / "docs") and place.suffix == ".md":
            if name not in PAGES.values():
                continue  # between pages MyST finds its way, and checks headings too
            own = place.relative_to(ROOT / "docs").with_suffix("").as_posix()
        found = (
            nodes.inline() if own is None else nodes.reference(internal=True, refuri=_address(app, name, own))
        )
        found += node.children
        node.replace_self(found)


def _address(app: Sphinx, name: str, target: str) -> str:
    return app.builder.get_relative_uri(name, target)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", _lead_links_home)
