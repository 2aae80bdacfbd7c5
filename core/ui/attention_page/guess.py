"""The Atención page's question: which word does this one look at most?"""

from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.attention import AttentionMap, word_groups
from core.lens.attention_inputs import TextPair
from core.tasks.coreference import find_pronouns
from core.ui.attention_page.words import group_text
from core.ui.guess import Question, question_key


def _asked(amap: AttentionMap, text: str, row: int | None) -> int | None:
    """Which word's look is asked for, as an index of the rows' words: the chosen, a pronoun, or the last but one."""
    words = word_groups(amap.rows)
    own = [index for index, group in enumerate(words) if not amap.rows[group[0]].special]
    if row is not None:
        chosen = [index for index in own if row in words[index]]
        if chosen:
            return chosen[0]
    pronouns = {text[start:end] for start, end in find_pronouns(text, get_language())}  # type: ignore[arg-type]
    for index in own:
        if group_text(amap.rows, words[index]) in pronouns:
            return index
    letters = [index for index in own if group_text(amap.rows, words[index]).isalpha()]
    return letters[-1] if letters else None


def look_question(model: str, name: str, pair: TextPair, amap: AttentionMap, row: int | None) -> Question | None:
    """Asks which other word gets most of a word's attention, in the mean over all layers and heads.

    Args:
        model: the model's key.
        name: the model's name.
        pair: the texts.
        amap: what was read.
        row: the token that is chosen, if one is.
    """
    asked = _asked(amap, pair.first, row)
    if asked is None:
        return None
    rows, columns = word_groups(amap.rows), word_groups(amap.columns)
    mean = amap.weights.mean(axis=(0, 1))[list(rows[asked])].mean(axis=0)  # (columns,)
    shares = {
        index: float(mean[list(group)].sum())
        for index, group in enumerate(columns)
        if not amap.columns[group[0]].special
        and (amap.kind == "cross" or index != asked)
        # A decoder doesn't see what comes later.
        and (amap.kind != "decoder" or group[0] <= rows[asked][-1])
        and group_text(amap.columns, group).strip().isalnum()
    }
    if len(shares) < 2:
        return None
    names = {
        str(index): f"{place}. {group_text(amap.columns, columns[index])}" for place, index in enumerate(shares, 1)
    }
    return Question(
        key=question_key("attention", model, pair, asked),
        ask=_(
            "¿A qué otra palabra mira más «{word}» en {name}, de media en todas las capas y cabezas? (Los tokens "
            "especiales y los signos no cuentan.)"
        ).format(word=group_text(amap.rows, rows[asked]).strip(), name=name),
        answers=tuple(str(index) for index in sorted(shares, key=lambda index: -shares[index])),
        options=tuple(names),
        names=lambda value: names.get(value, value),
    )
