"""What can be taken home: the values of a step, and the list of all steps."""

import io

import numpy as np

from core.i18n import gettext as _
from core.lens.forward_reading import Outline, StepValues
from core.ui.downloads import csv_bytes
from core.ui.inside.words import words_of
from core.ui.share import Download


def tensor_bytes(found: StepValues, outline: Outline) -> bytes:
    """A NumPy archive: ``values`` without the batch, the names of its ``axes``, and the ``tokens``."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        values=found.values,
        axes=np.array(found.step.axes[1:]),
        tokens=np.array([token.piece for token in outline.rows]),
        source=np.array([token.piece for token in outline.source]),
        columns=np.array(found.columns, dtype=np.int64),
    )
    return buffer.getvalue()


def steps_bytes(outline: Outline) -> bytes:
    """All steps as CSV: id, what it is, module, names and sizes of its dimensions, and how many values."""
    return csv_bytes(
        ["step", "title", "stack", "layer", "block", "module", "axes", "shape", "values"],
        (
            [
                step.id,
                _(words_of(step).title),
                step.stack,
                "" if step.layer is None else step.layer + 1,
                step.block,
                step.module,
                " × ".join(step.axes),
                " × ".join(map(str, step.shape)),
                int(np.prod(step.shape)),
            ]
            for step in outline.steps
        ),
    )


def downloads_of(found: StepValues | None, outline: Outline) -> tuple[Download, ...]:
    """The files of what is on screen."""
    files = []
    if found is not None:
        name = found.step.id.replace(".", "-")
        files.append(
            Download(
                _("Los valores de este paso (NumPy)"),
                f"{name}.npz",
                "application/octet-stream",
                lambda: tensor_bytes(found, outline),
            )
        )
    files.append(Download(_("La lista de pasos (CSV)"), "forward-steps.csv", "text/csv", lambda: steps_bytes(outline)))
    return tuple(files)
