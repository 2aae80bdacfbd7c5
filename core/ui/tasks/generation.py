"""Text generation: tokens that appear as they are produced, their rivals, and three strategies side by side."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from core.catalog import ModelEntry, entry
from core.errors import TallerError
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.runtime.caller import Caller, Withdrawn, calling
from core.runtime.engine import Outcome
from core.runtime.stream import Stream
from core.runtime.task import Task
from core.settings import get_settings
from core.tasks.generation import GenerationRequest, GenerationResult, Step
from core.ui import charts
from core.ui.ask import in_background
from core.ui.jobs import Job
from core.ui.language import fragment
from core.ui.marked import Mark, marked_text
from core.ui.messages import plain, show_error
from core.ui.navigation import N_
from core.ui.resources import engine
from core.ui.share import Download, share_row
from core.ui.state import PageState
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.files import table_and_json
from core.ui.tasks.models import show_answered_by
from core.ui.tasks.view import Contrast, Form, Language, Shown, TaskView, choice_field, number_field, text_field

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

STRATEGIES: Final = {
    "sampling": N_("al azar"),
    "greedy": N_("la más probable"),
    "beam": N_("búsqueda en haz"),
    "all": N_("todas, lado a lado"),
}
FINISH: Final = {
    "end": N_("El modelo puso el punto final."),
    "length": N_("Llegó al número de tokens que pediste."),
    "stopped": N_("Lo detuviste: lo escrito se conserva."),
    "time": N_("Se acabó el tiempo: lo escrito se conserva."),
}


def _task() -> Task[GenerationRequest, GenerationResult]:
    from core.tasks.generation import TASK

    return TASK


def _form(form: Form) -> GenerationRequest:
    text = st.text_area(
        _("El principio del texto"),
        key=form.key("text"),
        height=90,
        persist_state="session",
        placeholder=_("Escribe unas palabras y el modelo sigue"),
    )
    strategy = form.choose("strategy", _("Cómo se elige cada token"), STRATEGIES)
    most = get_settings().generation_tokens
    # A link may come from a server that allows more.
    st.session_state[form.key("tokens")] = min(most, form["tokens"])
    with st.expander(_("Los mandos: cuántos tokens, temperatura, top-k, top-p, haces, semilla")):
        left, middle, right = st.columns(3)
        tokens = left.slider(
            _("Tokens"),
            1,
            most,
            key=form.key("tokens"),
            persist_state="session",
            help=_("Cuántos escribe, como mucho."),
        )
        temperature = left.slider(
            _("Temperatura"),
            0.1,
            2.0,
            step=0.1,
            key=form.key("temperature"),
            persist_state="session",
            help=_("Por debajo de 1 se arriesga menos; por encima, más."),
        )
        top_k = middle.slider(
            "top-k", 0, 200, key=form.key("k"), persist_state="session", help=_("Solo los k más probables; 0 es todos.")
        )
        top_p = middle.slider(
            "top-p",
            0.05,
            1.0,
            step=0.05,
            key=form.key("p"),
            persist_state="session",
            help=_("Solo los más probables que suman esta parte; 1 es todos."),
        )
        beams = right.slider(
            _("Haces"),
            2,
            8,
            key=form.key("beams"),
            persist_state="session",
            help=_("Cuántos comienzos se llevan a la vez en la búsqueda en haz."),
        )
        seed = right.number_input(
            _("Semilla"),
            0,
            10**6,
            key=form.key("seed"),
            persist_state="session",
            help=_("La misma semilla con los mismos mandos escribe el mismo texto."),
        )
    # The last of them takes the form's figures apart: see ``side_by_side``.
    chosen = "sampling" if strategy == "all" else strategy
    return GenerationRequest(
        text or "",
        tokens,
        chosen or "sampling",  # type: ignore[arg-type]  # one of the keys
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        beams=beams,
        seed=int(seed),
        seconds=get_settings().generation_time,
    )


# So many texts stand side by side; further ones begin a new row.
_ABREAST: Final = 3


def strategy_name(request: GenerationRequest) -> str:
    """How a text's tokens are chosen, with the figure that matters."""
    if request.strategy == "greedy":
        likeliest = STRATEGIES["greedy"]
        return _(likeliest)
    if request.strategy == "beam":
        return _("búsqueda en haz de {n}").format(n=request.beams)
    parts = []
    if request.temperature != 1:
        parts.append(_("temperatura {n}").format(n=format_number(request.temperature, 1)))
    if request.top_k:
        parts.append(f"top-k {request.top_k}")
    if request.top_p < 1:
        parts.append(f"top-p {format_number(request.top_p, 2)}")
    return " · ".join(parts) or _("al azar, sin retoques")


