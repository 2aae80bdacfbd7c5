"""What the attention view says, in the reader's language; JavaScript fills in ``{names}``."""

from typing import Any

from core.i18n import get_language
from core.i18n import gettext as _


def view_names() -> dict[str, str]:
    """The five views by their keys, as their tabs say."""
    return {
        "model": _("Modelo"),
        "head": _("Cabezas"),
        "matrix": _("Matriz"),
        "neuron": _("Neurona"),
        "text": _("Frase coloreada"),
    }


def view_labels() -> dict[str, Any]:
    """All that the component shows or speaks."""
    return {
        "language": get_language(),
        "view": _("Vista de la atención"),
        "which_view": _("Vistas"),
        "views": view_names(),
        "hints": {
            "model": _("Cada cuadro es una cabeza. Señálala para saber qué hace; con clic o Entrar se abre."),
            "head": _("Señala un token para ver solo sus líneas; con clic o Entrar queda fijo."),
            "matrix": _("Señala una celda para leer su valor. Clic la fija; +, − y 0, o Ctrl y la rueda, acercan."),
            "neuron": _("Señala una clave para ver su cuenta. Con las flechas a los lados se cambia de paso."),
            "text": _("Elige un token para ver adónde mira; elígelo otra vez para volver a lo que recibe cada uno."),
        },
        "loading": _("Trayendo esta capa…"),
        "layer": _("Capa"),
        "head": _("Cabeza"),
        "heads": _("Cabezas"),
        "what": _("Qué hace"),
        "layer_n": _("Capa {n}"),
        "head_n": _("Cabeza {n}"),
        "layer_of": _("Capa {n} de {all}"),
        "name": _("Capa {layer}, cabeza {head}"),
        "heading": _("Capa {layer}, cabezas {heads}"),
        "layer_head": _("Capa"),
        "layer_before": _("Capa anterior"),
        "layer_after": _("Capa siguiente"),
        "play": _("Recorrer las capas"),
        "pause": _("Parar"),
        "all_heads": _("Todas"),
        "all_heads_title": _("Todas las cabezas, o solo la primera"),
        "more_heads": _("y otras {n} cabezas"),
        "filter": _("Líneas"),
        "filters": [_("Todas"), _("de A a A"), _("de A a B"), _("de B a A"), _("de B a B")],
        "free": _("Soltar"),
        "free_title": _("Soltar el token fijado (Escape)"),
        "save": _("Guardar:"),
        "save_png": _("Guardar esta vista como PNG"),
        "save_svg": _("Guardar esta vista como SVG"),
        "as_table": _("Verlo como tabla"),
        "scale": _("El color crece con la raíz del peso, para que también se vean los pesos pequeños."),
        "scale_even": _("El color crece con el peso."),
        # Model view.
        "grid": _("Cabezas del modelo: {layers} capas por {heads} cabezas"),
        "reduced": _(
            "Cada miniatura reduce {rows} × {columns} pesos a {n} puntos por lado; "
            "cada punto es el peso máximo de su bloque."
        ),
        "open_hint": _("Filas: quién mira. Columnas: a quién mira. Más intenso, más peso."),
        # Head view.
        "looks": _("Quién mira (consulta)"),
        "looked": _("A quién mira (clave)"),
        "all_lines": _("{n} líneas. Más opaca, más peso: la opacidad es la raíz del peso."),
        "strongest": _(
            "Se dibujan las {n} líneas más fuertes de {all} (peso de {weight} o más). "
            "Al señalar un token aparecen las suyas. La opacidad es la raíz del peso."
        ),
        "looks_at": _("«{token}» (token {place}) mira sobre todo a: {targets}"),
        "looked_by": _("Los que más miran a «{token}» (token {place}): {targets}"),
        "token": _("Token"),
        "looks_most": _("Mira sobre todo a"),
        "given_by": _("Adónde mira «{token}» (token {place})"),
        "received_of": _("Quién mira a «{token}» (token {place})"),
        # Matrix.
        "matrix_of": _("Matriz de la capa {layer}, cabeza {head}"),
        "matrix_keys": _(
            "Flechas: mover la celda. Mayúsculas y flecha: de diez en diez. Entrar: fijarla. +, −, 0: acercar."
        ),
        "masked": _("futuro: no lo puede mirar"),
        "zoom_in": _("Acercar"),
        "zoom_out": _("Alejar"),
        "zoom_all": _("Ver la matriz entera"),
        "zoomed": _("Ampliación: {n}×"),
        "cell": _("«{row}» ({i}) mira a «{column}» ({j}) con peso {weight}"),
        "cell_masked": _("«{row}» ({i}) no puede mirar a «{column}» ({j}): todavía no lo leyó. Peso {weight}"),
        # Neuron.
        "query_token": _("Quién mira"),
        "steps": _("Pasos de la cuenta"),
        "step_n": _("Paso {n} de {all}: {name}"),
        "step_names": [
            _("Vectores"),
            _("Producto"),
            _("Suma"),
            _("Escala"),
            _("Softmax"),
        ],
        "step_texts": [
            _(
                "«{token}» pregunta con su vector de consulta q (query), de {d} números. "
                "Cada token ofrece un vector de clave k (key), también de {d}."
            ),
            _("Se multiplica q por cada k número a número. Azul: tienen el mismo signo y suman; naranja: restan."),
            _("Los {d} productos se suman: es el producto punto q · k. Cuanto más se parecen q y k, más alto."),
            _("Se divide por {scale}, para que no crezca con el largo de los vectores; si hay máscara, se aplica."),
            _("El softmax vuelve positivos los puntajes y los reparte para que sumen 1: son los pesos de atención."),
        ],
        "columns": [_("k, clave"), _("q × k"), _("q · k"), _("Puntaje"), _("Peso")],
        "negative": _("negativo"),
        "positive": _("positivo"),
        "neuron_label": _("De los vectores a los pesos, una fila por clave"),
        "neuron_keys": _(
            "Flechas arriba y abajo: cambiar de clave. Izquierda y derecha: cambiar de paso. Entrar: fijarla."
        ),
        "neuron_sentence": _("«{row}» con «{column}»: producto {dot}, puntaje {score}, peso {weight}"),
        "pair": _("La cuenta de «{row}» con «{column}»"),
        "divided": _("÷ {n}"),
        "bias": _("+ máscara o posición"),
        "term": _("n.º {n}: {q} × {k} = {p}"),
        "largest_terms": _("Los productos que más pesan:"),
        "key_token": _("Clave"),
        "no_vectors": _("Este modelo o esta medida no dan vectores q y k de una cabeza: elige otra vista."),
        # Coloured sentence.
        "tint_received": _("Cuánta atención recibe cada token, en promedio, de todos los que miran:"),
        "tint_given": _("Cómo reparte su atención «{token}» (token {place}):"),
        "received": _("Atención recibida"),
        "received_by": _("«{token}» (token {place}) recibe en promedio {weight}"),
        "given_to": _("«{from}» mira a «{token}» (token {place}) con peso {weight}"),
        # Files.
        "file_model": _("atencion-modelo"),
        "file_head": _("atencion-cabezas"),
        "file_matrix": _("atencion-matriz"),
        "file_neuron": _("atencion-neurona"),
        "file_text": _("atencion-frase"),
    }
