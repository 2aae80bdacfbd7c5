"""Classification with occlusion, zero-shot labels and extractive summaries: hand-worked figures and refusals."""

import itertools
import math
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, InputTooLong
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks import classification, extractive_summary, zero_shot
from core.tasks.classification import ClassificationRequest
from core.tasks.common import PASS_TOKENS, like_lengths
from core.tasks.extractive_summary import SummaryRequest, centrality, choose, split_sentences
from core.tasks.zero_shot import ZeroShotRequest
from tests.tasks.stubs import bundle, piece_ids


@pytest.fixture(scope="module")
def minilm() -> ModelBundle:
    return load_bundle(entry("minilm"), Settings(device="cpu"), CPU)


# --- batches ----------------------------------------------------------------------------------------------


def cost(lengths: list[int], parts: list[list[int]]) -> int:
    return sum(PASS_TOKENS + len(part) * max(lengths[place] for place in part) for part in parts)


def test_parts_of_a_batch_hold_every_text_once_and_cost_the_least() -> None:
    chance = random.Random(3)
    for _turn in range(40):
        lengths = [chance.choice((3, 8, 20, 60, 300)) + chance.randrange(5) for _text in range(chance.randint(1, 9))]
        parts = like_lengths(lengths, 4)
        assert sorted(place for part in parts for place in part) == list(range(len(lengths)))
        assert max(map(len, parts)) <= 4
        # All ways to cut the sorted texts into parts of at most four.
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        ways = []
        for cuts in itertools.product((False, True), repeat=len(order) - 1):
            way = [[order[0]]]
            for place, cut in zip(order[1:], cuts, strict=True):
                way.append([place]) if cut else way[-1].append(place)
            if max(map(len, way)) <= 4:
                ways.append(cost(lengths, way))
        assert cost(lengths, parts) == min(ways)


def test_short_texts_do_not_wait_for_a_long_one() -> None:
    assert like_lengths([400, 9, 10, 11], 32) == [[1, 2, 3], [0]]
    assert like_lengths([12, 9, 10, 11], 32) == [[1, 2, 3, 0]]
    assert like_lengths([], 32) == []


# --- classification ---------------------------------------------------------------------------------------


def counting(window: int = 512) -> ModelBundle:
    """Two labels: "good" adds 2 to the second one's logit for each time it is read, "bad" takes 1 away."""
    good, bad = piece_ids("good", "bad")

    def answer(input_ids: torch.Tensor, **_rest: Any) -> Any:
        score = 2.0 * (input_ids == good).sum(-1) - 1.0 * (input_ids == bad).sum(-1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(score), score], dim=-1))

    return bundle(answer, window=window, labels=("NEG", "POS"))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_every_label_has_its_probability() -> None:
    (result,) = classification.TASK.run(counting(), [ClassificationRequest("a good film")])
    assert [(label.name, pytest.approx(label.probability, rel=1e-5)) for label in result.labels] == [
        ("POS", sigmoid(2)),
        ("NEG", 1 - sigmoid(2)),
    ]
    assert (result.tokens, result.pushes) == (5, ())


def test_occlusion_on_a_hand_worked_case() -> None:
    text = "good but bad"
    (result,) = classification.TASK.run(counting(), [ClassificationRequest(text, explain=("occlusion",))])
    whole = sigmoid(1)
    weights = {push.text: push.weight for push in result.pushes}
    assert weights == {
        "good": pytest.approx(whole - sigmoid(-1), rel=1e-4),
        "but": pytest.approx(0, abs=1e-6),
        "bad": pytest.approx(whole - sigmoid(2), rel=1e-4),
    }
    assert all(text[push.start : push.end] == push.text for push in result.pushes)


def test_a_long_text_takes_no_more_passes() -> None:
    text = "word " * 400 + "good"
    (result,) = classification.TASK.run(counting(), [ClassificationRequest(text, explain=("occlusion",))])
    assert len(result.pushes) <= classification.MAX_PASSES
    assert max(result.pushes, key=lambda push: push.weight).text.endswith("good")
    assert result.pushes[0].start == 0 and result.pushes[-1].end == len(text)


