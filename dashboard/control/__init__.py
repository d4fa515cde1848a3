"""What the dashboard does when a person acts: between state, worker and views."""

from __future__ import annotations
