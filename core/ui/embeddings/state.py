"""The page's state, which is its link: what each part looks at; and how its fields are written as text."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.catalog import entries
from core.course.embeddings import EmbeddingExample, embedding_example, first_example
from core.i18n import get_language
from core.lens.embeddings_neighbours import MEASURES
from core.lens.projection import METHODS
from core.ui.navigation import N_
from core.ui.state import PageState, Param, catalogue_key, flag, one_of, pack_text, unpack_text

PARTS: Final = {
    "sum": (N_("La suma"), ":material/add_circle:"),
    "positions": (N_("Posiciones"), ":material/grid_on:"),
    "neighbours": (N_("Vecinos"), ":material/scatter_plot:"),
    "contexts": (N_("Misma palabra"), ":material/alt_route:"),
    "sentences": (N_("[CLS] o media"), ":material/short_text:"),
    "cosine": (N_("Coseno"), ":material/square_foot:"),
    "batch": (N_("El lote"), ":material/view_agenda:"),
}

MODEL, PART, EXAMPLE, FILLED = "em_model", "em_part", "em_example", "em_filled"
TEXT, SECOND, TOKEN = "em_text", "em_second", "em_token"
COUNT, ANCHOR, SCHEME = "em_count", "em_anchor", "em_scheme"
PIECE, PICK, MEASURE, SPECIAL = "em_piece", "em_pick", "em_measure", "em_special"
WORD, LINES, LAYER, METHOD = "em_word", "em_lines", "em_layer", "em_method"
DIMENSIONS, POINTS, SEED = "em_dimensions", "em_points", "em_seed"
PAIRS, BATCH, PAIR = "em_pairs", "em_batch", "em_pair"
VECTORS: Final = ("em_vector_a", "em_vector_b", "em_vector_c")

COUNTS: Final = (32, 64, 128, 256, 512)
SCHEMES: Final = {"model": N_("las del modelo"), "sine": N_("senos (2017)")}
SEPARATOR: Final = "|"


def _natural(text: str) -> int:
    number = int(text)
    if not 0 <= number < 100_000:
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number not in COUNTS:
        raise ValueError(text)
    return number


def _on(value: object) -> str:
    return "1" if value else "0"


# What each part's link holds besides model and part: all seven together would make it too long for a QR code.
_OF_PART: Final = {
    "sum": {"text", "second", "token"},
    "positions": {"count", "anchor", "scheme"},
    "neighbours": {"piece", "pick", "measure", "special"},
    "contexts": {"word", "lines", "layer", "method", "dimensions", "points", "seed"},
    "sentences": {"pairs"},
    "cosine": {"a", "b", "c", "pair"},
    "batch": {"batch"},
}


class _OpenPart(PageState):
    """A page state whose link holds only what the open part shows."""

    def query(self) -> dict[str, str]:
        """The parameters of the open part that differ from a fresh page's."""
        own = {"model", "part", *_OF_PART[st.session_state.get(PART) or "sum"]}
        if st.session_state.get(PART) == "cosine":
            own.discard("model")  # it needs none
        return {name: value for name, value in super().query().items() if name in own}


STATE: Final = _OpenPart(
    "embeddings",
    (
        # No text and no model is anybody's default: a link always says which, as machines have different ones.
        Param("model", MODEL, "", str, catalogue_key),
        Param("part", PART, "sum", str, one_of(*PARTS)),
        Param("text", TEXT, "", pack_text, unpack_text),
        Param("second", SECOND, "", pack_text, unpack_text),
        Param("token", TOKEN, 1, str, _natural),
        Param("count", COUNT, 128, str, _count),
        Param("anchor", ANCHOR, 20, str, _natural),
        Param("scheme", SCHEME, "model", str, one_of(*SCHEMES)),
        Param("piece", PIECE, "", pack_text, unpack_text),
        Param("pick", PICK, 0, str, _natural),
        Param("measure", MEASURE, "cosine", str, one_of(*MEASURES)),
        Param("special", SPECIAL, False, _on, flag),
        Param("word", WORD, "", pack_text, unpack_text),
        Param("lines", LINES, "", pack_text, unpack_text),
        # One more than the last layer means the last: the number of layers is the model's.
        Param("layer", LAYER, 99, str, _natural),
        Param("method", METHOD, "pca", str, one_of(*METHODS)),
        Param("dimensions", DIMENSIONS, 2, str, lambda text: int(one_of("2", "3")(text))),
        Param("points", POINTS, "word", str, one_of("word", "all")),
        Param("seed", SEED, 0, str, _natural),
        Param("pairs", PAIRS, "", pack_text, unpack_text),
        *(Param(key[-1], key, "", pack_text, unpack_text) for key in VECTORS),
        Param("pair", PAIR, "AB", str, one_of("AB", "AC", "BC")),
        Param("batch", BATCH, "", pack_text, unpack_text),
        # An order rather than a state: carried out once, then gone from the link.
        Param("example", EXAMPLE, "", str, str),
    ),
)


