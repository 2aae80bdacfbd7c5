"""Masked words: what a model puts into each gap, and how sure it is."""

from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.fill_mask import SPACES, Candidate, FillMaskRequest, FillMaskResult, Gap, gaps_of
from core.ui import charts
from core.ui.guess import Question, question_key
from core.ui.marked import Mark, marked_text
from core.ui.messages import plain
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, number_field, text_field

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

MOST_PIECES: Final = 3


def _task() -> Task[FillMaskRequest, FillMaskResult]:
    from core.tasks.fill_mask import TASK

    return TASK


def _form(form: Form) -> FillMaskRequest:
    text = st.text_area(
        _("Tu texto, con [MASK] en cada hueco"),
        key=form.key("text"),
        height=110,
        persist_state="session",
        placeholder=_("Por ejemplo: El [MASK] ladra toda la noche."),
    )
    pieces = st.slider(
        _("Piezas por palabra, como mucho"),
        1,
        MOST_PIECES,
        key=form.key("pieces"),
        persist_state="session",
        help=_("Con 1, solo palabras que son una pieza del vocabulario. Con más, también las que se arman de varias."),
    )
    return FillMaskRequest(text or "", pieces=pieces)


def filled(text: str, gaps: tuple[Gap, ...]) -> tuple[str, list[Mark]]:
    """The text with each gap's best word in it, and where those words stand."""
    parts, marks, at, size = [], [], 0, 0
    for gap in gaps:
        word = gap.candidates[0].text if gap.candidates else "…"
        before = text[at : gap.start]
        parts += [before, word]
        size += len(before)
        marks.append(Mark(size, size + len(word), tone=0))
        size += len(word)
        at = gap.end
    parts.append(text[at:])
    return "".join(parts), marks


def _name(candidate: Candidate, *, spaced: bool) -> str:
    """A candidate's text; for causal models with their space, for "se" may go on with a word and "␣se" begin one."""
    return "␣" + candidate.text if spaced and candidate.pieces[0].startswith(SPACES) else candidate.text


def _show(shown: Shown) -> None:
    result: FillMaskResult = shown.result
    whole, marks = filled(shown.request.text, result.gaps)
    legend: tuple[tuple[float, str], ...] = ()
    if result.left_only and marks[-1].end < len(whole):
        marks.append(Mark(marks[-1].end, len(whole), tone=7, title=_("esto va después: el modelo no lo leyó")))
        legend = ((0, _("lo que pone el modelo")), (7, _("lo que no leyó")))
    marked_text(whole, marks, legend=legend, key=f"{shown.key}_marks")
    if result.left_only:
        st.caption(
            _(
                "Modelo causal (GPT): solo lee lo que va **antes** del hueco y dice qué token seguiría. Un modelo de "
                "palabra oculta (BERT) lee los **dos** lados: compáralos con un hueco cerca del principio."
            )
        )
    for number, gap in enumerate(result.gaps, 1):
        best = gap.candidates[0]
        title = _("Hueco {n}: «{word}»").format(n=number, word=best.text) if len(result.gaps) > 1 else f"«{best.text}»"
        st.markdown("### " + plain(title))
        figure, alt = charts.shares(
            [_name(candidate, spaced=result.left_only) for candidate in gap.candidates],
            [candidate.probability for candidate in gap.candidates],
            fit=True,
        )
        st.plotly_chart(figure, key=f"{shown.key}_plot_{number}", alt=alt, config={"displayModeBar": False})
        choices = 2**gap.entropy_bits
        st.caption(
            plain(
                _(
                    "Entropía: {bits} bits. El modelo duda como quien elige entre {n} palabras igual de probables."
                ).format(bits=format_number(gap.entropy_bits, 1), n=format_number(choices, 0 if choices >= 10 else 1))
            )
        )
    if shown.request.pieces > 1 and not result.left_only:
        st.caption(
            _("De una palabra de varias piezas se muestra la media geométrica de las probabilidades de sus piezas.")
        )


def _guess(request: FillMaskRequest, result: FillMaskResult, item: ModelEntry) -> Question:
    gap = result.gaps[0]
    several = len(result.gaps) > 1
    return Question(
        key=question_key("fill-mask", item.key, request),
        ask=(
            _("¿Qué palabra pondrá {name} en el primer hueco?")
            if several
            else _("¿Qué palabra pondrá {name} en el hueco?")
        ).format(name=item.name(get_language())),
        answers=tuple(dict.fromkeys(candidate.text for candidate in gap.candidates)),
        hint=_("Una palabra"),
    )


