"""Coreference: a pronoun, its candidates, and an arrow to the one that the model prefers."""

from typing import Any, Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, format_percent, get_language, quoted
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.coreference import (
    CoreferenceRequest,
    CoreferenceResult,
    Span,
    find_mentions,
    find_pronouns,
    question,
    substituted,
)
from core.ui import charts
from core.ui.guess import Question, question_key
from core.ui.marked import Link, Mark, marked_text
from core.ui.messages import plain
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, number_field, text_field

# Arrows of candidates with less than this share would only clutter the text.
_DRAWN: Final = 0.05


def _task() -> Task[CoreferenceRequest, CoreferenceResult]:
    from core.tasks.coreference import TASK

    return TASK


def _around(text: str, span: Span) -> str:
    """A word with its neighbours, so that two that are alike can be told apart."""
    start, end = span
    return f"…{text[max(0, start - 12) : start]}{quoted(text[start:end])}{text[end : end + 12]}…".replace("\n", " ")


def _form(form: Form) -> CoreferenceRequest:
    text = st.text_area(
        _("Tu texto, con un pronombre"),
        key=form.key("text"),
        height=110,
        persist_state="session",
        placeholder=_("Por ejemplo: Ana llamó a Marta porque ella tenía fiebre."),
    )
    text = text or ""
    pronouns = find_pronouns(text, form.language)
    mentions = find_mentions(text, form.language)
    place = min(int(form["pronoun"]), max(0, len(pronouns) - 1))
    if len(pronouns) > 1:
        st.session_state[form.key("pronoun")] = place
        chosen = st.selectbox(
            _("El pronombre"),
            range(len(pronouns)),
            format_func=lambda index: _around(text, pronouns[index]),
            key=form.key("pronoun"),
            persist_state="session",
        )
        place = chosen or 0
    pronoun = pronouns[place] if pronouns else (0, 0)
    able = _able(mentions, pronoun)
    kept = st.pills(
        _("A qué puede referirse (quita lo que no)"),
        range(len(able)),
        selection_mode="multi",
        default=list(range(len(able))),
        format_func=lambda index: text[able[index][0] : able[index][1]],
        key=f"{form.key('candidates')}_{hash((text, place))}",
    )
    return CoreferenceRequest(text, pronoun, tuple(able[index] for index in sorted(kept)), form.language)


def _able(mentions: list[Span], pronoun: Span) -> list[Span]:
    """What overlaps the pronoun itself, as "su madre" does "su", can't be what it points to."""
    return [span for span in mentions if span[1] <= pronoun[0] or span[0] >= pronoun[1]]


def _of_text(text: str, form: Form) -> CoreferenceRequest:
    """A text's first pronoun with all that it may point to."""
    pronoun = next(iter(find_pronouns(text, form.language)), (0, 0))
    return CoreferenceRequest(text, pronoun, tuple(_able(find_mentions(text, form.language), pronoun)), form.language)


def _show(shown: Shown) -> None:
    result: CoreferenceResult = shown.result
    request: CoreferenceRequest = shown.request
    best = result.mentions[0]
    pronoun = request.text[request.pronoun[0] : request.pronoun[1]]
    st.markdown(f"### {plain(f'{quoted(pronoun)} → {quoted(best.text)}')} · {plain(format_percent(best.share))}")
    substitutes = result.way == "substitution"
    title = (
        _("en el lugar del pronombre: {score} de media por pieza")
        if substitutes
        else _("como respuesta: {score} entre su principio y su final")
    )
    marks = [Mark(*request.pronoun, tone=1)]
    links = []
    for mention in result.mentions:
        marks.append(
            Mark(
                mention.start,
                mention.end,
                tone=0 if mention is best else 7,
                title=title.format(score=format_number(mention.score, 2)),
            )
        )
        if mention.share >= _DRAWN:
            links.append(Link(0, len(marks) - 1, format_percent(mention.share), mention.share))
    legend = ((1, _("el pronombre")), (0, _("lo que prefiere el modelo")), (7, _("los demás candidatos")))
    marked_text(request.text, marks, links=links, legend=legend, key=f"{shown.key}_marks")
    figure, alt = charts.shares([m.text for m in result.mentions], [m.share for m in result.mentions])
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    st.caption(_how(substitutes))


def _how(substitutes: bool) -> str:
    if substitutes:
        return _(
            "Sustitución: cada candidato se pone en el lugar del pronombre y se mide cuánto lo espera ahí un modelo "
            "que solo aprendió a rellenar huecos. El pronombre desaparece al cambiarlo: que diga «él» o «ella» no "
            "influye, solo el sentido. No se entrenó para esto, y sus prejuicios se notan: cambia los oficios."
        )
    return _(
        "Señalar: las palabras que rodean al pronombre son la pregunta, y el modelo puntúa cada candidato como "
        "respuesta. Lee el pronombre, así que ve si dice «él» o «ella»: lo aprendió de textos en que se sabe a quién "
        "se refiere. Compáralo con un modelo que solo rellena huecos, como mini-BETO o mini-BERT."
    )


