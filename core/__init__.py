"""Taller de Transformers: see, try and train transformers.

Layers, imported in one direction only (``pyproject.toml`` holds the contracts):
``pages → core.ui → (core.lens | core.training | core.course) → core.runtime → core.catalog → core.settings``.
"""
