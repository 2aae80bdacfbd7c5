"""A random translator of the project's own architecture, for tests that need no trained one."""

from pathlib import Path

from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.training.recipes import mini_mt
from tests.runtime.models import tiny_entry

PAIRS = [
    ("The dog runs in the field.", "El perro corre por el campo."),
    ("The girl eats an apple.", "La niña come una manzana."),
    ("It rains a lot today.", "Hoy llueve mucho."),
] * 10


def write_translator(folder: Path) -> Path:
    """Writes it as the recipe does."""
    import torch

    torch.manual_seed(3)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = mini_mt.train_tokenizer(PAIRS, folder.parent / "bpe.json")
    net = mini_mt.build_model(tokenizer.get_vocab_size(), width=32, encoder=1, decoder=2)
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(3.0)  # a random model must not always say the same
    mini_mt.export(net, tokenizer, folder)
    return folder


def translator(folder: Path) -> ModelBundle:
    """The same, loaded as it would ship, with eager attention."""
    item = tiny_entry("mt", "Seq2SeqLM", window=48)
    write_translator(folder / item.id)
    return load_bundle(item, Settings(models_dir=folder, offline=True), CPU).with_attention()
