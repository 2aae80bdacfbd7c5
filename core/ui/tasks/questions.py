"""Questions on a text: the answer in its place, its rivals, and where the model saw begin and end."""

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_percent
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.question_answering import LONGEST_ANSWER, STRIDE, WINDOW, QuestionRequest, QuestionResult
from core.ui import charts
from core.ui.marked import Mark, marked_text
from core.ui.messages import plain
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, text_field
from core.ui.tasks.written import show_written, written_request

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

# Tokens on each side of the best answer that are drawn.
_AROUND: Final = 12


def _task() -> Task[QuestionRequest, QuestionResult]:
    from core.tasks.question_answering import TASK

    return TASK


def _form(form: Form) -> QuestionRequest:
    _options(form)
    context = st.text_area(
        _("El texto donde está la respuesta"),
        key=form.key("text"),
        height=170,
        persist_state="session",
        placeholder=_("Pega un párrafo, un artículo o un capítulo"),
    )
    return _request(form, context or "")


def _options(form: Form) -> None:
    st.text_input(_("Tu pregunta"), key=form.key("question"), persist_state="session")


def _request(form: Form, context: str) -> QuestionRequest:
    return QuestionRequest(str(form["question"]), context)


def _not_there(result: QuestionResult) -> bool:
    """Whether the model finds it likelier that the text doesn't say than any one stretch."""
    return not result.answers or result.no_answer > result.answers[0].probability


def _show(shown: Shown) -> None:
    result: QuestionResult = shown.result
    best = result.answers[0] if result.answers else None
    if best is None or _not_there(result):
        st.markdown("### " + _("No está en el texto"))
        st.markdown(
            plain(
                _("Para el modelo, lo más probable ({share}) es que el texto no lo diga.").format(
                    share=format_percent(result.no_answer)
                )
            )
        )
    else:
        st.markdown(f"### «{plain(best.text)}» · {plain(format_percent(best.probability))}")
    if best is None:
        return
    marks = [
        Mark(
            answer.start,
            answer.end,
            tone=2 if number == 0 else 7,
            label=format_percent(answer.probability) if number == 0 else "",
            title=_("{n}.ª respuesta: {share}").format(n=number + 1, share=format_percent(answer.probability)),
        )
        for number, answer in enumerate(result.answers)
    ]
    marked_text(
        shown.request.context,
        marks,
        legend=((2, _("la mejor respuesta")), (7, _("sus rivales"))),
        key=f"{shown.key}_marks",
    )
    if result.windows > 1:
        st.info(
            _(
                "El texto no cabe de una vez: se leyó en {n} ventanas que se solapan, y gana la mejor respuesta de "
                "todas."
            ).format(n=result.windows),
            icon=":material/content_cut:",
        )
    st.markdown("#### " + _("Dónde empieza y dónde termina"))
    middle = next((i for i, token in enumerate(result.tokens) if token.start >= best.start), 0)
    low = max(0, middle - _AROUND)
    near = result.tokens[low : middle + _AROUND]
    figure, alt = charts.first_and_last(
        [token.text for token in near], [token.first for token in near], [token.last for token in near]
    )
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "El modelo no escribe: a cada token le da la probabilidad de ser el primero y el último de la respuesta, y "
            "se queda con la mejor pareja."
        )
    )
    with st.expander(_("Las cinco mejores respuestas")):
        table = pd.DataFrame(
            [(answer.text, answer.probability) for answer in result.answers],
            columns=[_("respuesta"), _("probabilidad")],
        )
        column = st.column_config.ProgressColumn(_("probabilidad"), min_value=0, max_value=1, format="percent")
        st.dataframe(table, hide_index=True, column_config={_("probabilidad"): column})
        st.caption(
            plain(
                _(
                    "«No está en el texto»: {share}. Esa cifra solo significa algo en modelos que se entrenaron con "
                    "preguntas sin respuesta, como las de SQuAD 2.0."
                ).format(share=format_percent(result.no_answer))
            )
        )

    show_written(
        shown, "text2text", written_request(shown.request.context, "answer", shown.request.question), best.text
    )


