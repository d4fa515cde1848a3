"""What the settings of all estimators share: fields that know their bounds, checks, JSON, filters on values.

A setting is one field of a frozen dataclass below `Settings`, made by `number`, `number_or_word`, `choice` or
`flag`. Its metadata say what is possible and what a person reads: from them come the check, the option of the
command line, the widget of the dashboard and the key of a link, so that a setting is written down once.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Choice",
    "Flag",
    "Kind",
    "Limits",
    "Number",
    "Settings",
    "ValueFilters",
    "choice",
    "device",
    "flag",
    "number",
    "number_or_word",
    "same",
]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of a setting.

    Parameters
    ----------
    default : Any
        Its value where none is given.
    help : str
        What it is, for the command line: a sentence without its full stop.
    label : str
        Its name on a screen; default: the name of the field, as a person writes it.
    doc : str
        What it is, for a screen: sentences; default: that of the command line.
    """

    default: Any
    help: str
    label: str = ""
    doc: str = ""

    @property
    def usual(self) -> str:
        """The default in words, for the help of the command line."""
        return str(self.default)

    def check(self, name: str, value: Any) -> Any:
        """Return a value as the estimators take it.

        Raises
        ------
        SettingsError
            If it is impossible; the message says what is possible.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Flag(Kind):
    """True or False."""

    def check(self, name: str, value: Any) -> bool:
        """Return a bool; those of numpy are taken too."""
        numpy_bool = getattr(getattr(value, "dtype", None), "kind", "") == "b"
        if not (isinstance(value, bool) or numpy_bool):
            raise SettingsError(f"{name} is {value!r}: choose True or False")
        return bool(value)


@dataclass(frozen=True, kw_only=True)
class Choice(Kind):
    """One of several words, or of several whole numbers.

    Parameters
    ----------
    choices : tuple
        What can be chosen.
    meanings : tuple of str
        What each choice is, for messages: where choices are numbers.
    names : dict
        Choices by their names on a screen, in the order in which they stand there.
    automatic : tuple of str, optional
        What ``"auto"`` stands for where an estimator chooses for itself, and where not. A screen says either
        outright.
    """

    choices: tuple[Any, ...]
    meanings: tuple[str, ...] = ()
    names: Mapping[str, Any] = field(default_factory=dict)
    automatic: tuple[str, str] | None = None

    def check(self, name: str, value: Any) -> Any:
        """Return the choice that the value is."""
        if not isinstance(value, bool) and value in self.choices:
            return self.choices[self.choices.index(value)]
        if self.meanings:
            pairs = zip(self.choices, self.meanings, strict=True)
            said = " or ".join(f"{one} ({meaning})" for one, meaning in pairs)
            raise SettingsError(f"{name} is {value!r}: choose {said}")
        raise SettingsError(f"{name} {value!r} is not known: choose from {', '.join(map(str, self.choices))}")


@dataclass(frozen=True, kw_only=True)
class Number(Kind):
    """A number within bounds; or a word, or nothing, where these are allowed.

    Parameters
    ----------
    low, high : float
        Least and largest value.
    unit : str
    metavar : str
        What stands for the number in the help of the command line.
    whole : bool
        Whole numbers only.
    optional : bool
        None is allowed: no limit.
    words : tuple of str
        Allowed instead of a number.
    instead : str
        What to give instead of a word that is not known; default: the bounds.
    slider : tuple of float, optional
        Range of a slider [unit], where less than what is possible is useful.
    step : float, optional
        Of a slider [unit].
    """

    low: float
    high: float
    unit: str = ""
    metavar: str = "X"
    whole: bool = False
    optional: bool = False
    words: tuple[str, ...] = ()
    instead: str = ""
    slider: tuple[float, float] | None = None
    step: float | None = None

    @property
    def usual(self) -> str:
        """The default in words, for the help of the command line."""
        if self.default is None:
            return "off"
        return self.default if isinstance(self.default, str) else f"{self.default:g} {self.unit}".rstrip()

    def check(self, name: str, value: Any) -> float | int | str | None:
        """Return a float, an int where only those are allowed, a word, or None."""
        if (value is None and self.optional) or (isinstance(value, str) and value in self.words):
            return value
        if isinstance(value, str) and self.instead:
            raise SettingsError(f"{name} {value!r} is not known: {self.instead}")
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not self.low <= found <= self.high:
            end = f" {self.unit}" if self.unit else ""
            if self.words and not self.instead:
                end += f", or {' or '.join(map(repr, self.words))}"
            raise SettingsError(f"{name} is {value!r}: give a number from {self.low:g} to {self.high:g}{end}")
        if self.whole and found != int(found):
            raise SettingsError(f"{name} is {value!r}: give a whole number")
        return int(found) if self.whole else found


def _field(kind: Kind) -> Any:
    return field(default=kind.default, metadata={"kind": kind})


def number(default: float | None, low: float, high: float, **more: Any) -> Any:
    """Make a field that holds a number; None as default makes it optional. More: see `Number`."""
    return _field(Number(default=default, low=low, high=high, optional=default is None, **more))


def number_or_word(default: float | str, low: float, high: float, words: tuple[str, ...], **more: Any) -> Any:
    """Make a field that holds a number or one of some words. More: see `Number`."""
    return _field(Number(default=default, low=low, high=high, words=words, **more))


def choice(default: Any, choices: tuple[Any, ...], **more: Any) -> Any:
    """Make a field that holds one of several choices. More: see `Choice`."""
    return _field(Choice(default=default, choices=choices, **more))


def flag(default: bool, **more: Any) -> Any:
    """Make a field that holds True or False. More: see `Flag`."""
    return _field(Flag(default=default, **more))


def same(settings: type[Settings], name: str) -> Any:
    """Make a field that is the same as one of other settings."""
    return _field(settings.kinds()[name])


def device() -> Any:
    """Make the field that says where to compute."""
    return choice(
        "auto",
        ("auto", "cpu", "cuda"),
        help="Where to compute",
        label="Device",
        doc="Where the estimate is computed.",
        names={"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"},
    )


@dataclass(frozen=True)
class Settings:
    """Base of the settings of an estimator: checked when they are made, never changed, the same as JSON.

    All fields of a class below are made by the functions above. Those of an estimator have the fields of
    `ValueFilters` among them.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    of: ClassVar[str] = "the estimate"
    """Whose settings these are, for messages."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"recommended": {}}
    """What each preset changes of the defaults."""

    @property
    def interval(self) -> float:
        """Length of a time cell [days]; a field of the settings of every estimator."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        """Check every value, and bring it to one type."""
        for name, kind in self.kinds().items():
            object.__setattr__(self, name, kind.check(name, getattr(self, name)))

    @classmethod
    def kinds(cls) -> dict[str, Kind]:
        """Return what is known of each setting, by name and in their order."""
        kinds = {one.name: one.metadata["kind"] for one in fields(cls)}
        limits = kinds.keys() & Limits.__annotations__.keys()
        own = {name: kind for name, kind in kinds.items() if name not in limits}
        return own | {name: kinds[name] for name in kinds if name in limits}

    @property
    def filters(self) -> ValueFilters:
        """The filters on values."""
        return ValueFilters(**{name: getattr(self, name) for name in ValueFilters.kinds()})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {name: getattr(self, name) for name in self.kinds()}

    def to_json(self) -> str:
        """Return all settings as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild settings from `to_dict`; what is missing takes its default.

        Raises
        ------
        SettingsError
            If a name is unknown or a value impossible.
        """
        unknown = sorted(set(values) - set(cls.kinds()))
        if unknown:
            raise SettingsError(
                f"{unknown[0]!r} is no setting of {cls.of}: choose from {', '.join(cls.kinds())}"
            )
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild settings from `to_json`.

        Raises
        ------
        SettingsError
            If the text is not a JSON object, or holds something impossible.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SettingsError(
                f"the settings are not JSON ({error}): write them as one JSON object"
            ) from error
        if not isinstance(values, dict):
            raise SettingsError('the settings are not a JSON object: write them as {"interval": 12, ...}')
        return cls.from_dict(values)

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return a named set of settings.

        Parameters
        ----------
        name : str
            One of `presets`.

        Raises
        ------
        SettingsError
            If there is no such preset.
        """
        if name not in cls.presets:
            raise SettingsError(f"preset {name!r} is not known: choose from {', '.join(cls.presets)}")
        return replace(cls(), **cls.presets[name])


