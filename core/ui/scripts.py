"""The scripts of the components that are ours (Streamlit components v2)."""

from pathlib import Path
from typing import Final

_SHARED: Final = Path(__file__).with_name("shared.js")


def script(*files: Path) -> str:
    """One module out of what all components share and a component's own files, in this order."""
    return "\n".join(file.read_text(encoding="utf-8") for file in (_SHARED, *files))
