"""What each step is called, its formula, and what it does in a sentence or two."""

from dataclasses import dataclass
from typing import Final

from core.i18n import gettext as _
from core.lens.forward import Step
from core.ui.navigation import N_


@dataclass(frozen=True, slots=True)
class StepWords:
    """Words of one operation: title, short name for the switch, formula in LaTeX, explanation, glossary marks."""

    title: str
    short: str
    formula: str
    text: str
    terms: tuple[str, ...] = ()


AXES: Final = {
    "batch": N_("lote"),
    "tokens": N_("tokens"),
    "keys": N_("tokens mirados"),
    "heads": N_("cabezas"),
    "size": N_("tamaño de cabeza"),
    "hidden": N_("oculta"),
    "inner": N_("interior"),
    "embedding": N_("embedding"),
    "vocabulary": N_("vocabulario"),
    "labels": N_("clases"),
}

BLOCKS: Final = {
    "embeddings": N_("Embeddings"),
    "attention": N_("Atención"),
    "cross": N_("Atención cruzada"),
    "feed-forward": N_("Capa densa"),
    "final": N_("Norma final"),
    "head": N_("Cabeza"),
}

_LAYER_NORM = r"y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta"
_RMS_NORM = r"y = \gamma \odot \frac{x}{\sqrt{\frac{1}{d}\sum_i x_i^2 + \varepsilon}}"

_NORM = StepWords(
    N_("Normalización de capa (LayerNorm)"),
    N_("Norma"),
    _LAYER_NORM,
    N_(
        "El vector de cada token se centra en cero y se divide por su desviación típica; γ y β, aprendidos, vuelven a "
        "escalarlo. Así los números no crecen sin freno de capa en capa."
    ),
    ("residual-and-normalization",),
)
_RMS = StepWords(
    N_("Normalización RMSNorm"),
    N_("Norma"),
    _RMS_NORM,
    N_(
        "Como LayerNorm, pero sin restar la media ni sumar β: cada vector se divide por su media cuadrática y se "
        "escala "
        "con γ. Es la norma de Llama y de T5."
    ),
    ("residual-and-normalization",),
)

