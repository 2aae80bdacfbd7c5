"""The page's state, which is its link: texts, models, what is shown of them, and what is chosen in the drawing."""

from dataclasses import dataclass
from typing import Final, cast, get_args

import streamlit as st

from core.course.attention import AttentionExample, attention_example
from core.i18n import get_language
from core.lens.attention import Kind
from core.lens.attention_inputs import TextPair
from core.ui.attention import ONLY as PAIR_LINES
from core.ui.attention import VIEWS, Only, View
from core.ui.navigation import N_
from core.ui.state import PageState, Param, flag, one_of, pack_text, unpack_text
from core.ui.tuned import known_model

PARTS: Final = {
    "look": (N_("Mirar"), ":material/visibility:"),
    "compare": (N_("Comparar dos modelos"), ":material/compare_arrows:"),
    "find": (N_("Encuentra la cabeza"), ":material/search:"),
    "map": (N_("Mapa de cabezas"), ":material/grid_on:"),
    "evidence": (N_("¿Qué prueba esto?"), ":material/balance:"),
}
FORMS: Final = {
    "weights": N_("pesos de cada cabeza"),
    "norms": N_("lo que aportan: ‖α·f(x)‖"),
    "mean": N_("media de las cabezas"),
    "rollout": N_("despliegue (rollout)"),
}
SPECIALS: Final = {
    "keep": N_("mostrar"),
    "hide": N_("ocultar"),
    "rescale": N_("ocultar y reescalar a 1"),
}
KINDS: Final = {
    "cross": N_("cruzada: lo escrito mira a lo leído"),
    "encoder": N_("del codificador"),
    "decoder": N_("del decodificador"),
}
STATISTICS: Final = ("pattern", "previous", "next", "itself", "first", "separators", "entropy", "distance")

TEXT, SECOND, MODEL, VERSUS, PART = "at_text", "at_second", "at_model", "at_versus", "at_part"
VIEW, LAYER, HEADS, ROW, COLUMN = "at_view", "at_layer", "at_heads", "at_row", "at_column"
ONLY: Final = "at_only"
FORM, SPECIAL, WORDS, KIND = "at_form", "at_special", "at_words", "at_kind"
FROM, TO, STATISTIC, CORPUS = "at_from", "at_to", "at_statistic", "at_corpus"
EXAMPLE, PENDING, FILLED = "at_example", "at_pending", "at_filled"

# What opens first, in the language of a model that is here.
FIRST_EXAMPLE: Final = {"es": "pronoun-es", "en": "agreement-en"}


def _heads(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(part) for part in text.split("-")}))


def _on(value: object) -> str:
    return "1" if value else "0"


def _kind(text: str) -> str:
    return one_of("", *get_args(Kind))(text)


STATE: Final = PageState(
    "attention",
    (
        # No text and no model is anybody's default: a link always says which, as machines have different ones.
        Param("text", TEXT, "", pack_text, unpack_text),
        Param("second", SECOND, "", pack_text, unpack_text),
        Param("model", MODEL, "", str, known_model),
        Param("versus", VERSUS, "", str, known_model),
        Param("part", PART, "look", str, one_of(*PARTS)),
        Param("view", VIEW, "model", str, one_of(*VIEWS)),
        Param("layer", LAYER, 0, str, int),
        Param("heads", HEADS, (0,), lambda heads: "-".join(map(str, heads)), _heads),
        Param("row", ROW, -1, str, int),
        Param("column", COLUMN, -1, str, int),
        Param("lines", ONLY, "all", str, one_of(*PAIR_LINES)),
        Param("weights", FORM, "weights", str, one_of(*FORMS)),
        Param("special", SPECIAL, "keep", str, one_of(*SPECIALS)),
        Param("words", WORDS, False, _on, flag),
        Param("kind", KIND, "", str, _kind),
        Param("from", FROM, -1, str, int),
        Param("to", TO, -1, str, int),
        Param("measure", STATISTIC, "pattern", str, one_of(*STATISTICS)),
        Param("corpus", CORPUS, "", str, one_of("es", "en")),
        # An order rather than a state: carried out once, then gone from the link.
        Param("example", EXAMPLE, "", str, str),
    ),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen in the drawing; layers, heads and tokens count from 0."""

    view: View
    layer: int
    heads: tuple[int, ...]
    row: int | None
    column: int | None
    only: Only = "all"

    @property
    def token(self) -> tuple[int | None, int | None]:
        """Row and column, as the drawing takes them."""
        return self.row, self.column


def _index(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def chosen() -> Chosen:
    """What the state says is chosen."""
    session = st.session_state
    return Chosen(
        cast(View, session[VIEW]),
        int(session[LAYER]),
        tuple(session[HEADS]),
        _index(session[ROW]),
        _index(session[COLUMN]),
        cast(Only, session[ONLY]),
    )


def choose(
    view: str, layer: int, heads: tuple[int, ...], row: int | None, column: int | None, only: Only = "all"
) -> None:
    """Makes something the choice."""
    session = st.session_state
    session[VIEW], session[LAYER], session[HEADS] = view, layer, tuple(heads)
    session[ROW] = -1 if row is None else row
    session[COLUMN] = -1 if column is None else column
    session[ONLY] = only


def forget_tokens() -> None:
    """Another text: the tokens that were chosen are no longer there."""
    for key in (ROW, COLUMN, FROM, TO):
        st.session_state[key] = -1
    st.session_state.pop(PENDING, None)


def pair() -> TextPair:
    """The texts of the form, and which attention is wanted."""
    session = st.session_state
    return TextPair(session[TEXT] or "", session[SECOND] or "", session[KIND] or None)


def fit_kind(architecture: str) -> None:
    """Another model may not have the attention that was looked at: then its own comes first."""
    if architecture != "encoder-decoder" and st.session_state[KIND] not in ("", architecture):
        st.session_state[KIND] = ""


def apply_example(key: str, *, keep_part: bool = False) -> None:
    """Fills the form with an example: texts, model, part, view, layer, head, and the words to look at."""
    try:
        example: AttentionExample = attention_example(key)
    except KeyError:
        return
    session = st.session_state
    session[TEXT], session[SECOND], session[MODEL] = example.a, example.b, example.model
    session[FORM], session[SPECIAL], session[WORDS], session[KIND] = "weights", "keep", False, ""
    if not keep_part:
        session[PART] = example.part
    forget_tokens()
    choose(example.view, example.layer, (example.head,), None, None)
    # Which tokens the words are is known once the model has read them.
    session[PENDING] = (example.row, example.column)


def arrive(languages: list[str]) -> None:
    """Takes over what the link says; an example named in it is applied once.

    Args:
        languages: those that some model on this machine has learnt.
    """
    STATE.arrive()
    session = st.session_state
    if session[EXAMPLE]:
        apply_example(session[EXAMPLE])
        session[EXAMPLE] = ""
    if not session.get(FILLED) and not session[TEXT]:
        reader = get_language()
        asked = {key: session[key] for key in (MODEL, VIEW, LAYER, HEADS, FORM, SPECIAL, WORDS, KIND)}
        apply_example(FIRST_EXAMPLE[reader if reader in languages else "en"], keep_part=True)
        session[MODEL] = ""
        # A link without a text may still say what to show of it.
        defaults = {param.key: param.default for param in STATE.params}
        session.update({key: value for key, value in asked.items() if value != defaults[key]})
    session[FILLED] = True
