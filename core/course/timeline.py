"""The timeline: events from Markov (1906) to today, model sizes, training compute and guided paths.

The content is data (``timeline.toml``); this module reads it once and hands it out typed. Every event, figure and
text has its source; nothing here imports torch or plotly.
"""

import datetime
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from core.course.words import bare

PATH: Final = Path(__file__).with_name("timeline.toml")

#: The lanes, from top to bottom.
CATEGORIES: Final = (
    "foundations",
    "statistics",
    "neural",
    "attention",
    "encoder",
    "decoder",
    "encoder-decoder",
    "spanish",
    "multimodal",
    "industry",
    "tools",
)
#: Kinds of model: the three families of transformers, and all that is none.
FAMILIES: Final = ("encoder", "decoder", "encoder-decoder", "other")
#: Languages that events are about; ``"multi"`` stands for many.
LANGUAGES: Final = ("es", "en", "eu", "fr", "de", "ru", "multi")
# Operations that training takes for each parameter and token (Kaplan et al., 2020, arXiv 2001.08361).
FLOP_PER_PARAMETER_AND_TOKEN: Final = 6


def _day(text: str) -> datetime.date:
    """The middle of the year or month that ``text`` names, or the day."""
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    return datetime.date(year, month or 7, day or (15 if month else 1))


@dataclass(frozen=True, slots=True)
class Size:
    """How many parameters a model has.

    Attributes:
        name: the model's.
        parameters: how many, all counted.
        day: when it came out.
    """

    name: str
    parameters: int
    day: datetime.date


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Texts are plain: they hold no Markdown and no HTML.

    Attributes:
        id: a stable name in kebab-case; links carry it.
        date: ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``, as exactly as it is known.
        category: one of ``CATEGORIES``.
        languages: those it is about (of ``LANGUAGES``).
        titles: by language (``"es"``, ``"en"``), as the next ones.
        what: what happened.
        why: why it mattered.
        orgs: institutions; empty strings for none.
        data: what it was trained on; empty strings for nothing to say.
        people: names; ``more`` says that there were others.
        more: whether ``people`` is not all of them.
        source: what to cite.
        url: where to read it (https).
        said: what course notes often say, or ``None``.
        fact: what is right instead, or ``None``.
        sizes: parameters of its models.
        family: what those models are, one of ``FAMILIES``; ``None`` where there are no sizes.
        concepts: ids of the glossary.
        see: pages where one tries it, as ``"page"`` or ``"page?name=value"``.
    """

    id: str
    date: str
    category: str
    languages: tuple[str, ...]
    titles: dict[str, str]
    what: dict[str, str]
    why: dict[str, str]
    orgs: dict[str, str]
    data: dict[str, str]
    people: tuple[str, ...]
    more: bool
    source: str
    url: str
    said: dict[str, str] | None
    fact: dict[str, str] | None
    sizes: tuple[Size, ...]
    family: str | None
    concepts: tuple[str, ...]
    see: tuple[str, ...]

    @property
    def day(self) -> datetime.date:
        """Where it stands on a time axis: the middle of what is known."""
        return _day(self.date)

    @property
    def year(self) -> int:
        """The year."""
        return int(self.date[:4])

    def words(self, language: str) -> str:
        """All that a search looks through, without accents."""
        said = [self.said[language], self.fact[language]] if self.said and self.fact else []
        texts = [self.titles[language], self.what[language], self.why[language], self.orgs[language], *said]
        return bare(" ".join([*texts, *self.people, self.source, self.date]))


@dataclass(frozen=True, slots=True)
class Compute:
    """Training compute of one model.

    Attributes:
        event: the id of its event.
        name: the model's.
        flop: operations in all.
        estimated: computed here as 6 · parameters at work · tokens; else the source's own figure.
        source: what to cite.
        url: where to read it.
        active: parameters that work on each token (estimated ones only).
        tokens: tokens of training (estimated ones only).
    """

    event: str
    name: str
    flop: float
    estimated: bool
    source: str
    url: str
    active: int | None
    tokens: int | None

    @property
    def day(self) -> datetime.date:
        """When the model came out."""
        owner = event(self.event)
        return next((size.day for size in owner.sizes if size.name == self.name), owner.day)


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of a path: an event and why the path passes here."""

    event: str
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tour:
    """A guided path through events; ``see`` is where it ends, the first page there is."""

    id: str
    titles: dict[str, str]
    intro: dict[str, str]
    ending: dict[str, str]
    stops: tuple[Stop, ...]
    see: tuple[str, ...]


