"""Sentiment: a bar a label, and the words that the answer depends on."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.classification import ClassificationRequest, ClassificationResult, Method, Push
from core.training.ours import display_name
from core.ui import charts
from core.ui.guess import Question, question_key
from core.ui.marked import Mark, marked_text
from core.ui.messages import plain
from core.ui.navigation import N_
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, choice_field, text_field

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

LABELS = {
    "negative": lambda: _("negativo"),
    "neutral": lambda: _("neutro"),
    "positive": lambda: _("positivo"),
    "neg": lambda: _("negativo"),
    "neu": lambda: _("neutro"),
    "pos": lambda: _("positivo"),
}

METHODS: Final = {
    "occlusion": N_("oclusión"),
    "gradients": N_("gradientes integrados"),
    "both": N_("los dos, uno debajo del otro"),
}


def label_name(name: str) -> str:
    """What a label is called in the reader's language; those that we don't know keep the model's name."""
    known = LABELS.get(name.lower())
    return known() if known else display_name(name, get_language())


def _task() -> Task[ClassificationRequest, ClassificationResult]:
    from core.tasks.classification import TASK

    return TASK


def _form(form: Form) -> ClassificationRequest:
    text = st.text_area(
        _("Tu texto"),
        key=form.key("text"),
        height=110,
        persist_state="session",
        placeholder=_("Escribe una opinión: de una película, un restaurante, una clase…"),
    )
    method = form.choose("explain", _("Cómo se mide cuánto pesó cada palabra"), METHODS)
    methods: dict[str, tuple[Method, ...]] = {"gradients": ("gradients",), "both": ("occlusion", "gradients")}
    return ClassificationRequest(text or "", methods.get(method or "", ("occlusion",)))


def _cut_note(result: ClassificationResult, text: str) -> None:
    if result.read < len(text.rstrip()):
        rest = " ".join(text[result.read :].split())
        st.info(
            plain(
                _("El modelo lee {window} tokens de una vez: se quedó sin leer desde «{rest}».").format(
                    window=format_number(result.tokens), rest=rest[:60] + ("…" if len(rest) > 60 else "")
                )
            ),
            icon=":material/content_cut:",
        )


def _show(shown: Shown) -> None:
    result: ClassificationResult = shown.result
    best = result.labels[0]
    st.markdown(f"### {plain(label_name(best.name).capitalize())} · {plain(format_percent(best.probability))}")
    figure, alt = charts.shares(
        [label_name(label.name) for label in result.labels], [label.probability for label in result.labels]
    )
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    _cut_note(result, shown.request.text)
    if result.pushes or result.gradients:
        st.markdown("#### " + _("Qué palabras pesaron"))
    if result.pushes:
        st.markdown("**" + _("Oclusión") + "**")
        _weights(shown, result.pushes, "occlusion")
        st.caption(
            _(
                "Se tapa cada palabra y se mira cuánto baja la probabilidad de la etiqueta ganadora. Dice de qué "
                "depende la respuesta, no si es correcta."
            )
        )
    if result.gradients:
        st.markdown("**" + _("Gradientes integrados (integrated gradients)") + "**")
        _weights(shown, result.gradients, "gradients")
        _completeness(result)


def _weights(shown: Shown, pushes: tuple[Push, ...], name: str) -> None:
    label = label_name(shown.result.labels[0].name)
    largest = max(abs(push.weight) for push in pushes) or 1.0
    marks = [
        Mark(push.start, push.end, weight=push.weight / largest, title=_told(push, label, name)) for push in pushes
    ]
    legend = ((1.0, _("empuja hacia «{label}»").format(label=label)), (-1.0, _("empuja en contra")))
    marked_text(shown.request.text, marks, legend=legend, key=f"{shown.key}_{name}")


