"""Looks at the site as it was built: every link within it leads to a file and an anchor that are there.

python docs/check_site.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name == "id":
                self.anchors.add(value)


@cache
def read(path: Path) -> _Page:
    """A page of the site."""
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(path: Path, site: Path) -> Iterator[str]:
    """What is wrong with the links of a page."""
    for link in read(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_file() or not target.is_relative_to(site):
            yield f"{path.relative_to(site)}: {link} leads nowhere"
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
            yield f"{path.relative_to(site)}: {link} has no such anchor"


def main(folder: str) -> int:
    """Print what is broken; returns the exit code."""
    site = Path(folder).resolve()
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    found = [line for page in pages for line in broken(page, site)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    links = sum(len(read(page).links) for page in pages)
    sys.stdout.write(f"{len(pages)} pages, {links} links, {len(found)} broken\n")
    return 1 if found or len(pages) < 10 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
