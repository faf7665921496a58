"""Conditioners: nets that know nothing of flows."""

from flows.nets.attention import Lookup
from flows.nets.made import MADE
from flows.nets.mlp import MLP, Activation
from flows.nets.separate import Separate
from flows.nets.waves import Waves

__all__ = ["MADE", "MLP", "Activation", "Lookup", "Separate", "Waves"]