def _guess(request: CoreferenceRequest, result: CoreferenceResult, item: ModelEntry) -> Question | None:
    mentions = tuple(dict.fromkeys(mention.text for mention in result.mentions))
    start, end = request.pronoun
    return (
        Question(
            key=question_key("coreference", item.key, request),
            ask=_("¿A quién o a qué dirá {name} que se refiere «{pronoun}»?").format(
                name=item.name(get_language()), pronoun=request.text[start:end]
            ),
            answers=mentions,
            # In the order of the text: the model's would give the answer away.
            options=tuple(dict.fromkeys(request.text[low:high] for low, high in sorted(request.candidates))),
        )
        if len(mentions) > 1
        else None
    )


def _code(request: CoreferenceRequest, item: ModelEntry) -> str:
    head = item.weights.head if item.weights is not None else "MaskedLM"
    if head == "QuestionAnswering":
        return load_lines(item, head) + _pointing_lines(request)
    return load_lines(item, head) + _substitution_lines(request)


def _pointing_lines(request: CoreferenceRequest) -> str:
    candidates = "".join(
        f"    ({literal(request.text[start:end])}, ({start}, {end})),\n" for start, end in request.candidates
    )
    return (
        "\n# The words around the pronoun are the question.\n"
        f"question = {literal(question(request))}\n"
        f"text = {literal(request.text)}\n"
        f"candidates = [\n{candidates}]\n"
        'encoded = tokenizer(question, text, return_offsets_mapping=True, return_tensors="pt")\n'
        'parts, offsets = encoded.sequence_ids(0), encoded.pop("offset_mapping")[0].tolist()\n'
        "with torch.inference_mode():\n"
        "    output = model(**encoded)\n"
        "scores = []\n"
        "for name, (start, end) in candidates:\n"
        "    places = [i for i, (low, high) in enumerate(offsets) if parts[i] == 1 and low < end and high > start]\n"
        "    scores.append(output.start_logits[0, places[0]] + output.end_logits[0, places[-1]])\n"
        + _printing_lines("candidates")
    )


def _substitution_lines(request: CoreferenceRequest) -> str:
    variants = [(request.text[start:end], *substituted(request, (start, end))) for start, end in request.candidates]
    listed = "".join(f"    ({literal(name)}, {literal(text)}, {span}),\n" for name, text, span in variants)
    return (
        "\n# Each candidate, the text with it in the pronoun's place, and where it stands there.\n"
        f"variants = [\n{listed}]\n"
        "scores = []\n"
        "for name, text, (start, end) in variants:\n"
        '    encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")\n'
        '    ids, offsets = encoded["input_ids"][0], encoded["offset_mapping"][0].tolist()\n'
        "    places = [i for i, (low, high) in enumerate(offsets) if low < end and high > start and high > low]\n"
        "    rows = ids.repeat(len(places), 1)\n"
        "    rows[range(len(places)), places] = tokenizer.mask_token_id\n"
        "    with torch.inference_mode():\n"
        "        output = model(input_ids=rows)\n"
        '    logits = output.logits if "logits" in output else output.prediction_logits\n'
        "    logs = logits[range(len(places)), places].log_softmax(-1)\n"
        "    scores.append(logs[range(len(places)), ids[places]].mean())\n" + _printing_lines("variants")
    )


def _printing_lines(candidates: str) -> str:
    return (
        "shares = torch.stack(scores).softmax(0)\n"
        "for index in shares.argsort(descending=True).tolist():\n"
        f'    print(f"{{{candidates}[index][0]}}: {{shares[index]:.4f}}")\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: CoreferenceResult = shown.result
    request: CoreferenceRequest = shown.request

    def whole() -> dict[str, Any]:
        return {
            "text": request.text,
            "pronoun": list(request.pronoun),
            "model": shown.entry.id,
            "way": result.way,
            "mentions": [
                {"text": m.text, "start": m.start, "end": m.end, "score": m.score, "share": m.share}
                for m in result.mentions
            ],
        }

    return table_and_json(
        "coreference",
        ["mention", "start", "end", "score", "share"],
        lambda: [(m.text, m.start, m.end, m.score, m.share) for m in result.mentions],
        whole,
    )


def _catalogue(_language: Language) -> str:
    return "coreference"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "El trofeo no cabe en la maleta porque ella es demasiado pequeña.",
            "The trophy does not fit in the suitcase because it is too small.",
        ),
        number_field("pronoun", 0, 0, 200),
    ),
    catalogue=_catalogue,
    # By substitution a masked language model does it without a head of its own.
    instead=("fill-mask",),
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("coreference", "masked-language-modelling"),
    button=lambda: _("¿A quién se refiere?"),
    contrast=Contrast(
        make=_of_text,
        values=lambda result: {mention.text: mention.share for mention in result.mentions},
        unit=lambda: _("parte que le toca"),
    ),
    guess=_guess,
)
