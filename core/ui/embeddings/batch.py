"""Part "El lote": the batch dimension, ``unsqueeze(0)``, padding and the mask, on the tensors of real sentences."""

from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.embeddings_batch import BatchRequest, BatchTensors
from core.ui.downloads import json_bytes
from core.ui.embeddings.code import batch_code
from core.ui.embeddings.readings import reading
from core.ui.embeddings.state import BATCH, STATE
from core.ui.embeddings.words import power_text
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.share import Download, share_row
from core.ui.steps import Chip, ChipRow, Stage, step_view

_MARKS: Final = ("three-dimensional-tensor", "token-id", "special-tokens", "context-window")


def _shape(shape: tuple[int, ...]) -> str:
    inner = ", ".join(map(str, shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def show_batch(item: ModelEntry) -> None:
    """The whole part."""
    from core.lens.embeddings_batch import TASK

    text = st.text_area(_("Frases del lote, una por línea (hasta 6)"), key=BATCH, height=110, persist_state="session")
    sentences = tuple(line.strip() for line in (text or "").splitlines() if line.strip())
    with st.spinner(_("Calculando…"), show_time=True):
        found: BatchTensors = reading(TASK, BatchRequest(sentences), item.key)
    step_view(_stages(found, item), key="em_batch_steps")
    if found.refusal:
        st.markdown("## " + _("Sin la dimensión del lote"))
        st.markdown(
            plain(
                _("Esto responde la biblioteca si se le da el tensor de forma {shape}, ahora mismo y aquí:").format(
                    shape=_shape(found.shape_without)
                )
            )
        )
        st.code(found.refusal, language=None, wrap_lines=True)
    _mask(found)
    glossary_marks(*_MARKS, key="g_batch")
    share_row(
        STATE,
        code=batch_code(item, sentences, found.padding[0], found.has_padding),
        downloads=(
            Download(
                _("Los tensores (JSON)"),
                "batch.json",
                "application/json",
                lambda: json_bytes(
                    {
                        "model": item.id,
                        "sentences": list(sentences),
                        "input_ids": found.ids.tolist(),
                        "attention_mask": found.mask.tolist(),
                        "output_shape": list(found.output),
                        "difference_with_mask": list(found.with_mask),
                        "difference_without_mask": list(found.without_mask),
                    }
                ),
            ),
        ),
        key="em_batch_share",
    )


def _stages(found: BatchTensors, item: ModelEntry) -> list[Stage]:
    first = len(found.tokens[0])
    real = [
        ChipRow(
            _("frase {n}").format(n=row + 1),
            tuple(
                Chip(token.text, "special" if token.special else "piece", str(int(found.ids[row, at])))
                for at, token in enumerate(tokens)
            ),
            _shape((len(tokens),)),
        )
        for row, tokens in enumerate(found.tokens)
    ]
    padded = [
        ChipRow(
            row.label,
            (
                *row.chips,
                *(
                    Chip(found.padding[1], "changed", str(found.padding[0]))
                    for _at in range(found.ids.shape[1] - len(row.chips))
                ),
            ),
        )
        for row in real
    ]
    masks = [
        ChipRow(
            row.label,
            tuple(Chip(str(int(value)), "hit" if value else "changed") for value in found.mask[at]),
        )
        for at, row in enumerate(real)
    ]
    filler = (
        _("Se rellena por la derecha con «{piece}» (id {id}).")
        if found.has_padding
        else _("Este modelo no tiene token de relleno: aquí se usa «{piece}» (id {id}), y la máscara lo tapa.")
    ).format(piece=found.padding[1], id=found.padding[0])
    name = item.name(get_language())
    return [
        Stage(
            _("Cada frase, sola"),
            _("El tokenizador da una lista de ids: un tensor de una dimensión, tan largo como la frase."),
            tuple(real),
            1,
        ),
        Stage(
            "unsqueeze(0)",
            _(
                "El modelo espera un lote (batch) siempre, aunque sea de una frase. unsqueeze(0) añade esa dimensión: "
                "de {before} a {after}."
            ).format(before=_shape((first,)), after=_shape((1, first))),
            (),
            2,
        ),
        Stage(
            _("Varias frases: relleno (padding)"),
            _("Un tensor es un rectángulo, así que todas miden {n}: forma {shape}.").format(
                n=found.ids.shape[1], shape=_shape(found.ids.shape)
            )
            + " "
            + filler,
            tuple(padded),
            3,
        ),
        Stage(
            "attention_mask",
            _("Del mismo tamaño: 1 donde hay frase, 0 donde hay relleno. La atención no mira a los ceros."),
            tuple(masks),
            4,
        ),
        Stage(
            _("Por la tabla de embeddings y las capas"),
            _(
                "Cada id se cambia por su fila de la tabla: {embedded} (lote, tokens, tamaño del vector). Y de la "
                "última capa de {name} sale {output}."
            ).format(embedded=_shape(found.embedded), name=name, output=_shape(found.output)),
            (),
            5,
        ),
    ]


def _mask(found: BatchTensors) -> None:
    st.markdown("## " + _("¿Y si se olvida la máscara?"))
    lengths = found.mask.sum(axis=1)
    st.dataframe(
        [
            {
                _("frase"): row + 1,
                _("tokens"): int(lengths[row]),
                _("relleno"): int(found.ids.shape[1] - lengths[row]),
                _("diferencia con máscara"): power_text(found.with_mask[row]),
                _("diferencia sin máscara"): format_number(found.without_mask[row], 3),
                _("coseno sin máscara"): format_number(found.cosine_without[row], 3),
            }
            for row in range(len(lengths))
        ],
        hide_index=True,
    )
    st.caption(
        _(
            "Diferencia: la mayor, en valor absoluto, entre los números de los tokens de la frase calculada sola y "
            "dentro del lote. Coseno: entre las medias de sus tokens, sola y en el lote sin máscara."
        )
    )
    worst = int(np.argmax(found.without_mask))
    if len(lengths) == 1 or int(lengths.min()) == found.ids.shape[1]:
        st.markdown(_("Todas miden lo mismo: no hay relleno, y la máscara no cambia nada. Añade una más larga."))
    elif found.causal:
        st.markdown(
            _(
                "Este modelo solo mira hacia atrás, y el relleno está detrás: por eso olvidarla no cambia los tokens "
                "de la frase. Al generar, el relleno va delante, y entonces sí hace falta."
            )
        )
    else:
        st.markdown(
            plain(
                _(
                    "Con máscara, el lote da lo mismo que la frase sola, salvo el redondeo. Sin ella, los tokens "
                    "miran al relleno, y la frase {n} cambia hasta en {difference}: ningún error avisa."
                ).format(n=worst + 1, difference=format_number(found.without_mask[worst], 2))
            )
        )
