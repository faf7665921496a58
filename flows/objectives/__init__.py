"""What is minimised."""

from flows.objectives.likelihood import Likelihood
from flows.objectives.masked import Masked
from flows.objectives.objective import Objective

__all__ = ["Likelihood", "Masked", "Objective"]
