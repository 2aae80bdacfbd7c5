"""Prints again the figures on the cards of the models that ship.

    python -m core.training.evaluate wordpiece-es --data ../shared/data [--hub ../shared/hub]

Each model adds its own function to ``EVALUATIONS``.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.training.recipes.corpora import WORD, Corpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from core.runtime.bundle import ModelBundle

MODELS: Final = Path(__file__).resolve().parents[1] / "models"

# Vocabularies to compare with: column heading → folder under --hub.
RIVALS: Final[Mapping[str, str]] = {
    "BETO cased": "dccuchile/bert-base-spanish-wwm-cased",
    "BETO uncased": "dccuchile/bert-base-spanish-wwm-uncased",
    "mBERT cased": "google-bert/bert-base-multilingual-cased",
    "BERT cased (en)": "google-bert/bert-base-cased",
    "BERT uncased (en)": "google-bert/bert-base-uncased",
}
OURS: Final = "wordpiece-es"


@dataclass(frozen=True, slots=True)
class Fertility:
    """How a tokenizer cuts a text.

    Attributes:
        words: runs of letters, marks and digits.
        tokens: tokens that overlap a word (punctuation left aside).
        whole: words that are exactly one token of their own, not unknown.
        unknown: ``[UNK]`` tokens, on words or not.
        pieces: word → tokens it was cut into, for words of three or more.
    """

    words: int
    tokens: int
    whole: int
    unknown: int
    pieces: Mapping[str, int]

    @property
    def fertility(self) -> float:
        """Tokens per word (Rust et al., 2021)."""
        return self.tokens / self.words


def measure(backend: "Tokenizer", texts: Iterable[str]) -> Fertility:
    """Cuts ``texts`` and counts.

    Args:
        backend: a tokenizer whose offsets are code points of the text.
        texts: at least one word in all.
    """
    words = tokens = whole = unknown = 0
    pieces: dict[str, int] = {}
    remaining = iter(texts)
    while batch := list(islice(remaining, 2000)):
        for text, encoding in zip(batch, backend.encode_batch(batch, add_special_tokens=False), strict=True):
            spans = [match.span() for match in WORD.finditer(text)]
            covering: Counter[int] = Counter()
            spoiled: set[int] = set()
            at = 0
            for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
                unknown += piece == "[UNK]"
                while at < len(spans) and spans[at][1] <= start:
                    at += 1
                over = at
                while over < len(spans) and spans[over][0] < end:
                    covering[over] += 1
                    if piece == "[UNK]" or start < spans[over][0] or end > spans[over][1]:
                        spoiled.add(over)
                    over += 1
                tokens += over > at
            words += len(spans)
            for index, n in covering.items():
                whole += n == 1 and index not in spoiled
                if n > 2:
                    start, end = spans[index]
                    pieces[text[start:end]] = n
    return Fertility(words, tokens, whole, unknown, pieces)


def load_tokenizer(folder: Path) -> "Tokenizer":
    """The Rust tokenizer of a ``save_pretrained`` folder.

    Raises:
        InputInvalid: nothing is there.
    """
    from transformers import AutoTokenizer

    if not (folder / "vocab.txt").is_file():
        raise InputInvalid(
            _("No encuentro el tokenizador en «{path}». Indica con --hub la carpeta que lo contiene.").format(
                path=folder
            )
        )
    backend: Tokenizer = AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
    return backend


def wordpiece_test_sets(data: Path) -> dict[str, list[str]]:
    """What the Spanish WordPiece is reported on: name → paragraphs or sentences never trained on."""
    corpus = Corpus(data)

    def held(source: str) -> Iterator[str]:
        return chain.from_iterable(d.paragraphs for d in corpus.iter_documents(source, "test"))

    gsd, pud = (list(corpus.iter_evaluation(key)) for key in ("ud-gsd", "ud-pud"))
    return {
        "UD GSD dev+test": gsd,
        "UD PUD": pud,
        "UD, all": gsd + pud,
        "es-cuentos": list(corpus.iter_evaluation("es-cuentos")),
        "novels held out": list(held("es-novels")),
        "en-es-parallel dev": list(held("en-es-parallel")),
    }


def evaluate_wordpiece(data: Path, hub: Path | None) -> str:
    """The card's table of the Spanish WordPiece, as Markdown.

    Args:
        data: the folder with the text sets.
        hub: a folder of ``org/name/`` directories; without it the columns of other tokenizers are left out.
    """
    folders = {OURS: MODELS / "wordpiece-es"}
    if hub is not None:
        folders |= {name: hub / path for name, path in RIVALS.items()}
    backends = {name: load_tokenizer(folder) for name, folder in folders.items()}
    reference = "BETO cased" if hub is not None else None
    head = ["Test set", "Words", *backends, *(["ours / BETO"] if reference else [])]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    extra = [["Test set", "whole words", "[UNK]"], ["---", "--:", "--:"]]
    if reference:
        extra[0] += [f"{reference}: whole words", "[UNK]"]
        extra[1] += ["--:", "--:"]
    worst: dict[str, int] = {}
    for name, texts in wordpiece_test_sets(data).items():
        results = {key: measure(backend, texts) for key, backend in backends.items()}
        ours = results[OURS]
        row = [name, f"{ours.words:,}", *(f"{r.fertility:.3f}" for r in results.values())]
        more = [name, f"{ours.whole / ours.words:.1%}", str(ours.unknown)]
        if reference:
            beto = results[reference]
            row.append(f"{ours.fertility / beto.fertility:.3f}")
            more += [f"{beto.whole / beto.words:.1%}", str(beto.unknown)]
        lines.append(row)
        extra.append(more)
        if name == "UD, all":
            worst = dict(ours.pieces)
    ours_backend = backends[OURS]
    ranked = sorted(worst, key=lambda word: (-worst[word], word))[:30]
    cuts = [" ".join(ours_backend.encode(word, add_special_tokens=False).tokens) for word in ranked]
    tables = ["\n".join("| " + " | ".join(row) + " |" for row in table) for table in (lines, extra)]
    return "\n\n".join([*tables, "Words of UD cut into most pieces:", "\n".join(f"- {cut}" for cut in cuts)])


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of named figures as a Markdown table; the first row names the columns."""
    columns = list(rows[0])
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)]]
    lines += [[str(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _bundle(model: str) -> "ModelBundle":
    """A shipped model on the CPU, whatever this machine has: there the figures are the card's."""
    from core.catalog import entry
    from core.runtime.device import CPU
    from core.runtime.loading import load_bundle
    from core.settings import Settings

    return load_bundle(entry(model), Settings(device="cpu"), CPU)


def head_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Every score of a head's card: the test sets, where ``data`` is given, then the hand-written sample.

    Args:
        model: its key, such as ``"sentiment-en"``.
        data: the folder with the text sets; ``None`` for the sample alone.
    """
    from core.training import samples
    from core.training.recipes import entities, questions, sentiment

    task, _dash, language = model.rpartition("-")
    bundle = _bundle(model)
    net, tokenizer = bundle.model, bundle.tokenizer
    rows: list[dict[str, object]] = []
    if task == "sentiment":
        held = sentiment.tests(data, language) if data else {}
        held = {**held, "hand-written": (samples.sentiment(language), False)}
        for name, (items, two_way) in held.items():
            found = sentiment.accuracy(net, tokenizer, items, "cpu", two_way=two_way)
            rows.append({"Test set": name, "classes": 2 if two_way else 3, **found})
    elif task == "entities":
        sentences = entities.tests(data, language) if data else {}
        for name, tagged in {**sentences, "hand-written": samples.entities(language)}.items():
            rows.append({"Test set": name, **entities.f1(net, tokenizer, tagged, "cpu")})
    else:
        asked = questions.tests(data, language) if data else {}
        for name, items_of_test in {**asked, "hand-written": samples.questions(language)}.items():
            rows.append({"Test set": name, **questions.score(net, tokenizer, items_of_test, "cpu")})
    return rows


def filled(model: Any, tokenizer: Any, gaps: Sequence[tuple[str, str]]) -> dict[str, float | int]:
    """Share of gaps whose word is the model's first, and among its first five.

    Args:
        model: a BERT with its masked-word head.
        tokenizer: its tokenizer.
        gaps: the word, which must be one piece, and the text with one ``[MASK]``.
    """
    import torch

    first = five = 0
    for word, text in gaps:
        inputs = tokenizer(text, return_tensors="pt")
        place = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)
        with torch.inference_mode():
            best = model(**inputs).prediction_logits[0, place].topk(5).indices.tolist()
        own = tokenizer.convert_tokens_to_ids(word)
        first += own == best[0]
        five += own in best
    return {"top1": first / len(gaps), "top5": five / len(gaps), "n": len(gaps)}


def encoder_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Masked pieces and next sentence on held-out text, where ``data`` is given; then the hand-written gaps.

    Args:
        model: the key of an encoder that ships with both of BERT's heads.
        data: the folder with the text sets; their tokens are kept under ``.build/`` for the next time.
    """
    from core.catalog import entry
    from core.training import samples
    from core.training.recipes import english_heads, mini_beto, pronouns

    bundle = _bundle(model)
    rows: list[dict[str, object]] = []
    if data is not None:
        language, kept = entry(model).languages[0], MODELS.parents[1] / ".build/text"
        if language == "en":
            held = english_heads.held_batches(data, kept / model)
        else:
            held = mini_beto.held_batches(data, kept)
        found = mini_beto.evaluate(bundle.model, held, mini_beto.TEST_BATCHES, "cpu")
        rows += [
            {"Test set": "masked pieces", "top1": found.top1, "top5": found.top5, "n": found.pieces},
            {"Test set": "next sentence", "accuracy": found.next_sentence, "n": found.pairs},
        ]
        if language == "en":
            rows += _pronoun_rows(bundle, pronouns.tests(data))
        by_hand = {name: own for name, own in pronouns.written().items() if name.startswith(language)}
        rows += _pronoun_rows(bundle, {f"pronouns by hand, {name[4:]}": own for name, own in by_hand.items()})
    rows.append(
        {
            "Test set": "hand-written",
            **filled(bundle.model, bundle.tokenizer, samples.masked(entry(model).languages[0])),
        }
    )
    return [
        {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]


def vector_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """How often the translation is the nearest of a thousand sentences; how often sense beats shared words.

    Args:
        model: the key of an encoder whose mean-pooled vectors lie where the English translation's do: MiniLM's,
            or its own if it reads both languages.
        data: the folder with the text sets; ``None`` for the sample alone.
    """
    import numpy as np

    from core.catalog import entry
    from core.training import samples
    from core.training.recipes import sentence_vectors

    bundle = _bundle(model)
    bilingual = "en" in entry(model).languages
    rows: list[dict[str, object]] = []
    for name, pairs in (sentence_vectors.tests(data) if data is not None else {}).items():
        found = sentence_vectors.score(bundle.model, bundle.tokenizer, pairs, "cpu", bilingual=bilingual)
        rows.append({"Test set": name, "top1": found["en→es"], "es→en": found["es→en"], "n": found["pairs"]})
    triples = samples.triples(entry(model).languages[0])
    texts = [text for three in triples for text in three]
    flat = sentence_vectors.vectors(bundle.model, bundle.tokenizer, texts, "cpu")
    own, near, far = (flat.astype(np.float32).reshape(len(triples), 3, -1)[:, place] for place in range(3))
    right = float(((own * near).sum(-1) > (own * far).sum(-1)).mean())
    rows.append({"Test set": "hand-written", "accuracy": round(right, 4), "n": len(triples)})
    return rows


def writer_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Bits per character of unseen text, where ``data`` is given, then of the hand-written page.

    Args:
        model: the key of a GPT that ships.
        data: the folder with the text sets; their tokens are kept under ``.build/`` for the next time.
    """
    import numpy as np

    from core.catalog import entry
    from core.training import samples
    from core.training.recipes import mini_gpt

    bundle = _bundle(model)
    backend = bundle.tokenizer.backend_tokenizer
    language = entry(model).languages[0]
    texts: dict[str, Any] = {}
    if data is not None:
        texts |= mini_gpt.load_ids(data, "test", backend, MODELS.parents[1] / ".build/text" / model, language)
    # The page begins as a document does: after the end mark of another.
    page = [backend.token_to_id(mini_gpt.END), *backend.encode(samples.prose(language)).ids]
    rows: list[dict[str, object]] = []
    for name, ids in {**texts, "hand-written": np.array(page, dtype=np.uint16)}.items():
        bits, characters = mini_gpt.bits_per_character(bundle.model, ids, backend, "cpu")
        rows.append({"Test set": name, "bits_per_character": round(bits, 4), "n": characters})
    return rows


def translator_scores(_model: str, data: Path | None) -> list[dict[str, object]]:
    """ChrF of mini-mt both ways on everyday sentences and documentation, where ``data`` is given; then by hand.

    Args:
        _model: the folder's name; there is one translator.
        data: the folder with the text sets; ``None`` for the sample alone.
    """
    from core.training import samples
    from core.training.recipes import mini_mt

    pairs = samples.translations()
    bundle = _bundle("mini-mt-en-es")
    backend = bundle.tokenizer.backend_tokenizer
    rows: list[dict[str, object]] = []
    for name, test in (mini_mt.tests(data) if data is not None else {}).items():
        rows.append({"Test set": name, **mini_mt.score(bundle.model, backend, test, "cpu")})
    both = [
        mini_mt.Test("es", [en for en, _es in pairs], [[es] for _en, es in pairs]),
        mini_mt.Test("en", [es for _en, es in pairs], [[en] for en, _es in pairs]),
    ]
    found = [mini_mt.score(bundle.model, backend, test, "cpu") for test in both]
    mean = sum(one["chrf"] for one in found) / len(found)
    rows.append({"Test set": "hand-written", "chrf": round(mean, 2), "n": sum(one["n"] for one in found)})
    return rows


def written_scores(_model: str, data: Path | None) -> list[dict[str, object]]:
    """F1 of written answers and summaries on unseen articles, where ``data`` is given; then answers by hand.

    Beside the summaries stands what their first sentence scores, which is what a person would do without a model.

    Args:
        _model: the folder's name; one model writes both languages.
        data: the folder with the text sets; ``None`` for the sample alone.
    """
    from core.training import samples
    from core.training.recipes import questions, writer

    bundle = _bundle("writer-es")
    net, words = bundle.model, bundle.tokenizer.backend_tokenizer
    found = writer.scores(net, words, data, "cpu") if data is not None else {}
    rows: list[dict[str, object]] = [{"Test set": name, **own} for name, own in found.items()]
    if data is not None:
        rows.append({"Test set": "summaries, en: the first sentence", **writer.first_sentences(data)})
    asked, texts = [], []
    for language in ("es", "en"):
        own = samples.questions(language)
        asked += own
        texts += writer.answer(net, words, own, language, "cpu")
    rows.append({"Test set": "hand-written", **questions.answer_scores(texts, asked)})
    return rows


def _pronoun_rows(bundle: "ModelBundle", tests: Mapping[str, Sequence[Any]]) -> list[dict[str, object]]:
    from core.training.recipes import pronouns

    return [
        {"Test set": name, "accuracy": round(pronouns.accuracy(bundle, cases), 4), "n": len(cases)}
        for name, cases in tests.items()
    ]


def pronoun_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Share of pronouns given to the right mention: GAP and WinoBias, where ``data`` is given; then those by hand.

    Args:
        model: the key of the model that points.
        data: the folder with the labelled sets.
    """
    from core.training.recipes import pronouns

    bundle, kinds = _bundle(model), pronouns.written()
    rows = []
    if data is not None:
        # What a page says of a language is not the kind that the model finds easy.
        whole = {
            f"{language}, by hand": [case for kind, own in kinds.items() if kind.startswith(language) for case in own]
            for language in ("es", "en")
        }
        rows = _pronoun_rows(bundle, {**pronouns.tests(data), **whole, **kinds})
    return [*rows, *_pronoun_rows(bundle, {"hand-written": [case for own in kinds.values() for case in own]})]


def following_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Share of pairs judged right, in both languages, on unseen documents, where ``data`` is given; then by hand.

    Args:
        model: the key of the head.
        data: the folder with the text sets; their tokens are kept under ``.build/`` for the next time.
    """
    import torch

    from core.training import samples
    from core.training.recipes import next_sentence

    bundle = _bundle(model)
    rows: list[dict[str, object]] = []
    if data is not None:
        backend = bundle.tokenizer.backend_tokenizer
        texts = next_sentence.load_texts(data, "test", backend, MODELS.parents[1] / ".build/text" / model)
        for name, found in next_sentence.scores(bundle.model, texts, "cpu").items():
            rows.append({"Test set": name, "accuracy": found["right"], "n": found["n"]})
    asked = [pair for language in ("es", "en") for pair in samples.following(language)]
    right = 0
    for first, second, follows in asked:
        with torch.inference_mode():
            logits = bundle.model(**bundle.tokenizer(first, second, return_tensors="pt")).logits
        # Class 0 is "follows", as in BERT.
        right += (int(logits.argmax(-1)) == 0) == follows
    rows.append({"Test set": "hand-written", "accuracy": round(right / len(asked), 4), "n": len(asked)})
    return rows


def shipped_scores(model: str, data: Path | None) -> list[dict[str, object]]:
    """Every score of a shipped model's card: the test sets, where ``data`` is given, then the hand-written sample."""
    return _MEASURES.get(model, head_scores)(model, data)


def _scores(model: str) -> Callable[[Path, Path | None], str]:
    return lambda data, hub: "\n\n".join(_table([row]) for row in shipped_scores(model, data))


# What is measured of the models that are no head for one task.
_MEASURES: Final = {
    "mini-beto": encoder_scores,
    "mini-bert": encoder_scores,
    "sentences-es": vector_scores,
    "mini-e5": vector_scores,
    "mini-gpt": writer_scores,
    "mini-gpt-en": writer_scores,
    "mini-mt": translator_scores,
    "next-sentence": following_scores,
    "coreference": pronoun_scores,
    "writer": written_scores,
}
# Of the models that have figures to print again, those that ship.
_HEADS: Final = ("sentiment-es", "sentiment-en", "entities-es", "entities-en", "questions-es", "questions-en")
SCORED: Final = tuple(name for name in (*_MEASURES, *_HEADS) if (MODELS / name).is_dir())
EVALUATIONS: Final[dict[str, Callable[[Path, Path | None], str]]] = {
    "wordpiece-es": evaluate_wordpiece,
    **{model: _scores(model) for model in SCORED},
}
"""Model → a function of the data folder and the hub folder (or None) that returns its tables as Markdown."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Print the figures of a model card again.")
    parser.add_argument("model", choices=sorted(EVALUATIONS))
    parser.add_argument("--data", type=Path, required=True, help="folder with the test sets")
    parser.add_argument("--hub", type=Path, help="folder of org/name/ directories to compare with")
    options = parser.parse_args(arguments)
    try:
        print(EVALUATIONS[options.model](options.data, options.hub))
    except InputInvalid as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
