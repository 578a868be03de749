"""Experiments: one YAML file is the whole experiment; unknown keys and impossible values are refused by name."""

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator

from dfd.augment import Augment
from dfd.errors import ExperimentError
from dfd.models import END_TO_END, MODELS, FrameOrder, check, takes, usual
from dfd.models.backbones import NAMES, BackboneName
from dfd.models.contract import Pooling
from dfd.models.heads import Temporal
from dfd.models.multi_attention import Attention
from dfd.pseudo_fakes.settings import PseudoFakes, pseudo
from dfd.recipe import CropRecipe
from dfd.settings import explain
from dfd.space import Range, Scalar, Search, ends
from dfd.subsets import wrong_shares

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what torch takes
Length = Annotated[int, Field(ge=1)]  # frames

Balance = Literal["weights", "sampler", "none"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Part):
    """Which clips are read, and how."""

    corpora: tuple[str, ...] = Field(min_length=1, description="names of preprocessed corpora, see `dfd preprocess`")
    frame_order: FrameOrder = "natural"
    compression: str | None = Field(None, min_length=1, description="of corpora that come in several: raw, c23, c40")
    methods: tuple[str, ...] | None = Field(None, min_length=1, description="of the fakes; real clips are all read")
    videos: int | None = Field(None, ge=2, multiple_of=2, description="so many clips, half real and half fake")
    shares: dict[str, float] | None = Field(None, description="of each corpus in the videos; by default as it is large")
    split: Literal["official", "any"] = Field("any", description="official: clips whose split was published, alone")
    balance: Balance = Field(
        "weights", description="against unequal classes: weights in the loss, a sampler that draws both alike, or none"
    )
    pseudo_fakes: PseudoFakes | None = Field(
        None,
        exclude_if=lambda settings: settings is None,
        description="fakes made of the real clips, in place of the corpora's own",
    )

    @property
    def recorded_as(self) -> tuple[str, ...]:
        """The corpora as records name them: with pseudo-fakes in place of their fakes they are others."""
        return self.corpora if self.pseudo_fakes is None else tuple(map(pseudo, self.corpora))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.pseudo_fakes is not None and self.methods is not None:
            raise ValueError("'methods' choose among the corpora's fakes; of pseudo-fakes, pseudo_fakes.methods do")
        if self.shares is None:
            return self
        if self.videos is None:
            raise ValueError("shares are parts of 'videos'; say how many videos, too")
        wrong = wrong_shares(self.shares, self.corpora)
        if wrong is not None:
            raise ValueError(wrong)
        return self


class Model(_Part):
    """Hyperparameters of `dfd.models.build`, and the sequence length it is trained at."""

    name: str = "resnext_lstm"
    sequence_length: int = Field(20, ge=1, description="frames read at once")
    backbone: BackboneName = "resnext50_32x4d"
    weights: str = Field("IMAGENET1K_V2", description="the backbone's start: a torchvision name, or none")
    hidden: int = Field(2048, ge=1, description="LSTM units")
    layers: int = Field(1, ge=1, description="LSTM layers")
    dropout: float = Field(0.4, ge=0, lt=1)
    pooling: Pooling = "mean"
    temporal: Temporal = (
        Field(  # like bidirectional, not written where it is the default: runs from before keep their key
            "lstm",
            exclude_if=lambda temporal: temporal == "lstm",
            description="the recurrent layer; none pools features",
        )
    )
    bidirectional: bool = Field(False, exclude_if=lambda both: not both, description="reads the frames both ways")
    attention: Attention | None = Field(  # not written where there is none: runs from before it keep their key
        None, exclude_if=lambda attention: attention is None, description="of models with attention maps"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, settings: Any) -> Any:
        """What is not said is as usual for this model and backbone: a Meso-4 has no ResNeXt's weights."""
        if not isinstance(settings, dict):
            return settings
        name, backbone = settings.get("name", "resnext_lstm"), settings.get("backbone")
        if not isinstance(name, str) or name not in MODELS or backbone not in (None, *NAMES):
            return settings
        known = {key: value for key, value in usual(name, backbone).items() if key in cls.model_fields}
        return {**known, **settings}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in MODELS:
            raise ValueError(f"unknown model '{self.name}'; choose one of {', '.join(MODELS)}")
        for field in ("temporal", "bidirectional"):
            if field not in takes(self.name) and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"model '{self.name}' has no choice of '{field}'; leave it out")
        if (self.attention is not None) != ("attention" in takes(self.name)):
            what = "no attention maps" if self.attention else "attention maps, and takes no null for them"
            raise ValueError(f"model '{self.name}' has {what}; leave 'attention' out")
        check(self.name, **self.hyperparameters())
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """What `build` takes besides the name."""
        return self.model_dump(include=set(takes(self.name)))


