"""Conditioners: nets that know nothing of flows."""

from flows.nets.mlp import MLP, Activation

__all__ = ["MLP", "Activation"]
