"""Readers of the pronoun sets, pronouns of novels, what is kept from learning, and how a model is scored."""

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.tasks.coreference import CoreferenceRequest, Language
from core.training import samples
from core.training.recipes import adapters, coreference, pronouns
from core.training.recipes.corpora import Document

GAP = (
    "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
    "1\tAna saw Eva when she came.\tshe\t17\tAna\t0\tFALSE\tEva\t8\tTRUE\thttp://x\n"
    "2\tAna saw Eva when it came.\tit\t17\tAna\t0\tFALSE\tEva\t8\tFALSE\thttp://x\n"
)
PRO = "1 The cook thanked [the doctor] because [he] helped.\n2 [The cook] met the doctor and [she] cried.\n"
ANTI = "1 The cook thanked [the doctor] because [she] helped.\n2 [The cook] sang and [he] cried.\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    files = {"gap-en/gap-validation.tsv": GAP}
    for kind in ("type1", "type2"):
        files[f"winobias-en/pro_stereotyped_{kind}.txt.test"] = PRO
        files[f"winobias-en/anti_stereotyped_{kind}.txt.test"] = ANTI
    with tarfile.open(tmp_path / "coref.tar.xz", "w:xz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"coref/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return tmp_path


def words(case: CoreferenceRequest) -> tuple[str, str, str]:
    pronoun, right, wrong = (case.text[start:end] for start, end in (case.pronoun, *case.candidates))
    return pronoun, right, wrong


def test_gap_keeps_the_pronouns_that_point_to_one_of_the_two(data: Path) -> None:
    assert [words(case) for case in pronouns.gap(data, "validation")] == [("she", "Eva", "Ana")]


def test_winobias_finds_the_other_occupation_or_leaves_the_sentence_out(data: Path) -> None:
    found = pronouns.winobias(data, "type1", "test")
    assert [words(case) for case in found["pro"]] == [
        ("he", "the doctor", "The cook"),
        ("she", "The cook", "the doctor"),
    ]
    assert [words(case) for case in found["anti"]] == [("she", "the doctor", "The cook")]
    assert {name: len(cases) for name, cases in pronouns.tests(data).items()} == {
        "GAP": 1,
        "WinoBias, by sense": 3,
        "WinoBias, by syntax": 3,
    }


def test_the_score_is_the_share_of_right_mentions(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class First:
        """Always prefers the mention that comes first in the text."""

        def run(self, bundle: Any, requests: Any) -> Any:
            (request,) = requests
            return [SimpleNamespace(mentions=[SimpleNamespace(start=min(request.candidates)[0])])]

    monkeypatch.setattr(pronouns, "TASK", First())
    bundle: Any = None
    assert pronouns.accuracy(bundle, pronouns.winobias(data, "type1", "test")["pro"]) == 0.5
    assert pronouns.accuracy(bundle, pronouns.gap(data, "validation")) == 0.0


def test_two_sentences_that_differ_in_their_occupations_alone_are_one() -> None:
    one = CoreferenceRequest("The cook met the doctor and he cried.", (28, 30), ((0, 8), (13, 23)), "en")
    other = CoreferenceRequest("The guard met the clerk and she cried.", (28, 31), ((14, 23), (0, 9)), "en")
    assert pronouns.skeleton(one) == pronouns.skeleton(other) == "_ met _ and _ cried"


def test_what_else_a_text_names_stands_behind_the_candidates() -> None:
    text = "Paul Brown met Ann in the garden of Mr Brown before he saw the dog."
    case = CoreferenceRequest(text, (52, 54), ((0, 10), (15, 18)), "en")
    found = pronouns.with_others(case)
    assert [text[start:end] for start, end in found.candidates] == ["Paul Brown", "Ann", "the garden", "the dog"]


NAMES_ES = {"Pilar": "f", "Andrés": "m"}


@pytest.mark.parametrize(
    ("text", "mention", "found"),
    [
        ("La mesa es alta.", "La mesa", ("f", False)),
        ("Vio los ríos.", "los ríos", ("m", True)),
        ("Fue al pueblo.", "pueblo", ("m", False)),
        ("Vino mi hermano.", "mi hermano", ("m", False)),
        ("Vino Pilar Ruiz.", "Pilar Ruiz", ("f", False)),
        ("Vino Marta.", "Marta", ("f", False)),
        ("Vino Raquel.", "Raquel", (None, False)),
    ],
)
def test_gender_and_number_of_spanish_mentions(text: str, mention: str, found: tuple[str | None, bool]) -> None:
    at = text.index(mention)
    names: Any = NAMES_ES
    assert pronouns.agreement(text, (at, at + len(mention)), names, "es") == found


@pytest.mark.parametrize(
    ("mention", "found"), [("the old woman", "f"), ("my uncle", "m"), ("Emma", "f"), ("the table", None)]
)
def test_gender_of_english_mentions(mention: str, found: str | None) -> None:
    names: Any = {"Emma": "f"}
    assert pronouns.agreement(mention, (0, len(mention)), names, "en") == (found, False)


@pytest.mark.parametrize(
    ("language", "paragraph", "pronoun", "right", "wrong"),
    [
        ("es", "El camarero sirvió la cena a la clienta, y para él fue un placer.", "él", "El camarero", "la cena"),
        ("es", "Por fin entró Pilar con su hermano. Ella traía un libro muy viejo.", "Ella", "Pilar", "su hermano"),
        ("en", "The queen waited for Henry in the hall until he came back.", "he", "Henry", "The queen"),
    ],
)
def test_of_novels_serve_the_pronouns_with_which_one_mention_agrees(
    language: Language, paragraph: str, pronoun: str, right: str, wrong: str
) -> None:
    titles = ("doña Pilar y Sir Henry. " * 5,)
    documents = [Document("novels", "1", (paragraph, *titles))]
    (case,) = pronouns.agreeing(documents, language)
    assert words(CoreferenceRequest(case.text, case.pronoun, case.candidates[:2], language)) == (pronoun, right, wrong)


@pytest.mark.parametrize(
    "paragraph",
    [
        "El camarero sirvió la cena al cliente, y para él fue un placer.",  # two agree
        "La clienta comió la cena con la vecina, y para él fue un placer.",  # none does
        "El camarero sirvió la cena con Raquel, y para él fue un placer.",  # a name that could be either's
        "El camarero sirvió, y para él fue un placer.",  # nothing to choose from
    ],
)
def test_of_novels_serve_no_others(paragraph: str) -> None:
    assert not list(pronouns.agreeing([Document("novels", "1", (paragraph,))], "es"))


def test_the_sentences_by_hand_name_both_candidates() -> None:
    found = pronouns.written()
    assert {name: len(cases) for name, cases in found.items()} == {
        "es, agreement": 30,
        "es, sense": 30,
        "en, agreement": 20,
        "en, sense": 30,
    }
    for cases in found.values():
        for case in cases:
            pronoun, right, wrong = words(case)
            assert pronoun.lower() in {"él", "ella", "ellos", "ellas", "he", "she", "it", "his", "her"}
            assert right != wrong and case.text.count("[") == 0
    assert len(samples.pronouns("es")) == 60


def test_no_test_is_learnt_from(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = shared_dir / "data"
    held = [case for own in (*pronouns.tests(data).values(), *pronouns.written().values()) for case in own]
    # Novels that hold a sentence of the hand-written ones, too.
    fine = "El camarero sirvió la cena a la clienta, y para él fue un placer."
    paragraphs = (fine, next(case.text for case in held if case.text.startswith("El libro estaba")))
    novel = Document("es-novels", "1", paragraphs)
    assert {case.text for case in pronouns.agreeing([novel], "es")} == set(paragraphs)
    corpus = SimpleNamespace(iter_documents=lambda source, split: [novel])
    monkeypatch.setattr(pronouns, "Corpus", lambda folder: corpus)
    monkeypatch.setattr(pronouns.english_heads, "novels", lambda folder, split: [])
    learnt = pronouns.training(data, 200, 200)
    assert [case.text for case in learnt if case.language == "es"] == [fine]
    assert not {case.text for case in learnt} & {case.text for case in held}
    assert not set(map(pronouns.skeleton, learnt)) & set(map(pronouns.skeleton, held))
    assert len(learnt) > 3000


def test_a_batch_holds_the_places_of_the_candidates_and_the_loss_falls_with_the_right_one() -> None:
    import torch

    tokenizer = adapters.load_tokenizer(coreference.BASE)
    cases = [case for own in pronouns.written().values() for case in own[:2]]
    batch = coreference.collate(coreference.rows(cases, tokenizer))
    for row, case in enumerate(cases):
        for place, (start, end) in enumerate(case.candidates):
            tokens = batch["ids"][row, batch["first"][row, place] : batch["last"][row, place] + 1]
            assert tokenizer.decode(tokens).strip() == case.text[start:end]

    class Knows:
        """Its logits are highest at the first token of each right candidate."""

        def __init__(self, sure: float) -> None:
            self.sure = sure

        def __call__(self, **inputs: Any) -> Any:
            first = torch.zeros(inputs["input_ids"].shape)
            first[range(len(cases)), batch["first"][:, 0]] = self.sure
            return SimpleNamespace(start_logits=first, end_logits=torch.zeros_like(first))

    asked = {name: torch.from_numpy(array) for name, array in batch.items()}
    unsure, sure, wrong = (float(coreference.losses(Knows(at), asked)["loss"]) for at in (0.0, 9.0, -9.0))  # type: ignore[arg-type]
    assert unsure == pytest.approx(0.693, abs=1e-3) and sure < 0.01 and wrong > 8
    assert coreference.right_share(Knows(9.0), cases, tokenizer, "cpu") == 1.0