class Stage(_Part):
    """One run of the training loop."""

    epochs: int = Field(10, ge=1)
    batch: int = Field(
        16, ge=1, description="clips (backbone stage: frames) a step, shared by all processes that train together"
    )
    steps: int | None = Field(None, ge=1, description="steps an epoch; by default one pass over the training clips")
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(
        1e-3, gt=0, allow_inf_nan=False, description="its peak, where the schedule is one_cycle"
    )
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["plateau", "one_cycle"] = "plateau"
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    clip_gradient: float | None = Field(None, gt=0, description="largest gradient norm")
    patience: int = Field(2, ge=1, description="plateau: epochs without a lower validation loss before the rate drops")
    stop_after: int | None = Field(None, ge=1, description="epochs without a lower validation loss before stopping")
    # None of these is written where it is the default: runs from before keep their key.
    accumulate: int = Field(
        1, ge=1, exclude_if=lambda parts: parts == 1, description="micro-batches of 'batch' clips that make one step"
    )
    warmup: float | None = Field(
        None,
        gt=0,
        exclude_if=lambda epochs: epochs is None,
        description="epochs, or a part of one, in which the rate rises to its full value: linearly before a plateau "
        "schedule, whose patience begins after it; in a one_cycle schedule the cycle's rise, else 0.3 of all epochs",
    )
    decay: Literal["all", "weights"] = Field(
        "all", exclude_if=lambda kind: kind == "all", description="what weight_decay is on; weights: no norm, no bias"
    )
    backbone_rate: float = Field(
        1.0, gt=0, exclude_if=lambda factor: factor == 1, description="the backbone's learning rate / learning_rate"
    )
    freeze: Literal[1, 2, 3, 4, 5, "backbone"] | None = Field(
        None,
        exclude_if=lambda frozen: frozen is None,
        description="what stays as it began: so many of the backbone's stages (stem, layer1 to layer4) or all of it; "
        "frozen batch norms normalise by the statistics they came with",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.warmup is not None and self.warmup >= self.epochs:
            raise ValueError(
                f"a warm-up of {self.warmup:g} epochs leaves none of {self.epochs} at the full rate; shorten 'warmup'"
            )
        if self.freeze == "backbone" and self.backbone_rate != 1:
            raise ValueError("a frozen backbone has no rate; leave 'backbone_rate' out")
        return self


class Training(_Part):
    """`end_to_end` fits everything at once; `two_stage` the backbone on single frames, then a head on its features."""

    mode: Literal["end_to_end", "two_stage"] = "end_to_end"
    backbone: Stage = Stage()
    head: Stage = Stage()
    augment: Augment = Field(Augment(), description="of training clips; true: as usual, false: none")
    store_as: Literal["float32", "bfloat16"] = Field(
        "float32", description="precision of the stored weights; every figure is measured on the weights as stored"
    )

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        for setting in ("freeze", "backbone_rate"):
            if self.mode == "two_stage" and getattr(self.head, setting) != Stage.model_fields[setting].default:
                raise ValueError(f"a head on cached features trains no backbone; set '{setting}' in train.backbone")
        return self

    @field_validator("augment", mode="before")
    @classmethod
    def _said(cls, augment: Any) -> Any:
        return Augment.of(augment) if isinstance(augment, bool) else augment

    @field_serializer("augment")
    def _written(self, augment: Augment) -> dict[str, Any] | bool:  # as before there was a choice: runs keep their key
        return augment.written()


class Sweep(_Part):
    """Many sequence lengths from one backbone; each corpus gets its own heads."""

    sequence_lengths: tuple[Length, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    mean_pool: tuple[Length, ...] = Field((), description="lengths at which the mean-pooling control is run")
    shuffled: tuple[Length, ...] = Field((), description="lengths at which the shuffled-frames control is run")

    @field_validator("sequence_lengths", "seeds", "mean_pool", "shuffled")
    @classmethod
    def _once(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        twice = [number for number in numbers if numbers.count(number) > 1]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice")
        return numbers

    @property
    def longest(self) -> int:
        """The most frames that any of its detectors reads."""
        return max(*self.sequence_lengths, *self.mean_pool, *self.shuffled, 0)


class Experiment(_Part):
    """One experiment, from data to checkpoint."""

    name: str = Field(min_length=1)
    seed: Seed = 0
    data: Data
    crop: CropRecipe = CropRecipe()
    model: Model = Model()
    train: Training = Training()
    sweep: Sweep | None = None
    search: Search | None = Field(None, exclude_if=lambda search: search is None)
    published: dict[str, float | str] | None = Field(None, description="figures of a paper that this repeats")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        longest = self.model.sequence_length if self.sweep is None else self.sweep.longest
        if longest > self.crop.max_frames:
            raise ValueError(f"sequence length {longest} is more than crop.max_frames, {self.crop.max_frames}")
        if self.model.name in END_TO_END and (self.sweep is not None or self.train.mode != "end_to_end"):
            raise ValueError(
                f"model '{self.model.name}' is trained end to end alone: no 'sweep', and no two-stage mode"
            )
        if self.sweep is not None and self.data.videos is not None and len(self.data.corpora) > 1:
            raise ValueError("a sweep gives each corpus its own detectors; with data.videos, name one corpus a sweep")
        return self

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        if self.search is None:
            return self
        if self.sweep is not None:
            raise ValueError("a search is of one experiment, not of a sweep; set 'sweep' or 'search' to null")
        for key, options in self.search.space.items():
            try:
                tried = [self.proposed({key: value}).setting(key) for value in ends(options)]
                if isinstance(options, Range):
                    options.check(tried[0])
            except (ExperimentError, ValueError) as error:
                raise ValueError(f"search.space cannot vary '{key}': {error}") from None
        return self

    def proposed(self, values: Mapping[str, Scalar]) -> "Experiment":
        """This experiment with these values under their dotted keys, and without its search.

        Raises:
            ExperimentError: a key is unknown, or a value is impossible for it or beside the others.
        """
        settings = self.model_dump(mode="json", exclude={"search"})
        for key, value in values.items():
            changes: Any = value
            for name in reversed(key.split(".")):
                changes = {name: changes}
            settings = _override(settings, changes)
        try:
            return Experiment.model_validate(settings)
        except ValidationError as error:
            raise ExperimentError(explain(error, Experiment)) from None

    def setting(self, key: str) -> Any:
        """The value under a dotted key."""
        return reduce(getattr, key.split("."), self)

    def flat(self) -> dict[str, str]:
        """Every setting under its dotted name, for a run's parameters."""
        return dict(_flatten(self.model_dump(mode="json", exclude_none=True), ""))


def read_experiment(path: Path) -> Experiment:
    """Read an experiment file; `extends:` names another one, relative to it, whose settings it overrides.

    Raises:
        ExperimentError: naming the file, the key and what is allowed.
    """
    settings = _read(path, seen=())
    try:
        return Experiment.model_validate(settings)
    except ValidationError as error:
        raise ExperimentError(f"{path}: {explain(error, Experiment)}") from None


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ExperimentError(f"{path} extends itself; remove one 'extends:'")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExperimentError(f"there is no experiment file {path}; experiments/ has some to start from") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).replace("\n", " ")
        raise ExperimentError(f"{path} is not a readable YAML file: {reason}") from None
    if not isinstance(settings, dict):
        raise ExperimentError(f"{path} is not an experiment: it must be a YAML mapping with at least name and data")
    parent = settings.pop("extends", None)
    if parent is None:
        return settings
    if not isinstance(parent, str):
        raise ExperimentError(f"{path}: 'extends' must be the path of one experiment file")
    return _override(_read(path.parent / parent, (*seen, path.resolve())), settings)


def _override(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _override(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _flatten(value: Any, prefix: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in _flatten(inner, f"{prefix}.{key}" if prefix else key)]
    return [(prefix, ",".join(map(str, value)) if isinstance(value, list) else str(value))]