_OPERATIONS: Final = {
    "ids": StepWords(
        N_("Los tokens como números"),
        N_("Ids"),
        r"\text{id}_i \in \{0, \dots, |V|-1\}",
        N_("El tokenizador corta el texto y da a cada pieza su número en el vocabulario. El modelo solo ve esto."),
        ("token-id", "special-tokens"),
    ),
    "words": StepWords(
        N_("Embedding de la pieza"),
        N_("Palabra"),
        r"E_{i} = W_E[\text{id}_i]",
        N_("El número de cada pieza elige una fila de una tabla aprendida. La misma pieza da siempre el mismo vector."),
        ("embedding",),
    ),
    "positions": StepWords(
        N_("Embedding de la posición"),
        N_("Posición"),
        r"P_{i} = W_P[i]",
        N_("Otra tabla da un vector por posición: sin él, la atención no sabría en qué orden van las palabras."),
        ("positional-encoding",),
    ),
    "types": StepWords(
        N_("Embedding del segmento"),
        N_("Segmento"),
        r"S_{i} = W_S[s_i],\quad s_i \in \{0, 1\}",
        N_("Una tabla de dos filas dice si el token es del primer texto o del segundo."),
        ("bert-three-embeddings",),
    ),
    "sum": StepWords(
        N_("La suma de los embeddings"),
        N_("Suma"),
        r"x_i = E_i + P_i \;(+\; S_i)",
        N_("Se suman número a número: un solo vector lleva qué pieza es, dónde está y de qué texto."),
        ("bert-three-embeddings",),
    ),
    "project": StepWords(
        N_("Proyección al tamaño de las capas"),
        N_("Proyección"),
        r"y = x W^\top + b",
        N_("La tabla de embeddings es más estrecha que las capas; una matriz la ensancha."),
    ),
    "query": StepWords(
        N_("Consultas Q (queries)"),
        "Q",
        r"Q = X W_Q^\top + b_Q",
        N_("Una matriz aprendida saca de cada token una consulta: qué busca. El resultado se corta en cabezas."),
        ("query-key-value", "multi-head-attention"),
    ),
    "key": StepWords(
        N_("Claves K (keys)"),
        "K",
        r"K = X W_K^\top + b_K",
        N_("Otra matriz saca de cada token una clave: qué ofrece. Consultas y claves se van a comparar."),
        ("query-key-value",),
    ),
    "value": StepWords(
        N_("Valores V (values)"),
        "V",
        r"V = X W_V^\top + b_V",
        N_("Una tercera matriz saca de cada token un valor: lo que entregará a quien lo mire."),
        ("query-key-value",),
    ),
    "query-norm": StepWords(
        N_("Consultas normalizadas"), N_("Norma Q"), _RMS_NORM, N_("Cada consulta se normaliza antes de girarla.")
    ),
    "key-norm": StepWords(
        N_("Claves normalizadas"), N_("Norma K"), _RMS_NORM, N_("Cada clave se normaliza antes de girarla.")
    ),
    "query-rotated": StepWords(
        N_("Consultas con posición rotatoria (RoPE)"),
        N_("Q girada"),
        r"q'_{a} = q_{a}\cos(i\theta_a) - q_{b}\sin(i\theta_a)",
        N_(
            "Cada pareja de números gira un ángulo que depende de la posición i del token. Al comparar dos vectores "
            "girados solo cuenta a qué distancia están."
        ),
        ("positional-encoding",),
    ),
    "key-rotated": StepWords(
        N_("Claves con posición rotatoria (RoPE)"),
        N_("K girada"),
        r"k'_{a} = k_{a}\cos(j\theta_a) - k_{b}\sin(j\theta_a)",
        N_("Las claves giran igual que las consultas. Los valores no: llevan contenido, no posición."),
        ("positional-encoding",),
    ),
    "scores": StepWords(
        N_("Puntuaciones: producto escalar y escala"),
        N_("Q·K"),
        r"s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}}",
        N_(
            "Cada consulta se multiplica con cada clave. Se divide por √d para que las puntuaciones no crezcan con el "
            "tamaño de la cabeza (T5 no divide)."
        ),
        ("self-attention",),
    ),
    "position-bias": StepWords(
        N_("Sesgo de posición relativa"),
        N_("Sesgo"),
        r"s_{ij} \leftarrow s_{ij} + b_{\,j-i}",
        N_("T5 no suma posiciones a los vectores: suma a cada puntuación un número según la distancia entre tokens."),
        ("positional-encoding",),
    ),
    "mask": StepWords(
        N_("La máscara"),
        N_("Máscara"),
        r"s_{ij} \leftarrow s_{ij} + m_{ij},\quad m_{ij} \in \{0, -\infty\}",
        N_(
            "Lo que no se puede mirar recibe −∞. En un decodificador es todo lo que viene después (máscara causal); en "
            "un codificador solo sería el relleno, y con una frase sola no hay: se suma 0."
        ),
        ("causal-attention",),
    ),
    "weights": StepWords(
        N_("Pesos de atención (softmax)"),
        "Softmax",
        r"\alpha_{ij} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}}",
        N_("Softmax convierte cada fila en pesos que suman 1: cuánto toma cada token de cada otro. e^(−∞) es 0."),
        ("self-attention", "attention-visualization"),
    ),
    "mixed": StepWords(
        N_("Suma ponderada de los valores"),
        "α·V",
        r"z_i = \sum_j \alpha_{ij}\, v_j",
        N_("Cada token se lleva una mezcla de los valores de los demás, según sus pesos. Aquí viaja la información."),
        ("self-attention",),
    ),
    "concatenated": StepWords(
        N_("Concatenación de las cabezas"),
        N_("Concat"),
        r"Z = [\,z^{(1)}; z^{(2)}; \dots; z^{(h)}\,]",
        N_("Lo que trajo cada cabeza se pone una cosa detrás de otra, y el vector vuelve a tener su tamaño."),
        ("multi-head-attention",),
    ),
    "output": StepWords(
        N_("Proyección de salida"),
        N_("Salida"),
        r"A = Z W_O^\top + b_O",
        N_("Una matriz mezcla lo que trajeron las cabezas."),
        ("multi-head-attention",),
    ),
    "residual": StepWords(
        N_("Conexión residual"),
        N_("+ residual"),
        r"y = x + F(x)",
        N_("El resultado se suma a lo que entró: la subcapa solo tiene que aprender la diferencia."),
        ("residual-and-normalization",),
    ),
    "norm": _NORM,
    "rms-norm": _RMS,
    "up": StepWords(
        N_("Capa densa: ensanchar"),
        N_("Ensanchar"),
        r"h = x W_1^\top + b_1",
        N_(
            "Cada token, por separado, pasa a un vector más ancho. Aquí y en el paso de vuelta está gran parte "
            "de los parámetros."
        ),
        ("feed-forward-layer",),
    ),
    "gate": StepWords(
        N_("Capa densa: la puerta"),
        N_("Puerta"),
        r"g = x W_g^\top",
        N_("Una segunda matriz calcula una puerta: cuánto dejará pasar de cada número."),
        ("feed-forward-layer",),
    ),
    "activation": StepWords(
        N_("La función de activación"),
        N_("Activación"),
        r"a = f(h)",
        N_(
            "Una función se aplica a cada número por separado y deja los negativos en cero o casi. Sin ella, dos "
            "capas seguidas "
            "valdrían lo mismo que una."
        ),
        ("feed-forward-layer",),
    ),
    "product": StepWords(
        N_("La puerta por lo ancho (SwiGLU, GEGLU)"),
        N_("Producto"),
        r"a = f(x W_g^\top) \odot (x W_1^\top)",
        N_("La puerta, ya activada, multiplica al vector ancho número a número."),
        ("feed-forward-layer",),
    ),
    "down": StepWords(
        N_("Capa densa: volver al tamaño"),
        N_("Estrechar"),
        r"y = a W_2^\top + b_2",
        N_("Otra matriz devuelve el vector a su tamaño."),
        ("feed-forward-layer",),
    ),
    "mean": StepWords(
        N_("Media de los tokens"),
        N_("Media"),
        r"\bar{x} = \frac{1}{n}\sum_i x_i",
        N_(
            "El vector de la frase es el promedio de los vectores finales de sus tokens (mean pooling). Esto ya no lo "
            "hace transformers, sino quien lo usa: así lo hace sentence-transformers."
        ),
        ("cls-pooling",),
    ),
    "unit": StepWords(
        N_("El vector de la frase, con longitud 1"),
        N_("Longitud 1"),
        r"u = \frac{\bar{x}}{\lVert \bar{x} \rVert}",
        N_("Dividido por su longitud, el coseno con otra frase es un simple producto escalar."),
        ("cosine-similarity",),
    ),
    "first": StepWords(
        N_("El vector del primer token"),
        N_("Primero"),
        r"c = x_{0}",
        N_("La cabeza solo mira al primer token ([CLS] o <s>), que ha podido mirar a todos los demás."),
        ("cls-pooling", "body-and-head"),
    ),
    "pooler": StepWords(
        N_("El agrupador (pooler)"),
        "Pooler",
        r"p = W c + b",
        N_("BERT pasa el vector de [CLS] por una capa densa más."),
        ("cls-pooling",),
    ),
    "tanh": StepWords(
        N_("Tangente hiperbólica"),
        "tanh",
        r"y = \tanh(x)",
        N_("Lleva cada número a un valor entre −1 y 1."),
        ("cls-pooling",),
    ),
    "transform": StepWords(
        N_("La cabeza: una capa más"),
        N_("Capa"),
        r"y = x W^\top + b",
        N_("Antes de decidir, la cabeza transforma los vectores del cuerpo con una capa suya."),
        ("body-and-head",),
    ),
    "scaled": StepWords(
        N_("Escala antes de la cabeza"),
        N_("Escala"),
        r"y = x / \sqrt{d}",
        N_("T5 comparte la tabla de embeddings con la cabeza, y por eso divide antes de comparar."),
    ),
    "logits": StepWords(
        N_("Puntuaciones de la cabeza (logits)"),
        "Logits",
        r"\ell = x W^\top + b",
        N_("Una puntuación por cada respuesta posible: cada fila de W es el vector de una pieza o de una clase."),
        ("body-and-head",),
    ),
    "logits-bias": StepWords(
        N_("Sesgo de las puntuaciones"), N_("Sesgo"), r"\ell \leftarrow \ell + b", N_("Un número fijo por pieza.")
    ),
    "turned": StepWords(
        N_("Comienzo y final, cada uno en su fila"),
        N_("Girar"),
        r"\ell^\top",
        N_("La respuesta empieza en un token y termina en otro: cada elección se hace entre todos los tokens."),
    ),
    "probabilities": StepWords(
        N_("Probabilidades (softmax)"),
        N_("Probabilidades"),
        r"p_v = \frac{e^{\ell_v}}{\sum_w e^{\ell_w}}",
        N_("Softmax convierte las puntuaciones en probabilidades que suman 1."),
        ("causal-language-model", "masked-language-modelling"),
    ),
    "relationship": StepWords(
        N_("¿Sigue la segunda frase a la primera?"),
        N_("Sigue"),
        r"\ell = p W^\top + b",
        N_("La segunda cabeza de BERT da dos puntuaciones: sigue, o no tiene que ver."),
        ("next-sentence-prediction",),
    ),
    "follows": StepWords(
        N_("Probabilidad de que siga"),
        N_("¿Sigue?"),
        r"p = \text{softmax}(\ell)",
        N_("La primera es la de que la segunda frase siga a la primera."),
        ("next-sentence-prediction",),
    ),
}


def words_of(step: Step) -> StepWords:
    """The words of a step."""
    return _OPERATIONS[step.op]


def part_name(part: str, both: bool) -> str:
    """A part of the walk as its switch shows it.

    Args:
        part: see ``Step.part``.
        both: the model has an encoder and a decoder.
    """
    if part == "head":
        return _("Cabeza")
    stack, _dot, rest = part.partition(".")
    prefix = {"encoder": _("Cod."), "decoder": _("Dec.")}[stack] + " " if both else ""
    if rest.isdigit():
        return prefix + _("Capa {n}").format(n=int(rest) + 1)
    return prefix + _(BLOCKS[rest])


def place_name(step: Step, both: bool) -> str:
    """Where a step is: stack, layer and block."""
    names = [] if step.stack == "head" else [part_name(step.part, both)]
    if step.layer is not None or step.stack == "head":
        names.append(_(BLOCKS[step.block]))
    return " · ".join(names)


def shape_text(step: Step) -> str:
    """The shape with its names: ``(lote 1, tokens 18, oculta 384)``."""
    return "(" + ", ".join(f"{_(AXES[axis])} {size}" for axis, size in zip(step.axes, step.shape, strict=True)) + ")"
