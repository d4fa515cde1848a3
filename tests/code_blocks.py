"""The code blocks of a Markdown page, and how they are run: in this process, which has everything loaded."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?```(?P<language>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its code, and why it is not run, where that is said above it."""

    page: str
    line: int
    language: str
    code: str
    reason: str


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            page.name,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"].strip(),
            match["code"],
            match["reason"] or "",
        )
        for match in FENCE.finditer(text)
    ]


def run_block(block: Block, names: dict[str, object]) -> None:
    """Run a block in the working folder; Python blocks of a page share their names."""
    where = f"{block.page}, line {block.line}"
    if block.language == "python":
        exec(compile("\n" * block.line + block.code, block.page, "exec"), names)
        return
    from itslive_core.cli import run

    for line in block.code.replace("\\\n", " ").splitlines():
        command = shlex.split(line, comments=True)
        if command[:1] == ["itslive"]:
            assert run(command[1:]) == 0, f"{where}: {line}"
        elif command:
            done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{where}: {line}\n{done.stderr}"
