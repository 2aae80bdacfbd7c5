"""Zero-shot classification: labels that the visitor makes up, and how they were judged."""

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_percent, get_language
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.zero_shot import TEMPERATURE, TEMPLATES, ZeroShotRequest, ZeroShotResult
from core.ui import charts
from core.ui.guess import Question, question_key
from core.ui.messages import plain
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.models import models_for
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, flag_field, text_field

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

# More bars than this can't be read, nor more names in a heading.
_SHOWN = 15
_NAMED = 4


def _task() -> Task[ZeroShotRequest, ZeroShotResult]:
    from core.tasks.zero_shot import TASK

    return TASK


def split_labels(text: str) -> tuple[str, ...]:
    """Labels from a field: one a line, or between commas or semicolons."""
    return tuple(label.strip() for label in re.split(r"[\n,;]", text) if label.strip())


def _request(form: Form, text: str) -> ZeroShotRequest:
    template = str(form["template"]).strip() or TEMPLATES[form.language]
    return ZeroShotRequest(text, split_labels(str(form["labels"])), template, bool(form["several"]))


def _form(form: Form) -> ZeroShotRequest:
    text = st.text_area(_("Tu texto"), key=form.key("text"), height=110, persist_state="session")
    _options(form)
    return _request(form, text or "")


def _options(form: Form) -> None:
    left, right = st.columns([3, 2])
    left.text_area(
        _("Tus etiquetas, separadas por comas o una por línea"),
        key=form.key("labels"),
        height=80,
        persist_state="session",
    )
    right.text_input(
        _("La frase en que se pone cada una"),
        key=form.key("template"),
        persist_state="session",
        help=_("{} es el lugar de la etiqueta. Cambiar esta frase cambia las respuestas: pruébalo."),
    )
    entails = any(item.weights and item.weights.head for item in models_for("zero-shot", form.language).here)
    st.toggle(
        _("Puede haber varias etiquetas correctas"),
        key=form.key("several"),
        persist_state="session",
        disabled=not entails,
        help=_("Cada etiqueta se juzga sola y los porcentajes ya no suman 100.")
        if entails
        else _("Hace falta un modelo de implicación (NLI): con el parecido de vectores no se puede."),
    )


def _show(shown: Shown) -> None:
    result: ZeroShotResult = shown.result
    right = [label for label in result.labels if not result.several or label.share >= 0.5]
    best = right[: len(right) if result.several else 1]
    heading = " + ".join(f"{label.name} · {format_percent(label.share)}" for label in best[:_NAMED])
    st.markdown("### " + plain(heading or _("Ninguna etiqueta llega al 50 %")))
    shown_labels = result.labels[:_SHOWN]
    figure, alt = charts.shares([label.name for label in shown_labels], [label.share for label in shown_labels])
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    if len(result.labels) > _SHOWN:
        st.caption(
            _("Las {n} primeras de {total}; todas están en la descarga.").format(n=_SHOWN, total=len(result.labels))
        )
    if result.cut:
        st.info(_("El texto no cabía entero: el modelo leyó solo el principio."), icon=":material/content_cut:")
    if result.several:
        st.caption(
            _(
                "Método: implicación (NLI), cada etiqueta por su lado: cuánto se sigue su frase del texto frente a "
                "cuánto lo contradice. Los porcentajes no suman 100."
            )
        )
    elif result.method == "entailment":
        st.caption(
            _(
                "Método: implicación (NLI). El modelo dice cuánto se sigue del texto la frase de cada etiqueta; "
                "los porcentajes suman 100."
            )
        )
    else:
        st.caption(
            _(
                "Método: parecido de vectores, no implicación. Se compara el vector del texto con el de la frase de "
                "cada etiqueta; los porcentajes reparten los cosenos y no son probabilidades de acertar."
            )
        )


