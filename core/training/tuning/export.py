"""What a run leaves: a folder that ``from_pretrained`` opens, its card, and the script that repeats the run."""

import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.catalog import entry
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.training.data import DataSet
from core.training.tuning.request import TuningRequest

REPEAT: Final = '''"""Repeats this training exactly. Run it in the folder of the project Taller de Transformers:

    python {folder}/train.py
"""

import json
from pathlib import Path

from core.training.data import data_set
from core.training.tuning.request import tuning_request
from core.training.tuning.tune import tune

here = Path(__file__).resolve().parent
request = tuning_request(json.loads((here / "request.json").read_text(encoding="utf-8")))
data = data_set(json.loads((here / "data.json").read_text(encoding="utf-8")))
result = tune(request, data, here / "again")
print(result["metric"], round(result["value"], 4))
'''

_USE: Final = {
    "classification": """from transformers import pipeline

classify = pipeline("text-classification", model=".")
print(classify({example!r}))
""",
    "entities": """from transformers import pipeline

find = pipeline("token-classification", model=".", aggregation_strategy="first")
print(find({example!r}))
""",
    "questions": """import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForQuestionAnswering.from_pretrained(".")
question, text = {example!r}
inputs = tokenizer(question, text, return_tensors="pt")
with torch.inference_mode():
    out = model(**inputs)
first, last = out.start_logits.argmax(), out.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0][first : last + 1]))
""",
}


def write_json(file: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    partial = file.with_name(file.name + ".partial")
    with partial.open("w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def zip_folder() -> str:
    """The one folder in the ZIP of a model."""
    return "modelo" if get_language() == "es" else "model"


def method_name(request: TuningRequest) -> str:
    """The method, for people."""
    return {"head": _("solo la cabeza"), "full": _("todo el modelo"), "lora": "LoRA"}[request.method]


def start_name(request: TuningRequest) -> str:
    """The starting point, for people."""
    return {
        "pretrained": _("cuerpo preentrenado"),
        "random": _("cuerpo al azar"),
        "adapted": _("cuerpo adaptado al texto"),
    }[request.start]


def _example(data: DataSet) -> Any:
    first: Any = data.test[0]
    if data.task == "classification":
        return first.text
    return " ".join(first.words) if data.task == "entities" else (first.question, first.context)


def card(request: TuningRequest, data: DataSet, result: Mapping[str, Any]) -> str:
    """The model card, in Markdown with the hub's header (Mitchell et al. 2019)."""
    base = entry(request.base)
    tag = {
        "classification": "text-classification",
        "entities": "token-classification",
        "questions": "question-answering",
    }[request.task]
    header = [
        "---",
        *([f"language: {data.language}"] if data.language else []),
        "library_name: transformers",
        f"pipeline_tag: {tag}",
        f"base_model: {base.id}",
        "---",
    ]
    metric = {"accuracy": _("exactitud (accuracy)"), "f1": "F1"}[result["metric"]]
    # Names come from people's files: a line break would let one write a line of its own.
    name, source, licence = (" ".join(text.split()) for text in (data.name, data.source, data.licence))
    facts = [
        (_("Modelo base"), f"{base.id} ({base.licence})"),
        (_("Datos"), name + (f", {source}" if source else "") + (f" ({licence})" if licence else "")),
        (
            _("Ejemplos"),
            _("{train} para aprender, {test} para medir").format(
                train=format_number(len(data.train)), test=format_number(len(data.test))
            ),
        ),
        (_("Método"), f"{method_name(request)}, {start_name(request)}"),
        (
            _("Entrenamiento"),
            _("{epochs} épocas, tasa {rate}, lotes de {batch}, hasta {length} tokens, semilla {seed}").format(
                epochs=request.epochs,
                rate=f"{request.learning_rate:g}",
                batch=request.batch,
                length=request.max_length,
                seed=request.seed,
            ),
        ),
        (
            _("Parámetros"),
            _("{all}, de los que se entrenaron {trained}").format(
                all=format_number(result["parameters"]), trained=format_number(result["trained"])
            ),
        ),
        (
            _("Resultado"),
            _("{metric} {value} (intervalo del 95 %: {low} a {high}; n = {n})").format(
                metric=metric,
                value=format_percent(result["value"]),
                low=format_percent(result["low"]),
                high=format_percent(result["high"]),
                n=format_number(result["n"]),
            ),
        ),
    ]
    labels = ", ".join(f"`{' '.join(label.split())}`" for label in data.labels)
    parts = [
        "\n".join(header),
        "# " + _("Modelo ajustado en el Taller de Transformers"),
        "\n".join(f"- **{title}:** {text}" for title, text in facts),
        *([_("Etiquetas: {labels}").format(labels=labels)] if labels else []),
        "## " + _("Para usarlo"),
        "```python\n" + _USE[request.task].format(example=_example(data)) + "```",
        "## " + _("Límites"),
        _(
            "Solo se midió con textos como los de sus datos. Con otros temas, otro registro u otro idioma puede fallar "
            "con toda seguridad en sí mismo: mira sus errores antes de confiar en él."
        ),
        _(
            "`train.py` repite el entrenamiento: con los mismos datos, semilla y equipo da los mismos pesos. "
            "`data.json` contiene los ejemplos con que se entrenó: tenlo en cuenta antes de publicar esta carpeta."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def write_model(
    model: Any, tokenizer: Any, request: TuningRequest, data: DataSet, result: Mapping[str, Any], folder: Path
) -> None:
    """Writes ``folder/model``, whole or not at all."""
    partial = folder / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.to("cpu").save_pretrained(str(partial))
    # The last call's truncation and padding would be written with it.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = entry(request.base).window
    tokenizer.save_pretrained(str(partial))
    write_json(partial / "request.json", request.to_dict())
    write_json(partial / "data.json", data.to_dict())
    (partial / "README.md").write_text(card(request, data, result), encoding="utf-8")
    (partial / "train.py").write_text(REPEAT.format(folder=zip_folder()), "utf-8")
    done = folder / "model"
    shutil.rmtree(done, ignore_errors=True)
    partial.rename(done)


def zip_model(folder: Path, out: Path) -> None:
    """Packs the files of a written model; weights hardly shrink, so nothing is compressed."""
    partial = out.with_name(out.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{zip_folder()}/{file.name}")
    partial.replace(out)
