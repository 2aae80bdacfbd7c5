"""View "Elegir un modelo": a table from task, language, size and licence to models, and three routes to each."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.catalog import TASKS, ModelEntry, entries_for, entry, scores
from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.ui.concepts.form import LANGUAGE, LICENCE, MODEL, SIZE, SIZES, STATE, TASK, licences
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.links import show_links
from core.ui.messages import plain
from core.ui.model_facts import score_text
from core.ui.share import Download, share_row
from core.ui.system.catalogue import ARCHITECTURES, TASK_NAMES, where
from core.ui.tasks.code import load_lines

# Which page, and which task on it, asks a model of the catalogue this.
_PAGES = {
    "tokenization": "tokenization?models={key}",
    "fill-mask": "tasks?task=fill-mask&tl={language}",
    "next-sentence": "tasks?task=next-sentence&tl={language}",
    "sentiment": "tasks?task=sentiment&tl={language}",
    "ner": "tasks?task=entities&tl={language}",
    "question-answering": "tasks?task=questions&tl={language}",
    "summarization": "tasks?task=summary&tl={language}",
    "translation-en-es": "tasks?task=translation&tl=en",
    "translation-es-en": "tasks?task=translation&tl=es",
    "text-generation": "tasks?task=generation&tl={language}",
    "zero-shot": "tasks?task=zero-shot&tl={language}",
    "similarity": "tasks?task=similarity&tl={language}",
    "embeddings": "embeddings",
    "coreference": "tasks?task=coreference&tl={language}",
}
API_CODE = """import os
from huggingface_hub import InferenceClient

# 1. The key says who you are and who pays: it comes from the environment, never from the code.
client = InferenceClient(base_url=os.environ["API_URL"], api_key=os.environ["API_KEY"])

# 2. The messages: who speaks, and what is said. The server remembers nothing: send the whole talk each time.
messages = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "What is a transformer?"},
]

# 3. The request: the model's name, the messages, and how long and how freely it may write.
answer = client.chat_completion(messages, model=os.environ["API_MODEL"], max_tokens=100, temperature=0.2)

# 4. The answer: the text, why it ended ("stop", or "length" when it was cut), and the tokens used.
choice = answer.choices[0]
print(choice.message.content)
print(choice.finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens)
"""


def suitable(task: str, language: str, size: int, licence: str | None) -> list[ModelEntry]:
    """The models of the catalogue that fulfil every condition: those at hand first, then the smaller first.

    Args:
        task: one of ``core.catalog.TASKS``.
        language: ``"es"`` or ``"en"``.
        size: most millions of parameters; 0 for any.
        licence: as the catalogue states it; ``None`` for any.
    """
    found = [
        item
        for item in entries_for(task, language)
        if (not size or (item.weights is not None and item.weights.parameters <= size * 1_000_000))
        and (licence is None or item.licence == licence)
    ]
    return sorted(found, key=lambda item: (where(item) is None, item.weights.parameters if item.weights else 0))


def local_code(item: ModelEntry) -> str:
    """A program that loads a model from this machine and counts its parameters."""
    if item.weights is None:
        folder = (item.embedded or "").removeprefix("core:")
        return (
            "from transformers import AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("core/models/{folder}")\n'
            'print(tokenizer.tokenize("¿Qué es un transformer?"))\n'
        )
    lines = load_lines(item, item.weights.head)
    if item.embedded is None:
        lines = lines.replace(repr(item.id), repr(f"modelos/{item.id}"))
    return lines + "print(sum(weight.numel() for weight in model.parameters()))\n"


def hub_code(item: ModelEntry) -> str:
    """The same program with the model fetched from the hub by its id."""
    assert item.weights is not None
    auto = f"AutoModelFor{item.weights.head}" if item.weights.head else "AutoModel"
    return (
        f"from transformers import {auto}, AutoTokenizer\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({item.id!r})\n"
        f"model = {auto}.from_pretrained({item.id!r}).eval()\n"
        "print(sum(weight.numel() for weight in model.parameters()))\n"
    )


def _licence(name: str) -> str:
    return _("sin declarar") if name == "unstated" else name


def _score(item: ModelEntry) -> str:
    return "; ".join(map(score_text, scores(item.key)))


def rows_of(found: Sequence[ModelEntry]) -> list[tuple[str, ...]]:
    """What the table shows of each model."""
    language = get_language()
    return [
        (
            item.name(language),
            where(item) or _("en el hub"),
            format_number(item.weights.parameters / 1e6, 1) if item.weights else "–",
            format_number(item.weights.download_mib) if item.weights and item.weights.download_mib else "–",
            _licence(item.licence),
            _(ARCHITECTURES[item.architecture]),
            item.limits[language],
            _score(item),
        )
        for item in found
    ]


def header() -> list[str]:
    """The table's columns."""
    return [
        _("Modelo"),
        _("Dónde está"),
        _("Millones de parámetros"),
        _("Descarga (MiB)"),
        _("Licencia"),
        _("Familia"),
        _("Ojo"),
        _("Nota medida"),
    ]


