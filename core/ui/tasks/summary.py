"""Extractive summary: the sentences that were chosen, in their text, and the weights that chose them."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_percent
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.extractive_summary import SummaryRequest, SummaryResult
from core.ui import charts
from core.ui.marked import Mark, marked_text
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Form, Language, Shown, TaskView, number_field, text_field
from core.ui.tasks.written import show_written, written_request

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

_ES = (
    "Las abejas de la miel viven en colonias de decenas de miles de individuos. Casi todas son obreras, hembras que no "
    "ponen huevos y que hacen todo el trabajo. La reina pone más de mil huevos al día en verano. Cuando una obrera "
    "encuentra flores, vuelve a la colmena y baila. El baile dice a las demás en qué dirección hay que volar y a qué "
    "distancia. La dirección se mide respecto del sol, y la distancia se lee en la duración del baile. Karl von Frisch "
    "descifró ese lenguaje y recibió por ello el premio Nobel en 1973. En invierno las abejas se apiñan alrededor de "
    "la reina y tiemblan para darse calor. Comen la miel que guardaron en verano. En primavera, cuando la colmena se "
    "queda pequeña, la vieja reina se marcha con la mitad de las obreras a fundar otra."
)
_EN = (
    "Honey bees live in colonies of tens of thousands. Nearly all of them are workers, females that lay no eggs and do "
    "all the work. The queen lays more than a thousand eggs a day in summer. When a worker finds flowers, she flies "
    "back to the hive and dances. The dance tells the others in which direction to fly, and how far. The direction is "
    "measured from the sun, and the distance is read from how long the dance lasts. Karl von Frisch worked out that "
    "language and received the Nobel prize for it in 1973. In winter the bees crowd around the queen and shiver to "
    "keep warm. They eat the honey that they stored in summer. In spring, when the hive gets too small, the old queen "
    "leaves with half of the workers to found another."
)


def _task() -> Task[SummaryRequest, SummaryResult]:
    from core.tasks.extractive_summary import TASK

    return TASK


def _form(form: Form) -> SummaryRequest:
    text = st.text_area(_("Tu texto"), key=form.key("text"), height=200, persist_state="session")
    _options(form)
    return SummaryRequest(text or "", int(form["count"]))


def _options(form: Form) -> None:
    st.slider(_("Cuántas frases quedan"), 1, 10, key=form.key("count"), persist_state="session")


def _show(shown: Shown) -> None:
    result: SummaryResult = shown.result
    kept = [sentence for sentence in result.sentences if sentence.rank is not None]
    st.markdown("### " + _("El resumen"))
    st.text(result.text)
    words = [len(text.split()) for text in (result.text, shown.request.text)]
    st.caption(_("{n} palabras de {total}").format(n=words[0], total=words[1]))
    st.markdown("#### " + _("De dónde salió"))
    marks = [
        Mark(
            sentence.start,
            sentence.end,
            tone=2,
            title=_("elegida en {n}.º lugar, peso {weight}").format(
                n=sentence.rank, weight=format_percent(sentence.weight)
            ),
        )
        for sentence in kept
    ]
    marked_text(shown.request.text, marks, legend=((2, _("frase elegida")),), key=f"{shown.key}_marks")
    figure, alt = charts.weights(
        [sentence.weight for sentence in result.sentences],
        [sentence.rank is not None for sentence in result.sentences],
    )
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Es un resumen extractivo: no escribe nada nuevo. Cada frase se vuelve un vector; pesa más la que se "
            "parece a muchas otras (LexRank), y se saltan las que repiten lo ya elegido (MMR)."
        )
    )

    show_written(shown, "summarization", written_request(shown.request.text, "summary"), result.text)


def _code(request: SummaryRequest, item: ModelEntry) -> str:
    return (
        load_lines(item, None) + f"\ntext = {literal(request.text)}\n"
        "# The sentences, the graph of their likeness and the choice are the project's own functions.\n"
        "from core.tasks.extractive_summary import centrality, choose, split_sentences\n\n"
        "spans = split_sentences(text)\n"
        "sentences = [text[start:end] for start, end in spans]\n"
        f'inputs = tokenizer(sentences, padding=True, truncation=True, max_length={item.window}, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    states = model(**inputs).last_hidden_state  # (sentences, tokens, width)\n"
        'mask = inputs["attention_mask"][:, :, None]\n'
        "vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)\n"
        "likeness = vectors @ vectors.T\n"
        f"chosen = choose(likeness, centrality(likeness), {request.sentences})\n"
        'print(" ".join(sentences[index] for index in sorted(chosen)))\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: SummaryResult = shown.result
    return table_and_json(
        "summary",
        ["sentence", "weight", "rank"],
        lambda: [(sentence.text, sentence.weight, sentence.rank or "") for sentence in result.sentences],
        lambda: {
            "text": shown.request.text,
            "model": shown.entry.id,
            "summary": result.text,
            "sentences": [
                {"text": s.text, "start": s.start, "end": s.end, "weight": s.weight, "rank": s.rank}
                for s in result.sentences
            ],
        },
    )


def _columns(result: SummaryResult) -> dict[str, Any]:
    kept = len(result.text.split()) / sum(len(sentence.text.split()) for sentence in result.sentences)
    return {_("resumen"): result.text, _("parte de las palabras que queda"): round(kept, 4)}


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: SummaryRequest(text, int(form["count"])),
        columns=_columns,
        plot="numbers",
        column=_("parte de las palabras que queda"),
    )


def _catalogue(_language: Language) -> str:
    # It needs sentence vectors and no head of its own.
    return "similarity"


VIEW = TaskView(
    fields=(text_field("text", _ES, _EN), number_field("count", 3, 1, 10)),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("summarization-translation-generation", "cosine-similarity"),
    button=lambda: _("Resumir"),
    batch=_batch,
    options=_options,
)
