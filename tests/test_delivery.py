"""What newcomers and hosts receive: pins, README, container, hosting settings, the top-level layout."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

import pytest

from core.settings import markdown_table

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    "app.py",
    "pages",
    "core",
    "tests",
    ".streamlit",
    "requirements.txt",
    "Dockerfile",
    "compose.yaml",
    "README.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-ray.txt",
    ".ci",
    ".dockerignore",
    ".gitignore",
    ".gitattributes",
}
# Test requirements that are programs, types or plug-ins: nothing imports them.
NOT_IMPORTED = {
    "pytest-xdist",
    "pytest-timeout",
    "pytest-instafail",
    "ruff",
    "mypy",
    "import-linter",
    "pandas-stubs",
    "types-cachetools",
}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _requirements(name: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in _text(name).splitlines())
    return [line for line in lines if line]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.split("[")[0]).lower()


def _pins(name: str) -> dict[str, str]:
    pairs = (line.split("==") for line in _requirements(name) if not line.startswith("-r"))
    return {_normal(package): version for package, version in pairs}


def _git(*arguments: str) -> list[str]:
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name]


# --- requirements -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-ray.txt"])
def test_requirements_are_exact_pins_without_repeats(name: str) -> None:
    packages = [line for line in _requirements(name) if not line.startswith("-r ")]
    for line in packages:
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9]+(\.[0-9]+)*", line), line
    assert len({_normal(line.split("==")[0]) for line in packages}) == len(packages)


def test_torch_is_2_13_0_in_the_requirements_and_in_the_image() -> None:
    assert _pins("requirements.txt")["torch"] == "2.13.0"
    assert re.findall(r"^ARG TORCH_VERSION=(.*)$", _text("Dockerfile"), re.M) == ["2.13.0"]


def test_dev_requirements_include_the_apps() -> None:
    assert "-r requirements.txt" in _requirements("requirements-dev.txt")
    assert not set(_pins("requirements.txt")) & set(_pins("requirements-dev.txt"))


@cache
def _imported(folder: str) -> dict[str, str]:
    """Top-level modules imported by the Python files under ``folder``, each with a file that does."""
    files = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py"))
    modules: dict[str, str] = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            modules |= {name.split(".")[0]: str(file.relative_to(ROOT)) for name in names}
    return modules


def _unpinned(folders: tuple[str, ...], pinned: set[str]) -> dict[str, str]:
    distributions = packages_distributions()
    own = {"core", "pages", "tests", "app"} | set(sys.stdlib_module_names)
    return {
        module: file
        for folder in folders
        for module, file in _imported(folder).items()
        if module not in own and not pinned & {_normal(name) for name in distributions.get(module, [module])}
    }


def test_what_the_app_imports_is_pinned() -> None:
    # A package that only comes with another one disappears on the day the other drops it.
    unpinned = _unpinned(("app.py", "core", "pages"), set(_pins("requirements.txt")))
    # The contracts of the imports see to it that only core.cluster imports it.
    assert set(unpinned) == set(_pins("requirements-ray.txt")) == {"ray"}


def test_what_the_tests_import_is_pinned_and_nothing_more_is() -> None:
    pins = set().union(*(_pins(f"requirements{kind}.txt") for kind in ("", "-dev", "-ray")))
    assert _unpinned(("tests",), pins) == {}
    distributions = packages_distributions()
    used = {_normal(name) for module in _imported("tests") for name in distributions.get(module, [])}
    assert set(_pins("requirements-dev.txt")) - used <= NOT_IMPORTED


# --- README and licence -------------------------------------------------------------------------------


def test_readme_settings_table_is_the_codes() -> None:
    written = _text("README.md").split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert written.strip() == markdown_table().strip(), "paste what `python -m core.settings` prints"


def test_readme_front_matter_is_what_spaces_needs() -> None:
    head = _text("README.md").split("---")[1]
    fields = dict(line.split(": ", 1) for line in head.strip().splitlines())
    assert (fields["sdk"], fields["app_port"], fields["license"]) == ("docker", "8501", "apache-2.0")
    assert {fields["colorFrom"], fields["colorTo"]} <= {
        "red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"
    }  # fmt: skip
    assert len(fields["short_description"]) <= 60
    assert f"EXPOSE {fields['app_port']}\n" in _text("Dockerfile")


def test_readme_points_at_things_that_exist() -> None:
    text = _text("README.md")
    outside_code = re.sub(r"```.*?```", "", text, flags=re.S)
    links = re.findall(r"\]\(([^)]+)\)", outside_code)
    assert any(link.startswith("core/course/img/") for link in links), "the screenshot"
    headings = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", outside_code, re.M)
    }
    for link in links:
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (ROOT / link).is_file(), link
    targets = set(re.findall(r"^([a-z-]+):", _text("Makefile"), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) - {"a"} <= targets


def test_licence_is_apache_2_with_our_copyright() -> None:
    text = _text("LICENSE")
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in text
    assert "Copyright 2026 Taller de Transformers contributors" in text


# --- container ------------------------------------------------------------------------------------------


def _is_ignored(path: str) -> bool:
    """Whether ``.dockerignore`` keeps ``path`` out of the build: the last pattern that matches decides.

    Covers what the file uses: literal paths, ``*`` in one component, a leading ``**/``, and ``!``; a pattern
    that matches a folder matches all that is in it.
    """
    ignored = False
    for line in _text(".dockerignore").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.removeprefix("!").strip("/")
        anywhere, pattern = pattern.startswith("**/"), pattern.removeprefix("**/")
        parts = PurePosixPath(path).parts
        prefixes = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        if anywhere:
            prefixes = list(parts)
        regex = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\[", "[").replace(r"\]", "]")
        if any(re.fullmatch(regex, prefix) for prefix in prefixes):
            ignored = not keep
    return ignored


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (?:--\S+ )*(.+)$", _text("Dockerfile"), re.M)
    return [source for line in lines for source in line.split()[:-1]]


def test_the_image_gets_everything_the_app_needs() -> None:
    sources = _copied()
    assert {"app.py", "core", "pages", ".streamlit/config.toml", "requirements.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not _is_ignored(source), source


def test_no_file_of_the_app_is_kept_out_of_the_image() -> None:
    for name in _git("--cached", "--others", "--exclude-standard", "app.py", "core", "pages"):
        assert not _is_ignored(name), name


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".streamlit/secrets.toml",
        ".venv/bin/python",
        "core/__pycache__/settings.cpython-311.pyc",
        "pages/home.pyc",
        "runs/1/model.safetensors",
        "tests/conftest.py",
    ],
)
def test_secrets_and_leftovers_stay_out_of_the_image(name: str) -> None:
    assert _is_ignored(name)


def test_the_image_runs_without_root_and_watches_its_health() -> None:
    text = _text("Dockerfile")
    instructions = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    user = instructions.index("USER 1000")
    assert instructions[-1].startswith("CMD ") and user < len(instructions) - 1
    after = instructions[user:]
    assert not any(line.startswith("COPY") for line in after)
    # The one thing done as that user: fetching models, if asked to, before the volume hides what is written.
    (fetch,) = [line for line in after if line.startswith("RUN")]
    assert "python -m core.catalog fetch $FETCH" in fetch and 'ARG FETCH=""' in after
    assert after.index(fetch) < after.index("VOLUME /data")
    assert text.index("COPY requirements.txt") < text.index("RUN pip install -r") < text.index("COPY core")
    snippet = re.search(r'HEALTHCHECK.*?CMD \["python", "-c", "(.*?)"\]', text, re.S)
    assert snippet
    compile(snippet[1], "healthcheck", "exec")
    assert "http://127.0.0.1:8501/_stcore/health" in snippet[1]


# --- hosting and set-up -----------------------------------------------------------------------------------


def test_streamlit_is_hardened_for_hosting() -> None:
    config = tomllib.loads(_text(".streamlit/config.toml"))
    server = config["server"]
    assert config["browser"]["gatherUsageStats"] is False
    assert server["enableXsrfProtection"] is True and server["enableCORS"] is True
    # A corpus of 2 MB must fit; little more should.
    assert 2 <= server["maxUploadSize"] <= 5
    assert config["client"]["showErrorDetails"] == "none"
    # Otherwise the first start on a machine waits in the terminal for an e-mail address.
    assert server.get("headless") is True or server.get("showEmailPrompt") is False


def test_ci_runs_the_whole_gate() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make --no-print-directory test")
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_make_test_runs_every_check_in_order() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "test", "PYTEST_ARGS=-k chips"],
        cwd=ROOT,
        # Without the options of the make that may have started these tests.
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
        check=True,
    )
    steps = [
        "ruff check .",
        "ruff format --check .",
        "-m mypy",
        "lint-imports",
        "-m pytest -n 2 --dist loadfile --no-loadscope-reorder -k chips",
    ]
    found = [done.stdout.find(step) for step in steps]
    assert -1 not in found and found == sorted(found), dict(zip(steps, found, strict=True))


def test_top_level_holds_only_what_the_layout_names() -> None:
    names = {PurePosixPath(name).parts[0] for name in _git("--cached", "--others", "--exclude-standard")}
    assert names <= TOP_LEVEL, names - TOP_LEVEL
