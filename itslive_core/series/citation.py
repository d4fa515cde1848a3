"""How the data of an estimate are cited, and on what terms they may be used: part of every output."""

from __future__ import annotations

__all__ = ["LICENCE", "REFERENCES"]

REFERENCES = (
    "ITS_LIVE: Gardner, A., M. Fahnestock, and T. Scambos (2025), MEaSUREs ITS_LIVE Regional Glacier and Ice "
    "Sheet Surface Velocities, NASA NSIDC DAAC, doi:10.5067/6II6VW8LLWJ7; "
    "Gardner et al. (2025), The Cryosphere 19, 3517, doi:10.5194/tc-19-3517-2025"
)
"""What is cited with the data."""

LICENCE = (
    "velocities of ITS_LIVE are free to use (CC0-1.0, or CC-BY-4.0 where its catalog says so), please cite "
    "the references; other datacubes: as whoever made them says"
)
"""On what terms the data may be used (the attribute `license` of ACDD)."""
