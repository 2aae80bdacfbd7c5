"""The page's form: example, text, tokenizers, view; and what is done about tokenizers that aren't here."""

from typing import Final

import streamlit as st

from core.catalog import entry, tokenizer_entries
from core.course.examples import example, examples
from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.tokenization import segment
from core.runtime.hub import Source
from core.runtime.tokenizer import TokenizerBundle
from core.settings import get_settings
from core.ui.example_field import choose_example
from core.ui.frame import show_models_in_use
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.model_facts import licence_text
from core.ui.navigation import N_
from core.ui.resources import tokenizer_store
from core.ui.state import PageState, Param, flag, one_of, pack_text, unpack_text
from core.ui.views import view_switch

VIEWS: Final = {
    "compare": (N_("Comparar"), ":material/compare_arrows:"),
    "steps": (N_("Paso a paso"), ":material/steps:"),
    "letters": (N_("¿Qué le pasó a mi ñ?"), ":material/spellcheck:"),
    "vocabulary": (N_("Vocabulario"), ":material/menu_book:"),
    "corpus": (N_("Corpus"), ":material/library_books:"),
}
DEFAULT_TEXT: Final = "El niño desayunó rápidamente: mañana cumplirá años y estudiará otorrinolaringología."
DEFAULT_MODELS: Final = ("bert-uncased", "beto-cased")
STAND_IN: Final = "wordpiece-es"

TEXT, MODELS, VIEW, WORD = "tok_text", "tok_models", "tok_view", "tok_word"
IDS, SPACES, MARKS, EXAMPLE = "tok_ids", "tok_spaces", "tok_marks", "tok_example"
SEARCH, SEARCH_MODE, CASE = "tok_search", "tok_search_mode", "tok_search_case"


def _decode_models(text: str) -> list[str]:
    keys = [key for key in text.split(",") if key in tokenizer_entries()]
    if not keys:
        raise ValueError(text)
    return list(dict.fromkeys(keys))


def _onoff(value: object) -> str:
    return "1" if value else "0"


STATE: Final = PageState(
    "tokenization",
    (
        Param("text", TEXT, DEFAULT_TEXT, pack_text, unpack_text),
        Param("models", MODELS, list(DEFAULT_MODELS), ",".join, _decode_models),
        Param("view", VIEW, "compare", str, one_of(*VIEWS)),
        Param("word", WORD, -1, str, int),
        Param("ids", IDS, False, _onoff, flag),
        Param("spaces", SPACES, False, _onoff, flag),
        Param("marks", MARKS, True, _onoff, flag),
        Param("search", SEARCH, "ción", pack_text, unpack_text),
        Param("mode", SEARCH_MODE, "contains", str, one_of("prefix", "contains", "regex")),
        Param("case", CASE, True, _onoff, flag),
        # An order rather than a state: carried out once, then gone from the link.
        Param("example", EXAMPLE, "", str, str),
    ),
)


def apply_example(key: str) -> None:
    """Fills the form with an example: text, tokenizers, view and the word to look at."""
    try:
        chosen = example(key)
    except KeyError:
        return
    text = chosen.text(get_language())
    st.session_state[TEXT] = text
    st.session_state[MODELS] = list(chosen.tokenizers)
    st.session_state[VIEW] = chosen.section
    if chosen.section == "vocabulary" and chosen.word:
        st.session_state[SEARCH], st.session_state[SEARCH_MODE] = chosen.word, "contains"
    words = [part for part in segment(text) if part.unit >= 0 and part.text == chosen.word]
    st.session_state[WORD] = words[0].unit if words else -1


def arrive() -> None:
    """Takes over what the link says; an example named in it is applied once."""
    STATE.arrive()
    if st.session_state[EXAMPLE]:
        apply_example(st.session_state[EXAMPLE])
        st.session_state[EXAMPLE] = ""


def show_form() -> tuple[str, list[str]]:
    """Draws the form and returns the text as typed and the tokenizers' keys."""
    language = get_language()
    choose_example(examples(), apply_example, "tok_example_choice")
    # No max_chars: the browser would silently refuse a longer paste. We say what is wrong instead.
    text = st.text_area(
        _("Tu texto"),
        key=TEXT,
        height=110,
        persist_state="session",
        placeholder=_("Escribe o pega aquí cualquier texto, en cualquier idioma"),
    )
    choice, button = st.columns([4, 1], vertical_alignment="bottom")
    models = choice.multiselect(
        _("Tokenizadores"),
        list(tokenizer_entries()),
        format_func=lambda key: entry(key).name(language),
        key=MODELS,
        persist_state="session",
        placeholder=_("Elige uno o más"),
        wrap=True,
    )
    # The text counts as typed when the field loses the focus; the button is what people look for.
    button.button(_("Cortar en tokens"), type="primary", icon=":material/content_cut:", key="tok_go", width="stretch")
    return text or "", list(models)


def choose_view() -> str:
    """The switch between the five views."""
    return view_switch(_("Vista"), VIEWS, VIEW)


def source_label(source: Source, key: str) -> str:
    """Where a tokenizer's files come from, for the reader."""
    if source == "embedded" and entry(key).tier == "workshop":
        return _("entrenado por este proyecto")
    return {
        "embedded": _("viene con la aplicación"),
        "models_dir": _("carpeta de modelos"),
        "hub_cache": _("bajado del hub"),
        "memory": "",
    }[source]


def get_bundles(keys: list[str]) -> list[TokenizerBundle]:
    """The tokenizers that can answer now, with a message for each that can't, and a stand-in if need be."""
    store = tokenizer_store()
    available = store.request(keys, get_settings().page_wait)
    ready = [key for key in keys if available[key] == "ready"]
    missing = [key for key in keys if available[key] == "absent"]
    fetching = [key for key in keys if available[key] == "fetching"]
    stand_in = len(ready) < 2 and bool(missing or fetching) and STAND_IN not in keys
    if stand_in:
        ready.append(STAND_IN)
    if fetching:
        _watch_fetching(tuple(fetching))
    if missing:
        _explain_missing(missing, stand_in)
    bundles = [store.get(key) for key in ready]
    language = get_language()
    named = [(b, entry(b.key)) for b in bundles]
    show_models_in_use(
        [
            (item.name(language), f"{source_label(bundle.source, bundle.key)} · {licence_text(item)}")
            for bundle, item in named
        ]
    )
    return bundles


@fragment(run_every=1.0)
def _watch_fetching(keys: tuple[str, ...]) -> None:
    """Follows a download without rerunning the page; reruns it once when the files are here."""
    store = tokenizer_store()
    if any(store.fetcher.state(entry(key)).status != "running" for key in keys):
        st.rerun()
    for key in keys:
        st.info(plain(store.why_absent(key)), icon=":material/downloading:")


def _explain_missing(keys: list[str], stand_in: bool) -> None:
    store = tokenizer_store()
    with st.container(border=True):
        for key in keys:
            st.markdown(f":material/cloud_off: {plain(store.why_absent(key))}")
        if stand_in:
            st.markdown(
                _("Mientras tanto, al lado va **{name}**, que viene con la aplicación y no es BETO.").format(
                    name=plain(entry(STAND_IN).name(get_language()))
                )
            )
        if st.button(_("Volver a intentarlo"), icon=":material/refresh:", key="tok_retry"):
            for key in keys:
                store.fetcher.start(entry(key), force=True)
            st.rerun()
