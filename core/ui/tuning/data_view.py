"""A data set on the page: figures, examples as people read them, counts, warnings, and files to take home."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.training.data import (
    ANSWERED,
    UNANSWERED,
    Contradictions,
    DataSet,
    DataWarning,
    Example,
    FewExamples,
    Imbalance,
    Labelled,
    Question,
    Tagged,
    Untested,
    count_labels,
    warnings,
)
from core.training.ours import display_name
from core.training.reading import Notice
from core.training.slots import slots_of
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.marked import TONES, Mark, marked_text
from core.ui.messages import plain
from core.ui.share import Download, in_this_language

# More bars can't be read; the file has all.
_BARS: Final = 20
_MARKED: Final = 4
_ROWS: Final = 200
_LONGEST: Final = 400


@dataclass(frozen=True)
class Shown:
    """A set with what was found in it.

    Attributes:
        data: the set.
        counts: class, kind or sort → how many (to learn from, to measure on).
        warnings: what is worth knowing before a run.
        notices: what was done to read it.
        key: another for each set, for the keys of widgets.
    """

    data: DataSet
    counts: dict[str, tuple[int, int]]
    warnings: tuple[DataWarning, ...]
    notices: tuple[Notice, ...]
    key: str

    @classmethod
    def of(cls, data: DataSet, notices: tuple[Notice, ...] = (), *, key: str) -> "Shown":
        """Looks a set through."""
        return cls(data, count_labels(data), warnings(data), notices, key)


def label_title(name: str) -> str:
    """What a class, a kind or a sort of question is called on the page."""
    return {ANSWERED: _("con respuesta"), UNANSWERED: _("sin respuesta")}.get(name) or display_name(
        name, get_language()
    )


def _titled(warning: DataWarning) -> DataWarning:
    """The same warning with the names that labels have on the page."""
    match warning:
        case Imbalance():
            return replace(warning, largest=label_title(warning.largest), smallest=label_title(warning.smallest))
        case FewExamples():
            return FewExamples(tuple((label_title(name), count) for name, count in warning.labels))
        case Untested():
            return Untested(tuple(map(label_title, warning.labels)))
        case Contradictions():
            return replace(warning, labels=tuple(map(label_title, warning.labels)))
        case _:
            return warning


# --- files ------------------------------------------------------------------------------------------------


def _parts(data: DataSet) -> Iterator[tuple[str, Example]]:
    for part, examples in (("train", data.train), ("test", data.test)):
        for example in examples:
            yield part, example


def table(data: DataSet) -> tuple[list[str], list[list[Any]]]:
    """Header and rows with which the page reads the set again; of several answers, the first."""
    headers = {
        "classification": ["text", "label", "split"],
        "entities": ["words", "tags", "split"],
        "questions": ["question", "context", "answer", "start", "split"],
    }
    rows: list[list[Any]] = []
    for part, example in _parts(data):
        if isinstance(example, Labelled):
            rows.append([example.text, data.labels[example.label], part])
        elif isinstance(example, Tagged):
            rows.append([" ".join(example.words), " ".join(example.tags), part])
        else:
            start, answer = example.answers[0] if example.answers else ("", "")
            rows.append([example.question, example.context, answer, start, part])
    return headers[data.task], rows


def json_lines(data: DataSet) -> bytes:
    """One object a line, with which the page reads the very same set again."""
    lines = []
    for part, example in _parts(data):
        row: dict[str, Any]
        if isinstance(example, Labelled):
            row = {"text": example.text, "label": data.labels[example.label]}
        elif isinstance(example, Tagged):
            row = {"words": example.words, "tags": example.tags}
        else:
            answers = [{"text": text, "start": start} for start, text in example.answers]
            row = {"title": example.group, "question": example.question, "context": example.context, "answers": answers}
        lines.append(json.dumps({**row, "split": part}, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def data_downloads(data: DataSet) -> tuple[Download, ...]:
    """The set as a table for spreadsheets, in which no cell can be run as a formula, and as JSON lines."""
    return (
        Download(_("Los datos (CSV)"), "data.csv", "text/csv", lambda: csv_bytes(*table(data))),
        Download(_("Los datos (JSON Lines)"), "data.jsonl", "application/jsonl", lambda: json_lines(data)),
    )


# --- examples ---------------------------------------------------------------------------------------------


def _some(examples: Sequence[Any], count: int, seed: int) -> list[Any]:
    """A few examples, others for each seed; the same ones come back with theirs."""
    return random.Random(seed).sample(list(examples), min(count, len(examples)))


def _tones(kinds: Iterable[str]) -> dict[str, int]:
    return {kind: index % TONES for index, kind in enumerate(dict.fromkeys(kinds))}


def _show_tagged(examples: Sequence[Tagged], key: str) -> None:
    for number, example in enumerate(examples):
        text, slots = slots_of(example)
        tones = _tones(slot.name for slot in slots)
        marks = [Mark(slot.start, slot.end, label_title(slot.name), tones[slot.name]) for slot in slots]
        marked_text(text, marks, key=f"td_marked_{key}_{number}")


def _show_questions(examples: Sequence[Question], key: str) -> None:
    for number, example in enumerate(examples):
        st.text(example.question)
        marks = []
        text = example.context
        if example.answers:
            start, answer = example.answers[0]
            # A long context is cut around its answer.
            first = max(0, start - _LONGEST // 2) if len(text) > _LONGEST else 0
            text = text[first : max(start + len(answer), first + _LONGEST)]
            marks = [Mark(start - first, start - first + len(answer), _("respuesta"), 0)]
        marked_text(text[: max(_LONGEST, marks[0].end if marks else 0)], marks, key=f"td_asked_{key}_{number}")
        if not marks:
            st.caption(_("El texto no responde a esta pregunta."))


def _show_examples(shown: Shown) -> None:
    data = shown.data
    seed_key = "td_examples_seed"
    seed = int(st.session_state.get(seed_key, 0))
    if data.task == "classification":
        rows = [example for example in _some(data.train, _ROWS, seed) if isinstance(example, Labelled)]
        st.dataframe(
            pd.DataFrame(
                {
                    _("texto"): [example.text for example in rows],
                    _("etiqueta"): [label_title(data.labels[example.label]) for example in rows],
                }
            ),
            hide_index=True,
            height=250,
            column_config={_("texto"): st.column_config.TextColumn(width="large")},
            key=f"td_rows_{shown.key}",
        )
    elif data.task == "entities":
        _show_tagged(_some(data.train, _MARKED, seed), shown.key)
    else:
        # On different texts.
        asked = {example.context: example for example in _some(data.train, len(data.train), seed)}
        _show_questions(list(asked.values())[:2], shown.key)

    def others() -> None:
        st.session_state[seed_key] = seed + 1

    with st.container(horizontal=True):
        st.button(_("Otros ejemplos"), icon=":material/shuffle:", key="td_others", on_click=others)
        with st.popover(_("Descargar los datos"), icon=":material/download:", key="td_files"):
            for index, file in enumerate(data_downloads(data)):
                st.download_button(
                    file.label,
                    data=in_this_language(file.content),
                    file_name=file.file_name,
                    mime=file.mime,
                    on_click="ignore",
                    key=f"td_file_{index}",
                )


# --- the whole --------------------------------------------------------------------------------------------


def _facts(data: DataSet, counts: dict[str, tuple[int, int]]) -> str:
    parts = [
        ngettext("{n} para aprender", "{n} para aprender", len(data.train)).format(n=format_number(len(data.train))),
        ngettext("{n} para probar", "{n} para probar", len(data.test)).format(n=format_number(len(data.test))),
    ]
    kinds = len([name for name in counts if sum(counts[name])])
    if data.task == "classification":
        parts.append(ngettext("{n} clase", "{n} clases", kinds).format(n=format_number(kinds)))
    elif data.task == "entities":
        parts.append(ngettext("{n} tipo de entidad", "{n} tipos de entidad", kinds).format(n=format_number(kinds)))
    else:
        texts = len({example.context for _part, example in _parts(data) if isinstance(example, Question)})
        parts.append(ngettext("{n} texto", "{n} textos", texts).format(n=format_number(texts)))
    if data.licence:
        parts.append(_("licencia {licence}").format(licence=data.licence))
    return " · ".join(parts)


def show_set(shown: Shown) -> None:
    """Figures, warnings, examples, and how many there are of each class."""
    data = shown.data
    st.markdown(f"**{plain(data.name)}** · {plain(_facts(data, shown.counts))}")
    for notice in shown.notices:
        st.info(plain(notice.message), icon=":material/info:")
    for warning in shown.warnings:
        st.warning(plain(_titled(warning).message), icon=":material/warning:")
    with st.expander(_("Ver ejemplos"), icon=":material/visibility:"):
        _show_examples(shown)
    with st.expander(_("Reparto de los ejemplos"), icon=":material/bar_chart:"):
        order = sorted(shown.counts, key=lambda name: (-shown.counts[name][0], name))
        names = [label_title(name) for name in order[:_BARS]]
        figure, alt = charts.train_and_test(names, [shown.counts[name] for name in order[:_BARS]])
        st.plotly_chart(figure, key=f"td_counts_{shown.key}", alt=alt, config={"displayModeBar": False})
        if len(order) > _BARS:
            st.caption(_("Se ven las {shown} más frecuentes de {n}.").format(shown=_BARS, n=format_number(len(order))))