def side_by_side(request: GenerationRequest) -> list[GenerationRequest]:
    """The same beginning with each way to choose tokens alone: each figure of the form, the others switched off."""
    plain_chance = replace(request, strategy="sampling", temperature=1.0, top_k=0, top_p=1.0)
    return [
        replace(request, strategy="greedy"),
        replace(plain_chance, temperature=request.temperature),
        replace(plain_chance, top_k=request.top_k),
        replace(plain_chance, top_p=request.top_p),
        replace(request, strategy="beam"),
    ]


@dataclass(slots=True)
class _Writing:
    """One text that is being written, or was."""

    request: GenerationRequest
    model: str
    job: Job[Outcome[GenerationResult]]
    stream: Stream[Step]


def _start(key: str, wanted: list[tuple[GenerationRequest, str]]) -> None:
    _stop(key)
    made = []
    for request, model in wanted:
        stream: Stream[Step] = Stream()
        asked = replace(request, stream=stream)
        with calling(_reader(stream)):
            job = Job(lambda asked=asked, model=model: engine().run(_task(), asked, model=model))  # type: ignore[misc]
        made.append(_Writing(request, model, job, stream))
    st.session_state[f"{key}_writing"] = made


def _reader(stream: Stream[Step]) -> Caller | None:
    """Whoever reads ``stream``: once they stop it or leave, a text that still waits gives up its place."""
    here = in_background()
    if here is None:
        return None

    def check() -> None:
        if stream.stopped:
            raise Withdrawn

    return Caller(here.id, check)


def _stop(key: str) -> None:
    for one in st.session_state.get(f"{key}_writing", ()):
        one.stream.stop()


def _custom(form: Form, request: GenerationRequest, items: tuple[ModelEntry, ...], key: str, state: PageState) -> None:
    requests = side_by_side(request) if form["strategy"] == "all" else [request]
    wanted = [(one, item.key) for item in items for one in requests]
    if st.session_state.pop(f"{key}_go_pressed", False):
        _start(key, wanted)
    writing: list[_Writing] = st.session_state.get(f"{key}_writing", [])
    if not writing:
        st.info(_("Pulsa «Escribir»: los tokens aparecen según salen."), icon=":material/play_arrow:")
        return
    if any(one.job.running for one in writing):
        _watch(key)
        return
    if [(one.request, one.model) for one in writing] != wanted:
        st.caption(_("Cambiaste algo: lo de abajo es de antes. Pulsa «Escribir» para volver a hacerlo."))
    shown = []
    for number, (one, place) in enumerate(zip(writing, _places(writing), strict=True)):
        with place:
            shown.append(_show_one(form, one, f"{key}_{number}", _title(one, writing)))
    there = [one for one in shown if one is not None]
    if len(writing) == 1 and there:
        show_answered_by(there[0].entry, there[0].outcome)
    if there:
        code = "\n\n".join(_code(one.request, one.entry) for one in there)
        share_row(state, code=code, downloads=_all_files(there), key=f"{key}_share")


def _places(writing: list[_Writing]) -> list["DeltaGenerator"]:
    """A place for each text: a column, with a row for each model and at most three in a row."""
    if len(writing) == 1:
        return [st.container()]
    models = list(dict.fromkeys(one.model for one in writing))
    # Two texts of two models stand side by side; several of each begin a row of their own.
    groups = [writing] if len(models) == len(writing) else [[o for o in writing if o.model == m] for m in models]
    places: list[DeltaGenerator] = []
    for group in groups:
        for at in range(0, len(group), _ABREAST):
            row = st.columns(min(_ABREAST, len(group)), gap="medium")
            places += row[: len(group) - at]
    return places


