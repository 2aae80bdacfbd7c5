"""Named entities: the text with its entities marked, and how pieces became words and words became spans."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.runtime.task import Task
from core.tasks.common import WORD
from core.tasks.entities import EntitiesRequest, EntitiesResult
from core.training.ours import display_name
from core.ui.marked import Mark, marked_text
from core.ui.messages import plain
from core.ui.navigation import N_
from core.ui.share import Download
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, choice_field, text_field

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

# Kinds as models call them → colour and name; a kind of another model's own takes a colour that is left.
KINDS: Final = {
    "PER": (0, N_("persona")),
    "LOC": (2, N_("lugar")),
    "ORG": (1, N_("organización")),
    "MISC": (3, N_("otro")),
}
STRATEGIES: Final = {
    "first": N_("la de su primera pieza"),
    "average": N_("la media de sus piezas"),
    "max": N_("la de su pieza más segura"),
    "simple": N_("ninguna: cada pieza la suya"),
}
# Whether the tags of words agree with one another.
ORDERS: Final = {
    "sequence": N_("elegidas juntas, sin contradicciones (Viterbi)"),
    "alone": N_("cada una la suya"),
}


def kind_name(kind: str) -> str:
    """What a kind is called in the reader's language; those that we don't know keep the model's name."""
    known = KINDS.get(kind)
    return _(known[1]) if known else display_name(kind, get_language())


def tones(kinds: list[str]) -> dict[str, int]:
    """A colour for each kind, the usual ones always the same."""
    # Kinds of a model that somebody tuned may be many: then those of the usual ones are taken, too.
    taken = {KINDS[kind][0] for kind in kinds if kind in KINDS}
    free = [tone for tone in (4, 5, 6, 7, 0, 1, 2, 3) if tone not in taken]
    others = [kind for kind in sorted(set(kinds)) if kind not in KINDS]
    return {
        **{kind: KINDS[kind][0] for kind in kinds if kind in KINDS},
        **{kind: free[index % len(free)] for index, kind in enumerate(others)},
    }


def _task() -> Task[EntitiesRequest, EntitiesResult]:
    from core.tasks.entities import TASK

    return TASK


def _form(form: Form) -> EntitiesRequest:
    text = st.text_area(
        _("Tu texto"),
        key=form.key("text"),
        height=130,
        persist_state="session",
        placeholder=_("Pega una noticia o escribe una frase con nombres"),
    )
    _options(form)
    return _request(text or "", form)


def _request(text: str, form: Form) -> EntitiesRequest:
    return EntitiesRequest(text, form["strategy"] or "first", form["order"] or "sequence")


def _options(form: Form) -> None:
    form.choose("strategy", _("Qué etiqueta recibe una palabra cortada en piezas"), STRATEGIES)
    form.choose(
        "order",
        _("Qué etiquetas se quedan las palabras"),
        ORDERS,
        disabled=form["strategy"] == "simple",
        help=_(
            "Sola, una palabra puede contradecir a la de antes: un lugar que sigue como organización. El algoritmo de "
            "Viterbi elige todas juntas: la serie con la mayor probabilidad en que toda I sigue a una B o una I de su "
            "tipo. Si cada pieza guarda su etiqueta, no hay nada que elegir."
        ),
    )


def _show(shown: Shown) -> None:
    result: EntitiesResult = shown.result
    found = len(result.entities)
    heading = ngettext("{n} entidad", "{n} entidades", found).format(n=found) if found else _("Ninguna entidad")
    st.markdown(f"### {plain(heading)}")
    colours = tones([entity.kind for entity in result.entities])
    marks = [
        Mark(
            entity.start,
            entity.end,
            label=f"{kind_name(entity.kind)} · {format_percent(entity.score)}",
            tone=colours[entity.kind],
        )
        for entity in result.entities
    ]
    legend = tuple((tone, kind_name(kind)) for kind, tone in colours.items())
    marked_text(shown.request.text, marks, legend=legend, key=f"{shown.key}_marks")
    if result.windows > 1:
        st.info(
            _("El texto no cabe de una vez: se leyó en {n} ventanas que se solapan, sin dejar nada fuera.").format(
                n=result.windows
            ),
            icon=":material/content_cut:",
        )
    with st.expander(_("De las piezas a las palabras, y de las palabras a las entidades")):
        st.markdown(
            _(
                "El modelo pone una etiqueta a **cada pieza**: **B** si ahí empieza una entidad, **I** si sigue, **O** "
                "si no hay ninguna. La palabra recibe una sola, y las palabras seguidas del mismo tipo forman la "
                "entidad."
            )
        )
        rows = [
            (piece.piece, result.words[piece.word].text, piece.tag, piece.score, result.words[piece.word].tag)
            for piece in result.pieces
        ]
        columns = [_("pieza"), _("palabra"), _("etiqueta de la pieza"), _("probabilidad"), _("etiqueta de la palabra")]
        st.dataframe(
            pd.DataFrame(rows, columns=columns),
            hide_index=True,
            column_config={
                columns[3]: st.column_config.ProgressColumn(columns[3], min_value=0, max_value=1, format="percent")
            },
        )


