"""Altyn: a gateway that sells metered access to AI models and accounts for every kopek."""

__version__ = "0.1.0"
