"""The Ajuste fino page: what to learn from, how, and what came of it."""
