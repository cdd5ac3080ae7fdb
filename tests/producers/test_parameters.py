"""Every parameter can be set in one TOML file, is refused where it makes no sense, and states its origin."""

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from producers.contracts import SettingsError
from producers.simulator.parameters import Parameters, load_parameters, stated
from producers.simulator.stream import stream, until
from producers.simulator.world import build_world

pytestmark = pytest.mark.unit

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def written(folder: Path, text: str) -> Path:
    file = folder / "parameters.toml"
    file.write_text(text)
    return file


def test_every_parameter_can_be_set(tmp_path: Path):
    """A file with all of them, as the manifest states them, gives them back."""
    told = {name: found.value for name, found in stated(Parameters()).items()}
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in told.items()]
    assert load_parameters(written(tmp_path, "\n".join(lines))) == Parameters()


def test_what_a_file_sets_is_told_apart(tmp_path: Path):
    """The manifest says which values are ours and which the file's."""
    found = stated(load_parameters(written(tmp_path, "breakout = 0.1\npasses = [2, 5]")))
    assert {name for name, one in found.items() if one.set_by == "config"} == {"breakout", "passes"}
    assert (found["breakout"].value, found["passes"].value) == (0.1, [2, 5])


def test_every_parameter_has_an_origin():
    """Each meaning ends in where the number comes from: [S], [L], [A] or a mixture."""
    for name, one in stated(Parameters()).items():
        assert re.search(r"\[[SLA][^\]]*\]", one.meaning), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("brakeout = 0.1", "no parameter is called 'brakeout'"),
        ("breakout = 2", "breakout: Expected `float` <= 1"),
        ("breakout = 'many'", "breakout: Expected `float`, got `str`"),
        ("breakout = nan", "breakout: "),
        ("breakout = inf", "breakout: "),
        ("passes = [6, 3]", "passes: the lowest comes first"),
        ("passes = [3]", "passes: Expected `array` of length 2"),
        ("age_band_shares = [0.1, 0.1, 0.1, 0.1, 0.1]", "age_band_shares: the shares must come to 1"),
        ("needling_minutes = [10, 50]", "needling_minutes: .* an hour"),
        ("transient_median_days = [[1, 2], [3, -4]]", "transient_median_days: "),
        ("breakout", "is not TOML"),
    ],
)
def test_a_bad_value_is_named(text: str, message: str, tmp_path: Path):
    """A value that cannot be is refused in one line that names the file and the parameter."""
    with pytest.raises(SettingsError, match=f"parameters.toml.*{message}") as caught:
        load_parameters(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    """So is a file that is not there."""
    with pytest.raises(SettingsError, match=r"absent\.toml"):
        load_parameters(tmp_path / "absent.toml")


def test_the_command_refuses_in_one_line(tmp_path: Path):
    """`dermastream simulate --config` ends with 2 before it asks for a broker."""
    file = written(tmp_path, "brakeout = 0.1")
    command = [sys.executable, "-m", "flows.cli", "simulate", "--config", str(file), "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "brakeout" in done.stderr


def test_parameters_change_the_world():
    """A network that breaks out after every session says so, and sends nobody home."""
    end = int((START + dt.timedelta(days=60)).timestamp())
    chosen = Parameters(breakout=1.0, deferred=0.0, series_sessions=2)
    world = build_world(1, 1, START, chosen)
    events = [made[4] for made in until(stream(world, telemetry_from=end), end)]
    sessions = {e.data.session_id for e in events if e.type == "session.completed.v1"}
    broke_out = {
        e.data.session_id
        for e in events
        if e.type == "adverse-event.reported.v1" and e.data.term == "breakout"
    }
    assert len(broke_out) > 0.7 * len(sessions)
    assert {e.data.decision for e in events if e.type == "session.screened.v1"} <= {
        "treat",
        "treat-overriding",
    }
    assert {e.data.sessions_planned for e in events if e.type == "protocol.published.v2"} == {2}
