"""The pages that users read, and the fenced blocks on them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}


@dataclass(frozen=True)
class Block:
    """A fenced block: `title` is the file that it stands for, if any."""

    page: str
    language: str
    title: str
    text: str

    @property
    def id(self) -> str:
        """What a test calls it: its page, and its file or first line."""
        return f"{self.page}:{self.title or self.text.splitlines()[0][:40]}"

    def executed(self) -> ModuleType:
        """A module made of it."""
        module = ModuleType(Path(self.title).stem or "example")
        exec(compile(self.text, self.id, "exec"), module.__dict__)
        return module


BLOCKS = tuple(Block(page, *found) for page, text in PAGES.items() for found in FENCE.findall(text))


def titled(title: str) -> Block:
    """The one block that stands for a file."""
    (found,) = (block for block in BLOCKS if block.title == title)
    return found


@dataclass(frozen=True)
class Command:
    """A line of a shell block: the variables set before it, its words, the file it writes to."""

    page: str
    line: str
    variables: dict[str, str]
    words: tuple[str, ...]
    output: str = ""

    @staticmethod
    def of(page: str, line: str) -> "Command":
        """What a line without `&&` or pipes says."""
        words = shlex.split(line, comments=True)
        output = ""
        if ">" in words:
            words, output = words[:-2], words[-1]
        first = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
        variables = dict(word.split("=", 1) for word in words[:first])
        return Command(page, line, variables, tuple(words[first:]), output)


COMMANDS = tuple(
    Command.of(block.page, part)
    for block in BLOCKS
    if block.language == "sh"
    for line in block.text.splitlines()
    for part in line.split(" && ")
)
