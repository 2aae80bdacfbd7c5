"""Pronouns whose antecedent is known: GAP and WinoBias, and how often a masked language model finds it.

No model of the project learns from either. Sources: Webster et al. 2018 (GAP), Zhao et al. 2018 (WinoBias), and
the method of ``core.tasks.coreference``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.tasks.coreference import TASK, CoreferenceRequest
from core.training.recipes.labelled import archive_text

if TYPE_CHECKING:
    from core.runtime.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class PronounCase:
    """A text with a pronoun, the mention that it points to and one that it doesn't; places in code points."""

    text: str
    pronoun: tuple[int, int]
    right: tuple[int, int]
    wrong: tuple[int, int]


def gap(data: Path) -> list[PronounCase]:
    """GAP's validation part (Webster et al. 2018): Wikipedia, one of two names of one gender is the right one."""
    cases = []
    for line in archive_text(data, "coref", "gap-en/gap-validation.tsv").splitlines()[1:]:
        _id, text, pronoun, at, a, a_at, a_right, b, b_at, b_right, _url = line.split("\t")
        if a_right != b_right:
            spans = [(int(start), int(start) + len(word)) for word, start in ((pronoun, at), (a, a_at), (b, b_at))]
            cases.append(PronounCase(text, spans[0], *(spans[1:] if a_right == "TRUE" else spans[:0:-1])))
    return cases


_BRACKETS: Final = re.compile(r"\[(.+?)\]")


def winobias(data: Path, kind: str) -> dict[str, list[PronounCase]]:
    """WinoBias's test sentences (Zhao et al. 2018): whether the pronoun fits an occupation's stereotype or not.

    Args:
        data: the folder with the data sets.
        kind: ``"type1"``, to be told by sense alone, or ``"type2"``, where syntax is enough.

    Returns:
        The same sentences twice, under ``"pro"`` and ``"anti"``; those where no other occupation is found are left out.
    """
    lines = {
        side: archive_text(data, "coref", f"winobias-en/{side}_stereotyped_{kind}.txt.test").splitlines()
        for side in ("pro", "anti")
    }
    occupations = {_BRACKETS.search(line)[1].lower() for own in lines.values() for line in own if "[" in line}  # type: ignore[index]
    found: dict[str, list[PronounCase]] = {}
    for side, own in lines.items():
        found[side] = []
        for line in own:
            text = line.partition(" ")[2].strip()
            marks = list(_BRACKETS.finditer(text))
            if len(marks) != 2:
                continue
            # Each bracket that is taken away moves what follows.
            places = [(mark.start() - 2 * index, mark.end() - 2 * index - 2) for index, mark in enumerate(marks)]
            plain = text.replace("[", "").replace("]", "")
            right, pronoun = places if marks[0][1].lower() in occupations else places[::-1]
            others = [
                (at, at + len(name))
                for name in sorted(occupations, key=len, reverse=True)
                if (at := plain.lower().find(name)) >= 0 and (at + len(name) <= right[0] or at >= right[1])
            ]
            if others:
                found[side].append(PronounCase(plain, pronoun, right, others[0]))
    return found


def tests(data: Path) -> dict[str, list[PronounCase]]:
    """The cases of each set, by its name on a card; of WinoBias both sides."""
    return {
        "GAP": gap(data),
        "WinoBias, by sense": [case for side in winobias(data, "type1").values() for case in side],
        "WinoBias, by syntax": [case for side in winobias(data, "type2").values() for case in side],
    }


def accuracy(bundle: "ModelBundle", cases: Sequence[PronounCase]) -> float:
    """The share of pronouns that the model gives to the right one of two mentions; half of them by chance.

    Args:
        bundle: an English masked language model.
        cases: at least one.
    """
    import torch

    right = 0
    with torch.inference_mode():
        for case in cases:
            request = CoreferenceRequest(case.text, case.pronoun, (case.right, case.wrong), "en")
            (found,) = TASK.run(bundle, [request])
            right += found.mentions[0].start == case.right[0]
    return right / len(cases)
