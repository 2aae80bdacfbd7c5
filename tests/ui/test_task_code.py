"""The code that the Tareas page shows, run in a fresh interpreter: it prints what the page shows."""

from pathlib import Path

import pytest
import torch

from core.catalog import entry
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks import text2text
from core.tasks.classification import ClassificationRequest
from core.tasks.coreference import CoreferenceRequest
from core.tasks.entities import EntitiesRequest
from core.tasks.extractive_summary import SummaryRequest
from core.tasks.fill_mask import FillMaskRequest
from core.tasks.generation import GenerationRequest
from core.tasks.next_sentence import NextSentenceRequest
from core.tasks.question_answering import QuestionRequest
from core.tasks.similarity import SimilarityRequest
from core.tasks.text2text import Text2TextRequest
from core.tasks.translation import TranslationRequest
from core.tasks.zero_shot import ZeroShotRequest
from core.ui.tasks.code import literal
from core.ui.tasks.registry import BY_SLUG
from core.ui.tasks.summary import _EN
from core.ui.tasks.written import written_code
from tests.fresh import run_fresh
from tests.runtime.models import tiny_entry, write_model
from tests.tasks.causal import decoder
from tests.tasks.translators import translator


def run(program: str) -> list[str]:
    # Cutting sentences is the app's own, and the code says so; any other program stands alone.
    done = run_fresh(program, alone="\nfrom core." not in program)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if line.strip()]


def shipped(key: str) -> ModelBundle:
    return load_bundle(entry(key), Settings(offline=True), CPU)


def test_sentiment() -> None:
    view = BY_SLUG["sentiment"].view()
    request = ClassificationRequest('A "quoted" line\nand another, which I liked.')
    with torch.inference_mode():
        (result,) = view.task().run(shipped("sentiment-en"), [request])
    lines = [line.split(": ") for line in run(view.code(request, entry("sentiment-en")))]
    assert [name for name, _value in lines] == [label.name for label in result.labels]
    assert [float(value) for _name, value in lines] == pytest.approx(
        [label.probability for label in result.labels], abs=2e-3
    )


@pytest.mark.parametrize(
    ("strategy", "order"),
    [*((strategy, "sequence") for strategy in ("first", "average", "max", "simple")), ("first", "alone")],
)
def test_entities(strategy: str, order: str) -> None:
    view = BY_SLUG["entities"].view()
    # Word by word, the names of the first two contradict themselves in the middle.
    text = (
        "Ralph Piers Dome and the Bank Tokyo Wolf played. Marie Curie was born in Warsaw and won the Nobel Prize twice."
    )
    request = EntitiesRequest(text, strategy, order)  # type: ignore[arg-type]
    with torch.inference_mode():
        (result,) = view.task().run(shipped("entities-en"), [request])
    assert len(result.entities) > 1
    assert run(view.code(request, entry("entities-en"))) == [f"{e.kind} {e.text}" for e in result.entities]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_similarity(pooling: str) -> None:
    view = BY_SLUG["similarity"].view()
    request = SimilarityRequest(("The dog sleeps.", "A puppy is resting.", "Shares fell."), pooling)  # type: ignore[arg-type]
    with torch.inference_mode():
        (result,) = view.task().run(shipped("minilm"), [request])
    rows = [[float(value) for value in line.split()] for line in run(view.code(request, entry("minilm")))]
    for mine, theirs in zip(result.matrix, rows, strict=True):
        assert theirs == pytest.approx(mine, abs=2e-3)


def test_zero_shot_by_similarity() -> None:
    view = BY_SLUG["zero-shot"].view()
    request = ZeroShotRequest("The team scored twice.", ("sports", "politics"), "This is about {}.")
    with torch.inference_mode():
        (result,) = view.task().run(shipped("minilm"), [request])
    lines = [line.split(": ") for line in run(view.code(request, entry("minilm")))]
    assert [name for name, _value in lines] == [label.name for label in result.labels]
    assert [float(value) for _name, value in lines] == pytest.approx([x.share for x in result.labels], abs=2e-3)


def test_summary() -> None:
    view = BY_SLUG["summary"].view()
    request = SummaryRequest(_EN, 2)
    with torch.inference_mode():
        (result,) = view.task().run(shipped("minilm"), [request])
    assert run(view.code(request, entry("minilm"))) == [result.text]


