"""The lines of the installed transformers that compute a step, found when they are asked for."""

import inspect
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.lens.forward import Code


@dataclass(frozen=True, slots=True)
class SourceLines:
    """Where a step happens in the library.

    Attributes:
        file: the file, from the folder of the installed packages, such as ``"transformers/models/bert/…"``.
        owner: the class or function.
        lines: number and text of each line.
        version: of the library.
    """

    file: str
    owner: str
    lines: tuple[tuple[int, str], ...]
    version: str

    @property
    def url(self) -> str:
        """The first of these lines in the library's repository."""
        path = self.file.replace("\\", "/")
        return f"https://github.com/huggingface/transformers/blob/v{self.version}/src/{path}#L{self.lines[0][0]}"


@lru_cache(maxsize=256)
def _source(owner: Any) -> tuple[str, int, tuple[str, ...]]:
    lines, first = inspect.getsourcelines(inspect.unwrap(owner))
    return str(inspect.getsourcefile(inspect.unwrap(owner))), first, tuple(lines)


def source_of(model: Any, code: Code) -> SourceLines | None:
    """Finds the lines of a step.

    Args:
        model: the transformers model.
        code: where to look.

    Returns:
        ``None`` where the installed version has no such line.
    """
    import transformers

    kind = type(model.get_submodule(code.owner) if code.owner else model)
    owner: Any = kind
    if code.eager:
        owner = getattr(sys.modules[kind.__module__], "eager_attention_forward", None)
        if owner is None:
            return None
    try:
        file, first, lines = _source(owner)
    except (OSError, TypeError):
        return None
    begin = 0
    if not code.eager:
        begin = next((at for at, line in enumerate(lines) if re.match(r"\s*def forward\(", line)), 0)
    found = [
        (first + at, line.strip())
        for at, line in enumerate(lines)
        if at > begin and not line.lstrip().startswith(("#", '"')) and re.search(code.pattern, line)
    ]
    if code.which is not None and found:
        found = [found[code.which if code.which < len(found) else -1]]
    if not found:
        return None
    root = Path(transformers.__file__).parents[1]
    return SourceLines(str(Path(file).relative_to(root)), owner.__name__, tuple(found), transformers.__version__)
