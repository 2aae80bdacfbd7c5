"""Trains the Spanish WordPiece that ships in ``core/models/wordpiece-es``.

    python -m core.training.recipes.wordpiece_es --data ../shared/data --out core/models/wordpiece-es

A cased vocabulary of 31,000 pieces, as many as BETO's, in four steps:

1. Count the words of every source, by BERT's own rules for cutting text at spaces and punctuation.
2. Mix the sources with fixed weights (``MIX``): novels alone would know "alcoba" and not "ordenador". Raising
   the mixed frequencies to ``FLATTEN`` gives rare words, of which unseen text is full, more of a say.
3. Byte-pair merges (Sennrich et al., 2016) up to ``SEED_PIECES`` pieces: more than wanted.
4. Prune: piece by piece, how many more tokens would the text cost without it, under the greedy longest match
   that WordPiece really uses (Wu et al., 2016; Devlin et al., 2019)? The cheapest go, in rounds, until 31,000
   are left. The merges' intermediate steps, which greedy matching never picks, leave first.

Nothing is random: the same text gives the same file, byte for byte.
"""

import argparse
import hashlib
import string
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import regex

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.training.recipes.corpora import WORD, Corpus

SIZE: Final = 31_000
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Shares of the mixed frequencies; chosen on SQuAD-es, InferES, and the dev novels, manuals, laws and Tatoeba.
MIX: Final[Mapping[str, float]] = {
    "es-novels": 0.30,
    "tatoeba": 0.18,
    "en-es-parallel": 0.16,
    "es-leyes-uy": 0.16,
    "wikiann-es": 0.11,
    "es-manuales": 0.06,
    "es-python-docs": 0.01,
    "intent-es": 0.01,
    "bible": 0.01,
}
FLATTEN: Final = 0.8
SEED_PIECES: Final = 45_000
ROUNDS: Final = 6
# The merges are trained on whole counts that add up to this.
SCALE: Final = 30_000_000
# Words longer than this are URLs, identifiers and separators.
LONGEST_WORD: Final = 30
# A letter or sign gets its own piece from this many occurrences on.
RAREST_CHARACTER: Final = 20

# What BertPreTokenizer does: each punctuation mark (Unicode P*, and ASCII signs) stands alone.
_PRETOKEN: Final = regex.compile(r"[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+")
_PUNCTUATION: Final = regex.compile(r"[\p{P}$+<=>^`|~]")
_WESTERN: Final = regex.compile(r"[\p{Latin}\p{Greek}\p{Common}\p{Inherited}]")
# In any case: ASCII, the letters and signs of Latin-1, Greek, and the marks of Spanish and technical writing.
_ALWAYS: Final = frozenset(
    string.ascii_letters
    + string.digits
    + string.punctuation
    + "".join(chr(code) for code in range(0xA1, 0x100) if code != 0xAD)
    + "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω"
    + "ŒœŠšŽžŸ‘’“”–—…•€™→←≤≥≠≈−√∞"
)
# Continuing characters move to this plane so that a plain BPE trainer keeps "a" and "##a" apart.
_PLANE: Final = 0xF0000


def pretokens(text: str) -> list[str]:
    """``text`` cut at spaces and punctuation as ``BertPreTokenizer`` cuts it."""
    return list(_PRETOKEN.findall(text))


def count_words(documents: Iterable[str]) -> Counter[str]:
    """Occurrences of each word and sign."""
    counts: Counter[str] = Counter()
    for text in documents:
        counts.update(_PRETOKEN.findall(text))
    return counts


def alphabet(counts: Iterable[Mapping[str, int]]) -> list[str]:
    """The one-character pieces, sorted: western letters, digits and signs that occur often enough.

    A character that can stand inside a word has a continuing piece too ("ñ" and "##ñ").
    """
    characters: Counter[str] = Counter()
    for source in counts:
        for word, n in source.items():
            for character in word:
                characters[character] += n
    kept = _ALWAYS | {
        c
        for c, n in characters.items()
        if n >= RAREST_CHARACTER and _WESTERN.match(c) and ord(c) < 0x2_0000  # what seed_pieces can shift
    }
    return sorted(kept | {"##" + c for c in kept if not _PUNCTUATION.match(c)})


def mix(
    counts: Mapping[str, Mapping[str, int]], shares: Mapping[str, float], letters: frozenset[str]
) -> dict[str, float]:
    """One frequency a word from all sources, in the order of the words; the frequencies add up to 1.

    Args:
        counts: source → word → occurrences.
        shares: source → its share of the mixture before flattening.
        letters: the characters that have a piece; words with others are left out.
    """
    mixed: defaultdict[str, float] = defaultdict(float)
    for key, share in shares.items():
        words = {
            word: n
            for word, n in counts.get(key, {}).items()
            if len(word) <= LONGEST_WORD and WORD.search(word) and letters.issuperset(word)
        }
        total = sum(words.values())
        for word, n in words.items():
            mixed[word] += share * n / total
    flat = {word: mixed[word] ** FLATTEN for word in sorted(mixed)}
    total_weight = sum(flat.values())
    return {word: weight / total_weight for word, weight in flat.items()}


