"""What can be taken home: the tensor, the numbers of all heads, and a page that opens without the app."""

import io
from collections.abc import Sequence

import numpy as np

from core.i18n import gettext as _
from core.lens.attention import AttentionMap
from core.lens.attention_heads import HeadStatistics
from core.ui.attention.export import export_html
from core.ui.attention_page.state import Chosen
from core.ui.downloads import csv_bytes
from core.ui.share import Download

_COLUMNS = ("entropy", "evenness", "distance", "itself", "previous", "next", "first", "separators", "near")


def tensor_bytes(amap: AttentionMap) -> bytes:
    """A NumPy archive: ``weights`` (layers, heads, rows, columns), and the tokens of ``rows`` and ``columns``."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        weights=amap.weights,
        rows=np.array([token.text for token in amap.rows]),
        columns=np.array([token.text for token in amap.columns]),
    )
    return buffer.getvalue()


def statistics_bytes(statistics: HeadStatistics) -> bytes:
    """The numbers of all heads as CSV; layers and heads count from 1."""
    layers, heads = statistics.entropy.shape
    return csv_bytes(
        ["layer", "head", "pattern", *_COLUMNS],
        (
            [
                layer + 1,
                head + 1,
                statistics.pattern(layer, head)[0],
                *(round(float(getattr(statistics, name)[layer, head]), 6) for name in _COLUMNS),
            ]
            for layer in range(layers)
            for head in range(heads)
        ),
    )


def downloads_of(
    amap: AttentionMap,
    statistics: HeadStatistics,
    now: Chosen,
    captions: Sequence[Sequence[str]],
    name: str,
    text: str,
) -> tuple[Download, ...]:
    """The files of what is on screen."""
    return (
        Download(_("Los pesos (NumPy)"), "attention.npz", "application/octet-stream", lambda: tensor_bytes(amap)),
        Download(_("Los números de cada cabeza (CSV)"), "heads.csv", "text/csv", lambda: statistics_bytes(statistics)),
        Download(
            _("Esta vista como página (HTML)"),
            "attention.html",
            "text/html",
            lambda: export_html(
                amap,
                view=now.view,
                layer=now.layer,
                heads=now.heads,
                token=now.token,
                captions=captions,
                name=name,
                title=_("Atención de {name}").format(name=name),
                text=text,
            ),
        ),
    )
