import re
import subprocess
import sys
from datetime import date
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from core.catalog import entries
from core.course import timeline
from core.course.examples import example
from core.course.glossary import PAGES as COURSE_PAGES
from core.course.glossary import concept
from core.course.timeline import computes, event, events, find, people, tours
from core.ui.embeddings.state import PARTS as EMBEDDING_PARTS
from core.ui.links import existing, parse
from core.ui.tasks.registry import BY_SLUG
from core.ui.timeline.figures import COMPUTE_CODE, SIZES_CODE
from tests.conftest import ROOT

ALL = events()
IDS = [item.id for item in ALL]
#: Mistakes of course notes; they may be quoted in "said" and nowhere else.
MISTAKES = [r"\bGTP\b", r"Llya", r"Bommansani", r"Markow", r"zettabyte", r"infinit", r"performante", r"post-deep"]


def test_events_are_many_unique_and_in_order() -> None:
    assert len(ALL) >= 80
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id) for id in IDS)
    days = [item.day for item in ALL]
    assert days == sorted(days)
    assert days[0].year == 1906
    assert days[-1] <= date.today()
    assert {item.category for item in ALL} == set(timeline.CATEGORIES)


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_an_event_is_whole_in_both_languages_and_has_a_source(item: timeline.Event) -> None:
    for language in ("es", "en"):
        assert 4 <= len(item.titles[language]) <= 60
        for text in (item.what[language], item.why[language]):
            assert 40 <= len(text) <= 320
            assert text == text.strip() and text[-1] in ".?"
            assert not re.search(r"[*_`<>$]|\]\(", text), "texts are plain, not Markdown or HTML"
            assert not any(re.search(mistake, text, re.IGNORECASE) for mistake in MISTAKES)
        assert "“" not in item.what["es"] and "«" not in item.what["en"] + item.why["en"]
    assert item.what["es"] != item.what["en"] and item.why["es"] != item.why["en"]
    assert bool(item.orgs["es"]) == bool(item.orgs["en"])
    assert bool(item.data["es"]) == bool(item.data["en"])
    assert item.people or item.orgs["es"], "somebody did it"
    parts = urlsplit(item.url)
    assert parts.scheme == "https" and "." in parts.netloc and len(item.source) >= 4
    assert set(item.languages) <= set(timeline.LANGUAGES)
    assert (item.said is None) == (item.fact is None)
    if item.said and item.fact:
        assert item.said["es"] != item.said["en"] and item.fact["es"] != item.fact["en"]


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_dates_agree_with_arxiv(item: timeline.Event) -> None:
    found = re.fullmatch(r"https://arxiv\.org/abs/(\d\d)(\d\d)\.\d{4,5}", item.url)
    # Papers that came out some time after what they describe.
    later = {"beto-2019", "instructgpt-2022", "stable-diffusion-2022", "whisper-2022", "mixtral-2023", "clip-2021"}
    later |= {"dalle-2021", "llama3-2024", "salamandra-2024", "gpt-oss-2025", "deepseek-r1-2025", "deepseek-v3-2024"}
    if found and item.id not in later:
        year, month = 2000 + int(found[1]), int(found[2])
        months = 12 * (year - item.day.year) + month - item.day.month
        assert -1 <= months <= 1, item.date


def test_sizes_have_a_family_and_numbers_that_the_texts_agree_with() -> None:
    for item in ALL:
        assert (item.family is not None) == bool(item.sizes)
        assert item.family in (None, *timeline.FAMILIES)
        assert all(10**4 < size.parameters < 10**13 for size in item.sizes)
    assert [size.parameters for size in event("bert-2018").sizes] == [110_000_000, 340_000_000]
    assert event("llama3-2024").sizes[-1].day == date(2024, 7, 23)


def test_compute_is_the_sources_or_six_n_d() -> None:
    by_name = {item.name: item for item in computes()}
    assert len(by_name) == len(computes()) >= 15
    for item in computes():
        assert item.day >= event(item.event).day
        assert item.source and item.url.startswith("https://")
        assert 1e17 < item.flop < 1e27
        if item.estimated:
            assert item.active and item.tokens and item.flop == pytest.approx(6 * item.active * item.tokens)
    # The figure of the glossary, of the event's card and of the plot are one.
    assert round(by_name["GPT-3"].flop / 1e15 / 86_400) == pytest.approx(3640, abs=10)
    # The rule that estimates is tested on a model whose source states all three.
    assert pytest.approx(by_name["GPT-3"].flop, rel=0.01) == 6 * 175e9 * 300e9
    named = {size.name for item in ALL for size in item.sizes}
    assert {item.name for item in computes() if item.name != "GNMT + RL"} <= named


def references() -> list[str]:
    return [ref for item in ALL for ref in item.see] + [ref for tour in tours().values() for ref in tour.see]


def test_links_inside_the_app_lead_somewhere() -> None:
    for reference in references():
        page, query = parse(reference)
        assert page in COURSE_PAGES, reference
        if "task" in query:
            assert query["task"] in BY_SLUG, reference
        if "example" in query:
            example(query["example"])
        for key in query.get("models", "").split(","):
            assert not key or key in entries(), reference
        assert set(query) <= {"task", "tl", "example", "models", "view", "part"}, reference
        if "part" in query and page == "embeddings":
            assert query["part"] in EMBEDDING_PARTS, reference
    assert len(existing(references())) > 30
    for item in ALL:
        for name in item.concepts:
            concept(name)


def test_tours_walk_through_events_in_time_and_end_on_a_page() -> None:
    assert set(tours()) == {"markov-to-gpt", "attention", "spanish"}
    for tour in tours().values():
        days = [event(stop.event).day for stop in tour.stops]
        assert len(set(days)) > 5
        # seq2seq and its solution came out nine days apart, the solution first; the path says so.
        assert all((after - before).days >= -9 for before, after in pairwise(days))
        assert existing(tour.see), "the last stop has to end where one tries it"
        for texts in (tour.titles, tour.intro, tour.ending, *(stop.texts for stop in tour.stops)):
            assert texts["es"] and texts["en"] and texts["es"] != texts["en"]


def test_search_ignores_accents_and_case_and_filters_add_up() -> None:
    assert [item.id for item in find("MARKOV")][:2] == ["markov-cadenas-1906", "markov-onegin-1913"]
    assert find("márkov poema") == [event("markov-onegin-1913")]
    assert find("poem", language="en") == [event("markov-onegin-1913")]
    assert event("transformer-2017") in find("polosukhin")
    spanish = find(about="es", categories=["spanish"])
    assert spanish and all("es" in item.languages and item.category == "spanish" for item in spanish)
    assert event("latxa-2024") not in spanish
    assert {item.id for item in find(person="Yoshua Bengio")} == {
        "lenet5-1998",
        "nplm-2003",
        "atencion-bahdanau-2014",
    }
    assert find("zzzz") == []
    assert len(find()) == len(ALL)
    with pytest.raises(KeyError):
        event("no-such-event")


def test_people_are_sorted_by_surname_and_each_finds_an_event() -> None:
    names = people()
    assert names.index("Yoshua Bengio") < names.index("Claude E. Shannon") < names.index("Ashish Vaswani")
    assert all(find(person=name) for name in names)


@pytest.mark.parametrize(("code", "words"), [(SIZES_CODE, "BERT large"), (COMPUTE_CODE, "3.14e+23 FLOP")])
def test_the_code_on_the_page_runs(code: str, words: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert words in done.stdout