def _guess(request: ZeroShotRequest, result: ZeroShotResult, item: ModelEntry) -> Question | None:
    if result.several or len(result.labels) < 2:
        return None
    return Question(
        key=question_key("zero-shot", item.key, request),
        ask=_("¿Qué etiqueta pondrá {name}?").format(name=item.name(get_language())),
        answers=tuple(label.name for label in result.labels),
        options=tuple(request.labels),
    )


def _code(request: ZeroShotRequest, item: ModelEntry) -> str:
    head = item.weights.head if item.weights is not None else None
    begin = (
        load_lines(item, head) + f"\ntext = {literal(request.text)}\n"
        f"labels = {list(request.labels)!r}\ntemplate = {literal(request.template)}\n"
        'sentences = [template.replace("{}", label) for label in labels]\n'
    )
    if head is not None:
        shares = "shares = logits[:, entails].softmax(0)\n"
        if request.several:
            shares = (
                "against = next((i for i, name in model.config.id2label.items() "
                'if name.lower().startswith("contra")), None)\n'
                "classes = logits if against is None else logits[:, [against, entails]]\n"
                "shares = classes.softmax(-1)[:, entails if against is None else 1]\n"
            )
        return begin + (
            "inputs = tokenizer([text] * len(labels), sentences, padding=True, "
            f'truncation="only_first", max_length={item.window}, return_tensors="pt")\n'
            'entails = next(i for i, name in model.config.id2label.items() if name.lower().startswith("entail"))\n'
            "with torch.inference_mode():\n"
            "    logits = model(**inputs).logits  # (labels, classes)\n"
            f"{shares}"
            "for index in shares.argsort(descending=True).tolist():\n"
            '    print(f"{labels[index]}: {shares[index]:.4f}")\n'
        )
    return begin + (
        f"inputs = tokenizer([text, *sentences], padding=True, truncation=True, max_length={item.window}, "
        'return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    states = model(**inputs).last_hidden_state  # (texts, tokens, width)\n"
        'mask = inputs["attention_mask"][:, :, None]\n'
        "vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)\n"
        f"shares = (vectors[1:] @ vectors[0] / {TEMPERATURE}).softmax(0)\n"
        "for index in shares.argsort(descending=True).tolist():\n"
        '    print(f"{labels[index]}: {shares[index]:.4f}")\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: ZeroShotResult = shown.result
    return table_and_json(
        "labels",
        ["label", "share", "raw"],
        lambda: [(label.name, label.share, label.raw) for label in result.labels],
        lambda: {
            "text": shown.request.text,
            "model": shown.entry.id,
            "method": result.method,
            "several": result.several,
            "template": shown.request.template,
            "labels": [{"label": label.name, "share": label.share, "raw": label.raw} for label in result.labels],
        },
    )


def _columns(result: ZeroShotResult) -> dict[str, Any]:
    found: dict[str, Any] = {_("etiqueta"): result.labels[0].name}
    for label in sorted(result.labels, key=lambda item: item.name)[:_SHOWN]:
        found[label.name] = round(label.share, 4)
    return found


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: _request(form, text),
        columns=_columns,
        plot="labels",
        column=_("etiqueta"),
    )


def _catalogue(_language: Language) -> str:
    return "zero-shot"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "El equipo marcó dos goles en los últimos minutos y se clasificó para la final.",
            "The team scored two goals in the last minutes and made it to the final.",
        ),
        text_field("labels", "deporte, política, cocina, ciencia", "sports, politics, cooking, science"),
        text_field("template", "Este texto trata de {}.", "This text is about {}."),
        flag_field("several"),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("cosine-similarity", "sequence-classification"),
    button=lambda: _("Clasificar"),
    contrast=Contrast(
        make=lambda text, form: _request(form, text),
        values=lambda result: {label.name: label.share for label in result.labels},
        unit=lambda: _("parte que le toca"),
    ),
    batch=_batch,
    options=_options,
    guess=_guess,
)