def lines_text(example: EmbeddingExample) -> str:
    """An example's sentences as the field holds them: one a line, its sense after a bar."""
    senses = example.senses[get_language()]
    if not senses:
        return "\n".join(example.lines)
    return "\n".join(f"{line} {SEPARATOR} {sense}" for line, sense in zip(example.lines, senses, strict=True))


def split_lines(text: str) -> list[tuple[str, str]]:
    """The sentences of a field with what stands after the last bar; empty lines are left out."""
    found = []
    for line in text.splitlines():
        sentence, bar, rest = line.rpartition(SEPARATOR)
        whole = (sentence if bar else rest).strip()
        if whole:
            found.append((whole, rest.strip() if bar else ""))
    return found


def fill(example: EmbeddingExample) -> None:
    """Puts an example's texts into the fields of its part, and leaves the other parts alone."""
    session = st.session_state
    if example.part == "sum":
        session[TEXT], session[SECOND], session[TOKEN] = example.a, example.b, 1
    elif example.part == "positions":
        session[COUNT], session[ANCHOR], session[SCHEME] = 128, 20, "model"
    elif example.part == "neighbours":
        session[PIECE], session[PICK], session[MEASURE] = example.piece, 0, example.measure
    elif example.part == "contexts":
        session[WORD], session[LINES], session[LAYER] = example.word, lines_text(example), 99
    elif example.part == "sentences":
        session[PAIRS] = "\n".join(f"{a} {SEPARATOR} {b}" for a, b in example.pairs)
    elif example.part == "cosine":
        for key, vector in zip(VECTORS, example.vectors, strict=True):
            session[key] = "  ".join(f"{number:g}" for number in vector)
    else:
        session[BATCH] = "\n".join(example.lines)


def apply_example(key: str) -> None:
    """Opens an example: its part, its texts, and its model or one of its language."""
    try:
        example = embedding_example(key)
    except KeyError:
        return
    session = st.session_state
    now = entries().get(session[MODEL])
    if example.model:
        session[MODEL] = example.model
    elif example.language and (now is None or example.language not in now.languages):
        session[MODEL] = ""  # the form finds one of the text's language
    session["em_language"] = example.language
    session[PART] = example.part
    fill(example)


def arrive(languages: Sequence[str]) -> None:
    """Takes over what the link says; an example named in it is applied once, and empty parts get their first one.

    Args:
        languages: those that some model on this machine has learnt.
    """
    STATE.arrive()
    session = st.session_state
    if session[EXAMPLE]:
        apply_example(session[EXAMPLE])
        session[EXAMPLE] = ""
    if session.get(FILLED):
        return
    reader = get_language()
    model = entries().get(session[MODEL])
    known = languages if model is None else model.languages
    language = session.get("em_language") or (reader if reader in known else next(iter(known), "en"))
    session.setdefault("em_language", language)
    empty = {
        "sum": not session[TEXT],
        "neighbours": not session[PIECE],
        "contexts": not session[LINES],
        "sentences": not session[PAIRS],
        "cosine": not any(session[key] for key in VECTORS),
        "batch": not session[BATCH],
    }
    asked = {key: session[key] for key in (TOKEN, PICK, MEASURE, LAYER)}
    for part, missing in empty.items():
        example = first_example(part, language)
        if missing and example is not None:
            fill(example)
    # A link without a text may still say what to show of it.
    defaults = {param.key: param.default for param in STATE.params}
    session.update({key: value for key, value in asked.items() if value != defaults[key]})
    session[FILLED] = True
