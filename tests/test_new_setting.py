"""A new setting is one field: the check, JSON, the option, the widget and the key of a link come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import click
import panel_material_ui as pmui
import pytest
from click.testing import CliRunner

from dashboard.address import apply_query, keys_of, keys_of_process, query_of
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.state.estimators import Estimators
from dashboard.state.mirror import mirrored
from dashboard.state.settings import Settings as InversionState
from itslive_core import GaussianProcessSettings, InversionSettings
from itslive_core.cli.arguments import read_settings
from itslive_core.cli.options import device_option, options_of
from itslive_core.errors import SettingsError
from itslive_core.settings import Settings, ValueFilters, choice, flag, number, number_or_word, same


@dataclass(frozen=True)
class Longer(InversionSettings):
    """The inversion with a new field of each kind."""

    depth: float = number(3.0, 1.0, 10.0, unit="m", metavar="M", help="Depth of the sounding")
    lines: int = number(4, 1, 9, whole=True, metavar="N", help="Number of lines")
    most: float | None = number(None, 1.0, 50.0, help="At most so many")
    pull: float | str = number_or_word(0.5, 0.0, 2.0, ("none", "auto"), help="Strength of the pull")
    ground: str = choice("rock", ("rock", "till"), help="What is below")
    wet: bool = flag(False, help="Water at the bed")


@dataclass(frozen=True)
class LongerProcess(GaussianProcessSettings):
    """The Gaussian process with two new fields, one of a name that the inversion has too."""

    ground: str = choice("rock", ("rock", "till"), help="What is below")
    memory: int = number(2, 1, 5, whole=True, help="Years that are remembered")


@mirrored
class LongerState(InversionState):
    core = Longer


@mirrored
class LongerEstimators(Estimators):
    core = LongerProcess


NEW = {"depth": 2.5, "lines": 7, "most": 20.0, "pull": "auto", "ground": "till", "wet": True}
WIDGETS = {
    "depth": pmui.FloatInput,
    "lines": pmui.IntInput,
    "most": pmui.TextInput,
    "pull": pmui.TextInput,
    "ground": pmui.Select,
    "wet": pmui.Switch,
}


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture
def session() -> Session:
    return Session(JobRunner(), settings=LongerState(), estimators=LongerEstimators())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": 0}, "depth is 0: give a number from 1 to 10 m"),
        ({"depth": None}, "depth is None: give a number"),
        ({"lines": 2.5}, "lines is 2.5: give a whole number"),
        ({"lines": True}, "lines is True: give a number from 1 to 9"),
        ({"most": "many"}, "most is 'many': give a number from 1 to 50"),
        ({"pull": "strong"}, "pull is 'strong': give a number from 0 to 2, or 'none' or 'auto'"),
        ({"ground": "sand"}, "ground 'sand' is not known: choose from rock, till"),
        ({"wet": "yes"}, "wet is 'yes': choose True or False"),
        ({"max_angle": 0}, "max_angle is 0: give a number from 1 to 180 degrees"),
    ],
)
def test_it_is_checked(changes: dict, words: str):
    with pytest.raises(SettingsError) as caught:
        Longer(**changes)
    assert words in str(caught.value)


def test_it_goes_through_json():
    settings = Longer(**NEW)
    assert Longer.from_json(settings.to_json()) == settings
    assert isinstance(Longer(lines=3.0).lines, int)
    assert [name for name in Longer.kinds() if name in NEW] == list(NEW)
    assert settings.filters == ValueFilters()
    with pytest.raises(SettingsError, match="'colour' is no setting of the inversion: choose from smoothing"):
        Longer.from_dict({"colour": 1})


def test_it_is_an_option_of_the_command_line():
    found = []

    @click.command()
    @options_of(Longer)
    @device_option(Longer)
    def command(**options) -> None:
        found.append(read_settings(Longer, options))

    said = ["--depth", "2.5", "--lines", "7", "--most", "20", "--pull", "auto", "--ground", "till", "--wet"]
    done = CliRunner().invoke(command, said, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    CliRunner().invoke(command, ["--pull", "1.5", "--preset", "slow glacier"], catch_exceptions=False)
    assert found == [Longer(**NEW), Longer(pull=1.5, derivative=1, interval=24.0)]
    text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "--depth M Depth of the sounding [3 m]." in text
    assert "--lines N Number of lines [4]." in text
    assert "--most X At most so many [off]." in text
    assert "--pull X|none|auto Strength of the pull [0.5]." in text
    assert "--ground [rock|till] What is below [rock]." in text
    assert "--wet / --no-wet Water at the bed [no-wet]." in text
    refused = CliRunner().invoke(command, ["--pull", "hard"])
    assert "'hard' is neither a number from 0 on nor none or auto." in refused.output


def test_it_is_a_widget_of_the_panel(session: Session):
    panel = EstimatePanel(session.settings, session.estimators)
    for name, kind in WIDGETS.items():
        (widget,) = panel.layout.select(
            lambda one, name=name: f"itslive-{name}" in (getattr(one, "css_classes", None) or [])
        )
        assert isinstance(widget, kind), name
        widget.value = str(NEW[name]) if kind is pmui.TextInput else NEW[name]
    assert session.settings.to_core() == Longer(**NEW)
    assert session.settings.preset == "Custom"
    (widget,) = panel.layout.select(
        lambda one: "itslive-process-memory" in (getattr(one, "css_classes", None) or [])
    )
    widget.value = 4
    assert session.estimators.to_core(session.settings.to_core()) == LongerProcess(memory=4)


def test_it_stands_in_a_link(session: Session):
    assert not {*NEW, "gp_ground", "memory"} & set(query_of(session))
    session.settings.param.update(**NEW)
    session.estimators.param.update(method="both", ground="till", memory=3)
    query = {key: str(value) for key, value in query_of(session).items()}
    assert {*NEW, "gp_ground", "memory"} <= set(query)
    assert {*NEW} <= set(keys_of(LongerState))
    assert {"gp_ground", "memory"} <= set(keys_of_process(LongerEstimators, LongerState))
    other = Session(JobRunner(), settings=LongerState(), estimators=LongerEstimators())
    apply_query(other, query)
    assert other.choices() == session.choices()
    for key, value in {"depth": "11", "lines": "2.5", "pull": "hard", "ground": "<b>", "wet": "?"}.items():
        apply_query(other, {key: value})
    assert other.choices() == session.choices()


def test_a_change_of_it_is_a_reason_to_fit_again(session: Session):
    assert set(NEW) <= set(session.settings.fit_fields)
    assert {"ground", "memory"} <= set(session.estimators.kinds)


def test_another_estimator_shares_what_is_there():
    @dataclass(frozen=True)
    class Other(Settings):
        of: ClassVar[str] = "the median"

        window: float = number(30.0, 1.0, 365.0, unit="days", help="Length of the window")
        outliers: str = same(ValueFilters, "outliers")
        max_error: float | None = same(ValueFilters, "max_error")
        max_angle: float | None = same(ValueFilters, "max_angle")
        max_deviation: float | None = same(ValueFilters, "max_deviation")

    assert Other(max_error=20).filters == ValueFilters(max_error=20.0)
    assert InversionSettings(outliers="none").filters == ValueFilters(outliers="none")
    assert Other.preset("recommended") == Other()
    with pytest.raises(SettingsError, match="no setting of the median: choose from window, outliers"):
        Other.from_dict({"interval": 3})
    with pytest.raises(SettingsError, match=r"max_error is -1: give a number from 0\.1 to 100000 m/yr"):
        Other(max_error=-1)
