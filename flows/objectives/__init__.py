"""What is minimised."""

from flows.objectives.likelihood import Likelihood
from flows.objectives.masked import Masked
from flows.objectives.objective import Objective
from flows.objectives.wgan_gp import WGANGP

__all__ = ["WGANGP", "Likelihood", "Masked", "Objective"]
