"""Text generation: tokens that appear as they are produced, their rivals, and three strategies side by side."""

from dataclasses import dataclass, replace
from typing import Final

import streamlit as st

from core.catalog import ModelEntry, entry
from core.errors import TallerError
from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.runtime.engine import Outcome
from core.runtime.stream import Stream
from core.runtime.task import Task
from core.settings import get_settings
from core.tasks.generation import GenerationRequest, GenerationResult, Step
from core.ui import charts
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
from core.ui.tasks.view import Form, Language, Shown, TaskView, choice_field, number_field, text_field

STRATEGIES: Final = {
    "sampling": N_("al azar"),
    "greedy": N_("la más probable"),
    "beam": N_("búsqueda en haz"),
    "all": N_("las tres, lado a lado"),
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
    strategy = st.segmented_control(
        _("Cómo se elige cada token"),
        list(STRATEGIES),
        format_func=lambda key: _(STRATEGIES[key]),
        key=form.key("strategy"),
        required=True,
        persist_state="session",
        wrap=True,
    )
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


@dataclass(slots=True)
class _Writing:
    """One text that is being written, or was."""

    request: GenerationRequest
    model: str
    job: Job[Outcome[GenerationResult]]
    stream: Stream[Step]


def _start(key: str, requests: list[GenerationRequest], model: str) -> None:
    _stop(key)
    made = []
    for request in requests:
        stream: Stream[Step] = Stream()
        asked = replace(request, stream=stream)
        job = Job(lambda asked=asked: engine().run(_task(), asked, model=model))  # type: ignore[misc]
        made.append(_Writing(request, model, job, stream))
    st.session_state[f"{key}_writing"] = made


def _stop(key: str) -> None:
    for one in st.session_state.get(f"{key}_writing", ()):
        one.stream.stop()


def _custom(form: Form, request: GenerationRequest, item: ModelEntry, key: str, state: PageState) -> None:
    requests = [request]
    if form["strategy"] == "all":
        requests = [replace(request, strategy=name) for name in ("greedy", "sampling", "beam")]
    if st.session_state.pop(f"{key}_go_pressed", False):
        _start(key, requests, item.key)
    writing: list[_Writing] = st.session_state.get(f"{key}_writing", [])
    if not writing:
        st.info(_("Pulsa «Escribir»: los tokens aparecen según salen."), icon=":material/play_arrow:")
        return
    if any(one.job.running for one in writing):
        _watch(key)
        return
    if [one.request for one in writing] != requests or writing[0].model != item.key:
        st.caption(_("Cambiaste algo: lo de abajo es de antes. Pulsa «Escribir» para volver a hacerlo."))
    columns = st.columns(len(writing), gap="medium") if len(writing) > 1 else [st.container()]
    shown = None
    for column, one in zip(columns, writing, strict=True):
        with column:
            shown = _show_one(form, one, f"{key}_{one.request.strategy}", titled=len(writing) > 1)
    if len(writing) == 1 and shown is not None:
        show_answered_by(shown.entry, shown.outcome)
        share_row(state, code=_code(shown.request, shown.entry), downloads=_files(shown), key=f"{shown.key}_share")


@fragment(run_every=0.3)
def _watch(key: str) -> None:
    writing: list[_Writing] = st.session_state[f"{key}_writing"]
    running = [one for one in writing if one.job.running]
    columns = st.columns(len(writing), gap="medium") if len(writing) > 1 else [st.container()]
    for column, one in zip(columns, writing, strict=True):
        steps = one.stream.poll()
        with column:
            if len(writing) > 1:
                st.markdown("### " + _(STRATEGIES[one.request.strategy]))
            st.text(one.request.text + "".join(step.text for step in steps))
            st.caption(_("{n} de {total} tokens").format(n=len(steps), total=one.request.tokens))
    if running:
        st.button(
            _("Detener"),
            icon=":material/stop:",
            key=f"{key}_stop",
            on_click=_stop,
            args=(key,),
        )
    else:
        st.rerun()


def _show_one(form: Form, one: _Writing, key: str, *, titled: bool) -> Shown | None:
    if titled:
        st.markdown("### " + _(STRATEGIES[one.request.strategy]))
    try:
        outcome = one.job.result()
    except TallerError as error:
        show_error(error)
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
    picked = marked_text(
        text + result.text,
        marks,
        legend=((1.0, _("token en que el modelo dudó mucho")), (0.15, _("token casi seguro"))),
        selected=selected,
        key=f"{shown.key}_marks",
    )
    if picked is not None and picked != chosen:
        st.session_state[f"{shown.key}_token"] = picked
        st.rerun()
    if selected is None:
        st.caption(_("Toca un token para ver qué otros pudieron salir en su lugar."))
        return
    _show_rivals(shown, result.steps[selected])


def _show_rivals(shown: Shown, step: Step) -> None:
    st.markdown("#### " + plain(_("En lugar de «{token}»").format(token=step.text.strip() or "␣")))
    names = [rival.text.replace(" ", "␣").replace("\n", "⏎") or "∅" for rival in step.rivals]
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
    result: GenerationResult = shown.result
    return table_and_json(
        "generation",
        ["step", "piece", "text", "probability", "adjusted", "entropy_bits"],
        lambda: [
            (n, s.piece, s.text, s.probability, s.adjusted, s.entropy_bits) for n, s in enumerate(result.steps, 1)
        ],
        lambda: {
            "beginning": shown.request.text,
            "text": result.text,
            "model": shown.entry.id,
            "strategy": shown.request.strategy,
            "temperature": shown.request.temperature,
            "top_k": shown.request.top_k,
            "top_p": shown.request.top_p,
            "seed": shown.request.seed,
            "finish": result.finish,
            "perplexity": result.perplexity,
            "steps": [
                {
                    "piece": s.piece,
                    "probability": s.probability,
                    "rivals": [{"text": r.text, "probability": r.probability} for r in s.rivals],
                }
                for s in result.steps
            ],
        },
    )


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
    custom=_custom,
)
