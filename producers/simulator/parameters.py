"""Every number the simulated network is made of, with unit and origin.

Origins: [S] the articles the project began with, [L] published literature or a regulator's record,
[A] an assumption of ours. Shares and probabilities are 0-1. Pairs are (lowest, highest) of a uniform draw;
a lognormal is given by its median and the standard deviation of its logarithm.
"""

from dataclasses import dataclass

Pair = tuple[float, float]


@dataclass(frozen=True)
class Parameters:
    """What one simulated world assumes; the defaults are the realistic ones."""

    # ── demand ──────────────────────────────────────────────────────────────────────────────────────────
    new_patients_per_open_day: float = 2.3  # patients, mean clinic [A]
    clinic_size_sd_log: float = 0.25  # between clinics [A]
    no_show_prepaid: float = 0.08  # per appointment [A]
    no_show_otherwise: float = 0.15  # per appointment; dermatology reports 15-25 % [L]
    prepaid: float = 0.5  # share of patients who paid for the series at once [A]
    rebooks_after_no_show: float = 0.75  # share [A]
    rebooking_days: Pair = (3, 14)  # after the missed or cancelled appointment [A]
    cancelled: float = 0.04  # per appointment, with notice [A]
    rebooks_after_cancelling: float = 0.9  # share [A]
    first_visit_days: Pair = (1, 10)  # from a new patient's call to the visit [A]

    # ── patients ────────────────────────────────────────────────────────────────────────────────────────
    skin_type_shares: tuple[float, ...] = (0.12, 0.23, 0.48, 0.10, 0.05, 0.02)
    # I-VI; I+II 35 %, III 48 %, IV-VI 17 % in the US [L]; tilted by clinic [A]
    age_band_shares: tuple[float, ...] = (0.22, 0.30, 0.24, 0.16, 0.08)  # 18-29 … 60+ [A]
    sun_protected: float = 0.75  # share that follows the advice [A]
    contraindication_overridden: float = 0.005  # per session [A]

    # ── course ──────────────────────────────────────────────────────────────────────────────────────────
    series_gap_days: Pair = (28, 42)  # 4-6 weeks [S]
    drop_out_after_session: tuple[float, ...] = (0.15, 0.12)  # after the 1st, the 2nd and later [A]
    returns_for_maintenance: float = 0.47  # with the gap below: 45 % back within 7 months [A]
    maintenance_gap_median_days: float = 125  # hazard peaks at 4 months [A]
    maintenance_gap_sd_log: float = 0.3  # [A]
    maintenance_gap_least_days: int = 60  # [A]

    # ── a session ───────────────────────────────────────────────────────────────────────────────────────
    numbing_minutes: Pair = (15, 22)  # from arrival to needling; about 20 [S]
    needling_minutes: Pair = (10, 25)  # [A]
    soothing_minutes: Pair = (3, 8)  # serum, balm, light; 30-60 min in all [S]
    passes: Pair = (3, 6)  # several [S]
    cartridges_per_lot: int = 200  # lots of 100-300 [A]
    needle_count_shares: tuple[float, ...] = (0.2, 0.6, 0.2)  # 6, 12, 14 needles [A]
    deferred: float = 0.01  # share sent home after screening [A]
    deferred_days: Pair = (10, 21)  # until they come again [A]
    aborted: float = 0.002  # share that ends before it is done [A]

    # ── expected reactions ──────────────────────────────────────────────────────────────────────────────
    transient_reported: float = 0.25  # share of sessions whose redness or swelling is written down [A]
    transient_observed: float = 0.3  # share stated as expected at the end of the visit [A]
    transient_median_days: tuple[tuple[float, float], ...] = ((1.0, 1.5), (1.5, 2.5))
    # (depth in mm, median days), interpolated; 1.5 d at 0.5-1.0 mm, 2.5 d at 1.5-2.5 mm [A on L]
    transient_sd_log: float = 0.44  # 99 % below 7 d at 2.5 d [A]
    oedema_share: float = 0.2  # of the reported transient reactions [A]

    # ── adverse events, per session ─────────────────────────────────────────────────────────────────────
    pih_by_skin_type: tuple[float, ...] = (
        0.001,
        0.002,
        0.008,
        0.02,
        0.035,
        0.04,
    )  # I-VI [A on L, Dogra 2014]
    pih_factor_per_mm: float = 1.5  # for each mm beyond 1.0 mm [A]
    pih_factor_unprotected: float = 2.0  # without sun protection [A]
    pih_onset_median_days: float = 30  # [A]
    pih_duration_median_days: float = 60  # [A]
    breakout: float = 0.03  # up to 13.3 % of patients [L]
    bruising: float = 0.008  # up to 2.8 % of patients [L]
    prolonged: float = 0.01  # redness or swelling beyond 7 d [A]
    infection: float = 0.001  # [A]
    infection_overridden: float = 0.01  # where an active contraindication was overridden [A]
    reported_by_patient: Pair = (0.75, 0.95)  # share that calls the clinic, by clinic [A]
    report_delay_mean_days: float = 1.5  # onset to call, exponential [A]
    adverse_event_updated: float = 0.05  # share of reports judged anew within days [A]
    aftercare_breached: float = 0.03  # share of sessions of patients who follow the advice [A]
    aftercare_breached_unprotected: float = 0.25  # share of those who do not [A]
    resolution_known: float = 0.95  # share of reported events whose end is recorded [A]

    # ── follow-up and effect ────────────────────────────────────────────────────────────────────────────
    follow_up: Pair = (0.55, 0.95)  # share of sessions, by clinic [A]
    follow_up_days: Pair = (7, 14)  # after the session [A]
    assessed_within_series: float = 0.15  # share of sessions, 14 d to the next session [A]
    assessed_after_series: float = 0.6  # share, 28-90 d [A]
    assessed_after_maintenance: float = 0.4  # share, 28-90 d [A]
    satisfaction_asked: float = 0.5  # share of assessments [A]
    gain_per_session: float = 0.35  # GAIS grades, sessions 1-3; half of it after [A]
    gain_sd_clinic: float = 0.1  # GAIS grades [A]
    gain_sd_operator: float = 0.1  # GAIS grades [A]
    gain_sd_patient: float = 0.5  # GAIS grades [A]
    gain_sd_rating: float = 0.3  # GAIS grades, between two raters [A]

    # ── corrections ─────────────────────────────────────────────────────────────────────────────────────
    session_entered_twice: float = 0.004  # share, voided within hours [A]
    session_corrected: float = 0.005  # share, superseded the same day [A]
    adverse_event_corrected: float = 0.03  # share, grade revised within days [A]
    adverse_event_voided: float = 0.01  # share, entered in error [A]
    assessment_corrected: float = 0.005  # share, superseded the same day [A]

    # ── devices ─────────────────────────────────────────────────────────────────────────────────────────
    calibration_days: Pair = (150, 180)  # between calibrations; every 6 months [A]
    calibration_days_late: Pair = (200, 290)  # in a clinic that lets it slip [A]
    late_clinics: float = 0.25  # share of clinics [A]
    depth_error_sd_mm: float = 0.05  # when new [A]
    depth_drift_mm_per_month: float = 0.01  # [A]
    service_days: int = 365  # between services; every 12 months [A]
    battery_replaced: float = 0.3  # share of services [A]
    firmware_release_days: int = 110  # 3-4 versions a year, each rolled out by clinic over 8 weeks [A]
    faults_per_device_day: float = 0.004  # [A]
    heartbeat_seconds: int = 300  # when idle [A]
    samples_per_frame: int = 10  # 10 Hz, one frame a second [A]
    depth_noise_sd_mm: float = 0.02  # per sample [A]
    stroke_loss_under_load: Pair = (0.05, 0.08)  # share of the set rate [L]
    stroke_noise_sd: float = 0.02  # share of the set rate, per sample [L]
    current_base_ma: float = 260  # motor current in air [A]
    current_per_mm_ma: float = 90  # added per mm of depth [A]
    current_noise_sd_ma: float = 8  # per sample [A]
    battery_percent_per_minute: float = 1.6  # used while needling; 2-3 sessions to 20 % [A]
    charge_percent_per_minute: float = 1.0  # gained while idle in its stand [A]
