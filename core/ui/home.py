"""The home page: the way through the app in six steps, its link, and a description of the machine."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.runtime.gpu import nvidia_smi_output
from core.runtime.machine import describe
from core.settings import get_settings
from core.ui.links import show_links
from core.ui.navigation import N_
from core.ui.readings import live_gauges
from core.ui.resources import telemetry
from core.ui.state import PageState

# Nothing to choose here: the link says the page and the language.
STATE: Final = PageState("home", ())


@dataclass(frozen=True, slots=True)
class Step:
    """One step of what happens to a text, and where one sees it.

    Attributes:
        title: what happens.
        text: what to look at, in a sentence.
        icon: a Material icon.
        links: the page with something on it already, for readers of each language.
    """

    title: str
    text: str
    icon: str
    links: dict[str, str]


# In the order in which a text goes through a model; what each says is to be seen where its link leads.
STEPS: Final = (
    Step(
        N_("Un texto se corta en piezas"),
        N_("BERT, que aprendió de textos ingleses, corta «investigadores» en cuatro; para BETO es una sola."),
        ":material/content_cut:",
        dict.fromkeys(("es", "en"), "tokenization?example=spanish-shattered"),
    ),
    Step(
        N_("Cada pieza es un vector"),
        N_("«vela» alumbra o navega: mira en qué capa se separan los dos significados."),
        ":material/scatter_plot:",
        {"es": "embeddings?example=vela-es", "en": "embeddings?example=bank-en"},
    ),
    Step(
        N_("Los vectores se miran"),
        N_("¿A qué palabra mira el verbo para concordar con su sujeto? Busca la cabeza que lo hace."),
        ":material/visibility:",
        {"es": "attention?example=agreement-es", "en": "attention?example=agreement-en"},
    ),
    Step(
        N_("Todo son cuentas"),
        N_("Sigue una frase capa a capa, y cualquier número hacia atrás hasta los que lo hicieron."),
        ":material/calculate:",
        {"es": "inside?example=agreement-es", "en": "inside?example=agreement-en"},
    ),
    Step(
        N_("Y sale una respuesta"),
        N_("Hazle preguntas a un texto, tradúcelo o búscale el tono; y mira por qué responde eso."),
        ":material/chat:",
        {"es": "tasks?task=questions&tl=es&mode=try", "en": "tasks?task=questions&tl=en&mode=try"},
    ),
    Step(
        N_("Y aprende de ti"),
        N_("Dale tus ejemplos, míralo aprender, y compáralo con el que era antes."),
        ":material/model_training:",
        {"es": "finetuning?view=train&data=ours&dl=es", "en": "finetuning?view=train&data=ours&dl=en"},
    ),
)
TOUR: Final = "timeline?tour=markov-to-gpt&stop=1"


def show_steps() -> None:
    """The six steps in two rows, each with the link that shows it."""
    places = [*st.columns(3), *st.columns(3)]
    for number, (place, step) in enumerate(zip(places, STEPS, strict=True), 1):
        with place.container(border=True, height="stretch"):
            st.markdown(f"### {step.icon} {number}. {_(step.title)}")
            st.markdown(_(step.text))
            st.space("stretch")
            show_links([step.links[get_language()]], label=_("Verlo en {page}"))


def show_more() -> None:
    """What helps on the way: where it all comes from, and what a word means."""
    tour, glossary = st.columns(2)
    with tour:
        show_links([TOUR], label=_("De Márkov a GPT: un recorrido por la línea de tiempo"), icon=":material/timeline:")
    with glossary:
        label = _("¿Una palabra que no conoces? Búscala en el glosario")
        show_links(["concepts"], label=label, icon=":material/menu_book:")


def show_now() -> None:
    """What the machine is doing at this moment; renewed by itself, without running the page again."""
    live_gauges(key="home_gauges", compact=True)
    sample = telemetry().latest()
    if not sample.gpus:
        st.caption(sample.why_no_gpu)


def show_machine() -> None:
    """Processor, graphics cards, versions and where models come from, as a short list."""
    machine = describe()
    cores = ngettext("{n} núcleo", "{n} núcleos", machine.cores).format(n=machine.cores)
    settings = get_settings()
    if settings.models_dir:
        models = _("los del taller, una carpeta de modelos local y el hub")
    elif settings.offline:
        models = _("los del taller (trabaja sin conexión)")
    else:
        models = _("los del taller y, si hay internet, los del hub")
    rows = [
        (_("Procesador"), f"{machine.processor} · {cores}"),
        *((_("Tarjeta gráfica"), f"{g.name} · {format_number(g.memory_gib)} GiB · {g.driver}") for g in machine.gpus),
        (_("Sistema"), machine.system),
        (_("Modelos"), models),
        (
            _("Versiones"),
            " · ".join([f"Python {machine.python}", *(f"{k} {v}" for k, v in machine.libraries.items())]),
        ),
    ]
    for label, value in rows:
        name, text = st.columns([1, 5])
        name.markdown(f"**{label}**")
        text.text(value)
    # Only where there is a card: the program takes a moment, and hangs where a driver is broken.
    if machine.gpus and st.toggle(_("Ver lo que imprime nvidia-smi"), key="home_smi"):
        st.code(nvidia_smi_output() or _("nvidia-smi no está instalado o no responde."), language=None)
