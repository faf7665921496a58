"""What each launcher can be told, checked before the first job."""

from __future__ import annotations

from typing import Annotated, TypedDict

from pydantic import Field

from flows.types import NonNegativeInt, PositiveFloat, PositiveInt

Word = Annotated[str, Field(pattern=r"^[\w.,:@&|*/+-]+$")]  # safe in the script that it will stand in


class NoOptions(TypedDict):
    pass


class BatchedOptions(TypedDict, total=False):
    size: PositiveInt


class ProcessesOptions(TypedDict, total=False):
    n_jobs: PositiveInt | None


class SlurmOptions(TypedDict, total=False):
    partition: Word | None
    account: Word | None
    qos: Word | None
    constraint: Word | None
    minutes: PositiveInt
    timeouts: NonNegativeInt
    cpus: PositiveInt | None
    gpus: NonNegativeInt | None
    memory_gb: PositiveFloat | None
    array_parallelism: PositiveInt