def seed_pieces(frequencies: Mapping[str, float], size: int) -> list[str]:
    """``size`` pieces by byte-pair merges, written the WordPiece way.

    The library's own WordPieceTrainer numbers "##x" pieces in the order of a hash map, so that ties break
    differently each time; a BPE trainer over shifted characters doesn't.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    def lines() -> Iterator[str]:
        for word, frequency in sorted(frequencies.items(), key=lambda item: (-item[1], item[0])):
            left = round(frequency * SCALE)
            shifted = word[0] + "".join(chr(_PLANE + ord(c)) for c in word[1:]) + " "
            while left > 0:
                yield shifted * min(left, 2000)
                left -= 2000

    def plain(piece: str) -> str:
        text = "".join(chr(ord(c) - _PLANE) if ord(c) >= _PLANE else c for c in piece)
        return "##" + text if ord(piece[0]) >= _PLANE else text

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False)
    backend.train_from_iterator(lines(), trainer)
    return sorted(map(plain, backend.get_vocab()))


def longest_match(word: str, pieces: set[str] | frozenset[str], without: str = "") -> list[str]:
    """WordPiece's greedy cut: the longest piece that fits, again and again; ``[]`` if none fits.

    Args:
        word: one word without spaces.
        pieces: the vocabulary.
        without: a piece to do as if it weren't there.
    """
    cut: list[str] = []
    start = 0
    while start < len(word):
        mark = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = mark + word[start:end]
            if piece in pieces and piece != without:
                cut.append(piece)
                start = end
                break
        else:
            return []
    return cut


def prune(seed: Iterable[str], frequencies: Mapping[str, float], keep: frozenset[str], size: int) -> set[str]:
    """The ``size`` pieces of ``seed`` without which the text would cost the most tokens.

    Args:
        seed: the pieces to choose from.
        frequencies: word → frequency; the order of the words fixes the rounding of the sums.
        keep: pieces that always stay (the alphabet).
        size: how many to leave, ``keep`` included.
    """
    pieces = set(seed) | keep
    cuts = {word: longest_match(word, pieces) for word in frequencies}
    for turn in range(ROUNDS):
        excess = len(pieces) - size
        if excess <= 0:
            break
        loss: defaultdict[str, float] = defaultdict(float)
        for word, frequency in frequencies.items():
            cut = cuts[word]
            for piece in set(cut) - keep:
                loss[piece] += frequency * (len(longest_match(word, pieces, piece)) - len(cut))
        # Half of what is too much each time: a piece's loss changes when its rivals are gone.
        leaving = excess if turn == ROUNDS - 1 else max(excess // 2, 1)
        ranked = sorted(pieces - keep, key=lambda piece: (loss[piece], piece))
        dead = set(ranked[:leaving])
        pieces -= dead
        for word, cut in cuts.items():
            if not dead.isdisjoint(cut):
                cuts[word] = longest_match(word, pieces)
    return pieces


def train(counts: Mapping[str, Mapping[str, int]], shares: Mapping[str, float], size: int) -> list[str]:
    """The vocabulary in the order of its ids: special tokens, alphabet, then pieces by their use.

    Args:
        counts: source → word → occurrences.
        shares: source → its share of the mixture.
        size: pieces in all, special tokens included.
    """
    letters = alphabet(counts.values())
    frequencies = mix(counts, shares, frozenset(c for c in letters if len(c) == 1))
    keep = frozenset(letters)
    seed = seed_pieces(frequencies, max(size * SEED_PIECES // SIZE, size))
    pieces = prune(seed, frequencies, keep, size - len(SPECIAL))
    used: defaultdict[str, float] = defaultdict(float)
    for word, frequency in frequencies.items():
        for piece in longest_match(word, pieces):
            used[piece] += frequency
    rest = sorted(pieces - keep, key=lambda piece: (-used[piece], piece))
    return [*SPECIAL, *letters, *rest]


def save(vocabulary: Sequence[str], out: Path) -> None:
    """Writes ``vocabulary`` in the ``save_pretrained`` layout, for ``AutoTokenizer.from_pretrained``."""
    from transformers import BertTokenizer

    out.mkdir(parents=True, exist_ok=True)
    tokenizer = BertTokenizer(
        vocab={piece: id for id, piece in enumerate(vocabulary)},
        do_lower_case=False,
        strip_accents=False,
        tokenize_chinese_chars=True,
        model_max_length=512,
    )
    tokenizer.save_pretrained(str(out))
    # On one line it is a third smaller.
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    (out / "vocab.txt").write_text("".join(piece + "\n" for piece in vocabulary), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train the Spanish WordPiece of the workshop.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the text sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the tokenizer to")
    parser.add_argument("--size", type=int, default=SIZE, help="pieces in the vocabulary (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.size < 1000:
        raise SystemExit(_("--size debe ser 1000 o más: solo el alfabeto ya ocupa cientos de piezas."))
    begun = time.perf_counter()
    corpus = Corpus(options.data)
    counts: dict[str, Counter[str]] = {}
    try:
        for source in corpus.sources():
            characters = documents = 0
            words: Counter[str] = Counter()
            for document in corpus.iter_documents(source, "train"):
                documents += 1
                characters += len(document.text)
                words.update(_PRETOKEN.findall(document.text))
            counts[source.key] = words
            print(
                f"{source.key:16} {documents:7,} documents {characters:12,} characters "
                f"{sum(words.values()):11,} words and signs  share {MIX[source.key]:.2f}  "
                f"dropped as held out: {corpus.dropped[source.key][1]:,} paragraphs",
                flush=True,
            )
    except InputInvalid as error:
        raise SystemExit(str(error)) from None
    vocabulary = train(counts, MIX, options.size)
    save(vocabulary, options.out)
    digest = hashlib.sha256((options.out / "vocab.txt").read_bytes()).hexdigest()
    print(f"{len(vocabulary):,} pieces in {time.perf_counter() - begun:.0f} s; vocab.txt SHA-256 {digest}")


if __name__ == "__main__":
    main()