def test_what_does_not_fit_is_cut_and_said() -> None:
    model = counting(window=16)
    (result,) = classification.TASK.run(model, [ClassificationRequest("word " * 30 + "good")])
    # Fourteen words and the two special tokens.
    assert result.tokens == 16 and result.read == len("word " * 14) - 1
    assert result.labels[0].probability == pytest.approx(0.5)


def test_a_batch_answers_as_each_alone() -> None:
    texts = ["good", "bad " * 40, "nothing at all", "good good"]
    together = classification.TASK.run(counting(), [ClassificationRequest(text) for text in texts])
    for text, result in zip(texts, together, strict=True):
        (alone,) = classification.TASK.run(counting(), [ClassificationRequest(text)])
        assert result.labels == alone.labels and result.tokens == alone.tokens


# --- zero-shot --------------------------------------------------------------------------------------------

SPORT = "The striker scored twice in the final and the team lifted the cup."


def entailing(scores: dict[str, tuple[float, float, float]]) -> ModelBundle:
    """An NLI model that judges by a piece of the hypothesis: (contradiction, neutral, entailment)."""
    known = dict(zip(piece_ids(*scores), scores.values(), strict=True))

    def answer(input_ids: torch.Tensor, token_type_ids: torch.Tensor, **_rest: Any) -> Any:
        rows = []
        for ids, types in zip(input_ids.tolist(), token_type_ids.tolist(), strict=True):
            hypothesis = [id_ for id_, type_ in zip(ids, types, strict=True) if type_]
            rows.append(next(known[id_] for id_ in hypothesis if id_ in known))
        return SimpleNamespace(logits=torch.tensor(rows))

    return bundle(answer, labels=("contradiction", "neutral", "entailment"))


def judge(model: ModelBundle, labels: tuple[str, ...], **options: Any) -> Any:
    options = {"template": zero_shot.TEMPLATES["en"], **options}
    return zero_shot.TASK.run(model, [ZeroShotRequest(SPORT, labels, **options)])[0]


def test_entailment_on_a_hand_worked_case() -> None:
    model = entailing({"sport": (0.0, 0.0, 2.0), "music": (1.0, 0.0, 0.0)})
    one = judge(model, ("music", "sport"))
    assert one.method == "entailment"
    assert [label.name for label in one.labels] == ["sport", "music"]
    assert one.labels[0].share == pytest.approx(sigmoid(2.0), rel=1e-5)
    several = judge(model, ("music", "sport"), several=True)
    assert {label.name: label.share for label in several.labels} == {
        "sport": pytest.approx(sigmoid(2.0), rel=1e-5),
        "music": pytest.approx(sigmoid(-1.0), rel=1e-5),
    }


def test_several_labels_with_a_model_of_two_classes() -> None:
    def answer(input_ids: torch.Tensor, **_rest: Any) -> Any:
        return SimpleNamespace(logits=torch.tensor([[3.0, 0.0], [0.0, 2.0]])[: len(input_ids)])

    model = bundle(answer, labels=("entailment", "not_entailment"))
    found = judge(model, ("a", "b"), several=True)
    assert found.several
    assert [label.share for label in found.labels] == [
        pytest.approx(sigmoid(3.0), rel=1e-5),
        pytest.approx(sigmoid(-2.0), rel=1e-5),
    ]


def test_of_a_long_text_and_a_label_the_text_is_cut() -> None:
    seen: list[int] = []

    def answer(input_ids: torch.Tensor, token_type_ids: torch.Tensor, **_rest: Any) -> Any:
        seen.extend(token_type_ids.sum(-1).tolist())
        return SimpleNamespace(logits=torch.zeros(len(input_ids), 3))

    model = bundle(answer, window=32, labels=("contradiction", "neutral", "entailment"))
    request = ZeroShotRequest("word " * 100, ("one", "two"), "It is {}.")
    (result,) = zero_shot.TASK.run(model, [request])
    # "it is one . [SEP]" is of the second kind, whole.
    assert result.cut and seen == [5, 5]
    with pytest.raises(InputTooLong, match="demasiado larga"):
        zero_shot.TASK.run(model, [ZeroShotRequest("a", ("one " * 30, "two"), "It is {}.")])