def _told(push: Push, label: str, name: str) -> str:
    if name == "gradients":
        return _("«{word}» aporta {change} puntos a «{label}»").format(
            word=push.text, label=label, change=_signed(push.weight)
        )
    # With the word hidden the label changes by minus its weight.
    return _("sin «{word}», «{label}» {change}").format(word=push.text, label=label, change=_points(-push.weight))


def _completeness(result: ClassificationResult) -> None:
    check = result.completeness
    assert check is not None
    st.caption(
        plain(
            _(
                "Se va en {steps} pasos del texto con todas sus palabras tapadas al texto entero, sumando gradientes. "
                "Comprobación de completitud: la etiqueta pasó de {before} a {after}, o sea {gain} puntos, y los "
                "pesos de las palabras suman {total} (error: {error})."
            ).format(
                steps=check.steps,
                before=format_percent(check.baseline),
                after=format_percent(check.answer),
                gain=_signed(check.answer - check.baseline),
                total=_signed(check.total),
                error=format_number(check.error * 100, 2),
            )
        )
    )


def _signed(change: float) -> str:
    return ("+" if change >= 0 else "−") + format_number(abs(change) * 100, 1)


def _points(change: float) -> str:
    return _("cambia {change} puntos").format(change=_signed(change))


def _guess(request: ClassificationRequest, result: ClassificationResult, item: ModelEntry) -> Question:
    labels = tuple(label.name for label in result.labels)
    return Question(
        # How it is explained is no part of the question.
        key=question_key("sentiment", item.key, request.text),
        ask=_("¿Qué dirá {name} de este texto?").format(name=item.name(get_language())),
        answers=labels,
        options=tuple(sorted(labels)),
        names=label_name,
    )


def _code(request: ClassificationRequest, item: ModelEntry) -> str:
    return (
        load_lines(item, "SequenceClassification") + f"\ntext = {literal(request.text)}\n"
        f'inputs = tokenizer(text, truncation=True, max_length={item.window}, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    probabilities = model(**inputs).logits.softmax(-1)[0]\n"
        "for index in probabilities.argsort(descending=True).tolist():\n"
        '    print(f"{model.config.id2label[index]}: {probabilities[index]:.4f}")\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: ClassificationResult = shown.result

    def table() -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = [("label", label.name, label.probability) for label in result.labels]
        rows += [("occlusion", push.text, push.weight) for push in result.pushes]
        rows += [("integrated gradients", push.text, push.weight) for push in result.gradients]
        return rows

    return table_and_json(
        "sentiment",
        ["kind", "text", "value"],
        table,
        lambda: {
            "text": shown.request.text,
            "model": shown.entry.id,
            "labels": {label.name: label.probability for label in result.labels},
            "occlusion": _listed(result.pushes),
            "integrated_gradients": _listed(result.gradients),
            "completeness": asdict(result.completeness) if result.completeness else None,
        },
    )


def _listed(pushes: tuple[Push, ...]) -> list[dict[str, Any]]:
    return [{"text": push.text, "start": push.start, "end": push.end, "weight": push.weight} for push in pushes]


def _columns(result: ClassificationResult) -> dict[str, Any]:
    found: dict[str, Any] = {_("etiqueta"): label_name(result.labels[0].name)}
    for label in sorted(result.labels, key=lambda item: item.name):
        found[label_name(label.name)] = round(label.probability, 4)
    return found


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: ClassificationRequest(text),
        columns=_columns,
        plot="labels",
        column=_("etiqueta"),
    )


def _catalogue(_language: Language) -> str:
    return "sentiment"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "El camarero fue encantador, pero la comida llegó tarde y fría.",
            "The food took forever, but the waiter was charming and the dessert was worth the wait.",
        ),
        choice_field("explain", *METHODS),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("sequence-classification", "body-and-head"),
    button=lambda: _("Clasificar"),
    contrast=Contrast(
        make=lambda text, _form: ClassificationRequest(text),
        values=lambda result: {label_name(label.name): label.probability for label in result.labels},
        unit=lambda: _("probabilidad"),
    ),
    batch=_batch,
    guess=_guess,
)
