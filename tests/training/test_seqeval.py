"""Our F1 of entities against seqeval's, the field's reference, on random tags: right, wrong and against the scheme."""

import random

import pytest
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score

from core.training.data import DataSet, Tagged, tag_list
from core.training.tuning.scores import tag_scores

KINDS = ("city", "date", "list", "artist")
LABELS = tag_list(KINDS)


def tags(chance: random.Random, length: int) -> list[str]:
    """Any tags in any order: an ``I-`` may stand where nothing began, or behind another kind."""
    return chance.choices(LABELS, weights=[4, *([1] * (len(LABELS) - 1))], k=length)


def guess(chance: random.Random, wanted: list[str], share: float) -> list[str]:
    """What a model might say that is right in a share of the words."""
    return [tag if chance.random() < share else chance.choice(LABELS) for tag in wanted]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_f1_precision_and_recall_are_those_of_seqeval(seed: int, share: float) -> None:
    chance = random.Random(f"{seed} {share}")
    wanted = [tags(chance, chance.randint(1, 15)) for _ in range(40)]
    got = [guess(chance, sentence, share) for sentence in wanted]
    test = tuple(Tagged(tuple("x" for _ in sentence), tuple(sentence)) for sentence in wanted)
    data = DataSet("entities", "", "", "", "", test, test, LABELS)
    found = tag_scores([([LABELS.index(tag) for tag in one], [1.0] * len(one)) for one in got], data)
    assert found["value"] == pytest.approx(f1_score(wanted, got))
    assert found["more"]["precision"] == pytest.approx(precision_score(wanted, got))
    assert found["more"]["recall"] == pytest.approx(recall_score(wanted, got))
    report = classification_report(wanted, got, output_dict=True, zero_division=0)
    for row in found["classes"]:
        theirs = report[row["label"]]
        assert row["n"] == theirs["support"]
        for name, ours in (("precision", row["precision"]), ("recall", row["recall"]), ("f1-score", row["f1"])):
            assert (ours or 0.0) == pytest.approx(theirs[name])
    assert (found["value"] == 1) is (share == 1)
