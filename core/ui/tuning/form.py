"""The form: preset, base model, method, numbers, one's own sentences. Each choice says what it does."""

from typing import Any, Final

import streamlit as st

from core.catalog import entry
from core.course.own_sentences import own_context, own_sentences
from core.i18n import get_language
from core.i18n import gettext as _
from core.settings import get_settings
from core.training.data import DataSet
from core.training.tuning.request import LIMITS, PRESETS, TuningRequest, bases, preset
from core.ui.messages import plain
from core.ui.model_facts import licence_text, parameters_text
from core.ui.navigation import N_
from core.ui.tuning import state as keys
from core.ui.tuning.state import RATES, TASK_NAMES

_METHODS: Final = {
    "head": (
        N_("Solo la cabeza"),
        N_("El cuerpo queda congelado y lee cada ejemplo una sola vez; solo aprende la capa final. Lo más rápido."),
    ),
    "lora": (
        "LoRA",
        N_("Se aprenden matrices pequeñas al lado de las del cuerpo, unas pocas por cada cien; después se suman."),
    ),
    "full": (
        N_("Todo el modelo"),
        N_("Se mueven todos los pesos. Suele acertar más, y tarda más."),
    ),
}
_STARTS: Final = {
    "pretrained": (
        N_("Preentrenado"),
        N_("El cuerpo ya leyó mucho texto: empieza sabiendo qué palabras se parecen. Eso es transferir lo aprendido."),
    ),
    "random": (
        N_("Al azar"),
        N_("El mismo cuerpo con pesos sorteados: lo que el modelo vale sin haber leído nada antes."),
    ),
    "adapted": (
        N_("Adaptado a tu texto"),
        N_("Antes de las etiquetas, adivina palabras tapadas de tu texto: el segundo paso de ULMFiT."),
    ),
}
_PRESETS: Final = {
    "quick": (N_("Rápido"), N_("Solo la cabeza: segundos.")),
    "balanced": (N_("Equilibrado"), N_("LoRA: unos minutos, cerca del mejor resultado.")),
    "thorough": (N_("A fondo"), N_("Todos los pesos, más épocas: lo mejor que da este modelo.")),
}
_FILLED_FOR: Final = "tn_sentences_for"
# The base that the form itself put there.
_OFFERED: Final = "tn_offered"
_ICONS: Final = {"quick": ":material/bolt:", "balanced": ":material/balance:", "thorough": ":material/diamond:"}


def choose_task() -> None:
    """The three tasks."""
    st.pills(
        _("Tarea"),
        list(TASK_NAMES),
        format_func=lambda name: f"{TASK_NAMES[name][1]} {_(TASK_NAMES[name][0])}",
        key=keys.TASK,
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )


def choose_base(language: str) -> str | None:
    """The field for the base model, those of the data's language first.

    Until a person or a link chooses one, it is the best for the task and the language that are open.
    """
    found = bases(get_settings(), language, keys.task())
    if not found:
        st.info(_("Ningún codificador de este equipo se puede ajustar. Descarga uno en la página Sistema."))
        return None
    names = [item.key for item in found]
    form = st.session_state
    if form[keys.BASE] not in names or form[keys.BASE] == form.get(_OFFERED):
        form[keys.BASE] = form[_OFFERED] = names[0]
    chosen = st.selectbox(
        _("Modelo base"),
        names,
        format_func=lambda key: f"{entry(key).name(get_language())} · {parameters_text(entry(key))}",
        key=keys.BASE,
        persist_state="session",
        help=_("El codificador del que se parte. Los que ya leen el idioma de tus datos van primero."),
    )
    item = entry(chosen or names[0])
    st.caption(plain(f"{item.teaches[get_language()]} · {licence_text(item)}"))
    if language and language not in item.languages:
        spoken = {"es": _("español"), "en": _("inglés")}.get(language, language)
        st.info(
            _(
                "Este modelo no aprendió {language}. Puede ajustarse igual, y verás cuánto le cuesta: es un buen "
                "experimento sobre lo que se transfiere."
            ).format(language=spoken),
            icon=":material/translate:",
        )
    return item.key


def _apply_preset(base: str) -> None:
    chosen = st.session_state[keys.PRESET]
    if chosen:
        keys.put_numbers(preset(chosen, keys.task(), base))


def choose_method(base: str) -> None:
    """Presets, method and starting point, each with its sentence."""
    keys.fill_numbers(base)
    st.session_state[keys.PRESET] = keys.preset_now(base)
    st.segmented_control(
        _("Receta"),
        list(PRESETS),
        format_func=lambda name: f"{_ICONS[name]} {_(_PRESETS[name][0])}",
        key=keys.PRESET,
        on_change=_apply_preset,
        args=(base,),
        wrap=True,
    )
    now = st.session_state[keys.PRESET]
    st.caption(_(_PRESETS[now][1]) if now else _("Una mezcla tuya: pulsa una receta para volver a sus números."))
    st.segmented_control(
        _("Método: qué parte aprende"),
        list(_METHODS),
        format_func=lambda name: _(_METHODS[name][0]),
        key=keys.METHOD,
        required=True,
        persist_state="session",
        wrap=True,
    )
    st.caption(_(_METHODS[st.session_state[keys.METHOD]][1]))
    if keys.task() == "questions" and st.session_state[keys.METHOD] == "head":
        # On our sets: F1 11 % with MiniLM (English) and mini-e5 (Spanish), 17 % with mini-BETO, which finds nothing.
        st.info(
            _(
                "Con preguntas, la cabeza sola apenas aprende: un cuerpo congelado no compara la pregunta con el "
                "texto. Compruébalo, o prueba «Equilibrado»."
            ),
            icon=":material/lightbulb:",
        )
    st.segmented_control(
        _("Punto de partida del cuerpo"),
        list(_STARTS),
        format_func=lambda name: _(_STARTS[name][0]),
        key=keys.START,
        required=True,
        persist_state="session",
        wrap=True,
    )
    st.caption(_(_STARTS[st.session_state[keys.START]][1]))


