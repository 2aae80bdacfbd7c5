"""What is said of a run's answers: kinds by their names, words of a text as they are, the most frequent confusions."""

from core.i18n import set_language
from core.ui.tuning.live import said
from core.ui.tuning.plots import confused, confusion, most_confused


def test_kinds_have_names_and_the_words_of_a_text_stay() -> None:
    set_language("es")
    assert said("city", "classification") == "ciudad"
    assert said("Lima = city · a = b = artist", "entities") == "Lima = ciudad · a = b = artista"
    assert said("–", "entities") == "–"
    # An answer out of a text may be one of our names by chance.
    assert said("city", "questions") == "city"


def test_confusions_are_told_by_how_many_they_are() -> None:
    set_language("es")
    matrix = [[5, 1, 0], [3, 2, 0], [0, 0, 9]]
    assert confused("abc", matrix, 9) == ["3 de «b» salieron como «a»", "1 de «a» salieron como «b»"]
    assert confused("abc", matrix, 1) == ["3 de «b» salieron como «a»"]
    figure, _alt = confusion("abc", matrix, outside=True)
    shown = figure.data[0].z
    assert shown[0][2] is None and shown[2][2] is None
    assert shown[1][0] == 3 / 5


def test_the_most_confused_classes_keep_their_rows_and_the_others_share_one() -> None:
    labels = ["a", "b", "c", "d", "e", "none"]
    matrix = [
        [5, 0, 0, 0, 0, 1],
        [0, 4, 3, 0, 0, 0],
        [0, 2, 6, 0, 0, 0],
        [0, 0, 0, 7, 0, 0],
        [0, 0, 0, 1, 8, 0],
        [0, 0, 0, 0, 0, 90],
    ]
    names, drawn = most_confused(labels, matrix, 3, outside=True)
    assert names == ["b", "c", "las otras 3", "none"]
    assert drawn == [[4, 3, 0, 0], [2, 6, 0, 0], [0, 0, 5 + 7 + 8 + 1, 1], [0, 0, 0, 90]]
    assert sum(map(sum, drawn)) == sum(map(sum, matrix))
    names, drawn = most_confused(labels, matrix, 2, outside=False)
    assert names == ["b", "c", "las otras 4"] and drawn[-1] == [0, 0, 112]
    assert most_confused(labels, matrix, 5, outside=True) == (labels, matrix)