def tiny(tmp_path: Path, head: str) -> tuple[ModelBundle, str]:
    """A random model with a head, and where it is, as the code would name it."""
    item = tiny_entry("tiny", head)
    write_model(tmp_path / item.id, head)
    return load_bundle(item, Settings(models_dir=tmp_path, offline=True), CPU), str(tmp_path / item.id)


@pytest.mark.parametrize("head", ["MaskedLM", "PreTraining"])
def test_masked_words(tmp_path: Path, head: str) -> None:
    view = BY_SLUG["fill-mask"].view()
    bundle, folder = tiny(tmp_path, head)
    request = FillMaskRequest("hola [MASK] . el [MASK]", top=5)
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    lines = run(view.code(request, bundle.entry).replace("'test/tiny'", repr(folder)))
    values = [float(line.rpartition(": ")[2]) for line in lines]
    assert values == pytest.approx([c.probability for gap in result.gaps for c in gap.candidates], abs=2e-4)


def test_masked_words_of_a_causal_model(tmp_path: Path) -> None:
    view = BY_SLUG["fill-mask"].view()
    bundle = decoder(tmp_path)
    request = FillMaskRequest("El niño [MASK] una manzana y un [MASK].", top=4)
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    folder = repr(str(tmp_path / bundle.entry.id))
    lines = run(view.code(request, bundle.entry).replace(repr(bundle.entry.id), folder))
    values = [float(line.rpartition(": ")[2]) for line in lines if ": " in line]
    assert values == pytest.approx([c.probability for gap in result.gaps for c in gap.candidates], abs=2e-4)


@pytest.mark.parametrize("several", [False, True])
def test_zero_shot_by_entailment(tmp_path: Path, several: bool) -> None:
    view = BY_SLUG["zero-shot"].view()
    item = tiny_entry("tiny", "SequenceClassification")
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    write_model(tmp_path / item.id, "SequenceClassification", id2label=labels, initializer_range=0.5)
    bundle = load_bundle(item, Settings(models_dir=tmp_path, offline=True), CPU)
    request = ZeroShotRequest("hola mundo . el niño " * 9, ("hola", "niño"), "el {} .", several)
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    assert result.cut
    program = view.code(request, item).replace("'test/tiny'", repr(str(tmp_path / item.id)))
    lines = [line.split(": ") for line in run(program)]
    assert [name for name, _value in lines] == [label.name for label in result.labels]
    assert [float(value) for _name, value in lines] == pytest.approx([x.share for x in result.labels], abs=2e-4)


@pytest.mark.parametrize("head", ["NextSentencePrediction", "PreTraining"])
def test_next_sentence(tmp_path: Path, head: str) -> None:
    view = BY_SLUG["next-sentence"].view()
    bundle, folder = tiny(tmp_path, head)
    request = NextSentenceRequest("hola mundo .", "el niño .")
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    (line,) = run(view.code(request, bundle.entry).replace("'test/tiny'", repr(folder)))
    assert float(line) == pytest.approx(result.follows, abs=2e-4)


def test_questions_also_over_several_windows(tmp_path: Path) -> None:
    view = BY_SLUG["questions"].view()
    bundle, folder = tiny(tmp_path, "QuestionAnswering")
    request = QuestionRequest("el niño", "hola mundo . el niño hola . " * 100)
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    assert result.windows > 1
    best = result.answers[0]
    said = best.text if best.probability >= result.no_answer else "No está en el texto"
    assert run(view.code(request, bundle.entry).replace("'test/tiny'", repr(folder))) == [said]


@pytest.mark.parametrize("text", ["a \"b\" 'c'", "dos\nlíneas", "\u202e\x00\\", "{x}", "ñ 🧉", "'''", '"""'])
def test_any_text_is_one_literal(text: str) -> None:
    assert eval(literal(text)) == text