def _code(request: FillMaskRequest, item: ModelEntry) -> str:
    head = item.weights.head if item.weights is not None else "MaskedLM"
    if head == "CausalLM":
        return _causal_code(request, item)
    program = (
        load_lines(item, head) + f"\ntext = {literal(request.text)}\n"
        'text = text.replace("[MASK]", tokenizer.mask_token)\n'
        'inputs = tokenizer(text, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    output = model(**inputs)\n"
        'logits = output.logits if hasattr(output, "logits") else output.prediction_logits\n'
        'for place in (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero().flatten():\n'
        f"    best = logits[0, place].softmax(-1).topk({request.top})\n"
        "    for probability, piece in zip(best.values, best.indices):\n"
        '        print(f"{tokenizer.decode([int(piece)]).strip()}: {probability:.4f}")\n'
    )
    if request.pieces > 1:
        program += "# " + _("La página busca además palabras de varias piezas, con una búsqueda en haz.") + "\n"
    return program


def _causal_code(request: FillMaskRequest, item: ModelEntry) -> str:
    return (
        load_lines(item, "CausalLM") + f"\ntext = {literal(request.text)}\n"
        'before, at = "", 0\n'
        f"for start, end in {gaps_of(request.text)}:\n"
        "    # A causal model reads what stands before the gap; earlier gaps hold its own best tokens.\n"
        "    before += text[at:start]\n"
        "    at = end\n"
        '    inputs = tokenizer(before.rstrip(), return_tensors="pt", return_token_type_ids=False)\n'
        "    with torch.inference_mode():\n"
        f"        best = model(**inputs).logits[0, -1].softmax(-1).topk({request.top})\n"
        "    words = [tokenizer.decode([int(piece)]).strip() for piece in best.indices]\n"
        "    first = tokenizer.convert_ids_to_tokens(int(best.indices[0]))\n"
        "    for word, probability in zip(words, best.values):\n"
        '        print(f"{word}: {probability:.4f}")\n'
        f'    before = before.rstrip() + (" " if first.startswith({SPACES}) else "") + words[0]\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: FillMaskResult = shown.result
    return table_and_json(
        "masked-words",
        ["gap", "rank", "word", "pieces", "probability"],
        lambda: [
            (number, rank, candidate.text, " ".join(candidate.pieces), candidate.probability)
            for number, gap in enumerate(result.gaps, 1)
            for rank, candidate in enumerate(gap.candidates, 1)
        ],
        lambda: {
            "text": shown.request.text,
            "model": shown.entry.id,
            "gaps": [
                {
                    "entropy_bits": gap.entropy_bits,
                    "candidates": [
                        {"word": c.text, "pieces": list(c.pieces), "probability": c.probability} for c in gap.candidates
                    ],
                }
                for gap in result.gaps
            ],
        },
    )


def _values(result: FillMaskResult) -> dict[str, float]:
    return {candidate.text: candidate.probability for candidate in result.gaps[0].candidates}


def _columns(result: FillMaskResult) -> dict[str, Any]:
    best = [gap.candidates[0] for gap in result.gaps]
    return {
        _("palabra"): " · ".join(candidate.text for candidate in best),
        _("probabilidad"): round(min(candidate.probability for candidate in best), 4),
    }


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: FillMaskRequest(text),
        columns=_columns,
        plot="labels",
        column=_("palabra"),
    )


def _catalogue(_language: Language) -> str:
    return "fill-mask"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "La niña abrió la [MASK] y salió al jardín.",
            "The girl opened the [MASK] and went out into the garden.",
        ),
        number_field("pieces", 1, 1, MOST_PIECES),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("masked-language-modelling", "whole-word-masking", "bidirectional"),
    button=lambda: _("Rellenar"),
    # A hundred candidates, so that a word that is high in one text is found lower down in the other.
    contrast=Contrast(
        make=lambda text, _form: FillMaskRequest(text, top=100),
        values=_values,
        unit=lambda: _("probabilidad"),
    ),
    batch=_batch,
    also=("text-generation",),
    guess=_guess,
)
