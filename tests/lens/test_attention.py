"""Weights of the three families: shapes, sums, masks, tokens and their words, pairs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.lens.attention import AttentionMap, Token, word_groups
from core.lens.attention_inputs import TextPair, _walk, prepare
from core.lens.attention_reading import TASK, Reading
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import SENTENCE, _bundle, byte_tokenizer, family, minilm_eager, reference
from tests.tasks.translators import translator

SPANISH = "El perro come una manzana roja."


def read(bundle: ModelBundle, *texts: str, kind: str | None = None) -> Reading:
    eager = bundle if bundle.eager else bundle.with_attention()
    with torch.inference_mode():
        return TASK.run(eager, [TextPair(*texts, kind=kind)])[0]  # type: ignore[arg-type]


def check(amap: AttentionMap, layers: int, heads: int) -> None:
    assert amap.weights.shape == (layers, heads, len(amap.rows), len(amap.columns))
    assert amap.weights.dtype == np.float32
    assert np.abs(amap.weights.sum(-1, dtype=np.float64) - 1).max() < 1e-5
    assert amap.weights.min() >= 0
    if amap.kind == "decoder":
        assert (np.triu(amap.weights, 1) == 0).all()
        assert (np.tril(amap.weights) > 0).any()
    if amap.kind != "cross":
        assert amap.rows is amap.columns


def test_the_encoder_that_ships() -> None:
    found = read(minilm_eager(), SENTENCE)
    check(found.map, 6, 12)
    assert found.map.kind == "encoder" and found.kinds == ("encoder",) and found.decoded == ""
    assert [t.text for t in found.map.rows][:4] == ["[CLS]", "the", "keys", "to"]
    # An encoder sees in both directions.
    assert np.triu(found.map.weights, 1).max() > 0.1


@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_encoders(name: str) -> None:
    check(read(family(name), "hola mundo . el niños").map, 2, 2)


@pytest.mark.parametrize(("name", "layers"), [("gpt2", 3), ("llama", 2)])
def test_decoders_are_triangular(name: str, layers: int) -> None:
    amap = read(family(name), SPANISH).map
    check(amap, layers, 4)
    assert amap.kind == "decoder"
    assert (amap.weights[:, :, 0, 0] == 1).all()


@pytest.mark.parametrize(("name", "layers", "heads"), [("bart", (2, 3), (4, 2)), ("t5", (2, 2), (4, 4))])
def test_encoder_decoders_have_three_attentions(name: str, layers: tuple[int, int], heads: tuple[int, int]) -> None:
    bundle = family(name)
    found = read(bundle, SPANISH, "La una y la otra.")
    assert found.kinds == ("cross", "encoder", "decoder") and found.decoded == "La una y la otra."
    check(found.map, layers[1], heads[1])
    assert "".join(t.text for t in found.map.columns if not t.special) == SPANISH.replace(" ", "")
    written = [t.text for t in found.map.rows if not t.special]
    assert "".join(written).replace("␣", "") == "Launaylaotra.", "a space alone is shown as a sign"
    check(read(bundle, SPANISH, kind="encoder").map, layers[0], heads[0])
    check(read(bundle, SPANISH, "Hola", kind="decoder").map, layers[1], heads[1])


def test_a_decoder_of_an_encoder_decoder_writes_when_nothing_is_given() -> None:
    bundle = family("bart")
    first = read(bundle, SPANISH)
    assert len(first.written) == len(first.map.rows) > 1
    with torch.inference_mode():
        again = TASK.run(bundle.with_attention(), [TextPair(SPANISH, kind="cross", written=first.written)])[0]
    assert np.array_equal(first.map.weights, again.map.weights)


def test_the_projects_own_translator(tmp_path: Path) -> None:
    found = read(translator(tmp_path), "The dog runs in the field.")
    check(found.map, 2, found.map.heads)
    assert "".join(t.text for t in found.map.columns if not t.special) == "Thedogrunsinthefield."


def test_real_small_models(shared_dir: Path) -> None:
    story = read(reference("tinystories", shared_dir), "Once upon a time, Lily ran.").map
    check(story, 2, 8)
    assert story.kind == "decoder" and story.rows[0].special
    sounds = read(reference("g2p-en", shared_dir), "transformer")
    check(sounds.map, 1, 1)
    assert sounds.decoded == "tɹænsfˈɔɹməɹ"
    assert [t.text for t in sounds.map.columns] == ["<s>", *"transformer", "</s>"]
    # It reads "f" when it has just written the sound before it.
    written = [t.text for t in sounds.map.rows]
    assert sounds.map.columns[int(sounds.map.weights[0, 0, written.index("s")].argmax())].text == "f"


# --- tokens -----------------------------------------------------------------------------------------------


def words(tokens: tuple[Token, ...]) -> list[list[str]]:
    return [[tokens[i].text for i in group] for group in word_groups(tokens)]


def test_pieces_know_their_word_and_place() -> None:
    text = "El <b>niño</b> comió, tokenization."
    tokens = read(minilm_eager(), text).map.rows
    assert ["com", "io"] in words(tokens) and ["token", "ization"] in words(tokens)
    for token in tokens:
        if not token.special:
            assert 0 <= token.start < token.end <= len(text)
    piece = next(t for t in tokens if t.text == "io")
    assert piece.piece == "##io" and piece.continues and text[piece.start : piece.end] == "ió"
    assert [t.text for t in tokens if t.special] == ["[CLS]", "[SEP]"]
    assert all(t.word == -1 for t in tokens if t.special)
    # What looks like HTML is text like any other.
    assert [t.text for t in tokens][2:5] == ["<", "b", ">"]


def test_a_pair_has_two_segments_with_their_own_offsets() -> None:
    tokens = read(minilm_eager(), "The cat sleeps.", "A dog runs.").map.rows
    assert [t.text for t in tokens if t.segment == 1] == ["a", "dog", "runs", ".", "[SEP]"]
    dog = next(t for t in tokens if t.text == "dog")
    assert (dog.start, dog.end, dog.word) == (2, 5, 1)
    assert [t.segment for t in tokens if t.special] == [0, 0, 1]


def test_a_decoder_reads_a_pair_one_after_the_other() -> None:
    tokens = read(family("gpt2"), "El perro", "y un gato.").map.rows
    assert "".join(t.text for t in tokens if t.segment == 0) == "Elperro"
    assert "".join(t.text for t in tokens if t.segment == 1) == "yungato."
    second = [t for t in tokens if t.segment == 1]
    assert second[0].word == 0 and second[0].start == 0 and not second[0].continues
    assert second[-1].end == len("y un gato.")


def test_bytes_of_one_letter_belong_to_one_word() -> None:
    tokens = read(family("gpt2"), "ñandú 🧉").map.rows
    assert len(word_groups(tokens)[0]) >= 2
    assert all(t.text for t in tokens), "a token that shows nothing can't be pointed at"
    assert words(tokens)[-1][0] != words(tokens)[0][0]


def test_pieces_are_found_in_the_text_when_the_tokenizer_gives_no_places() -> None:
    text = "El niño comió."
    shown = ["el", "niño", "com", "ió", ".", "</s>"]
    spans = _walk(text, shown, [False] * 5 + [True])
    assert [text[a:b] for a, b in spans] == ["El", "niño", "com", "ió", ".", ""]
    assert _walk("abc", ["x", "c"], [False, False]) == [(0, 0), (2, 3)]


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_no_text(text: str) -> None:
    with pytest.raises(InputInvalid, match="vacío"):
        read(minilm_eager(), text)


def test_512_tokens_fit_and_513_do_not() -> None:
    amap = read(minilm_eager(), "dog " * 510).map
    check(amap, 6, 12)
    assert len(amap.rows) == 512
    with pytest.raises(InputTooLong, match="513 tokens"):
        read(minilm_eager(), "dog " * 511)


def test_two_texts_whose_sum_is_over_the_window_say_how_long_each_is() -> None:
    with pytest.raises(InputTooLong, match=r"suman 603 tokens.*A: 300, B: 300.*512"):
        read(minilm_eager(), "dog " * 300, "cat " * 300)


def test_512_emoji() -> None:
    emoji = "😀" * 512
    amap = read(minilm_eager(), emoji).map
    assert [t.piece for t in amap.rows] == ["[CLS]", "[UNK]", "[SEP]"]
    with pytest.raises(InputTooLong):
        read(minilm_eager(), "😀 " * 512)
    with pytest.raises(InputTooLong):
        read(family("gpt2"), emoji)


def test_lone_surrogates_and_controls() -> None:
    check(read(minilm_eager(), "a \ud800 b \x00 c \u202e d").map, 6, 12)


def test_a_model_without_that_attention() -> None:
    with pytest.raises(ModelUnavailable, match="esa clase de atención"):
        read(minilm_eager(), "hola", kind="cross")


def test_a_model_without_attentions() -> None:
    import transformers as tf

    config = tf.MambaConfig(vocab_size=len(byte_tokenizer()), hidden_size=32, num_hidden_layers=1, state_size=4)
    mamba = _bundle(tf.MambaForCausalLM(config), byte_tokenizer(), "mamba", "CausalLM", "decoder")
    with pytest.raises(ModelUnavailable, match="no entrega atenciones"), torch.inference_mode():
        TASK.run(mamba, [TextPair("hola")])


def test_without_the_eager_view_nothing_is_shown_rather_than_something_wrong() -> None:
    from tests.lens.attention_models import minilm

    with pytest.raises(ModelUnavailable), torch.inference_mode():
        TASK.run(minilm(), [TextPair("hello")])


def test_a_matrix_beside_the_wrong_tokens_is_refused() -> None:
    token = Token("a", "a", 0, 1, 0, False, 0, False)
    with pytest.raises(ValueError, match="tokens"):
        AttentionMap("x", "encoder", (token,), (token,), np.zeros((1, 1, 2, 2), dtype=np.float32))


def test_prepare_leaves_the_tokenizer_as_it_was() -> None:
    bundle = minilm_eager()
    before = len(prepare(bundle, TextPair(SENTENCE)).rows)
    bundle.encode(["short", "a longer text here"], truncate=True)
    assert len(prepare(bundle, TextPair(SENTENCE)).rows) == before