def test_without_entailment_it_is_likeness_and_says_so(minilm: ModelBundle) -> None:
    result = judge(minilm, ("cooking", "sport", "politics"))
    assert result.method == "similarity"
    assert result.labels[0].name == "sport"
    assert sum(label.share for label in result.labels) == pytest.approx(1, rel=1e-4)
    assert all(-1 <= label.raw <= 1 for label in result.labels)


@pytest.mark.parametrize(
    ("labels", "options", "error", "words"),
    [
        (("one",), {}, InputInvalid, "al menos dos"),
        ((), {}, InputInvalid, "al menos dos"),
        (("a", " "), {}, InputInvalid, "al menos dos"),
        (("Sport", "sport "), {}, InputInvalid, "repetidas: Sport, sport"),
        (tuple(f"label {n}" for n in range(500)), {}, InputTooLong, "500 etiquetas y aquí caben 50"),
        (("a", "b"), {"template": "no place"}, InputInvalid, "plantilla"),
    ],
)
def test_bad_labels_are_refused(
    labels: tuple[str, ...], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        judge(bundle(lambda **_: None), labels, **options)


# --- summaries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("El Sr. López llegó. ¿Qué quería? Nadie lo supo…", ["El Sr. López llegó.", "¿Qué quería?", "Nadie lo supo…"]),
        ("Costó 3.5 millones. Fue en EE. UU. ayer.", ["Costó 3.5 millones.", "Fue en EE. UU. ayer."]),
        ("«Vete», dijo. —No. Me quedo.", ["«Vete», dijo.", "—No.", "Me quedo."]),
        ("Un título\nY un párrafo. Otro.", ["Un título", "Y un párrafo.", "Otro."]),
        ("J. R. R. Tolkien escribió mucho.", ["J. R. R. Tolkien escribió mucho."]),
        ("", []),
    ],
)
def test_sentences_are_split_as_people_do(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


def test_the_middle_of_a_star_is_central() -> None:
    likeness = torch.eye(4)
    likeness[0, 1:] = likeness[1:, 0] = 0.8
    weights = centrality(likeness)
    assert float(weights.sum()) == pytest.approx(1, rel=1e-5)
    assert int(weights.argmax()) == 0
    assert weights[1] == pytest.approx(float(weights[2]), rel=1e-4)
    # A walk from a leaf always goes to the middle: its share by hand, with damping 0.85 and three leaves.
    middle = (0.15 / 4 + 0.85) / 1.85
    assert float(weights[0]) == pytest.approx(middle, rel=1e-2)


def test_a_repetition_is_not_taken_twice() -> None:
    likeness = torch.tensor([[1.0, 0.99, 0.1], [0.99, 1.0, 0.1], [0.1, 0.1, 1.0]])
    weights = torch.tensor([0.4, 0.38, 0.22])
    assert choose(likeness, weights, 2) == [0, 2]


def test_a_summary_keeps_to_the_subject(minilm: ModelBundle) -> None:
    text = (
        "Bees pollinate most of the plants that we eat. A hive holds up to sixty thousand bees. "
        "My uncle likes to wear hats. When bees disappear, harvests of fruit and vegetables fall. "
        "Farmers now rent hives so that bees pollinate their fields."
    )
    (result,) = extractive_summary.TASK.run(minilm, [SummaryRequest(text, 2)])
    assert "hats" not in result.text
    assert result.text.count("bees") >= 1
    assert [s.text for s in result.sentences] == [text[s.start : s.end] for s in result.sentences]
    assert sum(s.weight for s in result.sentences) == pytest.approx(1, rel=1e-4)
    assert sorted(s.rank for s in result.sentences if s.rank) == [1, 2]


@pytest.mark.parametrize("text", ["Una sola frase.", "Una. Dos."])
def test_too_little_to_sum_up(minilm: ModelBundle, text: str) -> None:
    with pytest.raises(InputInvalid, match="demasiado corto"):
        extractive_summary.TASK.run(minilm, [SummaryRequest(text, 2)])