def _code(request: EntitiesRequest, item: ModelEntry) -> str:
    simple = request.strategy == "simple"
    if request.order == "sequence" and not simple:
        choice = (
            "path = rows.argmax(-1).tolist()\n"
            "names = [model.config.id2label[index] for index in range(rows.shape[1])]\n"
            'if any(names[best].startswith("B-") for best in path):  # else the model writes I- alone\n'
            "    # The likeliest sequence in which each I- goes on with what stands before it (Viterbi).\n"
            '    goes_on = torch.tensor([name.startswith("I-") for name in names])\n'
            "    own = torch.tensor([[last[2:] == tag[2:] for tag in names] for last in names])\n"
            "    steps = rows.double().clamp(min=1e-12).log()\n"
            "    score, came = steps[0].masked_fill(goes_on, -torch.inf), []\n"
            "    for step in steps[1:]:\n"
            "        ways = score[:, None].masked_fill(goes_on & ~own, -torch.inf)  # (tag before, tag)\n"
            "        came.append(ways.argmax(0))\n"
            "        score = ways.max(0).values + step\n"
            "    path = [int(score.argmax())]\n"
            "    for back in reversed(came):\n"
            "        path.insert(0, int(back[path[0]]))\n"
        )
    else:
        choice = "path = rows.argmax(-1).tolist()\n"
    return (
        "import re\n" + load_lines(item, "TokenClassification") + f"\ntext = {literal(request.text)}\n"
        "found = [m.span() for m in "
        f're.finditer(r"{WORD}", text)]\n'
        "encoded = tokenizer([text[a:b] for a, b in found], is_split_into_words=True, truncation=True,\n"
        f'                    max_length={item.window}, return_offsets_mapping=True, return_tensors="pt")\n'
        'offsets = encoded.pop("offset_mapping")[0].tolist()\n'
        "with torch.inference_mode():\n"
        "    tags = model(**encoded).logits.softmax(-1)[0]  # (tokens, tags)\n"
        "words = {}\n"
        "for index, word in enumerate(encoded.word_ids()):\n"
        "    if word is not None:\n"
        f"        words.setdefault({'index' if simple else 'word'}, []).append((index, found[word][0]))\n"
        f"strategy = {request.strategy!r}\n"
        "rows = []\n"
        "for pieces in words.values():\n"
        "    own = tags[[index for index, _ in pieces]]\n"
        '    rows.append({"first": own[0], "average": own.mean(0), "simple": own[0],\n'
        '                 "max": own[own.max(-1).values.argmax()]}[strategy])\n'
        "rows = torch.stack(rows)  # (words, tags)\n" + choice + "entities = []\n"
        'last = "O"\n'
        "for pieces, best in zip(words.values(), path):\n"
        "    (first, begins), (last_piece, _) = pieces[0], pieces[-1]\n"
        "    tag = model.config.id2label[best]\n"
        "    start, end = begins + offsets[first][0], begins + offsets[last_piece][1]\n"
        '    kind = tag.rpartition("-")[2]\n'
        '    if tag != "O" and not tag.startswith("B-") and kind == last:\n'
        "        entities[-1][2] = end\n"
        '    elif tag != "O":\n'
        "        entities.append([kind, start, end])\n"
        "    last = kind\n"
        "for kind, start, end in entities:\n"
        "    print(kind, text[start:end])\n"
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    result: EntitiesResult = shown.result
    return table_and_json(
        "entities",
        ["kind", "text", "start", "end", "score"],
        lambda: [(e.kind, e.text, e.start, e.end, e.score) for e in result.entities],
        lambda: {
            "text": shown.request.text,
            "model": shown.entry.id,
            "strategy": shown.request.strategy,
            "order": shown.request.order,
            "entities": [
                {"kind": e.kind, "text": e.text, "start": e.start, "end": e.end, "score": e.score}
                for e in result.entities
            ],
            "pieces": [{"piece": p.piece, "tag": p.tag, "score": p.score, "word": p.word} for p in result.pieces],
        },
    )


def _columns(result: EntitiesResult) -> dict[str, Any]:
    counts = Counter(entity.kind for entity in result.entities)
    most = counts.most_common(1)
    return {
        _("entidades"): len(result.entities),
        _("la más frecuente"): kind_name(most[0][0]) if most else _("ninguna"),
        _("cuáles"): "; ".join(f"{entity.text} ({kind_name(entity.kind)})" for entity in result.entities),
    }


def _batch(form: Form) -> "BatchSpec":
    from core.ui.tasks.batch import BatchSpec

    return BatchSpec(
        task=_task(),
        make=lambda text: _request(text, form),
        columns=_columns,
        plot="labels",
        column=_("la más frecuente"),
    )


def _catalogue(_language: Language) -> str:
    return "ner"


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "Gabriela Mistral nació en Vicuña y recibió el Premio Nobel en Estocolmo; hoy la Universidad de Chile "
            "guarda parte de sus cartas.",
            "Marie Curie was born in Warsaw, studied at the University of Paris and won the Nobel Prize twice.",
        ),
        choice_field("strategy", *STRATEGIES),
        choice_field("order", *ORDERS),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("named-entity-recognition", "continuation-piece", "body-and-head"),
    button=lambda: _("Buscar entidades"),
    batch=_batch,
    options=_options,
    # In small letters, so that a name with and without capitals is one name.
    contrast=Contrast(
        make=_request,
        values=lambda result: {f"{e.text.lower()} ({kind_name(e.kind)})": e.score for e in result.entities},
        unit=lambda: _("probabilidad"),
    ),
)
