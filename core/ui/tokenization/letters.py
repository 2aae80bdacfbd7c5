"""View "¿Qué le pasó a mi ñ?": letter by letter, and the words that become one and the same."""

import streamlit as st

from core.catalog import entry
from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.lens.letters import (
    AccentCoverage,
    Collision,
    LetterFate,
    accent_coverage,
    accented_words,
    collisions,
    letters,
)
from core.lens.tokenization import Segment, check_text, segment
from core.lens.vocabulary import readable
from core.runtime.tokenizer import TokenizerBundle
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.share import Download, share_row
from core.ui.steps import Chip, ChipKind, ChipRow, Stage, step_view
from core.ui.tokenization.form import STATE, WORD

_SHOWN_AT_ONCE = 4
_COLLISIONS_SHOWN = 12
_LETTERS_SHOWN = 12
_WORD_LETTERS = 30
_ACCENTED_SHOWN = 5
_BETO_ISSUE = "https://github.com/dccuchile/beto/issues/7"


def _name(bundle: TokenizerBundle) -> str:
    return entry(bundle.key).name(get_language())


def _collision_stage(found: list[Collision]) -> Stage:
    title = _("Palabras que se vuelven iguales")
    if not found:
        return Stage(title, _("Ninguna en este texto: este tokenizador las distingue todas."))
    shown = found[:_COLLISIONS_SHOWN]
    rows = [
        ChipRow(
            _("las dos en tu texto") if clash.other_from == "text" else _("otra palabra que existe"),
            (
                Chip(clash.word, "piece"),
                Chip("+", "dim"),
                Chip(clash.other, "piece" if clash.other_from == "text" else "plain"),
                Chip("→", "dim"),
                Chip(
                    clash.normalized,
                    "unknown" if clash.kind == "accent" else "changed",
                    spoken=_("lo que ve el modelo"),
                ),
            ),
            {
                "case": _("solo cambian las mayúsculas"),
                "form": _("se ven igual, pero están escritas con otros códigos Unicode"),
                "accent": "",
            }[clash.kind],
        )
        for clash in shown
    ]
    left = len(found) - len(shown)
    if left:
        rows.append(ChipRow("", (Chip("…", "dim"),), ngettext("y {n} más", "y {n} más", left).format(n=left)))
    return Stage(
        title,
        _("Lo que el modelo recibe es lo de la derecha: ya no puede saber cuál escribiste."),
        tuple(rows),
    )


def _letter_chip(text: str, before: str) -> Chip:
    if not text:
        return Chip("∅", "unknown", spoken=_("desaparece"))
    return Chip(text, "changed" if text != before else "plain", spoken=_("cambió") if text != before else "")


def _word_stage(word: str, text: str, bundle: TokenizerBundle) -> Stage:
    fates = letters(word, bundle, every=True)[:_WORD_LETTERS]
    rows = [
        ChipRow(_("escribiste"), tuple(Chip(fate.letter, "plain") for fate in fates)),
        ChipRow(_("en minúsculas"), tuple(_letter_chip(fate.lowered, fate.letter) for fate in fates)),
        ChipRow(_("sin acentos"), tuple(_letter_chip(fate.stripped, fate.lowered) for fate in fates)),
        ChipRow(_("ve el modelo"), tuple(_letter_chip(fate.normalized, fate.letter) for fate in fates)),
    ]
    unknown = bundle.definition["model"].get("unk_token")
    tokens = bundle.encode(word, add_special_tokens=False).tokens
    pieces = tuple(Chip(readable(token, bundle).display, "unknown" if token == unknown else "hit") for token in tokens)
    rows.append(ChipRow(_("piezas"), pieces))
    lowers = any(fate.lowered != fate.letter for fate in fates)
    strips = any(fate.stripped != fate.lowered for fate in fates)
    if strips:
        note = _("Este tokenizador quita los acentos, y la ñ se queda en n.")
    elif lowers:
        note = _("Este tokenizador pasa a minúsculas, pero conserva los acentos.")
    else:
        note = _("A esta palabra no le cambia ninguna letra.")
    return Stage(_("Letra por letra"), note, tuple(rows))


def _change_label(fate: LetterFate) -> str:
    if fate.unknown:
        return _("no está en el vocabulario: se vuelve desconocida")
    if fate.change in {"accent", "both"} and fate.letter[0] in "ñÑ":
        # The tilde of ñ is no accent: ñ is a letter of its own.
        return _("se convierte en otra letra")
    return {
        "kept": _("se conserva"),
        "case": _("pierde la mayúscula"),
        "accent": _("pierde el acento"),
        "both": _("pierde la mayúscula y el acento"),
        "lost": _("desaparece"),
        "other": _("se escribe de otra forma"),
    }[fate.change]


def _kind(fate: LetterFate) -> ChipKind:
    if fate.lost:
        return "unknown"
    return "changed" if fate.changed else "hit"


def _letters_stage(fates: list[LetterFate]) -> Stage:
    title = _("Las letras especiales de tu texto")
    if not fates:
        return Stage(title, _("No hay tildes, eñes ni otras letras fuera del alfabeto inglés."))
    rows = tuple(
        ChipRow(
            "",
            (Chip(fate.letter, "plain"), Chip("→", "dim"), Chip(fate.normalized or "∅", _kind(fate))),
            _change_label(fate) + (f" (×{format_number(fate.count)})" if fate.count > 1 else ""),
        )
        for fate in fates[:_LETTERS_SHOWN]
    )
    return Stage(title, "", rows)


