"""What the tests here share."""

from tests.training.away import local, machine

__all__ = ["local", "machine"]