@dataclass(frozen=True, kw_only=True)
class Limits(Settings):
    """Base of settings with limits beyond which pairs are rejected; they come last, and by name.

    Parameters
    ----------
    max_error : float, optional
        Reject pairs with a larger formal error, sqrt((vx_error^2 + vy_error^2) / 2) [m/yr].
    max_angle : float, optional
        Reject pairs whose direction differs by more from the median flow [degrees]; not at pixels whose
        median flow is not clear of the scatter.
    max_deviation : float, optional
        Reject pairs that differ from what the others say over the same span by more than this modified
        z-score; 3.5 is usual.
    """

    max_error: float | None = number(
        None,
        0.1,
        1e5,
        unit="m/yr",
        metavar="M/YR",
        help="Drop pairs with a larger formal error",
        label="Largest formal error [m/yr]",
        doc="Reject pairs whose formal error is larger; empty for no limit.",
    )
    max_angle: float | None = number(
        None,
        1.0,
        180.0,
        unit="degrees",
        metavar="DEG",
        help="Drop pairs that differ more in direction from the median flow",
        label="Largest angle to the flow [°]",
        doc="Reject pairs that point elsewhere than the median flow; empty for no limit.",
    )
    max_deviation: float | None = number(
        None,
        1.0,
        1e3,
        unit="robust standard deviations",
        metavar="Z",
        help="Drop pairs that differ more from what the others say over the same span: a modified z-score,"
        " 3.5 is usual",
        label="Largest deviation [robust std]",
        doc="Reject pairs far from what the others say over the same span; empty for no limit.",
    )


@dataclass(frozen=True)
class ValueFilters(Limits):
    """Which pairs are rejected by their values; see `itslive_core.filters.rejections`.

    Parameters
    ----------
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    max_error, max_angle, max_deviation : float, optional
        See `Limits`.
    """

    of: ClassVar[str] = "the filters on values"

    outliers: str = choice(
        "auto",
        ("none", "auto"),
        help="Drop long pairs that lock on to what does not move",
        label="Outliers",
        doc="Drop long pairs that lock onto fixed features.",
        names={"Span-consistency filter": "auto", "Keep all": "none"},
    )
