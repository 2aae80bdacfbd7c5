"""Next sentence: does B follow A?"""

from typing import Any, Final

import pandas as pd
import streamlit as st

from core.catalog import ModelEntry
from core.course.tasks import task_examples
from core.i18n import format_percent, get_language
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.next_sentence import NextSentenceRequest, NextSentenceResult, pairs_from
from core.ui import charts
from core.ui.guess import Question, question_key
from core.ui.messages import errors_shown, plain
from core.ui.share import Download
from core.ui.tasks.answers import answer
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, text_field

# Pairs of each kind that the model is asked about.
_EACH: Final = 8


def _task() -> Task[NextSentenceRequest, NextSentenceResult]:
    from core.tasks.next_sentence import TASK

    return TASK


def _form(form: Form) -> NextSentenceRequest:
    left, right = st.columns(2)
    with left:
        _options(form)
    second = right.text_area(_("Frase B"), key=form.key("second"), height=100, persist_state="session")
    return NextSentenceRequest(str(form["text"]), second or "")


def _options(form: Form) -> None:
    st.text_area(_("Frase A"), key=form.key("text"), height=100, persist_state="session")


def _show(shown: Shown) -> None:
    result: NextSentenceResult = shown.result
    verdict = _("B sigue a A") if result.follows >= 0.5 else _("B no sigue a A")
    surest = max(result.follows, 1 - result.follows)
    st.markdown(f"### {plain(verdict)} · {plain(format_percent(surest))}")
    figure, alt = charts.shares([_("sigue"), _("es otra cualquiera")], [result.follows, 1 - result.follows])
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    st.markdown(
        _(
            "BERT se entrenó con esta pregunta: la mitad de las veces B era la frase siguiente y la otra mitad, una "
            "cualquiera. [RoBERTa](https://arxiv.org/abs/1907.11692) (2019) probó a quitarla y las tareas salían igual "
            "o mejor: se acierta casi siempre con solo mirar si las dos frases tratan del **mismo tema**."
        )
    )
    _exam(shown)


def _guess(request: NextSentenceRequest, result: NextSentenceResult, item: ModelEntry) -> Question:
    answers = ("yes", "no") if result.follows >= 0.5 else ("no", "yes")
    return Question(
        key=question_key("next-sentence", item.key, request),
        ask=_("¿Dirá {name} que la frase B sigue a la A?").format(name=item.name(get_language())),
        answers=answers,
        options=("yes", "no"),
        names=lambda value: {"yes": _("sí, B sigue a A"), "no": _("no, es otra cualquiera")}.get(value, value),
    )


def _exam(shown: Shown) -> None:
    """The same question for many pairs: neighbours, sentences of two texts, neighbours the wrong way round."""
    with st.expander(_("Muchas parejas: de verdad, al azar y al revés"), icon=":material/quiz:"):
        st.markdown(
            _(
                "Se toman frases seguidas de los textos de ejemplo (de verdad), se cambia la segunda por una de otro "
                "texto (al azar) y se les da la vuelta (al revés). Si el modelo solo mira el tema, las del revés le "
                "parecerán tan buenas como las de verdad."
            )
        )
        pressed = f"{shown.key}_exam_pressed"
        st.button(
            _("Preguntarle por todas"),
            icon=":material/quiz:",
            key=f"{shown.key}_exam",
            on_click=lambda: st.session_state.update({pressed: shown.entry.key}),
        )
        if st.session_state.get(pressed) != shown.entry.key:
            return
        texts = [example.fields["text"] for example in task_examples("summary", shown.form.language)]
        pairs = pairs_from(texts, _EACH)
        requests = [NextSentenceRequest(pair.first, pair.second) for pair in pairs]
        with errors_shown():
            with st.spinner(_("Calculando…"), show_time=True):
                chances = [answer(_task(), request, shown.entry.key).result.follows for request in requests]
            kinds = {"true": _("de verdad"), "random": _("al azar"), "reversed": _("al revés")}
            rows = [
                (kinds[pair.kind], chance, pair.first, pair.second) for pair, chance in zip(pairs, chances, strict=True)
            ]
            groups = {name: [row[1] for row in rows if row[0] == name] for name in kinds.values()}
            st.markdown("**" + _("Probabilidad media de que B siga a A") + "**")
            figure, alt = charts.shares(list(groups), [sum(group) / len(group) for group in groups.values()])
            st.plotly_chart(figure, key=f"{shown.key}_exam_plot", alt=alt, config={"displayModeBar": False})
            said = "; ".join(
                _("{kind}: dice que sí en {n} de {total}").format(
                    kind=name, n=sum(chance >= 0.5 for chance in group), total=len(group)
                )
                for name, group in groups.items()
            )
            st.caption(plain(said))
            columns = [_("pareja"), _("sigue"), "A", "B"]
            column = st.column_config.ProgressColumn(columns[1], min_value=0, max_value=1, format="percent")
            st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True, column_config={columns[1]: column})


def _code(request: NextSentenceRequest, item: ModelEntry) -> str:
    head = item.weights.head if item.weights is not None else "NextSentencePrediction"
    return (
        load_lines(item, head) + f"\nfirst = {literal(request.first)}\nsecond = {literal(request.second)}\n"
        'inputs = tokenizer(first, second, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        "    output = model(**inputs)\n"
        'logits = output.seq_relationship_logits if "seq_relationship_logits" in output else output.logits\n'
        '# Class 0 is "B follows A".\n'
        'print(f"{logits.softmax(-1)[0, 0]:.4f}")\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: NextSentenceResult = shown.result

    def whole() -> dict[str, Any]:
        request: NextSentenceRequest = shown.request
        return {"a": request.first, "b": request.second, "model": shown.entry.id, "follows": result.follows}

    return table_and_json(
        "next-sentence",
        ["a", "b", "follows"],
        lambda: [(shown.request.first, shown.request.second, result.follows)],
        whole,
    )


def _catalogue(_language: Language) -> str:
    return "next-sentence"


VIEW = TaskView(
    fields=(
        text_field("text", "La niña abrió la puerta.", "The girl opened the door."),
        text_field(
            "second", "Salió al jardín y buscó a su perro.", "She went out into the garden to look for her dog."
        ),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("next-sentence-prediction", "special-tokens", "cls-pooling"),
    button=lambda: _("Comprobar"),
    # The two texts are two second sentences after one first.
    contrast=Contrast(
        make=lambda text, form: NextSentenceRequest(str(form["text"]), text),
        values=lambda result: {_("sigue"): result.follows, _("es otra cualquiera"): 1 - result.follows},
        unit=lambda: _("probabilidad"),
    ),
    options=_options,
    guess=_guess,
)
