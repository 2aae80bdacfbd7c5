"""The views of the Ajuste fino page."""
