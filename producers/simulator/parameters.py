"""Every number the simulated network is made of, with unit, range and origin; one TOML file overrides any.

Origins: [S] the articles the project began with, [L] published literature or a regulator's record,
[A] an assumption of ours. Pairs are (lowest, highest) of a uniform draw; a lognormal is given by its median
and the standard deviation of its logarithm.
"""

import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from producers.contracts import SettingsError

Share = Annotated[float, Meta(ge=0, le=1)]
Shares3 = tuple[Share, Share, Share]
Shares4 = tuple[Share, Share, Share, Share]
Shares5 = tuple[Share, Share, Share, Share, Share]
Shares6 = tuple[Share, Share, Share, Share, Share, Share]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Pair = tuple[NotNegative, NotNegative]
SharePair = tuple[Share, Share]
Minutes = tuple[Annotated[float, Meta(ge=1, le=58)], Annotated[float, Meta(ge=1, le=58)]]
Passes = tuple[Annotated[int, Meta(ge=1, le=20)], Annotated[int, Meta(ge=1, le=20)]]
Depth = Annotated[float, Meta(gt=0, le=2.5)]
Rate = Annotated[float, Meta(gt=0, le=25_000)]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one simulated world assumes; the defaults are the realistic ones."""

    # ── demand ──────────────────────────────────────────────────────────────────────────────────────────
    new_patients_per_open_day: Annotated[Positive, Meta(description="patients, mean clinic [A]")] = 2.3
    clinic_size_sd_log: Annotated[NotNegative, Meta(description="between clinics [A]")] = 0.25
    no_show_prepaid: Annotated[Share, Meta(description="per appointment [A]")] = 0.08
    no_show_otherwise: Annotated[
        Share, Meta(description="per appointment [A]; dermatology reports 15-25 % [L]")
    ] = 0.15
    prepaid: Annotated[Share, Meta(description="of patients, paid for the series at once [A]")] = 0.5
    rebooks_after_no_show: Annotated[Share, Meta(description="of those who stayed away [A]")] = 0.75
    rebooking_days: Annotated[Pair, Meta(description="after the missed or cancelled appointment [A]")] = (
        3,
        14,
    )
    cancelled: Annotated[Share, Meta(description="per appointment, with notice [A]")] = 0.04
    rebooks_after_cancelling: Annotated[Share, Meta(description="of those who cancelled [A]")] = 0.9
    first_visit_days: Annotated[Pair, Meta(description="from a new patient's call to the visit [A]")] = (
        1,
        10,
    )

    # ── patients ────────────────────────────────────────────────────────────────────────────────────────
    skin_type_shares: Annotated[
        Shares6,
        Meta(description="I-VI; I+II 35 %, III 48 %, IV-VI 17 % in the US [L]; tilted by clinic [A]"),
    ] = (0.12, 0.23, 0.48, 0.10, 0.05, 0.02)
    age_band_shares: Annotated[Shares5, Meta(description="18-29, 30-39, 40-49, 50-59, 60+ [A]")] = (
        0.22,
        0.30,
        0.24,
        0.16,
        0.08,
    )
    sun_protected: Annotated[Share, Meta(description="of patients, follow the advice [A]")] = 0.75
    contraindication_overridden: Annotated[Share, Meta(description="per session [A]")] = 0.005

    # ── protocols, in the order scar-renewal, fine-line, tone-even, stretch-repair ──────────────────────
    protocol_shares: Annotated[Shares4, Meta(description="of new patients [A]")] = (0.34, 0.36, 0.17, 0.13)
    protocol_depth_mm: Annotated[
        tuple[Depth, Depth, Depth, Depth],
        Meta(
            description="mm; scars 1.5-2, cheeks 0.5-1, body up to 2.5 [L, weak]; median 1.5 [L, Harris 2015]"
        ),
    ] = (1.5, 1.0, 0.5, 2.0)
    protocol_stroke_rate_per_min: Annotated[
        tuple[Rate, Rate, Rate, Rate],
        Meta(description="6,000-9,000 a minute [L, a 510(k) record], marketed up to 18,000"),
    ] = (7500.0, 8000.0, 7000.0, 6500.0)
    thin_skin_less_mm: Annotated[
        NotNegative, Meta(description="mm shallower on neck and decolletage [A]")
    ] = 0.25
    dark_skin_less_mm: Annotated[NotNegative, Meta(description="mm shallower on types V-VI [A]")] = 0.25

    # ── course ──────────────────────────────────────────────────────────────────────────────────────────
    series_sessions: Annotated[
        int, Meta(ge=1, le=20, description="sessions of a series [S]; median 3 [L, Harris 2015]")
    ] = 3
    series_interval_days: Annotated[
        int, Meta(ge=1, le=365, description="days planned between them; 4-6 weeks [S]")
    ] = 35
    series_gap_days: Annotated[Pair, Meta(description="days between them as booked; 4-6 weeks [S]")] = (
        28,
        42,
    )
    drop_out_after_session: Annotated[
        tuple[Share, Share], Meta(description="after the 1st, the 2nd and later; routine 70 % complete [A]")
    ] = (0.15, 0.12)
    returns_for_maintenance: Annotated[
        Share, Meta(description="of patients; with the gap below 45 % are back within 7 months [A]")
    ] = 0.47
    maintenance_gap_median_days: Annotated[
        Positive, Meta(description="days; hazard peaks at 4 months [A]")
    ] = 125
    maintenance_gap_sd_log: Annotated[NotNegative, Meta(description="of the days [A]")] = 0.3
    maintenance_gap_least_days: Annotated[Count, Meta(description="days [A]")] = 60

    # ── a session ───────────────────────────────────────────────────────────────────────────────────────
    numbing_minutes: Annotated[Minutes, Meta(description="from arrival to needling; about 20 [S]")] = (15, 22)
    needling_minutes: Annotated[Minutes, Meta(description="[A]")] = (10, 25)
    soothing_minutes: Annotated[Minutes, Meta(description="serum, balm, light; 30-60 min in all [S]")] = (
        3,
        8,
    )
    passes: Annotated[Passes, Meta(description="over the area; several [S]")] = (3, 6)
    cartridges_per_lot: Annotated[Count, Meta(description="lots of 100-300 [A]")] = 200
    needle_count_shares: Annotated[
        Shares3,
        Meta(description="6, 12, 14 needles [L]; the shares [A]"),
    ] = (0.2, 0.6, 0.2)
    cartridge_reuse_attempted: Annotated[
        Share, Meta(description="of sessions; the pen refuses and reports it [A]")
    ] = 0.003
    deferred: Annotated[Share, Meta(description="of visits, sent home after screening [A]")] = 0.01
    deferred_days: Annotated[Pair, Meta(description="until they come again [A]")] = (10, 21)
    aborted: Annotated[Share, Meta(description="of visits, end before they are done [A]")] = 0.002

    # ── expected reactions ──────────────────────────────────────────────────────────────────────────────
    transient_reported: Annotated[
        Share, Meta(description="of sessions; up to 100 % have some redness or swelling, so many note it [A]")
    ] = 0.25
    transient_observed: Annotated[
        Share, Meta(description="of sessions, stated as expected at the end of the visit [A]")
    ] = 0.3
    transient_median_days: Annotated[
        tuple[Pair, Pair],
        Meta(description="(mm, days), interpolated; 1.5 d at 0.5-1.0 mm, 2.5 d at 1.5-2.5 mm [A on L]"),
    ] = ((1.0, 1.5), (1.5, 2.5))
    transient_sd_log: Annotated[NotNegative, Meta(description="of the days; 99 % below 7 d [A on L]")] = 0.44
    oedema_share: Annotated[Share, Meta(description="of the reported transient reactions [A]")] = 0.2

    # ── adverse events, per session ─────────────────────────────────────────────────────────────────────
    pih_by_skin_type: Annotated[
        Shares6,
        Meta(description="types I-VI, at 1.0 mm with sun protection [A, bracketed by Dogra 2014]"),
    ] = (0.001, 0.002, 0.008, 0.02, 0.035, 0.04)
    pih_factor_per_mm: Annotated[Positive, Meta(description="for each mm beyond 1.0 mm [A]")] = 1.5
    pih_factor_unprotected: Annotated[Positive, Meta(description="without sun protection [A]")] = 2.0
    pih_onset_median_days: Annotated[Positive, Meta(description="days [A]")] = 30
    pih_duration_median_days: Annotated[Positive, Meta(description="days [A]")] = 60
    breakout: Annotated[Share, Meta(description="per session [A]; up to 13.3 % of patients [L]")] = 0.03
    bruising: Annotated[Share, Meta(description="per session [A]; up to 2.8 % of patients [L]")] = 0.008
    prolonged: Annotated[Share, Meta(description="per session, redness or swelling beyond 7 d [A]")] = 0.01
    infection: Annotated[Share, Meta(description="per session [A]")] = 0.001
    infection_overridden: Annotated[
        Share, Meta(description="per session where an active contraindication was overridden [A]")
    ] = 0.01
    scarring: Annotated[
        Share, Meta(description="per session, tram tracks; rollers 2/36 patients [L], pens about 0 [A]")
    ] = 0.0
    reported_by_patient: Annotated[SharePair, Meta(description="of events, told to the clinic [A]")] = (
        0.75,
        0.95,
    )
    report_delay_mean_days: Annotated[Positive, Meta(description="onset to call, exponential [A]")] = 1.5
    adverse_event_updated: Annotated[Share, Meta(description="of reports, judged anew within days [A]")] = (
        0.05
    )
    aftercare_breached: Annotated[
        Share, Meta(description="of sessions of patients who follow the advice [A]")
    ] = 0.03
    aftercare_breached_unprotected: Annotated[Share, Meta(description="of those who do not [A]")] = 0.25
    resolution_known: Annotated[Share, Meta(description="of reported events, their end is recorded [A]")] = (
        0.95
    )

    # ── follow-up and effect ────────────────────────────────────────────────────────────────────────────
    follow_up: Annotated[SharePair, Meta(description="of sessions, by clinic [A]")] = (0.55, 0.95)
    follow_up_days: Annotated[Pair, Meta(description="after the session [A]")] = (7, 14)
    assessed_within_series: Annotated[
        Share, Meta(description="of sessions, 14 d to the next session [A]")
    ] = 0.15
    assessed_after_series: Annotated[Share, Meta(description="of series, 28-90 d [A]")] = 0.6
    assessed_after_maintenance: Annotated[Share, Meta(description="of sessions, 28-90 d [A]")] = 0.4
    satisfaction_asked: Annotated[Share, Meta(description="of assessments [A]")] = 0.5
    gain_per_session: Annotated[
        NotNegative, Meta(description="GAIS grades, sessions 1-3; half of it after [A]")
    ] = 0.35
    gain_sd_clinic: Annotated[NotNegative, Meta(description="GAIS grades [A]")] = 0.1
    gain_sd_operator: Annotated[NotNegative, Meta(description="GAIS grades [A]")] = 0.1
    gain_sd_patient: Annotated[NotNegative, Meta(description="GAIS grades [A]")] = 0.5
    gain_sd_rating: Annotated[NotNegative, Meta(description="GAIS grades, between two raters [A]")] = 0.3

    # ── corrections ─────────────────────────────────────────────────────────────────────────────────────
    session_entered_twice: Annotated[Share, Meta(description="of sessions, voided within hours [A]")] = 0.004
    session_corrected: Annotated[Share, Meta(description="of sessions, superseded the same day [A]")] = 0.005
    adverse_event_corrected: Annotated[
        Share, Meta(description="of reports, grade revised within days [A]")
    ] = 0.03
    adverse_event_voided: Annotated[Share, Meta(description="of reports, entered in error [A]")] = 0.01
    assessment_corrected: Annotated[
        Share, Meta(description="of assessments, superseded the same day [A]")
    ] = 0.005

    # ── devices ─────────────────────────────────────────────────────────────────────────────────────────
    calibration_days: Annotated[Pair, Meta(description="between calibrations; every 6 months [A]")] = (
        150,
        180,
    )
    calibration_days_late: Annotated[Pair, Meta(description="in a clinic that lets it slip [A]")] = (200, 290)
    late_clinics: Annotated[float, Meta(gt=0, le=1, description="share of clinics [A]")] = 0.25
    depth_error_sd_mm: Annotated[NotNegative, Meta(description="when new [A]")] = 0.05
    depth_drift_mm_per_month: Annotated[NotNegative, Meta(description="since the calibration [A]")] = 0.01
    service_days: Annotated[Count, Meta(description="between services; every 12 months [A]")] = 365
    battery_replaced: Annotated[Share, Meta(description="of services [A]")] = 0.3
    firmware_release_days: Annotated[Count, Meta(description="between releases; 3-4 versions a year [A]")] = (
        110
    )
    firmware_rollout_weeks: Annotated[Count, Meta(description="from the first clinic to the last [A]")] = 8
    faults_per_device_day: Annotated[Share, Meta(description="[A]")] = 0.004
    heartbeat_seconds: Annotated[Count, Meta(description="between frames of an idle pen [A]")] = 300
    samples_per_frame: Annotated[int, Meta(ge=1, le=100, description="10 Hz, one frame a second [A]")] = 10
    depth_noise_sd_mm: Annotated[NotNegative, Meta(description="per sample [A]")] = 0.02
    stroke_loss_under_load: Annotated[SharePair, Meta(description="of the set rate [A on L]")] = (0.05, 0.08)
    stroke_noise_sd: Annotated[NotNegative, Meta(description="of the set rate, per sample [A on L]")] = 0.02
    current_base_ma: Annotated[NotNegative, Meta(description="motor current in air [A]")] = 260
    current_per_mm_ma: Annotated[NotNegative, Meta(description="added per mm of depth [A]")] = 90
    current_noise_sd_ma: Annotated[NotNegative, Meta(description="per sample [A]")] = 8
    battery_percent_per_minute: Annotated[
        NotNegative, Meta(description="used while needling; 2-3 sessions to 20 % [A]")
    ] = 1.6
    charge_percent_per_minute: Annotated[NotNegative, Meta(description="gained in the stand [A]")] = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are each possible but not together. Raises ValueError naming the parameter."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_shares") and not math.isclose(sum(value), 1, abs_tol=1e-6):
                raise ValueError(f"{name}: the shares must come to 1, not {sum(value):g}")
            if name in _PAIRS and value[0] > value[1]:
                raise ValueError(f"{name}: the lowest comes first")
        if self.numbing_minutes[1] + self.needling_minutes[1] + self.soothing_minutes[1] > 60:
            raise ValueError("needling_minutes: with numbing and soothing it must fit into an hour's booking")


_PAIRS = {
    "rebooking_days", "first_visit_days", "series_gap_days", "numbing_minutes", "needling_minutes",
    "soothing_minutes", "passes", "deferred_days", "reported_by_patient", "follow_up", "follow_up_days",
    "calibration_days", "calibration_days_late", "stroke_loss_under_load",
}  # fmt: skip


def load_parameters(file: Path | None) -> Parameters:
    """The defaults, with what a TOML file of `name = value` lines sets.

    Raises SettingsError in one line that names the file and the parameter.
    """
    if file is None:
        return Parameters()
    try:
        given = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file} ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    return parameters_of(given, str(file))


def parameters_of(given: dict[str, Any], origin: str) -> Parameters:
    """The defaults with those given. Raises SettingsError in one line that names origin and parameter."""
    for name in given:
        if name not in Parameters.__struct_fields__:
            raise SettingsError(f"{origin}: no parameter is called {name!r}")
    try:
        return msgspec.convert(given, Parameters)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        place = re.match(r"\.?(\w+)", path)
        raise SettingsError(f"{origin}: {f'{place[1]}: ' if place else ''}{message}") from None


class Stated(msgspec.Struct, frozen=True):
    """A parameter as a manifest states it."""

    value: Any
    meaning: str
    """Unit and origin."""
    set_by: str
    """`default` or `config`."""


def stated(parameters: Parameters) -> dict[str, Stated]:
    """Every parameter with its value, what it means and who set it."""
    return {
        field.name: Stated(
            value=_plain(getattr(parameters, field.name)),
            meaning=_meaning(field.type),
            set_by="default" if getattr(parameters, field.name) == field.default else "config",
        )
        for field in msgspec.structs.fields(Parameters)
    }


def _plain(value: Any) -> Any:
    """As JSON gives it back: lists, no tuples."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _meaning(annotation: Any) -> str:
    notes = [note.description for note in annotation.__metadata__ if isinstance(note, Meta)]
    return next(note for note in reversed(notes) if note)
