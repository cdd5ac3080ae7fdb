"""Cards of the schedule: do patients, devices and clinics keep it, who will come, and what protocols achieve
when their patients are made alike."""

from warehouse.metrics.cards import MetricCard

_WILSON = "interval by Wilson, JASA 22 (1927) 209-212"

SERIES_COMPLETION = MetricCard(
    id="series_completion",
    version=1,
    title="Series completed",
    description=(
        "Share of the series decided within the year that reached their planned number of sessions. A "
        "series is decided when it is complete or when 90 days passed without a session; one that may still "
        "go on is not counted yet."
    ),
    numerator="series that reached their planned number of sessions",
    denominator="series completed or broken off",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source=f"Series of 3 sessions; broken off after 90 days (assumption); {_WILSON}",
)
SERIES_GAP_ON_TIME = MetricCard(
    id="series_gap_on_time",
    version=1,
    title="Series gaps on time",
    description=(
        "Share of the gaps inside a series that lasted 28 to 42 days. A gap is decided by the next session, "
        "or by day 42 passing without one."
    ),
    numerator="gaps of 28 to 42 days",
    denominator="gaps decided: the next session came, or day 42 passed",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source=f"Sessions 4 to 6 weeks apart; {_WILSON}, which treats the gaps of one patient as independent",
)
MAINTENANCE_RETURN = MetricCard(
    id="maintenance_return",
    version=1,
    title="Back within 183 days",
    description=(
        "Share of patients in maintenance who are back within 183 days of a session, whatever is still "
        "open: patients not yet due count for as long as they were followed. A course for another concern "
        "competes."
    ),
    numerator="returns",
    denominator="maintenance windows followed, for as long as they were",
    unit="proportion",
    interval="log-log",
    level=0.95,
    better="higher",
    source="Cumulative incidence, Aalen and Johansen (1978); variance by the delta method",
)
PATIENT_DAYS_COVERED = MetricCard(
    id="patient_days_covered",
    version=1,
    title="Days covered by maintenance",
    description=(
        "Mean share of the days since the end of the series that lie within 183 days of a session (PDC), "
        "over patients who completed a series and were observed for at least 30 days of the year."
    ),
    numerator="proportions of days covered, summed over patients",
    denominator="patients observed in maintenance for at least 30 days",
    unit="proportion",
    interval="t",
    level=0.95,
    better="higher",
    source="PDC: Nau, Pharmacy Quality Alliance (2012); validity of 183 days; mean with Student's t interval",
)
DEVICE_DAYS_IN_CALIBRATION = MetricCard(
    id="device_days_in_calibration",
    version=1,
    title="Device days in calibration",
    description=(
        "Mean share of the year's days in service on which a device's last calibration was at most 183 days "
        "old. The number of devices in calibration today is another card."
    ),
    numerator="proportions of days in calibration, summed over devices",
    denominator="devices in service on a day of the year",
    unit="proportion",
    interval="t",
    level=0.95,
    better="higher",
    source="PDC on calibrations; calibration every 6 months (assumption); mean with Student's t interval",
)
SESSIONS_WHILE_OVERDUE = MetricCard(
    id="sessions_while_overdue",
    version=1,
    title="Sessions on overdue devices",
    description=(
        "Share of the year's sessions run on a device whose last calibration was more than 183 days old. A "
        "device never calibrated is overdue."
    ),
    numerator="sessions on a device overdue for calibration",
    denominator="sessions on a known device",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="lower",
    source=f"Calibration every 6 months (assumption); {_WILSON}",
)
CARTRIDGE_REUSE = MetricCard(
    id="cartridge_reuse",
    version=1,
    title="Cartridges used more than once",
    description=(
        "Share of the year's cartridges that appear in more than one session. They are for single use, so "
        "that each one is a safety signal by itself."
    ),
    numerator="cartridges seen in more than one session",
    denominator="cartridges used",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="lower",
    source=f"Single-use cartridges; {_WILSON}",
)
CONTRAINDICATION_OVERRIDDEN = MetricCard(
    id="contraindication_overridden",
    version=1,
    title="Contraindications overridden",
    description=(
        "Share of the year's sessions that went ahead although screening had found a contraindication."
    ),
    numerator="sessions in which a contraindication was overridden",
    denominator="sessions",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="lower",
    source=f"Screening adherence; {_WILSON}",
)
FOLLOW_UP_IN_TIME = MetricCard(
    id="follow_up_in_time",
    version=1,
    title="Follow-up in time",
    description=(
        "Share of the year's sessions whose follow-up was done on day 1 to 14. A session whose window is "
        "still open and that has none yet is not counted."
    ),
    numerator="sessions followed up on day 1 to 14",
    denominator="sessions whose follow-up is decided",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source=f"Follow-up within two weeks (assumption); {_WILSON}",
)
MAINTENANCE_DEMAND = MetricCard(
    id="maintenance_demand",
    version=1,
    title="Maintenance sessions expected",
    description=(
        "Patients in maintenance expected back in each of the coming twelve weeks, from how earlier "
        "patients who had waited as long came back. The interval is for the number that will come."
    ),
    numerator="expected returns",
    denominator="patients waiting for their next session",
    unit="sessions",
    interval="life-table",
    level=0.95,
    better="higher",
    source="Life table, Cutler and Ederer (1958); prediction interval by the delta method",
)
PROTOCOL_DIFFERENCE_CRUDE = MetricCard(
    id="protocol_difference_crude",
    version=1,
    title="Difference to other protocols, unadjusted",
    description=(
        "Mean gain with the protocol minus that with other protocols for the same concerns, as the patients "
        "came. Shown beside the adjusted difference, never alone: patients are not randomised."
    ),
    numerator="patients of the protocol",
    denominator="patients with a GAIS score who have a concern that several protocols are used for",
    unit="GAIS grades",
    interval="welch",
    level=0.95,
    better="higher",
    source="Welch, Biometrika 29 (1938) 350-362",
)
PROTOCOL_DIFFERENCE_ADJUSTED = MetricCard(
    id="protocol_difference_adjusted",
    version=1,
    title="Difference to other protocols, adjusted",
    description=(
        "Mean gain if all had the protocol minus if all had another one for the same concerns, with "
        "patients made alike in concern, area, skin type, age and number of sessions. Not estimable where "
        "too few are alike."
    ),
    numerator="patients of the protocol",
    denominator="patients with a GAIS score who have a concern that several protocols are used for",
    unit="GAIS grades",
    interval="aipw",
    level=0.95,
    better="higher",
    source="Augmented inverse probability weighting: Robins, Rotnitzky and Zhao, JASA 89 (1994) 846-866; "
    "p values by Holm (1979)",
    strata=("indication", "area", "skin_type", "age_band", "session_number"),
    model="protocol-choice/1",
)
OVERDUE_CALIBRATION_HARM = MetricCard(
    id="overdue_calibration_harm",
    version=1,
    title="Adverse events on overdue devices",
    description=(
        "Adverse events per 100 sessions on devices overdue for calibration minus those on devices in "
        "calibration, with sessions made alike in skin type, concern, area and age. An association, not "
        "proof."
    ),
    numerator="sessions on overdue devices",
    denominator="sessions whose outcome is known, on a known device",
    unit="per 100 sessions",
    interval="aipw",
    level=0.95,
    better="lower",
    source="Augmented inverse probability weighting, as above; errors by device",
    strata=("skin_type", "indication", "area", "age_band"),
    model="overdue-choice/1",
)

SCHEDULE_CARDS: dict[str, MetricCard] = {
    card.id: card
    for card in (
        SERIES_COMPLETION,
        SERIES_GAP_ON_TIME,
        MAINTENANCE_RETURN,
        PATIENT_DAYS_COVERED,
        DEVICE_DAYS_IN_CALIBRATION,
        SESSIONS_WHILE_OVERDUE,
        CARTRIDGE_REUSE,
        CONTRAINDICATION_OVERRIDDEN,
        FOLLOW_UP_IN_TIME,
        MAINTENANCE_DEMAND,
        PROTOCOL_DIFFERENCE_CRUDE,
        PROTOCOL_DIFFERENCE_ADJUSTED,
        OVERDUE_CALIBRATION_HARM,
    )
}
