"""A bare Streamlit page with a title, a form field, a table and a plot: what the load is compared with."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

st.title("A page")
st.text_area("Text", "Some text")
st.dataframe(pd.DataFrame({"word": list("abcdefgh"), "count": range(8)}))
st.plotly_chart(go.Figure(go.Bar(x=list("abcdefgh"), y=list(range(8)))))
