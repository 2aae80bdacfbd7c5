"""The attention view alone: what it shows comes from the address, what it returns is written below it."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import streamlit as st

from core.i18n import set_language
from core.lens.attention import AttentionMap
from core.ui.attention import AttentionSelection, attention_view, selection_of
from tests.attention_maps import VectorsOfDemo, captions_for, demo_map


@st.cache_resource(max_entries=4)
def made(**choices: str) -> AttentionMap:
    return demo_map(**choices)


query = st.query_params
set_language(query.get("lang", "es"))
st.set_page_config(layout="wide")
st.title("Demo")
amap = made(
    words=query.get("words", ""),
    tokens=query.get("tokens", ""),
    layers=query.get("layers", "4"),
    heads=query.get("heads", "12"),
    kind=query.get("kind", "encoder"),
    pair=query.get("pair", ""),
)
state: AttentionSelection = st.session_state.get(
    "chosen",
    AttentionSelection(query.get("view", "model"), int(query.get("layer", "0")), (0,)),  # type: ignore[arg-type]
)
if st.button("example"):
    state = AttentionSelection("head", 2, (6,), row=3)
if "h" in query and "chosen" not in st.session_state:
    state = replace(state, heads=tuple(int(h) for h in query["h"].split(",")))
shown = selection_of(
    amap, key="attention", view=state.view, layer=state.layer, heads=state.heads, token=(state.row, state.column)
)
chosen = attention_view(
    amap,
    key="attention",
    view=state.view,
    layer=state.layer,
    heads=state.heads,
    token=(state.row, state.column),
    captions=captions_for(amap, query.get("lang", "es")) if query.get("captions", "1") == "1" else None,
    neuron=VectorsOfDemo(amap, shown.layer, shown.heads[0]) if query.get("vectors", "1") == "1" else None,
    name="Demo",
)
st.session_state["chosen"] = chosen
st.text(f"chosen={chosen.view} {chosen.layer} {','.join(map(str, chosen.heads))} {chosen.row} {chosen.column}")
st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.text(f"runs={st.session_state['runs']}")
st.text(f"consistent={shown == chosen}")