def _whole(label: str, key: str, name: str, words: str, step: int = 1) -> None:
    least, most = (int(value) for value in LIMITS[name])
    st.number_input(label, least, most, step=step, key=key, persist_state="session")
    st.caption(words)


def choose_numbers() -> None:
    """The numbers, behind a fold: the recipe has set them already."""
    with st.expander(_("Ajustar los números"), icon=":material/tune:"):
        left, right = st.columns(2)
        with left:
            _whole(_("Épocas"), keys.EPOCHS, "epochs", _("Cuántas veces pasa por todos los ejemplos."))
            st.selectbox(
                _("Tasa de aprendizaje (learning rate)"),
                RATES,
                format_func=lambda value: f"{value:g}",
                key=keys.RATE,
                persist_state="session",
            )
            st.caption(_("Cuánto se mueve cada peso en un paso: alta, aprende rápido o se desboca; baja, no llega."))
            _whole(
                _("Lote (batch)"), keys.BATCH, "batch", _("Ejemplos por paso: más grande, pasos más firmes y menos.")
            )
        with right:
            _whole(
                _("Longitud máxima, en tokens"),
                keys.LENGTH,
                "max_length",
                _("Lo que sobra de un texto se corta. El tiempo crece con ella solo si hay textos así de largos."),
                8,
            )
            _whole(
                _("Semilla (seed)"),
                keys.SEED,
                "seed",
                _("El azar de la cabeza y del orden. La misma semilla repite el entrenamiento, número por número."),
            )
            if st.session_state[keys.START] == "adapted":
                _whole(
                    _("Épocas de adaptación"),
                    keys.ADAPT,
                    "adapt_epochs",
                    _("Cuántas veces lee el texto sin etiquetas antes de empezar."),
                )


def _fill_sentences(language: str) -> None:
    """Our own examples follow the task and the data's language; what a person wrote stays."""
    now = (keys.task(), language or get_language())
    known = {"\n".join(own_sentences(t, s)) for t in TASK_NAMES for s in ("es", "en")}
    written = st.session_state[keys.SENTENCES]
    if st.session_state.get(_FILLED_FOR) != now and (not written or written in known):
        st.session_state[keys.SENTENCES] = "\n".join(own_sentences(*now))
        st.session_state[keys.CONTEXT] = own_context(now[1])
    st.session_state[_FILLED_FOR] = now


def settle(base: str, language: str) -> None:
    """Gives the fields that aren't drawn their values."""
    keys.fill_numbers(base)
    _fill_sentences(language)


def choose_sentences(language: str) -> None:
    """One's own sentences, and the raw text where the body is adapted to one."""
    task = keys.task()
    _fill_sentences(language)
    st.text_area(
        _("Tus preguntas, una por línea") if task == "questions" else _("Tus frases, una por línea"),
        key=keys.SENTENCES,
        height=130,
        persist_state="session",
        help=_("El modelo las responde antes de aprender y después de cada época: verás cuándo empieza a acertar."),
    )
    if task == "questions":
        st.text_area(_("El texto sobre el que preguntas"), key=keys.CONTEXT, height=110, persist_state="session")
    if st.session_state[keys.START] == "adapted":
        st.text_area(
            _("Texto sin etiquetas para adaptar el cuerpo"),
            key=keys.RAW,
            height=130,
            persist_state="session",
            placeholder=_("Pega aquí texto del tema. Vacío: se usan los textos de tus ejemplos, sin sus etiquetas."),
        )


def request(data: DataSet, base: str) -> TuningRequest:
    """What the form asks for."""
    state: Any = st.session_state
    lines = tuple(line.strip() for line in state[keys.SENTENCES].splitlines() if line.strip())
    adapted = state[keys.START] == "adapted"
    return TuningRequest(
        data.task,
        base,
        state[keys.METHOD],
        state[keys.START],
        epochs=int(state[keys.EPOCHS]),
        learning_rate=float(state[keys.RATE]),
        batch=int(state[keys.BATCH]),
        max_length=int(state[keys.LENGTH]),
        seed=int(state[keys.SEED]),
        adapt_epochs=int(state[keys.ADAPT]),
        sentences=lines,
        context=state[keys.CONTEXT] if data.task == "questions" else "",
        raw_text=state[keys.RAW] if adapted else "",
    )
