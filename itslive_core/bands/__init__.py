"""The algebra of band matrices: assembly from spans, penalty, factor, solution, selected inverse."""

from __future__ import annotations
