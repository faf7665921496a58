"""Conditioners: nets that know nothing of flows."""

from flows.nets.attention import Lookup
from flows.nets.conv import ConvNet, Padding, Reduce
from flows.nets.critic import Critic
from flows.nets.made import MADE
from flows.nets.mlp import MLP, Activation
from flows.nets.muted import Muted
from flows.nets.separate import Separate
from flows.nets.waves import Waves

__all__ = [
    "MADE",
    "MLP",
    "Activation",
    "ConvNet",
    "Critic",
    "Lookup",
    "Muted",
    "Padding",
    "Reduce",
    "Separate",
    "Waves",
]
