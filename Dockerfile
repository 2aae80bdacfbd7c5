# Taller de Transformers in a container.
#   docker build -t taller .                                 CPU
#   docker build -t taller:cuda --build-arg TORCH=cuda .     NVIDIA GPU (run it with --gpus all)
#   docker build --build-arg FETCH="--language es --tier reference" .     with those models inside
#   docker build -t taller:ray --build-arg RAY=1 .           for the machines of a Ray cluster
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /app

# torch in a layer of its own: it is most of the image and changes least. PyTorch publishes its CPU builds,
# without the gigabytes of CUDA libraries, on an index of its own. The version is that of requirements.txt.
ARG TORCH=cpu
ARG TORCH_VERSION=2.13.0
RUN case "$TORCH" in \
      cpu) pip install "torch==$TORCH_VERSION" --index-url https://download.pytorch.org/whl/cpu ;; \
      cuda) pip install "torch==$TORCH_VERSION" ;; \
      *) echo "TORCH must be cpu or cuda, not '$TORCH'" >&2; exit 1 ;; \
    esac

COPY requirements.txt requirements-ray.txt ./
# Only what computes in a cluster needs Ray: the app asks over HTTP.
ARG RAY=""
RUN pip install -r "requirements${RAY:+-ray}.txt"

# Hugging Face Spaces runs containers as user 1000; whatever is downloaded goes to the volume.
RUN useradd --create-home --uid 1000 taller \
    && mkdir -p /data/models /data/hf \
    && chown -R taller:taller /data
ENV HOME=/home/taller \
    HF_HOME=/data/hf \
    TALLER_MODELS_DIR=/data/models \
    TALLER_DATA_DIR=/data/sets \
    TALLER_TRAINING_DIR=/data/training

# The app belongs to root: the process that serves visitors can read its own code, never change it.
COPY LICENSE app.py ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY core core
COPY pages pages
RUN python -m compileall -q app.py core pages

USER 1000
# Models to carry inside, as the options of `python -m core.catalog fetch`; none by default.
ARG FETCH=""
RUN if [ -n "$FETCH" ]; then python -m core.catalog fetch $FETCH; fi
# Declared after the download: what is written to a volume later in a build is lost.
VOLUME /data
EXPOSE 8501

# An empty ProxyHandler: the container's proxy settings must not send a local question outside.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true", "--server.fileWatcherType=none"]
