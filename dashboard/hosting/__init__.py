"""What a server lends to its sessions, and what keeps them from harming it or each other."""

from __future__ import annotations
