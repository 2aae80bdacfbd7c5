"""Sentence similarity: the cosine of every pair, and why the way to a sentence's vector matters."""

from itertools import combinations
from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.similarity import SimilarityRequest, SimilarityResult
from core.ui import charts
from core.ui.messages import plain
from core.ui.navigation import N_
from core.ui.share import Download
from core.ui.tasks.answers import answer
from core.ui.tasks.code import load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Form, Language, Shown, TaskView, choice_field, text_field

POOLINGS: Final = {"mean": N_("media de los tokens"), "cls": N_("solo [CLS]"), "both": N_("las dos, lado a lado")}


def _task() -> Task[SimilarityRequest, SimilarityResult]:
    from core.tasks.similarity import TASK

    return TASK


def split_lines(text: str) -> tuple[str, ...]:
    """The sentences of a field: one a line, empty lines left out."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _form(form: Form) -> SimilarityRequest:
    text = st.text_area(
        _("Tus frases, una por línea (hasta 50)"), key=form.key("text"), height=150, persist_state="session"
    )
    pooling = form.choose("pooling", _("De dónde sale el vector de la frase"), POOLINGS)
    return SimilarityRequest(split_lines(text or ""), "cls" if pooling == "cls" else "mean")


def extremes(result: SimilarityResult) -> tuple[tuple[int, int], tuple[int, int]]:
    """The most and the least alike of all pairs, as numbers of sentences."""
    pairs = list(combinations(range(len(result.matrix)), 2))
    return (
        max(pairs, key=lambda pair: result.matrix[pair[0]][pair[1]]),
        min(pairs, key=lambda pair: result.matrix[pair[0]][pair[1]]),
    )


def _matrix(shown: Shown, result: SimilarityResult, name: str) -> None:
    figure, alt = charts.cosines(shown.request.sentences, result.matrix)
    st.plotly_chart(figure, key=f"{shown.key}_plot_{name}", alt=alt, config={"displayModeBar": False})
    values = [result.matrix[a][b] for a, b in combinations(range(len(result.matrix)), 2)]
    st.caption(
        plain(
            _("Todas las parejas: media {mean}, de {low} a {high}.").format(
                mean=format_number(sum(values) / len(values), 2),
                low=format_number(min(values), 2),
                high=format_number(max(values), 2),
            )
        )
    )


def _show(shown: Shown) -> None:
    result: SimilarityResult = shown.result
    sentences = shown.request.sentences
    most, least = extremes(result)
    for heading, (a, b) in ((_("Las más parecidas"), most), (_("Las menos parecidas"), least)):
        st.markdown(f"### {plain(heading)} · {plain(format_number(result.matrix[a][b], 2))}")
        st.text(f"{a + 1}. {sentences[a]}\n{b + 1}. {sentences[b]}")
    if shown.form["pooling"] == "both":
        other = answer(_task(), SimilarityRequest(sentences, "cls"), shown.entry.key).result
        # Beside another model there is only half the width: one below the other.
        columns = [st.container(), st.container()] if shown.beside else st.columns(2)
        for column, one, name in zip(columns, (result, other), ("mean", "cls"), strict=True):
            with column:
                st.markdown("#### " + _(POOLINGS[name]))
                _matrix(shown, one, name)
        st.markdown(
            _(
                "Un modelo solo sabe comparar con el vector con el que se entrenó: los de sentence-transformers usan "
                "casi siempre la **media**; en un BERT sin afinar, [CLS] hace que todas las frases parezcan iguales."
            )
        )
    else:
        _matrix(shown, result, "one")
    if any(result.cut):
        numbers = ", ".join(str(index + 1) for index, cut in enumerate(result.cut) if cut)
        st.info(
            _("De estas frases el modelo solo leyó el principio, porque no caben en su ventana: {numbers}.").format(
                numbers=numbers
            ),
            icon=":material/content_cut:",
        )
    st.caption(
        _("Coseno del ángulo entre los vectores: 1 es la misma dirección, 0 nada en común. Compara, no mide en metros.")
    )


def _code(request: SimilarityRequest, item: ModelEntry) -> str:
    pooled = "states[:, 0]" if request.pooling == "cls" else "(states * mask).sum(1) / mask.sum(1)"
    return (
        load_lines(item, None) + f"\nsentences = {list(request.sentences)!r}\n"
        f'inputs = tokenizer(sentences, padding=True, truncation=True, max_length={item.window}, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    states = model(**inputs).last_hidden_state  # (sentences, tokens, width)\n"
        'mask = inputs["attention_mask"][:, :, None]\n'
        f"vectors = torch.nn.functional.normalize({pooled}, dim=-1)\n"
        "for row in vectors @ vectors.T:\n"
        '    print(" ".join(f"{value:.3f}" for value in row))\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: SimilarityResult = shown.result
    sentences = shown.request.sentences
    return table_and_json(
        "similarity",
        ["sentence", *(str(number) for number in range(1, len(sentences) + 1))],
        lambda: [(sentence, *row) for sentence, row in zip(sentences, result.matrix, strict=True)],
        lambda: {
            "sentences": list(sentences),
            "model": shown.entry.id,
            "pooling": shown.request.pooling,
            "cosines": [list(row) for row in result.matrix],
        },
    )


def _catalogue(_language: Language) -> str:
    return "similarity"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "El perro duerme en el sofá.\nUn cachorro descansa sobre el sillón.\nLa bolsa cayó un tres por ciento.\n"
            "Los mercados cerraron a la baja.\nMañana lloverá en la costa.",
            "The dog is asleep on the sofa.\nA puppy is resting on the couch.\nShares fell by three per cent.\n"
            "The markets closed lower.\nIt will rain on the coast tomorrow.",
        ),
        choice_field("pooling", *POOLINGS),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("cosine-similarity", "cls-pooling", "contextual-vector"),
    button=lambda: _("Comparar"),
    # Encoders that were never trained to compare sentences: beside one that was, they show what pooling does.
    also=("embeddings",),
)
