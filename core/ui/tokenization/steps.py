"""View "Paso a paso": one word on its way through each tokenizer, stage by stage."""

from collections.abc import Iterator
from itertools import pairwise

import streamlit as st

from core.catalog import entry
from core.errors import InputInvalid
from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.lens.tokenization import Segment, check_text, segment
from core.lens.tokenizer_steps import NormalizerStep, PreToken, Stages, stages
from core.lens.tokenizer_traces import BPETrace, Trace, UnigramTrace, WordPieceTrace
from core.lens.vocabulary import readable
from core.runtime.tokenizer import TokenizerBundle
from core.ui.glossary import glossary_marks
from core.ui.share import share_row
from core.ui.steps import Chip, ChipRow, Stage, step_view
from core.ui.tokenization.form import STATE, WORD

# More words than this make the list useless; the chips of "Comparar" reach every word.
_WORDS_LISTED = 400
_SHOWN_AT_ONCE = 4
_MERGES_SHOWN = 40
# Of a long row of misses, these many at its head and one at its end tell the story.
_MISSES_SHOWN = 4
_STEP_WORD = "tok_step_word"


def _pick_word(segments: tuple[Segment, ...]) -> Segment:
    """The word to follow: the chosen one, or the longest."""
    units = {part.unit: part for part in segments if part.unit >= 0}
    words = [part for part in segments if part.kind == "word"] or list(units.values())
    chosen = units.get(st.session_state[WORD]) or max(words, key=lambda part: len(part.text))
    offered = words[:_WORDS_LISTED]
    if chosen not in offered:
        offered = [chosen, *offered]
    st.session_state[_STEP_WORD] = chosen.unit
    picked = st.selectbox(
        _("¿Qué palabra seguimos?"),
        [part.unit for part in offered],
        format_func=lambda unit: units[unit].text if unit in units else "",
        key=_STEP_WORD,
        on_change=lambda: st.session_state.update({WORD: st.session_state[_STEP_WORD]}),
    )
    return units.get(picked, chosen)


def _step_name(step: NormalizerStep) -> str:
    known = {
        "clean_text": _("limpiar caracteres de control"),
        "handle_chinese_chars": _("separar los caracteres chinos"),
        "strip_accents": _("quitar acentos"),
        "lowercase": _("pasar a minúsculas"),
        "Lowercase": _("pasar a minúsculas"),
        "StripAccents": _("quitar acentos"),
        "Prepend": _("poner delante"),
        "Replace": _("cambiar"),
    }
    name = known.get(step.name, step.name)
    return f"{name} {step.detail}".strip()


def _normalizer_stage(result: Stages) -> Stage:
    title = _("Normalizador")
    if not result.normalizer:
        return Stage(title, _("Este tokenizador no tiene: toma el texto tal cual."), (), 2)
    changed = [step for step in result.normalizer if step.changed]
    if not changed:
        names = ", ".join(_step_name(step) for step in result.normalizer)
        return Stage(title, _("Pasa por {steps}, y esta palabra queda igual.").format(steps=names), (), 2)
    rows = tuple(
        ChipRow(
            _step_name(step),
            (
                Chip(step.before, "plain"),
                Chip("→", "dim"),
                Chip(step.after, "changed", spoken=_("resultado")),
            ),
        )
        for step in changed
    )
    lost = any(step.name in {"strip_accents", "StripAccents"} for step in changed)
    note = (
        _("Aquí se pierden las tildes o la ñ, y el modelo ya no las verá nunca.")
        if lost
        else _("Reescribe el texto antes de cortarlo.")
    )
    return Stage(title, note, rows, 2)


def _pretokenizer_stage(result: Stages, bundle: TokenizerBundle) -> Stage:
    chips = tuple(Chip(readable(p.text, bundle).display or p.text, "piece") for p in result.pretokens)
    if bundle.algorithm == "BPE" and "ByteLevel" in result.pretokenizers:
        note = _("Separa en palabras con su espacio delante, y escribe el texto como bytes.")
    elif "Metaspace" in result.pretokenizers:
        note = _("Separa por espacios y marca cada comienzo de palabra con «▁».")
    else:
        note = _("Separa por espacios y signos; ninguna pieza cruzará estas fronteras.")
    return Stage(_("Pre-tokenizador"), note, (ChipRow("", chips),), 3)