def _accent_stage(text: str, bundle: TokenizerBundle) -> Stage | None:
    """The text's accented words beside the same words without accents; ``None`` if there are none."""
    found = accented_words(text, bundle)[:_ACCENTED_SHOWN]
    if not found:
        return None
    all_same = all(pair.same for pair in found)
    rows = []
    for pair in found:
        kind: ChipKind = "unknown" if pair.unknown else "hit"
        own = tuple(Chip(readable(piece, bundle).display, kind) for piece in pair.pieces)
        bare = tuple(Chip(readable(piece, bundle).display, "plain") for piece in pair.bare_pieces)
        remark = _("el modelo no ve diferencia") if pair.same and not all_same else ""
        rows.append(ChipRow(pair.word, own))
        rows.append(ChipRow(pair.bare, bare, remark))
    if bundle.key == "beto-uncased":
        note = _(
            "Las piezas con tilde existen, pero los textos con que se entrenó BETO uncased no llevaban tildes: "
            "el modelo aprendió las de abajo, y al escribir bien le das piezas que casi no ha visto."
        )
    elif all_same:
        note = _("Con tilde o sin ella, al modelo le llegan las mismas piezas.")
    else:
        note = _("La misma palabra escrita con tilde y sin ella no es la misma para el modelo.")
    return Stage(_("Con tilde y sin tilde"), note, tuple(rows))


def _pick_word(segments: tuple[Segment, ...]) -> str | None:
    """The chosen word, or else the first with a letter outside ASCII, or the first."""
    words = [part for part in segments if part.kind == "word"]
    chosen = next((part for part in words if part.unit == st.session_state[WORD]), None)
    special = next((part for part in words if not part.text.isascii()), None)
    picked = chosen or special or (words[0] if words else None)
    return picked.text if picked else None


def _show_coverage(bundles: list[TokenizerBundle]) -> None:
    st.markdown("## " + _("Cuántas piezas de cada vocabulario llevan la letra"))
    letters_shown = "áéíóúüñ"
    coverage: list[dict[str, AccentCoverage]] = [accent_coverage(bundle) for bundle in bundles]
    counts = [[found[letter].pieces for letter in letters_shown] for found in coverage]
    figure, alt = charts.pieces_with_letter(list(letters_shown), [_name(bundle) for bundle in bundles], counts)
    st.plotly_chart(figure, key="tok_coverage_plot", alt=alt, config={"displayModeBar": False})
    useless = [
        _name(bundle)
        for bundle, found in zip(bundles, coverage, strict=True)
        if any(found[letter].pieces and not found[letter].reaches for letter in letters_shown)
    ]
    if useless:
        st.markdown(
            _(
                "En {names}, esas piezas existen pero no se usan nunca: "
                "el normalizador quita el acento antes de buscar."
            ).format(names=", ".join(useless))
        )
    if any(bundle.key == "beto-uncased" for bundle in bundles):
        st.markdown(
            _(
                "BETO uncased conserva las tildes y tiene piezas para ellas, pero, según su autor, los textos con que "
                "se entrenó no las llevaban: esas piezas apenas aprendieron nada. [Lo cuenta aquí]({url})."
            ).format(url=_BETO_ISSUE)
        )


def _csv(text: str, bundles: list[TokenizerBundle]) -> bytes:
    return csv_bytes(
        ["tokenizer", "word", "other", "other_from", "both_become", "kind"],
        (
            (_name(bundle), clash.word, clash.other, clash.other_from, clash.normalized, clash.kind)
            for bundle in bundles
            for clash in collisions(text, bundle)
        ),
    )


def _code(word: str, bundles: list[TokenizerBundle]) -> str:
    from core.ui.tokenization.compare import snippet_source

    listed = "".join(f"    {name!r}: {source!r},\n" for name, source in map(snippet_source, bundles))
    return (
        "from transformers import AutoTokenizer\n\n"
        f"word = {word!r}\n"
        f"sources = {{\n{listed}}}\n\n"
        "for name, source in sources.items():\n"
        "    tokenizer = AutoTokenizer.from_pretrained(source)\n"
        "    normalizer = tokenizer.backend_tokenizer.normalizer\n"
        "    normalized = normalizer.normalize_str(word) if normalizer else word\n"
        '    print(f"{name}: {word} -> {normalized} -> {tokenizer.tokenize(word)}")\n'
    )


def show_letters(text: str, bundles: list[TokenizerBundle]) -> None:
    """The whole view."""
    check_text(text)
    word = _pick_word(segment(text))
    shown = bundles[:_SHOWN_AT_ONCE]
    for start in range(0, len(shown), 2):
        for column, bundle in zip(st.columns(2), shown[start : start + 2], strict=False):
            with column:
                st.markdown(f"## {_name(bundle)}")
                stages = [_word_stage(word, text, bundle)] if word else []
                stages.append(_collision_stage(collisions(text, bundle)))
                if accents := _accent_stage(text, bundle):
                    stages.append(accents)
                stages.append(_letters_stage(letters(text, bundle)))
                step_view(stages, key=f"tok_letters_{bundle.key}")
    _show_coverage(shown)
    glossary_marks("normalization", "cased-uncased", "unknown-token", "grapheme-cluster", key="g_letters")
    share_row(
        STATE,
        code=_code(word, shown) if word else None,
        downloads=(Download(_("Palabras que chocan (CSV)"), "collisions.csv", "text/csv", lambda: _csv(text, shown)),),
        key="tok_letters",
    )