@pytest.mark.parametrize("strategy", ["greedy", "sampling", "beam"])
def test_generation(tmp_path: Path, strategy: str) -> None:
    view = BY_SLUG["generation"].view()
    bundle = decoder(tmp_path)
    request = GenerationRequest("El perro y", 12, strategy, temperature=0.8, top_k=20, top_p=0.9, seed=5)  # type: ignore[arg-type]
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    program = view.code(request, bundle.entry).replace(repr(bundle.entry.id), repr(str(tmp_path / bundle.entry.id)))
    # Half a character at the end is left out on the page, where the library writes a replacement sign.
    written = "\n".join(run(program)).rstrip("�")
    assert written.split() == result.text.replace("\r", "\n").rstrip("�").split()


def test_translation(tmp_path: Path) -> None:
    view = BY_SLUG["translation"].view()
    bundle = translator(tmp_path)
    request = TranslationRequest("The dog runs in the rain.", "es", 3)
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    program = view.code(request, bundle.entry).replace(repr(bundle.entry.id), repr(str(tmp_path / bundle.entry.id)))
    written = run(program)
    assert written == [s.candidates[0].text for s in result.sentences if s.candidates[0].text]


@pytest.mark.parametrize(("key", "text"), [("mini-mt-en-es", "The dog runs."), ("mini-mt-es-en", "El perro corre.")])
def test_translation_by_two_halves(key: str, text: str) -> None:
    view = BY_SLUG["translation"].view()
    request = TranslationRequest(text, key[-2:], 3)
    with torch.inference_mode():
        (result,) = view.task().run(shipped(key).with_attention(), [request])
    written = run(view.code(request, entry(key)))
    assert written == [s.candidates[0].text for s in result.sentences] and written[0]


@pytest.mark.parametrize("key", ["writer-es", "writer-en"])
def test_an_answer_that_is_written(key: str) -> None:
    request = Text2TextRequest("Marie was born in Warsaw in 1867.", "answer", "¿Dónde nació Marie?", tokens=12)
    with torch.inference_mode():
        (result,) = text2text.TASK.run(shipped(key), [request])
    assert run(written_code(request, result.prompt, entry(key))) == [result.text] and result.text


def test_a_summary_that_is_written(tmp_path: Path) -> None:
    bundle = translator(tmp_path)
    request = Text2TextRequest("The dog runs in the rain.", "summary", tokens=8)
    with torch.inference_mode():
        (result,) = text2text.TASK.run(bundle, [request])
    program = written_code(request, result.prompt, bundle.entry)
    assert run(program.replace(repr(bundle.entry.id), repr(str(tmp_path / bundle.entry.id)))) == [result.text]


def test_next_sentence_with_an_adapter() -> None:
    view = BY_SLUG["next-sentence"].view()
    request = NextSentenceRequest("La niña abrió la puerta.", "Salió al jardín y buscó a su perro.")
    with torch.inference_mode():
        (result,) = view.task().run(shipped("next-sentence"), [request])
    (line,) = run(view.code(request, entry("next-sentence")))
    assert float(line) == pytest.approx(result.follows, abs=5e-3)


def test_coreference_with_an_adapter() -> None:
    view = BY_SLUG["coreference"].view()
    text = "Ana llamó a Marta porque ella tenía fiebre."
    request = CoreferenceRequest(text, (25, 29), ((0, 3), (12, 17)), "es")
    with torch.inference_mode():
        (result,) = view.task().run(shipped("coreference"), [request])
    lines = [line.split(": ") for line in run(view.code(request, entry("coreference")))]
    assert [name for name, _share in lines] == [mention.text for mention in result.mentions]
    assert [float(share) for _name, share in lines] == pytest.approx([m.share for m in result.mentions], abs=5e-3)


def test_coreference(tmp_path: Path) -> None:
    view = BY_SLUG["coreference"].view()
    bundle, folder = tiny(tmp_path, "PreTraining")
    text = "el niño hola el mundo . él hola"
    request = CoreferenceRequest(text, (24, 26), ((0, 7), (13, 21)), "es")
    with torch.inference_mode():
        (result,) = view.task().run(bundle, [request])
    lines = [line.split(": ") for line in run(view.code(request, bundle.entry).replace("'test/tiny'", repr(folder)))]
    assert [name for name, _share in lines] == [mention.text for mention in result.mentions]
    assert [float(share) for _name, share in lines] == pytest.approx([m.share for m in result.mentions], abs=2e-4)
