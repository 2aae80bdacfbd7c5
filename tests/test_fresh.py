"""Programs in forks of a warm interpreter: on their own, apart from one another, and quick."""

import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fresh import run_fresh


def test_a_program_has_a_main_of_its_own(tmp_path: Path) -> None:
    first = run_fresh("import os, torch\nos.environ['LEFT'] = torch.left = 'x'\nprint('ñ', __name__)")
    assert (first.returncode, first.stdout, first.stderr) == (0, "ñ __main__\n", "")
    second = run_fresh(
        "import os, torch\nprint(os.getcwd(), 'LEFT' in os.environ, hasattr(torch, 'left'))", cwd=tmp_path
    )
    assert second.stdout == f"{tmp_path.resolve()} False False\n"
    assert run_fresh("import sys\nprint(sys.argv)", "a", "ñ").stdout == "['-c', 'a', 'ñ']\n"
    third = run_fresh("print(torch)")  # loaded in the server, and still not imported by the program
    assert third.returncode == 1 and "NameError" in third.stderr


@pytest.mark.parametrize("name", ["core.catalog", "streamlit", "tests.conftest", "pages"])
def test_a_program_that_is_alone_cannot_import_the_app(name: str) -> None:
    assert "ModuleNotFoundError" in run_fresh(f"import {name}").stderr


def test_a_program_may_be_let_import_the_app() -> None:
    done = run_fresh("import sys\nprint('core' in sys.modules)\nfrom core.catalog import entry", alone=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "False\n")


def test_a_program_ends_as_python_ends_it() -> None:
    assert run_fresh("raise SystemExit(3)").returncode == 3
    refused = run_fresh("import sys\nsys.exit('no')")
    assert (refused.returncode, refused.stderr) == (1, "no\n")
    assert run_fresh("import os\nos.kill(os.getpid(), 9)").returncode < 0
    assert run_fresh("input()").stderr.rstrip().endswith("EOFError: EOF when reading a line")


@pytest.mark.skipif(sys.platform == "darwin", reason="no server there")
def test_a_program_that_hangs_is_killed() -> None:
    assert run_fresh("while True: pass", timeout=1).returncode < 0
    assert run_fresh("print(1)").stdout == "1\n"


def test_another_environment_of_the_hub_is_seen(tmp_path: Path) -> None:
    program = "from huggingface_hub import constants\nprint(constants.HF_HUB_CACHE)"
    assert run_fresh(program, HF_HUB_CACHE=str(tmp_path)).stdout.strip() == str(tmp_path)
