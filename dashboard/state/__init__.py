"""What a person has chosen, without any view: testable without a server, nothing shared between sessions."""

from __future__ import annotations