def _both(raw: dict[str, Any], name: str) -> dict[str, str]:
    return {language: raw[f"{name}_{language}"] for language in ("es", "en")}


def _either(raw: dict[str, Any], name: str) -> dict[str, str]:
    return {language: raw.get(f"{name}_{language}", "") for language in ("es", "en")}


def _read_event(raw: dict[str, Any]) -> Event:
    corrected = "said_es" in raw
    return Event(
        id=raw["id"],
        date=raw["date"],
        category=raw["category"],
        languages=tuple(raw["languages"]),
        titles=_both(raw, "title"),
        what=_both(raw, "what"),
        why=_both(raw, "why"),
        orgs=_either(raw, "org"),
        data=_either(raw, "data"),
        people=tuple(raw.get("people", ())),
        more=raw.get("more", False),
        source=raw["source"],
        url=raw["url"],
        said=_both(raw, "said") if corrected else None,
        fact=_both(raw, "fact") if corrected else None,
        sizes=tuple(
            Size(item["name"], item["parameters"], _day(item.get("date", raw["date"]))) for item in raw.get("sizes", ())
        ),
        family=raw.get("family"),
        concepts=tuple(raw.get("concepts", ())),
        see=tuple(raw.get("see", ())),
    )


def _read_compute(raw: dict[str, Any]) -> Compute:
    active, tokens = raw.get("active"), raw.get("tokens")
    estimated = "flop" not in raw
    flop = FLOP_PER_PARAMETER_AND_TOKEN * float(active or 0) * float(tokens or 0) if estimated else float(raw["flop"])
    return Compute(raw["event"], raw["name"], flop, estimated, raw["source"], raw["url"], active, tokens)


def _read_tour(raw: dict[str, Any]) -> Tour:
    return Tour(
        id=raw["id"],
        titles=_both(raw, "title"),
        intro=_both(raw, "intro"),
        ending=_both(raw, "ending"),
        stops=tuple(Stop(stop["event"], _both(stop, "text")) for stop in raw["stops"]),
        see=tuple(raw["see"]),
    )


@cache
def _content() -> tuple[dict[str, Event], tuple[Compute, ...], dict[str, Tour]]:
    with PATH.open("rb") as file:
        raw = tomllib.load(file)
    found: dict[str, Event] = {}
    for item in sorted(map(_read_event, raw["event"]), key=lambda one: one.day):
        if item.id in found:
            raise ValueError(f"timeline.toml defines {item.id!r} twice")
        found[item.id] = item
    tours = {tour.id: tour for tour in map(_read_tour, raw["tour"])}
    return found, tuple(map(_read_compute, raw["compute"])), tours


def events() -> tuple[Event, ...]:
    """All events, oldest first."""
    return tuple(_content()[0].values())


def event(id: str) -> Event:
    """The event called ``id``.

    Raises:
        KeyError: there is no such event.
    """
    return _content()[0][id]


def computes() -> tuple[Compute, ...]:
    """Training compute of the models for which it is known."""
    return _content()[1]


def tours() -> dict[str, Tour]:
    """The guided paths by id."""
    return _content()[2]


def people(chosen: Iterable[Event] | None = None) -> list[str]:
    """Everybody named in ``chosen`` (all events by default), by surname as written."""
    names = {name for item in (events() if chosen is None else chosen) for name in item.people}
    return sorted(names, key=lambda name: bare(name.rpartition(" ")[2] + " " + name))


def find(
    text: str = "",
    *,
    language: str = "es",
    categories: Sequence[str] = (),
    about: str | None = None,
    person: str | None = None,
) -> list[Event]:
    """The events that fulfil every condition, oldest first.

    Args:
        text: words that must all occur somewhere in the event's texts; accents and case don't matter.
        language: the language of the texts to search, ``"es"`` or ``"en"``.
        categories: at least one of these; empty for any.
        about: a language the event is about; ``None`` for any.
        person: somebody named in it; ``None`` for anybody.
    """
    wanted = bare(text).split()
    return [
        item
        for item in events()
        if (not categories or item.category in categories)
        and (about is None or about in item.languages)
        and (person is None or person in item.people)
        and (not wanted or all(word in item.words(language) for word in wanted))
    ]
