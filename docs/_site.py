"""What the site is built with beside its pages: the quick start is the README itself."""

from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The README as the first page, its links as seen from this folder."""
    if page.file.src_uri != "index.md":
        return markdown
    return README.read_text(encoding="utf-8").replace("](docs/", "](")
