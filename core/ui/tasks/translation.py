"""Translation: the text, what beam search nearly wrote instead, and where the decoder looked."""

import math
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.translation import WANTED, TranslatedSentence, TranslationRequest, TranslationResult
from core.ui import charts
from core.ui.messages import plain
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Form, Language, Shown, TaskView, number_field, text_field

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

_OTHER: Final[dict[Language, Language]] = {"es": "en", "en": "es"}


def _task() -> Task[TranslationRequest, TranslationResult]:
    from core.tasks.translation import TASK

    return TASK


def _request(form: Form, text: str) -> TranslationRequest:
    return TranslationRequest(text, _OTHER[form.language], int(form["beams"]))


def _form(form: Form) -> TranslationRequest:
    name = {
        "es": _("Tu texto en español, para pasarlo al inglés"),
        "en": _("Tu texto en inglés, para pasarlo al español"),
    }
    text = st.text_area(name[form.language], key=form.key("text"), height=110, persist_state="session")
    _options(form)
    return _request(form, text or "")


def _options(form: Form) -> None:
    st.slider(
        _("Haces"),
        1,
        8,
        key=form.key("beams"),
        persist_state="session",
        help=_("Cuántos comienzos se llevan a la vez en la búsqueda en haz."),
    )


def _show(shown: Shown) -> None:
    result: TranslationResult = shown.result
    st.markdown("### " + _("La traducción"))
    st.text(result.text)
    cut = [number for number, sentence in enumerate(result.sentences, 1) if sentence.cut]
    if cut:
        st.info(
            plain(
                _("De estas frases el modelo solo leyó el principio, porque no caben en su ventana: {numbers}.").format(
                    numbers=", ".join(map(str, cut))
                )
            ),
            icon=":material/content_cut:",
        )
    sentence = result.sentences[0]
    if len(result.sentences) > 1:
        place = st.selectbox(
            _("La frase que se mira de cerca"),
            range(len(result.sentences)),
            format_func=lambda index: f"{index + 1}. {result.sentences[index].candidates[0].text}",
            key=f"{shown.key}_sentence",
        )
        sentence = result.sentences[place or 0]
    _show_candidates(sentence)
    _show_alignment(shown, sentence)


def _show_candidates(sentence: TranslatedSentence) -> None:
    if len(sentence.candidates) < 2:
        return
    with st.expander(_("Lo que estuvo a punto de escribir")):
        for candidate in sentence.candidates:
            st.text(f"{format_number(candidate.score, 2)}  {candidate.text}")
        st.caption(_("A la izquierda, la media del logaritmo de las probabilidades: cuanto más cerca de 0, mejor."))


def _show_alignment(shown: Shown, sentence: TranslatedSentence) -> None:
    alignment = sentence.alignment
    if not alignment.source or not alignment.target:
        return
    st.markdown("#### " + _("Dónde miraba al escribir cada palabra"))
    layers = len(alignment.weights)
    layer = st.select_slider(
        _("Capa"),
        [0, *range(1, layers + 1)],
        format_func=lambda number: str(number) if number else _("todas"),
        key=f"{shown.key}_layer",
    )
    weights = alignment.weights[layer - 1] if layer else alignment.mean()
    figure, alt = charts.alignment(alignment.source, alignment.target, weights)
    st.plotly_chart(figure, key=f"{shown.key}_plot", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Atención cruzada, media de las cabezas. Cada fila es una palabra escrita y suma 1 con lo que fue a los "
            "signos especiales. Muestra dónde miró el modelo, que no siempre es la traducción de esa palabra."
        )
    )


def _code(request: TranslationRequest, item: ModelEntry) -> str:
    longest = f"min({item.window - 1}, 2 * longest + 20)"
    return (
        load_lines(item, "Seq2SeqLM") + f"\ntext = {literal(request.text)}\n"
        "# The project's own way to cut a text into sentences; a model of one direction needs no mark.\n"
        "from core.tasks.extractive_summary import split_sentences\n\n"
        f"mark = tokenizer.get_vocab().get({WANTED[request.target]!r})\n"
        "for start, end in split_sentences(text):\n"
        '    ids = tokenizer(text[start:end])["input_ids"]\n'
        "    ids = torch.tensor([ids if mark is None else [mark, *ids]])\n"
        "    longest = ids.shape[1]\n"
        "    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, "
        "max_length=None,\n"
        f"                         num_beams={request.beams}, max_new_tokens={longest})\n"
        "    print(tokenizer.decode(out[0], skip_special_tokens=True).strip())\n"
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: TranslationResult = shown.result
    text = shown.request.text
    return table_and_json(
        "translation",
        ["source", "translation", "score"],
        lambda: [(text[s.start : s.end], s.candidates[0].text, s.candidates[0].score) for s in result.sentences],
        lambda: {
            "text": text,
            "model": shown.entry.id,
            "translation": result.text,
            "sentences": [
                {
                    "source": text[s.start : s.end],
                    "candidates": [{"text": c.text, "score": c.score} for c in s.candidates],
                    "alignment": {
                        "source": list(s.alignment.source),
                        "target": list(s.alignment.target),
                        "weights": [list(row) for row in s.alignment.mean()],
                    },
                }
                for s in result.sentences
            ],
        },
    )


def _columns(result: TranslationResult) -> dict[str, Any]:
    sure = [math.exp(sentence.candidates[0].score) for sentence in result.sentences]
    return {_("traducción"): result.text, _("probabilidad media por token"): round(sum(sure) / len(sure), 4)}


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: _request(form, text),
        columns=_columns,
        plot="numbers",
        column=_("probabilidad media por token"),
    )


def _catalogue(language: Language) -> str:
    return f"translation-{language}-{_OTHER[language]}"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "El perro blanco duerme bajo la mesa. Mañana iremos al mar con tu abuela.",
            "The white dog is asleep under the table. Tomorrow we will go to the sea with your grandmother.",
        ),
        number_field("beams", 4, 1, 8),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("encoder-decoder", "cross-attention", "summarization-translation-generation"),
    button=lambda: _("Traducir"),
    batch=_batch,
    options=_options,
)
