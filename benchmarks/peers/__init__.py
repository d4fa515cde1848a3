"""Other people's estimates, to hold ours against; see the README of this folder."""

from __future__ import annotations
