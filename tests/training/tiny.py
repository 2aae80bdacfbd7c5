"""A tiny encoder on disk and tiny sets that it can learn in seconds."""

from pathlib import Path
from typing import Any

from core.settings import Settings
from core.training.data import DataSet, Labelled, Question, Tagged

BASE = "beto-cased"
_ID = "dccuchile/bert-base-spanish-wwm-cased"
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_COLOURS = ("rojo", "verde", "azul", "blanco")
_ANIMALS = ("gato", "perro", "pez", "loro")
_FILL = ("el", "un", "mi", "tu", "veo", "quiero", "hay", "donde", "vive", "casa", "en", "la", "que", "ve", "luis")
VOCABULARY = [*_SPECIAL, *_COLOURS, *_ANIMALS, *_FILL, "##s", "?", "."]


def write_encoder(hub: Path, *, seed: int = 0) -> Path:
    """A random BERT of two layers under the name of a catalogue model, in ``hub``."""
    import torch
    from transformers import BertConfig, BertForPreTraining

    folder = hub / _ID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "model_max_length": 512}', encoding="utf-8"
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        # With the usual 0.02, a random body says nearly the same of every text.
        initializer_range=0.1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForPreTraining(config)
    model.config.architectures = ["BertForPreTraining"]
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def settings(hub: Path, runs: Path | None = None, **more: Any) -> Settings:
    return Settings(models_dir=hub, training_dir=runs, device="cpu", offline=True, **more)


def colours() -> DataSet:
    """Texts about a colour or about an animal."""

    def texts(frames: tuple[str, ...]) -> tuple[Labelled, ...]:
        return tuple(
            Labelled(frame.format(word), label)
            for frame in frames
            for label, words in enumerate((_COLOURS, _ANIMALS))
            for word in words
        )

    train = texts(
        ("veo el {}", "quiero un {}", "hay un {}", "mi {}", "el {}", "un {}", "veo un {}", "quiero el {}", "tu {}")
    )
    return DataSet(
        "classification", "colores", "es", "", "", train, texts(("veo mi {}", "quiero tu {}")), ("color", "animal")
    )


def animals() -> DataSet:
    """Sentences in which animals, and pairs of them, are to be found."""

    def sentences(frames: tuple[str, ...]) -> tuple[Tagged, ...]:
        found = []
        for frame in frames:
            for word in (*_ANIMALS, *_COLOURS):
                words = tuple(frame.format(word).split())
                tag = "B-ANIMAL" if word in _ANIMALS else "O"
                found.append(Tagged(words, tuple(tag if w == word else "O" for w in words)))
        return tuple(found)

    train = sentences(
        ("veo el {}", "quiero un {}", "hay un {}", "mi {} vive", "el {}", "un {}", "veo un {}", "tu {} vive")
    )
    return DataSet(
        "entities",
        "animales",
        "es",
        "",
        "",
        train,
        sentences(("veo mi {}", "hay el {}")),
        ("O", "B-ANIMAL", "I-ANIMAL"),
    )


def where() -> DataSet:
    """Which animal does somebody see?"""

    def questions(frames: tuple[str, ...]) -> tuple[Question, ...]:
        found = []
        for frame in frames:
            for animal in _ANIMALS:
                for colour in _COLOURS:
                    context = frame.format(animal, colour)
                    found.append(Question("que ve luis ?", context, ((context.index(animal), animal),)))
        return tuple(found)

    train = questions(("luis ve un {} en la casa {}", "luis ve mi {0} . casa {1}", "en la casa {1} luis ve un {0}"))
    return DataSet("questions", "qué ve", "es", "", "", train, questions(("luis ve el {0} . hay un {1}",)), ())
