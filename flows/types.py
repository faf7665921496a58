"""Numbers that a signature can promise, checked wherever configuration becomes objects."""

from typing import Annotated

from pydantic import Field

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what every generator takes
Members = Annotated[int, Field(ge=2, le=1000)]  # of an ensemble: one has no spread; all pairs are compared
Pairs = Annotated[int, Field(ge=20)]  # points on a side: nothing is said of fewer
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]  # a decay, a dropout: 0 means none, 1 would leave nothing
Octaves = Annotated[int, Field(ge=0, le=16)]  # beyond 16, single precision can't resolve the phase
Narrow = Annotated[float, Field(ge=1e-5, le=0.5)]  # least scale of an edge
# a block of one cell would be the field itself, and so give the target away as context
Block = Annotated[int, Field(ge=2)]
Bins = Annotated[int, Field(ge=2, le=256)]  # of a spline: one can't bend; each keeps a least share
