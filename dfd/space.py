"""What a random search tries: the values that each hyperparameter may take, and what decides between them."""

from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dfd.settings import explain

Scalar = bool | int | float | str | None


class Range(BaseModel):
    """Numbers from `low` to `high`, both among them: evenly, evenly in their logarithm, or in steps from `low`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = False
    step: float | None = Field(None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low, {self.low:g}, must be less than high, {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log takes a low above 0, and no step")
        if self.step is not None and (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(self.step)):
            raise ValueError(f"high must be a whole number of steps of {self.step:g} above low")
        return self

    def check(self, low: Any) -> None:
        """Whether it suits a setting that reads its lowest number as `low`.

        Raises:
            ValueError: the setting is no number, or a whole one and the step is not.
        """
        if isinstance(low, bool) or not isinstance(low, int | float):
            raise ValueError("it is no number; list its values")
        if isinstance(low, int) and self.step is not None and not self.step.is_integer():
            raise ValueError(f"it is a whole number, and so must its step be, not {self.step:g}")


Options = Range | tuple[Scalar, ...]


class Search(BaseModel):
    """A random search of hyperparameters on validation clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: dict[str, Options] = Field(min_length=1, description="a range or a list of values for each dotted key")
    objective: Literal["accuracy", "auc", "log_loss"] = Field(
        "accuracy", description="of the validation clips, as a trial's run records it"
    )
    trials: int = Field(20, ge=1, description="brought to an end by all processes together")
    seed: int = Field(0, ge=0, lt=2**32, description="of the sampler")
    pruner: Literal["median", "none"] = Field("median", description="median: ends what is worse than half the others")
    startup: int = Field(5, ge=1, description="trials that are complete before one is pruned")
    warm_up: int = Field(1, ge=0, description="first epochs of a trial in which it is not pruned")
    storage: str | None = Field(  # it may hold a password: it is written nowhere
        None, exclude=True, description="URL of the trials' database; by default SQLite in dfd's home"
    )

    @field_validator("space", mode="before")
    @classmethod
    def _read(cls, space: Any) -> Any:
        return {key: _options(str(key), given) for key, given in space.items()} if isinstance(space, dict) else space

    @model_validator(mode="after")
    def _hyperparameters(self) -> Self:
        for key in self.space:
            if key == "model.sequence_length":
                raise ValueError(f"'{key}' is not searched: `dfd sweep` compares lengths, with controls and intervals")
            if key in ("model.name", "model.backbone"):
                raise ValueError(
                    f"'{key}' is not searched: another one has other usual settings, and a search of it; compare the "
                    "runs of experiments that differ in it"
                )
            if key != "data.balance" and not key.startswith(("model.", "train.")):
                raise ValueError(
                    f"'{key}' is not searched: it is no hyperparameter; name keys of model and train, or data.balance"
                )
        return self


def ends(options: Options) -> tuple[Scalar, ...]:
    """The values that stand for all: both ends of a range, everything in a list."""
    return (options.low, options.high) if isinstance(options, Range) else options


def _options(key: str, given: Any) -> Any:
    """A mapping is read as a range here, so that what is wrong is said of it and not of the other choice, a list."""
    if isinstance(given, dict):
        try:
            return Range.model_validate(given)
        except ValidationError as error:
            raise ValueError(f"'{key}': {explain(error, Range)}") from None
    if isinstance(given, Range) or (isinstance(given, list | tuple) and given):
        return given
    raise ValueError(f"'{key}' takes {{low, high}}, with log or step if wanted, or a list of values; it is {given!r}")
