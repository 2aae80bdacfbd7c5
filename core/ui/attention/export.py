"""A page of one file that shows a map without this app, without a server and without internet."""

import base64
import html
import zlib
from collections.abc import Sequence

from core.i18n import get_language
from core.lens.attention import AttentionMap
from core.ui.attention import SCRIPT, STYLE, VIEWS, NeuronVectors, View, _selection, add_vectors, header_of
from core.ui.attention.packing import Have, Planes, add_map

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --st-background-color: #ffffff; --st-secondary-background-color: #f0f4f8;
  --st-text-color: #08121c; --st-link-color: #0a58a8;
  --st-font: "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ :root {{ --st-background-color: #10161d;
  --st-secondary-background-color: #1b2530;
  --st-text-color: #f4f8fc; --st-link-color: #8cc4ff; }} }}
body {{ max-width: 1200px; margin: 0 auto; padding: 1rem; background: var(--st-background-color);
  color: var(--st-text-color); font: 17px var(--st-font); }}
h1 {{ font-size: 1.4rem; }}
{style}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
<main id="view"></main>
<script type="text/plain" id="data">{data}</script>
<script>
"use strict";
(async () => {{
{script}
const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0))
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))
const data = new Uint8Array(await new Response(stream).arrayBuffer())
const show = () => attentionComponent({{ data, parentElement: document.getElementById("view"), setStateValue() {{}} }})
show()
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show)
}})()
</script>
</body>
</html>
"""


def export_html(
    amap: AttentionMap,
    *,
    view: View = "model",
    layer: int = 0,
    heads: Sequence[int] = (0,),
    token: tuple[int | None, int | None] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
    neuron: NeuronVectors | None = None,
    name: str = "",
    title: str = "",
    text: str = "",
    layers: Sequence[int] | None = None,
) -> bytes:
    """The page: everything in one file, opened from a disk with the same interaction.

    The weights travel as they do to the app, deflated and in base64, which has no character that HTML gives a
    meaning to: no token can end the script. The page forbids itself any request.

    Args:
        amap: the map.
        view: the view that opens first.
        layer: the layer, from 0.
        heads: the heads, from 0.
        token: ``(row, column)``, as in ``attention_view``.
        captions: a sentence for each ``[layer][head]``.
        neuron: vectors of one head; without them the neuron view is left out.
        name: what the map is of, for titles of the files saved from it.
        title: the page's title; ``name`` if empty.
        text: a line under the title, such as the text that was read.
        layers: the layers to include, from 0; ``None`` for all.

    Returns:
        HTML in UTF-8. Some 0.8 bytes a weight: 1.5 MB for 6 layers of 12 heads at 128 tokens.
    """
    chosen_layers = sorted({n for n in (layers or range(len(amap.weights))) if 0 <= n < len(amap.weights)})
    chosen_layers = chosen_layers or list(range(len(amap.weights)))
    views = tuple(name_ for name_ in VIEWS if name_ != "neuron" or neuron is not None)
    chosen = _selection(amap, view, layer, heads, token, views)
    planes = Planes()
    header = header_of(amap, chosen, command=0, captions=captions, name=name, views=views, available=chosen_layers)
    add_map(planes, amap, layer=chosen.layer, have=Have(), row=chosen.row, layers=chosen_layers)
    if neuron is not None:
        add_vectors(planes, header, neuron)
        header["no_vectors"] = True
    packed = base64.b64encode(zlib.compress(planes.behind(header), 6)).decode("ascii")
    page = _PAGE.format(
        language=get_language(),
        title=html.escape(title or name),
        text=html.escape(text),
        style=STYLE.replace(":host", "main"),
        script=SCRIPT,
        data=packed,
    )
    return page.encode("utf-8", "replace")
