"""Pronouns whose antecedent is known: GAP and WinoBias, and how often a masked language model finds it.

No model of the project learns from either. Sources: Webster et al. 2018 (GAP), Zhao et al. 2018 (WinoBias), and
the method of ``core.tasks.coreference``.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.tasks.coreference import TASK, CoreferenceRequest
from core.training.recipes.labelled import archive_text

if TYPE_CHECKING:
    from core.runtime.bundle import ModelBundle


_BRACKETS: Final = re.compile(r"\[(.+?)\]")


def gap(data: Path) -> list[CoreferenceRequest]:
    """GAP's validation part (Webster et al. 2018): Wikipedia, two names of one gender; the right one comes first."""
    cases = []
    for line in archive_text(data, "coref", "gap-en/gap-validation.tsv").splitlines()[1:]:
        _id, text, pronoun, at, a, a_at, a_right, b, b_at, b_right, _url = line.split("\t")
        if a_right != b_right:
            place, *names = (
                (int(start), int(start) + len(word)) for word, start in ((pronoun, at), (a, a_at), (b, b_at))
            )
            mentions = names if a_right == "TRUE" else names[::-1]
            cases.append(CoreferenceRequest(text, place, tuple(mentions), "en"))
    return cases


def winobias(data: Path, kind: str) -> dict[str, list[CoreferenceRequest]]:
    """WinoBias's test sentences (Zhao et al. 2018): whether the pronoun fits an occupation's stereotype or not.

    Args:
        data: the folder with the data sets.
        kind: ``"type1"``, to be told by sense alone, or ``"type2"``, where syntax is enough.

    Returns:
        The same sentences twice, under ``"pro"`` and ``"anti"``, with the right occupation as the first candidate;
        those where no other occupation is found are left out.
    """
    lines = {
        side: archive_text(data, "coref", f"winobias-en/{side}_stereotyped_{kind}.txt.test").splitlines()
        for side in ("pro", "anti")
    }
    # The occupation stands before its pronoun in all of them.
    occupations = {match[1].lower() for own in lines.values() for line in own if (match := _BRACKETS.search(line))}
    longest_first = sorted(occupations, key=len, reverse=True)
    found: dict[str, list[CoreferenceRequest]] = {}
    for side, own in lines.items():
        found[side] = []
        for line in own:
            text = line.partition(" ")[2].strip()
            marks = list(_BRACKETS.finditer(text))
            if len(marks) != 2:
                continue
            # Each bracket that is taken away moves what follows.
            right, pronoun = (
                (mark.start() - 2 * index, mark.end() - 2 * index - 2) for index, mark in enumerate(marks)
            )
            plain = text.replace("[", "").replace("]", "")
            others = (
                (at, at + len(name))
                for name in longest_first
                if (at := plain.lower().find(name)) >= 0 and (at + len(name) <= right[0] or at >= right[1])
            )
            wrong = next(others, None)
            if wrong is not None:
                found[side].append(CoreferenceRequest(plain, pronoun, (right, wrong), "en"))
    return found


def tests(data: Path) -> dict[str, list[CoreferenceRequest]]:
    """The cases of each set, by its name on a card; of WinoBias both sides."""
    return {
        "GAP": gap(data),
        "WinoBias, by sense": [case for side in winobias(data, "type1").values() for case in side],
        "WinoBias, by syntax": [case for side in winobias(data, "type2").values() for case in side],
    }


def accuracy(bundle: "ModelBundle", cases: Sequence[CoreferenceRequest]) -> float:
    """The share of pronouns that the model gives to the first of their two candidates; half of them by chance.

    Args:
        bundle: an English masked language model.
        cases: at least one.
    """
    import torch

    right = 0
    with torch.inference_mode():
        for case in cases:
            (found,) = TASK.run(bundle, [case])
            right += found.mentions[0].start == case.candidates[0][0]
    return right / len(cases)
