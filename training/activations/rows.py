"""Results that are kept as they come, one JSON line each, so that work goes on where it was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dia2.common.errors import UsageError, one_line

Key = tuple[str | int | float, ...]


class Rows:
    """A file of results by key, beside what they are of."""

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        """Open `path`, or begin it.

        Args:
            path: a .jsonl file.
            of: what all rows are of, as JSON has it: checkpoint and settings.

        Raises:
            UsageError: it is of something else, or no such file.
        """
        self._path, self._found = path, dict[Key, Any]()
        head = json.dumps(dict(of), sort_keys=True)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n", encoding="utf-8")
            return
        lines = path.read_bytes().split(b"\n")
        torn = lines.pop()  # what follows the last line's end: nothing, unless the work was killed while it wrote
        try:
            if json.loads(lines[0]) != json.loads(head):
                raise UsageError(f"{path} has figures of another checkpoint or of other settings: name another folder.")
            for line in lines[1:]:
                key, value = json.loads(line)
                self._found[tuple(key)] = value
        except (ValueError, TypeError, IndexError) as error:
            raise UsageError(f"{path} is damaged ({one_line(error)}): delete it, or name another folder.") from error
        if torn:
            os.truncate(path, path.stat().st_size - len(torn))

    def __contains__(self, key: Key) -> bool:
        return key in self._found

    def __getitem__(self, key: Key) -> Any:
        return self._found[key]

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of which there is no result yet."""
        return [key for key in keys if key not in self._found]

    def add(self, key: Key, value: Any) -> None:
        """Keep the result of a key: it is on the disk when this returns."""
        line = json.dumps([key, value]) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
        self._found[key] = json.loads(line)[1]

    def once(self, key: Key, make: Callable[[], Any]) -> Any:
        """The result of a key, which is made if there is none."""
        if key not in self._found:
            self.add(key, make())
        return self._found[key]