def _title(one: _Writing, writing: list[_Writing]) -> str:
    """What tells a text from those beside it."""
    models = len({other.model for other in writing}) > 1
    ways = len({other.request for other in writing}) > 1
    parts = [strategy_name(one.request)] if ways else []
    if models:
        parts.append(entry(one.model).name(get_language()))
    return " · ".join(parts)


@fragment(run_every=0.3)
def _watch(key: str) -> None:
    writing: list[_Writing] = st.session_state[f"{key}_writing"]
    running = any(one.job.running for one in writing)
    for one, place in zip(writing, _places(writing), strict=True):
        steps = one.stream.poll()
        with place:
            if title := _title(one, writing):
                st.markdown("### " + plain(title))
            st.text(one.request.text + "".join(step.text for step in steps))
            st.caption(_("{n} de {total} tokens").format(n=len(steps), total=one.request.tokens))
    if running:
        st.button(_("Detener"), icon=":material/stop:", key=f"{key}_stop", on_click=_stop, args=(key,))
    else:
        st.rerun()


def _show_one(form: Form, one: _Writing, key: str, title: str) -> Shown | None:
    if title:
        st.markdown("### " + plain(title))
    try:
        outcome = one.job.result()
    except TallerError as error:
        show_error(error)
        return None
    except Withdrawn:
        st.info(_("Lo detuviste antes de que le llegara el turno."), icon=":material/stop:")
        return None
    result = outcome.result
    shown = Shown(one.request, outcome, entry(one.model), key, form)
    _show_text(shown)
    facts = [_(FINISH[result.finish]), _("{n} tokens").format(n=len(result.steps))]
    if result.perplexity is not None:
        facts.append(_("perplejidad {n}").format(n=format_number(result.perplexity, 1)))
    st.caption(plain(" · ".join(facts)))
    if result.unread:
        st.info(
            plain(
                _("El principio no cabe en la ventana: el modelo no leyó los primeros {n} caracteres.").format(
                    n=format_number(result.unread)
                )
            ),
            icon=":material/content_cut:",
        )
    if len(result.alternatives) > 1:
        with st.expander(_("Los otros haces")):
            for beam in result.alternatives[1:]:
                st.text(f"{format_number(beam.score, 2)}  {beam.text}")
            st.caption(_("A la izquierda, la media del logaritmo de las probabilidades: cuanto más cerca de 0, mejor."))
    return shown


def _show_text(shown: Shown) -> None:
    result: GenerationResult = shown.result
    text, marks = shown.request.text, []
    at = len(text)
    for number, step in enumerate(result.steps):
        if step.text:
            title = _("«{token}»: {share}. Entropía {bits} bits.").format(
                token=step.text.strip() or "␣",
                share=format_percent(step.probability),
                bits=format_number(step.entropy_bits, 1),
            )
            # The surer, the paler: what stands out is where the model hesitated.
            marks.append(Mark(at, at + len(step.text), weight=1 - step.probability, title=title, id=number))
        at += len(step.text)
    chosen = st.session_state.get(f"{shown.key}_token")
    selected = chosen if chosen is not None and chosen < len(result.steps) else None

    def choose(number: int) -> None:
        st.session_state[f"{shown.key}_token"] = number

    marked_text(
        text + result.text,
        marks,
        legend=((1.0, _("token en que el modelo dudó mucho")), (0.15, _("token casi seguro"))),
        selected=selected,
        key=f"{shown.key}_marks",
        on_choose=choose,
    )
    if selected is None:
        st.caption(_("Toca un token para ver qué otros pudieron salir en su lugar."))
        return
    _show_rivals(shown, result.steps[selected])


def visible(token: str) -> str:
    """A token's text with its spaces and line breaks as signs."""
    return token.replace(" ", "␣").replace("\n", "⏎") or "∅"


