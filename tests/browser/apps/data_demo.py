"""The section "Datos" of Ajuste fino alone: task and language come from the address, the set is written below it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import streamlit as st

from core.ui.frame import show_frame
from core.ui.language import apply_language
from core.ui.state import PageState
from core.ui.tuning.data_section import data_code, data_params, show_data

apply_language()
show_frame()
state = PageState("data_demo", data_params())
state.arrive()
st.title("Demo")
data = show_data(st.query_params.get("task", "classification"))
if data is not None:
    st.text(f"train={len(data.train)} test={len(data.test)} labels={len(data.labels)} language={data.language}")
    st.code(data_code(data.task), language="python")
else:
    st.text("no data")
state.publish()