def _code(request: QuestionRequest, item: ModelEntry) -> str:
    window = min(WINDOW, item.window)
    missing = _("No está en el texto")
    return (
        load_lines(item, "QuestionAnswering") + f"\nquestion = {literal(request.question)}\n"
        f"context = {literal(request.context)}\n"
        "# Windows that overlap, so that a long text is read whole.\n"
        f"window = {window}\n"
        'asked = len(tokenizer(question, add_special_tokens=False)["input_ids"])\n'
        'encoded = tokenizer(question, context, truncation="only_second", max_length=window,\n'
        f"                    stride=min({STRIDE}, (window - asked) // 3),\n"
        "                    padding=True, return_overflowing_tokens=True, return_offsets_mapping=True,\n"
        '                    return_tensors="pt")\n'
        'offsets = encoded.pop("offset_mapping").tolist()\n'
        'encoded.pop("overflow_to_sample_mapping")\n'
        "with torch.inference_mode():\n"
        "    output = model(**encoded)\n"
        'best = (float("-inf"), 0, 0)\n'
        '# [CLS] as first and last token stands for "the text doesn\'t say", in every window.\n'
        "nothing = float((output.start_logits[:, 0] + output.end_logits[:, 0]).min())\n"
        "for row in range(len(offsets)):\n"
        "    inside = [i for i, part in enumerate(encoded.sequence_ids(row)) if part == 1]\n"
        "    first, last = output.start_logits[row], output.end_logits[row]\n"
        "    for i in inside:\n"
        f"        for j in range(i, min(i + {LONGEST_ANSWER}, inside[-1] + 1)):\n"
        "            score = float(first[i] + last[j])\n"
        "            if score > best[0]:\n"
        "                best = (score, offsets[row][i][0], offsets[row][j][1])\n"
        f"print(context[best[1] : best[2]] if best[0] >= nothing else {missing!r})\n"
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: QuestionResult = shown.result
    return table_and_json(
        "answers",
        ["rank", "answer", "start", "end", "probability"],
        lambda: [(n, a.text, a.start, a.end, a.probability) for n, a in enumerate(result.answers, 1)],
        lambda: {
            "question": shown.request.question,
            "context": shown.request.context,
            "model": shown.entry.id,
            "answers": [
                {"text": a.text, "start": a.start, "end": a.end, "probability": a.probability} for a in result.answers
            ],
            "no_answer": result.no_answer,
            "tokens": [
                {"text": t.text, "start": t.start, "end": t.end, "first": t.first, "last": t.last}
                for t in result.tokens
            ],
        },
    )


def _columns(result: QuestionResult) -> dict[str, Any]:
    missing = _not_there(result)
    return {
        _("respuesta"): _("No está en el texto") if missing else result.answers[0].text,
        _("probabilidad"): round(result.no_answer if missing else result.answers[0].probability, 4),
    }


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: _request(form, text),
        columns=_columns,
        plot="labels",
        column=_("respuesta"),
    )


def _catalogue(_language: Language) -> str:
    return "question-answering"


VIEW = TaskView(
    fields=(
        text_field(
            "question",
            "¿Cuándo se inauguró el faro?",
            "When was the lighthouse opened?",
        ),
        text_field(
            "text",
            "El faro de la isla se construyó con piedra traída en barca desde el continente. Los trabajos duraron tres "
            "años y el faro se inauguró en la primavera de 1876. Lo encendió por primera vez la hija del ingeniero.",
            "The lighthouse of the island was built with stone that came by boat from the mainland. The works took "
            "three years, and the lighthouse was opened in the spring of 1876. The engineer's daughter lit it for the "
            "first time.",
        ),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("extractive-and-abstractive-questions", "context-window", "character-offsets"),
    button=lambda: _("Responder"),
    contrast=Contrast(
        make=lambda text, form: _request(form, text),
        values=lambda result: {answer.text: answer.probability for answer in result.answers},
        unit=lambda: _("probabilidad"),
    ),
    batch=_batch,
    options=_options,
)