def _conditions() -> list[ModelEntry]:
    columns = st.columns([1.4, 1, 1.2, 1.2], vertical_alignment="bottom")
    task = columns[0].selectbox(
        _("¿Qué quieres hacer?"),
        list(TASKS),
        format_func=lambda name: _(TASK_NAMES[name]),
        key=TASK,
        persist_state="session",
    )
    language = columns[1].selectbox(
        _("¿En qué lengua?"),
        ["es", "en"],
        format_func=lambda name: {"es": _("Español"), "en": _("Inglés")}[name],
        key=LANGUAGE,
        persist_state="session",
    )
    size = columns[2].selectbox(
        _("¿De qué tamaño?"),
        list(SIZES),
        format_func=lambda n: _("Hasta {n} millones").format(n=n) if n else _("Cualquiera"),
        key=SIZE,
        persist_state="session",
    )
    licence = columns[3].selectbox(
        _("¿Con qué licencia?"),
        licences(),
        index=None,
        format_func=_licence,
        key=LICENCE,
        persist_state="session",
        placeholder=_("Cualquiera"),
    )
    return suitable(task, language, size, licence)


def _show_routes(item: ModelEntry) -> None:
    local, hub, api = st.tabs([_("En este equipo"), _("Desde el Hub"), _("Por una API")])
    with local:
        st.markdown(
            _(
                "El texto no sale de aquí y no hace falta conexión. Los modelos que vienen con la aplicación ya "
                "están; los demás se copian una vez a una carpeta (`modelos/organización/nombre`)."
            )
        )
        st.code(local_code(item), language="python", wrap_lines=True)
    with hub:
        if item.weights is None or item.id.startswith("taller/"):
            st.info(_("Este lo hizo el proyecto y viene con la aplicación: no está en el Hub."), icon=":material/info:")
        else:
            st.markdown(
                _(
                    "La primera vez se baja y queda guardado en la caché; después funciona sin conexión. Lee antes "
                    "la ficha del modelo: lengua, licencia y límites."
                )
            )
            st.code(f"hf download {item.id}", language="bash", wrap_lines=True)
            st.code(hub_code(item), language="python", wrap_lines=True)
    with api:
        st.markdown(
            _(
                "Para modelos de chat que no caben en tu equipo. Una llamada tiene hoy **cuatro pasos**:\n\n"
                "1. **La clave**: dice quién eres y quién paga. Va en una variable de entorno, nunca en el código.\n"
                "2. **Los mensajes**: una lista de quién habla (`system`, `user`, `assistant`) y qué dice. La "
                "petición lleva la conversación entera cada vez: el modelo no recuerda la anterior.\n"
                "3. **La petición**: el nombre del modelo, los mensajes y las opciones (`max_tokens`, `temperature`).\n"
                "4. **La respuesta**: el texto, por qué terminó (`stop`, o `length` si se cortó) y los tokens gastados."
            )
        )
        with st.container(border=True, gap="xsmall"):
            st.markdown(
                _(":material/close: **Se suele decir:** se manda un prompt y vuelve su continuación (completion).")
            )
            st.markdown(_(":material/check: **En realidad:** las API de hoy reciben mensajes de chat, como arriba."))
        st.code(API_CODE, language="python", wrap_lines=True)
        st.markdown(
            _(
                "Vale para cualquier servidor que hable este protocolo, el de un proveedor o uno tuyo (`API_URL`). "
                "Estar en el Hub no quiere decir que una API sirva el modelo, y **tu texto sale de tu equipo**: "
                "mira antes qué hace el proveedor con él."
            )
        )


def show_choose() -> None:
    """The whole view."""
    found = _conditions()
    if not found:
        st.info(
            _("Ningún modelo del catálogo cumple todo eso. Permite otro tamaño u otra licencia."),
            icon=":material/info:",
        )
        glossary_marks("three-families", "hub-and-pipeline", key="g_choose")
        return
    count = ngettext("**{n}** modelo", "**{n}** modelos", len(found)).format(n=len(found))
    st.markdown(count + _(": primero los que ya están aquí, después los más pequeños."))
    rows = rows_of(found)
    st.dataframe(pd.DataFrame(rows, columns=header()), hide_index=True)
    keys = [item.key for item in found]
    if st.session_state[MODEL] not in keys:
        st.session_state[MODEL] = keys[0]
    language = get_language()
    key = st.selectbox(
        _("Modelo"), keys, format_func=lambda name: entry(name).name(language), key=MODEL, persist_state="session"
    )
    item = entry(key)
    st.markdown(f"## {plain(item.name(language))}")
    st.markdown(plain(item.teaches[language]))
    if item.limits[language]:
        st.markdown(f":material/warning: {plain(item.limits[language])}")
    task = st.session_state[TASK]
    if task in _PAGES:
        show_links([_PAGES[task].format(key=item.key, language=st.session_state[LANGUAGE])])
    _show_routes(item)
    share_row(
        STATE,
        code=None,
        downloads=(
            Download(_("Tabla (CSV)"), "models.csv", "text/csv", lambda: csv_bytes(header(), rows)),
            Download(
                _("Todo (JSON)"),
                "models.json",
                "application/json",
                lambda: json_bytes([dict(zip(header(), row, strict=True)) for row in rows]),
            ),
        ),
        key="con_choose",
    )
    glossary_marks("three-families", "hub-and-pipeline", "prompt-and-completion", "fine-tuning", key="g_choose")
