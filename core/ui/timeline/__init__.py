"""Views of the page Línea de tiempo: the axis with its events, the sizes of models, and training compute."""
