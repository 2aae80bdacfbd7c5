"""Readers of the pronoun sets, and the score of a model that always prefers one mention."""

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.tasks.coreference import CoreferenceRequest
from core.training.recipes import pronouns

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
    assert [words(case) for case in pronouns.gap(data)] == [("she", "Eva", "Ana")]


def test_winobias_finds_the_other_occupation_or_leaves_the_sentence_out(data: Path) -> None:
    found = pronouns.winobias(data, "type1")
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
    assert pronouns.accuracy(bundle, pronouns.winobias(data, "type1")["pro"]) == 0.5
    assert pronouns.accuracy(bundle, pronouns.gap(data)) == 0.0
