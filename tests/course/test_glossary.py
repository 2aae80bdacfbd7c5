import re
from urllib.parse import urlsplit

import pytest

from core.course import glossary
from core.course.glossary import concept, concepts

ALL = concepts()
IDS = [c.id for c in ALL]
#: Mistakes of the notes the course corrects, as they would read if one slipped back in.
MISTAKES_ES = [
    r"sentencias?\b",
    r"\bbillones\b",
    r"flops\s*/\s*s",
    r"flops por segundo",
    r"performante",
    r"zettabyte",
    r"regresión infinita",
    r"memoria a largo plazo",
    r"post-deep",
    r"\bGTP\b",
    r"Llya",
    r"Bommansani",
    r"Markow",
    r"exclusivamente en",
    r"lógicamente",
    r"más de 50 arquitecturas",
    r"10[.\s]?000 modelos",
]
MISTAKES_EN = [r"sentencing", r"trillions?", r"flops per second", r"infinite (window|regression)", r"\bGTP\b"]


def test_every_concept_of_the_notes_and_of_the_tokenization_page_is_here() -> None:
    assert len(ALL) >= 72 + 13
    assert set(IDS) >= {
        "fertility",
        "wordpiece",
        "byte-pair-encoding",
        "byte-level-bpe",
        "unigram-language-model",
        "unknown-token",
        "normalization",
        "pre-tokenization",
        "continuation-piece",
        "vocabulary",
        "cased-uncased",
        "grapheme-cluster",
        "token-id",
        "special-tokens",
        "context-window",
    }


def test_lookup() -> None:
    found = concept("fertility")
    assert found.term("es") == "Fertilidad"
    assert found.term("en") == "Fertility"
    assert found.text("en").startswith("It is the average number of tokens per word")
    assert found.text("es") == found.text_es
    assert found.url == "https://arxiv.org/abs/2012.15613"
    assert found.source.startswith("Rust et al. (2021)")
    assert concept("fertility") is found
    with pytest.raises(KeyError):
        concept("no-such-concept")


def test_ids_are_unique_kebab_case_and_terms_do_not_repeat() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", i) for i in IDS)
    for language in ("es", "en"):
        terms = [c.term(language) for c in ALL]
        assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_texts(item: glossary.Concept) -> None:
    for language in ("es", "en"):
        text, term = item.text(language), item.term(language)
        assert text == text.strip() and text.endswith(".")
        assert 60 <= len(text) <= 260
        assert 2 <= len(term) <= 60
        # Two sentences: a period followed by a new one, or two.
        assert len(re.findall(r"\.(?=\s+\S)", text)) == 1, text
        assert not re.search(r"[*_`<>$]|\]\(", text + term), "texts are plain, not Markdown or HTML"
    assert item.text_es != item.text_en
    assert not any(re.search(p, item.text_es, re.IGNORECASE) for p in MISTAKES_ES)
    assert not any(re.search(p, item.text_en, re.IGNORECASE) for p in MISTAKES_EN)
    # Spanish numbers: decimal comma, no thousands point or comma; English ones with a point.
    assert not re.search(r"\d\.\d", item.text_es)
    assert not re.search(r"\d,\d{1,2}\b|\d,\d{4}", item.text_en)
    assert "“" not in item.text_es and "«" not in item.text_en


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_sources_links_and_formulas(item: glossary.Concept) -> None:
    assert item.sources
    assert item.url == item.sources[0].url
    for source in item.sources:
        parts = urlsplit(source.url)
        assert parts.scheme == "https" and "." in parts.netloc and parts.path.strip("/")
        if parts.netloc == "arxiv.org":
            assert re.fullmatch(r"/abs/\d{4}\.\d{5}|/abs/1[0-4]\d{2}\.\d{4}", parts.path)
        assert len(source.title) > 10
    assert item.see is None or item.see.partition("?")[0] in glossary.PAGES
    if item.formula is not None:
        assert item.formula.count("{") == item.formula.count("}")
        assert len(re.findall(r"\\left\b", item.formula)) == len(re.findall(r"\\right\b", item.formula))
        assert "$" not in item.formula


def test_arxiv_identifiers_agree_with_the_cited_year() -> None:
    # BETO's paper was presented in 2020 and put on arXiv in 2023; arXiv 2012.* were published in 2021.
    late = {"2308.02976": 2020, "2012.15613": 2021}
    sources = {s.url: s for c in ALL for s in c.sources if "arxiv.org" in s.url}
    assert len(sources) >= 30
    for url, source in sources.items():
        number = url.rsplit("/", 1)[1]
        cited = re.search(r"\((\d{4})\)", source.title)
        assert cited is not None, source
        assert int(cited[1]) == late.get(number, 2000 + int(number[:2])), source


@pytest.mark.parametrize(
    ("id", "stated"),
    [
        ("flop-and-petaflop-day", 3640),
        ("bert-144-heads", 144),
        ("byte-level-bpe", 50257),
        ("context-window", 512),
        ("context-window", 1024),
    ],
)
def test_numbers_are_stated_in_both_languages(id: str, stated: int) -> None:
    for text in (concept(id).text_es, concept(id).text_en):
        assert str(stated) in re.sub(r"(?<=\d)[\u202f,](?=\d{3})", "", text)


def test_arithmetic_of_the_formulas() -> None:
    assert 12 * 12 == 144 and "144" in str(concept("bert-144-heads").formula)
    assert 256 + 50_000 + 1 == 50_257 and "50257" in str(concept("byte-level-bpe").formula)
    assert round(3640e15 * 86_400 / 1e23, 2) in (3.14, 3.15)
    family = "👨‍👩‍👧‍👦"
    assert len(family) == 7 and len(family.encode()) == 25  # as "grapheme-cluster" says


def test_vocabulary_sizes_are_those_of_the_tokenizers(bert_uncased, beto_cased, gpt2) -> None:  # type: ignore[no-untyped-def]
    text = concept("vocabulary").text_en
    assert f"{bert_uncased.backend.get_vocab_size():,} in BERT uncased" in text
    assert f"{beto_cased.backend.get_vocab_size():,} in BETO" in text
    assert gpt2.backend.get_vocab_size() == 50_257


def test_bert_uncased_does_to_letters_what_the_glossary_says(bert_uncased) -> None:  # type: ignore[no-untyped-def]
    assert bert_uncased.backend.normalizer.normalize_str("Año") == "ano"
    encoded = bert_uncased.encode("a")
    kept = [token for token, used in zip(encoded.tokens, encoded.attention_mask, strict=True) if used]
    assert kept == ["[CLS]", "a", "[SEP]"]
