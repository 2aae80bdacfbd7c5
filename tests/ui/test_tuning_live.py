"""What is said of the cluster beside a run that isn't over."""

import pytest

from core.i18n import set_language
from core.training.run import Turn
from core.ui.tuning.live import cluster_line

WARNS, SAYS = True, False
LINES = {
    Turn(): ("", SAYS),
    Turn(1, "local"): ("", SAYS),
    Turn(1, "cluster", open=True): ("Se entrena en el clúster Ray.", SAYS),
    Turn(1, "cluster", open=False): ("", SAYS),
    Turn(1, "cluster", open=True, why="pending"): (
        "El clúster Ray no tiene sitio todavía: el entrenamiento empieza en cuanto lo haya.",
        SAYS,
    ),
    Turn(1, "cluster", open=True, why="silent"): (
        "El clúster Ray no contesta: mientras el entrenamiento dé señales de vida, sigue allí.",
        WARNS,
    ),
    Turn(1, "cluster", open=False, why="away"): (
        "El clúster Ray no está: el entrenamiento lo espera. Si no vuelve en 2 min, sigue en este equipo.",
        WARNS,
    ),
    Turn(2, "local", why="broken"): ("El clúster Ray se corta: se entrena en este equipo.", WARNS),
    Turn(2, "local", why="full"): ("El clúster Ray no tiene sitio: se entrena en este equipo.", WARNS),
    Turn(2, "local", why="elsewhere"): (
        "El clúster Ray no ve la carpeta de los entrenamientos: se entrena en este equipo.",
        WARNS,
    ),
    # A word that only another version of the app knows is no crash.
    Turn(2, "local", why="new"): ("El clúster Ray no está: se entrena en este equipo.", WARNS),
}


@pytest.mark.parametrize("turn", LINES, ids=str)
def test_the_line_says_where_it_is_computed_and_why(turn: Turn) -> None:
    set_language("es")
    assert cluster_line(turn, 120.0) == LINES[turn]
