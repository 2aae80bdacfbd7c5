"""What all sessions share. Kept by Streamlit's cache: a module global would vanish when code is reloaded."""

import logging
import threading
import time

import streamlit as st

from core.errors import TallerError
from core.runtime.downloads import DownloadManager
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.runtime.telemetry import Telemetry
from core.runtime.tokenizer import TokenizerStore
from core.settings import get_settings
from core.training.jobs import TrainingJobs
from core.training.tuned import find, key_of

_log = logging.getLogger(__name__)

# The first page must be painted before the import of transformers takes the interpreter's lock.
_WARM_UP_DELAY_S = 1.0
_WARM_UP_KEYS = ("bert-uncased", "wordpiece-es", "beto-cased")
# Later still: importing torch takes seconds, and only pages that run a model need it.
_WARM_UP_MODELS_DELAY_S = 4.0
_WARM_UP_MODELS = ("minilm", "mini-beto")


@st.cache_resource(show_spinner=False)
def tokenizer_store() -> TokenizerStore:
    """The process's tokenizers."""
    return TokenizerStore(get_settings())


@st.cache_resource(show_spinner=False, on_release=Telemetry.stop)
def telemetry() -> Telemetry:
    """The process's readings of the machine; sampling begins with the first who looks."""
    sampler = Telemetry()
    sampler.start()
    return sampler


@st.cache_resource(show_spinner=False)
def model_pool() -> ModelPool:
    """The process's loaded models: those of the catalogue and those that visitors have tuned."""
    settings = get_settings()
    return ModelPool(settings, more=lambda key: find(key, settings))


@st.cache_resource(show_spinner=False, on_release=lambda found: found.close())
def engine() -> Engine:
    """What runs tasks on them: this process, or a cluster with this process for what the cluster can't."""
    settings = get_settings()
    if settings.ray_address is None:
        return Engine(model_pool(), settings)
    from core.runtime.ray_engine import RayEngine

    return RayEngine(model_pool(), settings)


@st.cache_resource(show_spinner=False)
def downloads() -> DownloadManager:
    """The process's downloads; they go on when the visitor who began one leaves."""
    return DownloadManager(get_settings())


@st.cache_resource(show_spinner=False, on_release=TrainingJobs.end)
def training_jobs() -> TrainingJobs:
    """The queue of fine-tuning runs; it picks up those that an earlier process of the app left."""
    pool = model_pool()
    jobs = TrainingJobs(get_settings(), gone=lambda id_: pool.forget(key_of(id_)))
    jobs.begin()
    return jobs


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Once a process: loads in the background what the first visitor is most likely to need."""
    if not get_settings().warm_up:
        return
    store, pool = tokenizer_store(), model_pool()

    def work() -> None:
        time.sleep(_WARM_UP_DELAY_S)
        telemetry()  # so that whoever looks later finds the minutes before
        for key in _WARM_UP_KEYS:
            try:
                if store.on_disk(key):
                    store.get(key)
            except TallerError as error:
                _log.warning("warm-up of %s: %s", key, error)
        time.sleep(_WARM_UP_MODELS_DELAY_S)
        pool.warm_up(_WARM_UP_MODELS)

    threading.Thread(target=work, name="warm-up", daemon=True).start()
