"""Conditioners: nets that know nothing of flows."""

from flows.nets.attention import Lookup
from flows.nets.mlp import MLP, Activation
from flows.nets.separate import Separate

__all__ = ["MLP", "Activation", "Lookup", "Separate"]