def _word_piece_rows(trace: WordPieceTrace) -> Iterator[ChipRow]:
    if trace.outcome == "too_long":
        yield ChipRow(
            "",
            (Chip(trace.tokens[0].piece, "unknown"),),
            _("Tiene más de {limit} caracteres: ni lo intenta.").format(limit=trace.limit),
        )
        return
    for attempt in trace.attempts:
        misses = [tried for tried in attempt.tried if tried != attempt.found]
        chips = [Chip(text, "miss", spoken=_("no está")) for text in misses]
        missed = attempt.tried_total - (attempt.found is not None)
        if missed > _MISSES_SHOWN + 2:
            hidden = missed - _MISSES_SHOWN - 1
            more = ngettext("y {n} más corta", "y {n} más, cada vez más cortas", hidden).format(n=hidden)
            chips = [*chips[:_MISSES_SHOWN], Chip(f"… {more} …", "dim"), chips[-1]]
        if attempt.found is not None:
            chips.append(Chip(attempt.found, "hit", spoken=_("está en el vocabulario")))
        label = _("desde «{letter}»").format(letter=trace.text[attempt.start])
        yield ChipRow(label, tuple(chips))
    if trace.outcome == "no_piece":
        yield ChipRow(
            "",
            (Chip(trace.tokens[0].piece, "unknown"),),
            _("No hay pieza ni para una letra: toda la palabra se vuelve desconocida."),
        )


def _bpe_rows(trace: BPETrace, bundle: TokenizerBundle) -> Iterator[ChipRow]:
    def show(symbol: str) -> str:
        return readable(symbol, bundle).display

    if trace.whole:
        yield ChipRow(
            "", (Chip(show(trace.text), "hit"),), _("Está entera en el vocabulario: no hace falta unir nada.")
        )
        return
    shown = list(pairwise(trace.states()))
    yield ChipRow(_("inicio"), tuple(Chip(show(s), "plain") for s in trace.symbols))
    for number, (merge, (before, after)) in enumerate(zip(trace.merges, shown, strict=True)):
        if number == _MERGES_SHOWN:
            left = len(trace.merges) - _MERGES_SHOWN
            yield ChipRow(
                "", (Chip("…", "dim"),), ngettext("y {n} unión más", "y {n} uniones más", left).format(n=left)
            )
            break
        place = next((i for i, symbol in enumerate(before) if i >= len(after) or symbol != after[i]), 0)
        chips = tuple(
            Chip(show(s), "merged" if i == place else "plain", spoken=_("recién unido") if i == place else "")
            for i, s in enumerate(after)
        )
        yield ChipRow(
            _("unión n.º {rank}").format(rank=format_number(merge.rank + 1)),
            chips,
            f"{show(merge.left)} + {show(merge.right)}",
        )


def _unigram_rows(trace: UnigramTrace) -> Iterator[ChipRow]:
    ways = [(_("la mejor"), "hit", trace.best)]
    ways += [(_("le sigue"), "plain", way) for way in trace.runners_up]
    for label, kind, way in ways:
        chips = tuple(
            Chip(
                piece.text.replace("▁", " "),
                "unknown" if piece.unknown else kind,  # type: ignore[arg-type]
                format_number(piece.score, 2),
            )
            for piece in way.pieces
        )
        yield ChipRow(label, chips, _("suma {score}").format(score=format_number(way.score, 2)))


def _model_note(trace: Trace) -> str:
    if isinstance(trace, WordPieceTrace):
        return _(
            "WordPiece busca desde el principio la pieza más larga que esté en su vocabulario; donde termina, "
            "vuelve a empezar. No sabe gramática: solo mira qué está en la lista."
        )
    if isinstance(trace, BPETrace):
        return _(
            "BPE parte de los símbolos sueltos y une siempre la pareja que aprendió antes: cuanto más bajo el "
            "número de la regla, más frecuente era en su entrenamiento."
        )
    return _(
        "Unigram compara todas las maneras de cortar y se queda con la más probable. Cada pieza vale el logaritmo "
        "de su probabilidad, y se suman: gana la suma más cercana a cero."
    )


