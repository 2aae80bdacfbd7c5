"""Views of the page Glosario: the concepts, and a table to choose a model from."""