def _show_rivals(shown: Shown, step: Step) -> None:
    st.markdown("#### " + plain(_("En lugar de «{token}»").format(token=step.text.strip() or "␣")))
    names = [visible(rival.text) for rival in step.rivals]
    if shown.request.strategy == "sampling":
        figure, alt = charts.two_shares(
            names,
            [rival.probability for rival in step.rivals],
            [rival.adjusted for rival in step.rivals],
            (_("para el modelo"), _("tras temperatura, top-k y top-p")),
        )
    else:
        figure, alt = charts.shares(names, [rival.probability for rival in step.rivals], fit=True)
    st.plotly_chart(figure, key=f"{shown.key}_rivals", alt=alt, config={"displayModeBar": False})


def _code(request: GenerationRequest, item: ModelEntry) -> str:
    options = {
        "greedy": "do_sample=False, num_beams=1",
        "sampling": (
            f"do_sample=True, temperature={request.temperature}, top_k={request.top_k}, top_p={request.top_p}"
        ),
        "beam": f"do_sample=False, num_beams={request.beams}",
    }[request.strategy]
    return (
        load_lines(item, "CausalLM") + f"\ntext = {literal(request.text)}\n"
        'inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)\n'
        f"torch.manual_seed({request.seed})\n"
        f"out = model.generate(**inputs, max_new_tokens={request.tokens}, {options},\n"
        "                     pad_token_id=tokenizer.eos_token_id)\n"
        'print(tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))\n'
    )


def _files(shown: Shown) -> tuple[Download, ...]:
    return _all_files([shown])


def _all_files(several: list[Shown]) -> tuple[Download, ...]:
    """One table and one file for all the texts that stand side by side."""
    return table_and_json(
        "generation",
        ["model", "strategy", "step", "piece", "text", "probability", "adjusted", "entropy_bits"],
        lambda: [
            (one.entry.id, one.request.strategy, n, s.piece, s.text, s.probability, s.adjusted, s.entropy_bits)
            for one in several
            for n, s in enumerate(one.result.steps, 1)
        ],
        lambda: [_whole(one) for one in several],
    )


def _whole(shown: Shown) -> dict[str, Any]:
    result: GenerationResult = shown.result
    request: GenerationRequest = shown.request
    return {
        "beginning": request.text,
        "text": result.text,
        "model": shown.entry.id,
        "strategy": request.strategy,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "beams": request.beams,
        "seed": request.seed,
        "finish": result.finish,
        "perplexity": result.perplexity,
        "steps": [
            {
                "piece": step.piece,
                "probability": step.probability,
                "rivals": [{"text": rival.text, "probability": rival.probability} for rival in step.rivals],
            }
            for step in result.steps
        ],
    }


def _catalogue(_language: Language) -> str:
    return "text-generation"


def _show(shown: Shown) -> None:
    _show_text(shown)


VIEW = TaskView(
    fields=(
        text_field(
            "text",
            "Había una vez, en un pueblo junto al mar,",
            "Once upon a time, in a village by the sea,",
        ),
        choice_field("strategy", *STRATEGIES),
        number_field("tokens", 40, 1, 1000),
        number_field("temperature", 0.8, 0.1, 2.0),
        number_field("k", 50, 0, 200),
        number_field("p", 0.95, 0.05, 1.0),
        number_field("beams", 4, 2, 8),
        number_field("seed", 1, 0, 10**6),
    ),
    catalogue=_catalogue,
    task=_task,
    form=_form,
    show=_show,
    code=_code,
    files=_files,
    marks=("causal-language-model", "causal-attention", "prompt-and-completion", "autoencoding-and-autoregressive"),
    button=lambda: _("Escribir"),
    # What would come next, by its first hundred candidates, so that a word that is high after one text is found
    # lower down after the other.
    contrast=Contrast(
        make=lambda text, _form: GenerationRequest(text, tokens=1, rivals=100),
        values=lambda result: {visible(r.text): r.probability for step in result.steps for r in step.rivals},
        unit=lambda: _("probabilidad de ser el token que sigue"),
    ),
    custom=_custom,
)