def _model_stage(pretoken: PreToken, bundle: TokenizerBundle) -> Stage:
    trace = pretoken.trace
    if isinstance(trace, WordPieceTrace):
        rows = tuple(_word_piece_rows(trace))
    elif isinstance(trace, BPETrace):
        rows = tuple(_bpe_rows(trace, bundle))
    else:
        rows = tuple(_unigram_rows(trace))
    title = _("Modelo: {algorithm}").format(algorithm=bundle.algorithm)
    return Stage(title, _model_note(trace), rows, 4)


def _result_stage(result: Stages, bundle: TokenizerBundle) -> Stage:
    unknown = bundle.definition["model"].get("unk_token")
    tokens = [token for pretoken in result.pretokens for token in pretoken.tokens]
    chips = tuple(
        Chip(
            readable(token.piece, bundle).display,
            "unknown" if token.piece == unknown else "hit",
            format_number(token.id),
        )
        for token in tokens
    )
    added = tuple(Chip(token.piece, "special", format_number(token.id)) for token in result.postprocessor.added)
    rows = [ChipRow(_("quedan"), chips)]
    if added:
        note = _("El modelo recibe los números (ids). A la frase entera se le añaden además estos especiales.")
        rows.append(ChipRow(_("se añaden"), added))
    else:
        note = _("El modelo recibe los números (ids). Este tokenizador no añade tokens especiales.")
    return Stage(_("Post-procesador"), note, tuple(rows), 5)


def stage_cards(result: Stages, bundle: TokenizerBundle) -> list[Stage]:
    """The cards of one tokenizer for one word."""
    first = Stage(_("Tu palabra"), "", (ChipRow("", (Chip(result.original, "plain"),)),), 1)
    if result.added:
        chips = tuple(Chip(token.content, "special", format_number(token.id)) for token in result.added)
        note = _("Es un token especial del vocabulario: se aparta antes de todo lo demás y nadie lo corta.")
        return [first, Stage(_("Token especial"), note, (ChipRow("", chips),), 2)]
    models = [_model_stage(pretoken, bundle) for pretoken in result.pretokens]
    return [
        first,
        _normalizer_stage(result),
        _pretokenizer_stage(result, bundle),
        *models,
        _result_stage(result, bundle),
    ]


def _snippet(word: str, bundles: list[TokenizerBundle]) -> str:
    from core.lens.tokenization import snippet
    from core.ui.tokenization.compare import snippet_source

    return snippet([snippet_source(bundle) for bundle in bundles], word)


def show_steps(text: str, bundles: list[TokenizerBundle]) -> None:
    """The whole view."""
    check_text(text)
    segments = segment(text)
    if not any(part.unit >= 0 for part in segments):
        raise InputInvalid(_("El texto no tiene ninguna palabra que seguir. Escribe alguna."))
    word = _pick_word(segments)
    shown = bundles[:_SHOWN_AT_ONCE]
    if len(bundles) > len(shown):
        st.caption(_("Se muestran los {n} primeros tokenizadores elegidos.").format(n=_SHOWN_AT_ONCE))
    for start in range(0, len(shown), 2):
        for column, bundle in zip(st.columns(2), shown[start : start + 2], strict=False):
            with column:
                st.markdown(f"## {entry(bundle.key).name(get_language())}")
                result = stages(text, bundle, word.start, word.end)
                step_view(stage_cards(result, bundle), key=f"tok_steps_{bundle.key}")
    glossary_marks(
        "normalization",
        "pre-tokenization",
        "wordpiece",
        "byte-pair-encoding",
        "unigram-language-model",
        "continuation-piece",
        key="g_steps",
    )
    share_row(STATE, code=_snippet(word.text, shown), downloads=(), key="tok_steps")
