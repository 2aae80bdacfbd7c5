"""The tasks of the page, in the order in which they are offered. Their modules are imported when opened."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from core.ui.navigation import N_

if TYPE_CHECKING:
    from core.ui.tasks.view import TaskView


@dataclass(frozen=True, slots=True)
class TaskCard:
    """A task before it is opened.

    Attributes:
        slug: its name in links; its module is ``core.ui.tasks.SLUG`` with underscores.
        title: what it is called.
        what: what it is, in two sentences.
        icon: a Material icon.
    """

    slug: str
    title: str
    what: str
    icon: str

    def view(self) -> "TaskView":
        """The task's own part of the page."""
        return _view(self.slug)


@cache
def _view(slug: str) -> "TaskView":
    return cast("TaskView", import_module(f"core.ui.tasks.{slug.replace('-', '_')}").VIEW)


CARDS: Final = (
    TaskCard(
        "sentiment",
        N_("Sentimiento"),
        N_(
            "Dice si un texto suena positivo, neutro o negativo, con una probabilidad para cada etiqueta. "
            "Debajo se ve qué palabras pesaron en la respuesta."
        ),
        ":material/sentiment_satisfied:",
    ),
    TaskCard(
        "entities",
        N_("Entidades"),
        N_(
            "Encuentra en un texto los nombres de personas, lugares y organizaciones. "
            "El modelo etiqueta pieza por pieza, y de esas etiquetas se arman las entidades."
        ),
        ":material/person_pin_circle:",
    ),
    TaskCard(
        "questions",
        N_("Preguntas"),
        N_(
            "Busca en un texto el trozo que responde a una pregunta. "
            "No escribe nada: señala dónde empieza y dónde termina la respuesta."
        ),
        ":material/help_center:",
    ),
    TaskCard(
        "summary",
        N_("Resumen"),
        N_(
            "Elige las frases que mejor representan un texto. "
            "Se ve cuáles, cuánto pesó cada una y por qué se saltaron las demás."
        ),
        ":material/short_text:",
    ),
    TaskCard(
        "translation",
        N_("Traducción"),
        N_(
            "Pasa un texto del español al inglés o al revés, frase por frase. "
            "Un mapa muestra dónde miraba el modelo al escribir cada palabra."
        ),
        ":material/translate:",
    ),
    TaskCard(
        "generation",
        N_("Generación"),
        N_(
            "Sigue un texto, token por token, como lo hacen GPT y los asistentes. "
            "En cada paso se ve qué otros tokens pudieron salir y con qué probabilidad."
        ),
        ":material/edit_note:",
    ),
    TaskCard(
        "fill-mask",
        N_("Palabra oculta"),
        N_(
            "Adivina la palabra que falta, mirando a los dos lados del hueco. "
            "Así aprendió BERT: tapando palabras en millones de frases."
        ),
        ":material/password:",
    ),
    TaskCard(
        "next-sentence",
        N_("Frase siguiente"),
        N_(
            "Dice si una frase puede seguir a otra en un texto. "
            "Fue la segunda tarea con que se entrenó BERT, y la primera que se abandonó después."
        ),
        ":material/format_list_numbered:",
    ),
    TaskCard(
        "coreference",
        N_("Correferencia"),
        N_(
            "Averigua a qué se refiere un pronombre: «ella», «lo», «it». "
            "Una flecha señala el candidato que prefiere el modelo, que aprendió a señalarlo o solo a rellenar huecos."
        ),
        ":material/conversion_path:",
    ),
    TaskCard(
        "zero-shot",
        N_("Etiquetas libres"),
        N_(
            "Clasifica un texto con etiquetas que inventas tú, sin haber visto un solo ejemplo. "
            "Según el modelo, lo hace por implicación o por parecido, y la página dice cuál de las dos."
        ),
        ":material/label:",
    ),
    TaskCard(
        "similarity",
        N_("Parecido"),
        N_(
            "Compara el significado de hasta cincuenta frases, todas con todas. "
            "Cada frase se vuelve un vector, y se mide el ángulo entre los vectores."
        ),
        ":material/compare:",
    ),
)
BY_SLUG: Final = {card.slug: card for card in CARDS}
