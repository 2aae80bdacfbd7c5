"""The Python that repeats a run and prints its measure."""

from core.training.data import DataSet
from core.training.tuning.request import TuningRequest

_PROGRAM = """from pathlib import Path
from tempfile import mkdtemp

from core.training.tuning.request import TuningRequest
from core.training.tuning.tune import tune
{load}

# Everything that decides the result; with the same seed it comes out the same, number by number.
request = TuningRequest(
{fields}
)
folder = Path(mkdtemp())
result = tune(request, data, folder)
print(f"{{result['metric']}} {{result['value']:.4f}} (n = {{result['n']}})")

# An ordinary transformers model: this is all that it takes to open it again.
from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained(folder / "model")
tokenizer = AutoTokenizer.from_pretrained(folder / "model")
print(type(model).__name__, model.num_parameters())
"""
_AUTO = {
    "classification": "AutoModelForSequenceClassification",
    "entities": "AutoModelForTokenClassification",
    "questions": "AutoModelForQuestionAnswering",
}
_FILE = """from core.training.data import data_set
import json

# data.json is in the zip of the model.
data = data_set(json.loads(Path("data.json").read_text(encoding="utf-8")))"""


def loading(data: DataSet) -> str:
    """The lines that load the data: ours and SNIPS by name, others from the file in the model's zip."""
    from core.training.ours import our_data

    if data.language in ("es", "en") and data.digest == our_data(data.task, data.language).digest:
        return f"from core.training.ours import our_data\n\ndata = our_data({data.task!r}, {data.language!r})"
    if data.name.startswith("SNIPS"):
        return (
            "from core.settings import Settings\nfrom core.training.data import sample\n"
            "from core.training.snips import snips_data\n\n"
            f"data = sample(snips_data({data.task!r}, Settings()), {len(data.train)})"
        )
    return _FILE


def program(request: TuningRequest, data: DataSet) -> str:
    """A program for the project's folder."""
    first = TuningRequest(request.task, request.base)
    fields = [f"    task={request.task!r}", f"    base={request.base!r}", f"    method={request.method!r}"]
    for name, value in request.to_dict().items():
        if name in ("task", "base", "method", "sentences", "context"):
            continue
        if value != getattr(first, name) or name in ("epochs", "learning_rate", "batch", "max_length", "seed"):
            fields.append(f"    {name}={value!r}")
    return _PROGRAM.format(load=loading(data), fields=",\n".join(fields) + ",", auto=_AUTO[request.task])
