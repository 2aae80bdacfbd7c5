"""Part "El coseno a mano": three vectors that one types, every step of the sum, and the arrows. Needs no model."""

import math
from itertools import combinations
from typing import Final

import streamlit as st

from core.errors import InputInvalid, TallerError
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.cosine import CosineSteps, cosine_steps
from core.ui.downloads import csv_bytes
from core.ui.embeddings import plots
from core.ui.embeddings.code import cosine_code
from core.ui.embeddings.state import PAIR, STATE, VECTORS
from core.ui.glossary import glossary_marks
from core.ui.messages import errors_shown, show_error
from core.ui.share import Download, share_row
from core.ui.views import view_switch

_NAMES: Final = ("A", "B", "C")
# Beyond it the arrows and the sums can't be read.
_LARGEST: Final = 1e6


def read_vector(text: str, name: str) -> list[float]:
    """The numbers of a field, separated by spaces or semicolons; in English by commas, too.

    Raises:
        InputInvalid: not two or three numbers, or something that is none.
    """
    numbers = []
    loose = text.replace("−", "-").replace(";", " ")
    if get_language() == "en":
        loose = loose.replace(",", " ")
    for word in loose.split():
        bare = word.rstrip(",").replace(",", ".")
        try:
            number = float(bare)
        except ValueError:
            number = math.nan
        if not abs(number) <= _LARGEST:
            raise InputInvalid(
                _("En el vector {name}, «{word}» no es un número que se pueda usar (como mucho, un millón).").format(
                    name=name, word=word[:30]
                )
            )
        numbers.append(number)
    if len(numbers) not in (2, 3):
        raise InputInvalid(
            _(
                "El vector {name} tiene {n} números y hacen falta dos o tres, separados por espacios. Ejemplo: 3 1"
            ).format(name=name, n=len(numbers))
        )
    return numbers


def _number(value: float) -> str:
    """As one writes it by hand: no more decimals than it has, three at most."""
    for decimals in range(3):
        if abs(value - round(value, decimals)) < 1e-9:
            return format_number(value + 0.0, decimals)
    return format_number(value, 3)


def _tex(value: float) -> str:
    # A comma is a separator to LaTeX, with a space after it, unless it stands in braces.
    return _number(value).replace("\u202f", r"\,").replace(",", "{,}")


def _signed(value: float) -> str:
    return f"({_tex(value)})" if value < 0 else _tex(value)


def show_cosine() -> None:
    """The whole part."""
    st.markdown(
        _(
            "Escribe tres vectores de dos o tres números y mira la cuenta entera: producto escalar, longitudes, "
            "división y ángulo. Con los 384 números de un modelo se hace exactamente igual."
        )
    )
    fields = [
        column.text_input(
            _("Vector {name}").format(name=name),
            key=key,
            persist_state="session",
            placeholder="3  1",
            help=_("Dos o tres números separados por espacios."),
        )
        for column, name, key in zip(st.columns(3), _NAMES, VECTORS, strict=True)
    ]
    vectors = [read_vector(field or "", name) for field, name in zip(fields, _NAMES, strict=True)]
    if len({len(vector) for vector in vectors}) > 1:
        raise InputInvalid(
            _("Los tres vectores tienen que tener las mismas dimensiones: todos dos o todos tres números.")
        )
    left, right = st.columns([2, 3], gap="medium")
    with left:
        figure, alt = plots.arrows(_NAMES, vectors)
        st.plotly_chart(figure, key="em_arrows", alt=alt, config={"displayModeBar": False})
    pairs = {f"{_NAMES[a]}{_NAMES[b]}": (a, b) for a, b in combinations(range(3), 2)}
    with right:
        rows = []
        for name, (a, b) in pairs.items():
            try:
                steps = cosine_steps(vectors[a], vectors[b])
            except TallerError as error:
                show_error(error)
                continue
            rows.append(
                {
                    _("pareja"): f"{name[0]} · {name[1]}",
                    _("producto escalar"): _number(steps.dot),
                    _("coseno"): format_number(steps.cosine + 0.0, 3),
                    _("ángulo"): f"{format_number(steps.degrees, 1)}°",
                    _("distancia"): _number(steps.distance),
                }
            )
        if rows:
            st.dataframe(rows, hide_index=True)
        chosen = view_switch(_("Pareja"), {name: (f"{name[0]} · {name[1]}", "") for name in pairs}, PAIR)
        a, b = pairs[chosen]
        with errors_shown():
            steps = cosine_steps(vectors[a], vectors[b])
            _steps(_NAMES[a], _NAMES[b], vectors[a], vectors[b], steps)
    glossary_marks("cosine-similarity", "embedding", key="g_cosine")
    u, v = vectors[a], vectors[b]
    share_row(
        STATE,
        code=cosine_code(u, v, steps) if any(u) and any(v) else None,
        downloads=(
            Download(
                _("Las tres parejas (CSV)"),
                "cosines.csv",
                "text/csv",
                lambda: csv_bytes(list(rows[0]) if rows else ["-"], [list(row.values()) for row in rows]),
            ),
        ),
        key="em_cosine_share",
    )


def _steps(name_u: str, name_v: str, u: list[float], v: list[float], steps: CosineSteps) -> None:
    terms = " + ".join(rf"{_signed(a)} \cdot {_signed(b)}" for a, b in zip(u, v, strict=True))
    products = " + ".join(_signed(value) for value in steps.products)
    st.markdown("**1.** " + _("Se multiplica número con número y se suman los productos: es el producto escalar."))
    # On lines of their own: in three dimensions one line would be too wide for a phone.
    st.latex(
        rf"\begin{{aligned}} {name_u} \cdot {name_v} &= {terms} \\ &= {products} "
        rf"= \mathbf{{{_tex(steps.dot)}}} \end{{aligned}}"
    )
    st.markdown("**2.** " + _("La longitud de cada uno: la raíz de la suma de sus cuadrados (Pitágoras)."))
    for name, vector, norm in ((name_u, u, steps.norm_u), (name_v, v, steps.norm_v)):
        squares = " + ".join(f"{_signed(value)}^2" for value in vector)
        st.latex(rf"\lVert {name} \rVert = \sqrt{{{squares}}} = \mathbf{{{_tex(norm)}}}")
    st.markdown("**3.** " + _("Se divide: así la longitud deja de contar y queda solo la dirección."))
    st.latex(
        rf"\begin{{aligned}} \cos({name_u}, {name_v}) &= \frac{{{_tex(steps.dot)}}}"
        rf"{{{_tex(steps.norm_u)} \cdot {_tex(steps.norm_v)}}} = \mathbf{{{_tex(steps.cosine + 0.0)}}} \\[0.4em] "
        rf"&\Rightarrow\; {_tex(round(steps.degrees, 1))}^\circ \end{{aligned}}"
    )
    st.caption(_what(steps))


def _what(steps: CosineSteps) -> str:
    if steps.cosine > 0.9999:
        return _("Apuntan exactamente al mismo lado, aunque uno sea más largo.")
    if steps.cosine < -0.9999:
        return _("Apuntan en sentidos opuestos.")
    if abs(steps.cosine) < 1e-4:
        return _("Son perpendiculares: en dirección no tienen nada en común.")
    if steps.cosine > 0:
        return _("El ángulo es menor de 90°: tienen algo en común.")
    return _("El ángulo es mayor de 90°: más bien se oponen.")
