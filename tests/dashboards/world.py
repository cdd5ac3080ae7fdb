"""Facts of three clinics behind every page: sessions, telemetry, outcomes, devices, signals, people due.

Each clinic's rows carry its own word (north, harbour, mill) in every name, so that a page which tells of
another
clinic can be caught by that word alone.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

WORDS = {"clinic-north": "north", "clinic-harbour": "harbour", "clinic-mill": "mill"}
SESSIONS_EACH = 7
NEAR = 30
"""Days before as_of of a clinic's newest session."""


def patient(word: str, number: int) -> str:
    """A pseudonym: 32 hexadecimal digits, another for every clinic."""
    return f"{word.encode().hex():0<24}{number:08x}"


def rows(as_of: dt.datetime) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(relation, rows) of all clinics; rows of one relation have the same keys."""
    made: dict[str, list[dict[str, Any]]] = {}
    for clinic_id, word in WORDS.items():
        for relation, row in _of_clinic(clinic_id, word, as_of):
            made.setdefault(relation, []).append(row)
    made["landing.quarantine"] = [_refused(as_of, number) for number in range(3)]
    made["mart.protocol_balance"] = [
        _balance(covariate, as_of) for covariate in ("skin_type=4", "session_number")
    ]
    made["mart.shrunken_effect"] = [
        _effect(clinic_id, operator, as_of)
        for clinic_id, word in WORDS.items()
        for operator in (None, f"{clinic_id}/op-{word}")
    ]
    made["mart.surveillance_look"] = [
        _look(as_of, number, word) for word in WORDS.values() for number in (1, 2)
    ]
    yield from made.items()


def _event(clinic_id: str, kind: str, number: int, at: dt.datetime) -> dict[str, Any]:
    return {
        "source": f"/clinics/{clinic_id}",
        "id": f"{kind}-{clinic_id}-{number}",
        "clinic_id": clinic_id,
        "occurred_at": at,
        "received_at": at + dt.timedelta(hours=2),
        "landed_at": at + dt.timedelta(hours=2),
    }


def _of_clinic(clinic_id: str, word: str, as_of: dt.datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    pen, begun = f"pen-{word}", as_of - dt.timedelta(days=400)
    yield (
        "raw.cartridge_discarded",
        _event(clinic_id, "recall", 1, as_of - dt.timedelta(days=20))
        | {
            "device_id": pen,
            "cartridge_lot": f"lot-{word}",
            "cartridge_serial": f"cart-{word}-9",
            "reason": "recalled",
        },
    )
    yield (
        "raw.device_registered",
        _event(clinic_id, "device", 1, begun)
        | {
            "device_id": pen,
            "model": f"model-{word}",
            "serial": f"serial-{word}",
            "firmware": "1.0",
            "in_service_on": begun.date(),
        },
    )
    yield (
        "raw.operator_registered",
        _event(clinic_id, "operator", 1, begun) | {"operator_id": f"op-{word}", "role": "nurse"},
    )
    if word != "mill":
        calibrated = as_of - dt.timedelta(days=200 if word == "north" else 30)
        yield (
            "raw.device_calibrated",
            _event(clinic_id, "calibrated", 1, calibrated) | {"device_id": pen, "depth_error_mm": 0.04},
        )
    for number in range(SESSIONS_EACH):
        yield from _session(clinic_id, word, number, as_of - dt.timedelta(days=NEAR + 5 * number, hours=3))
    for number, state in enumerate(("due", "at risk", "overdue")):
        yield "mart.patient_due", _due(clinic_id, word, number, state, as_of)
    for number in range(8):
        yield "mart.patient_window", _window(clinic_id, word, number, as_of)
    for scope, its in (
        ("clinic", clinic_id),
        ("operator", f"{clinic_id}/op-{word}"),
        ("device", f"{clinic_id}/{pen}"),
        ("cartridge_lot", f"lot-{word}"),
    ):
        yield "mart.metric_result", _group(scope, its, as_of, "high" if scope == "operator" else None)
        yield "mart.signal_event", _signal(f"signal-{scope}-{word}", scope, its, as_of)


def _session(clinic_id: str, word: str, number: int, at: dt.datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    session_id = f"s-{word}-{number}"
    yield (
        "raw.session_completed",
        _event(clinic_id, "session", number, at)
        | {
            "session_id": session_id,
            "patient_key": patient(word, number),
            "operator_id": f"op-{word}",
            "device_id": f"pen-{word}",
            "protocol_id": "scar-deep",
            "protocol_version": 2,
            "cartridge_lot": f"lot-{word}",
            "cartridge_serial": f"cart-{word}-{number}",
            "indication": "acne_scars",
            "area": "face",
            "skin_type": 1 + number % 6,
            "age_band": "30-39",
            "phase": "series",
            "session_number": 1,
            "started_at": at - dt.timedelta(minutes=20),
            "completed_at": at,
            "depth_mm": 1.5,
            "stroke_rate_per_min": 8000.0,
            "passes": 3,
            "contraindication_overridden": False,
        },
    )
    for frame in range(4 if number == 0 else 0):
        begun = at - dt.timedelta(minutes=20) + dt.timedelta(seconds=frame)
        yield (
            "raw.telemetry_frame",
            _event(clinic_id, f"frame-{number}", frame, begun)
            | {
                "device_id": f"pen-{word}",
                "sequence": frame,
                "sample_interval_ms": 100,
                "session_id": session_id,
                "depth_mm": [1.4 + 0.01 * each for each in range(10)],
                "battery_percent": 80.0,
                "stroke_rate_per_min": [7900.0 + each for each in range(10)],
                "motor_current_ma": [100.0] * 10,
            },
        )
    if number == 0:
        onset = at + dt.timedelta(days=2)
        yield (
            "raw.adverse_event_reported",
            _event(clinic_id, "sign", number, onset)
            | {
                "adverse_event_id": f"ae-{word}",
                "session_id": session_id,
                "patient_key": patient(word, number),
                "term": "infection",
                "grade": 2,
                "serious": False,
                "onset_at": onset,
                "became_aware_at": onset,
            },
        )
    if number < 3:
        yield (
            "raw.follow_up_completed",
            _event(clinic_id, "follow-up", number, at + dt.timedelta(days=7))
            | {
                "follow_up_id": f"fu-{word}-{number}",
                "session_id": session_id,
                "patient_key": patient(word, number),
                "adverse_event_found": number == 0,
                "channel": "phone",
            },
        )


def _due(clinic_id: str, word: str, number: int, state: str, as_of: dt.datetime) -> dict[str, Any]:
    last = as_of.date() - dt.timedelta(days=100 + 50 * number)
    return {
        "clinic_id": clinic_id,
        "patient_key": patient(word, number),
        "session_id": f"s-{word}-{number}",
        "kind": "maintenance",
        "last_on": last,
        "due_from": last + dt.timedelta(days=90),
        "due_until": last + dt.timedelta(days=183),
        "state": state,
        "days_overdue": max(0, 50 * number - 83),
        "chance_in_time": 0.4,
        "as_of": as_of,
        "snapshot_id": 1,
    }


def _window(clinic_id: str, word: str, number: int, as_of: dt.datetime) -> dict[str, Any]:
    opened = as_of.date() - dt.timedelta(days=250 + number)
    back = opened + dt.timedelta(days=80 + 20 * number) if number < 6 else None
    return {
        "clinic_id": clinic_id,
        "patient_key": patient(word, number),
        "course": 1,
        "session_id": f"w-{word}-{number}",
        "session_number": 3,
        "kind": "maintenance",
        "opened_on": opened,
        "due_from": opened + dt.timedelta(days=90),
        "due_until": opened + dt.timedelta(days=183),
        "next_session_id": f"n-{word}-{number}" if back else None,
        "returned_on": back,
        "days_to_return": 80 + 20 * number if back else None,
        "replaced_on": None,
        "breaks_on": opened + dt.timedelta(days=365),
    }


def _group(scope: str, its: str, as_of: dt.datetime, flag: str | None) -> dict[str, Any]:
    return {
        "metric_id": "adverse_event_ratio",
        "metric_version": 1,
        "scope": scope,
        "scope_id": its,
        "period": "year",
        "interval_start": as_of - dt.timedelta(days=365),
        "interval_end": as_of,
        "as_of": as_of,
        "snapshot_id": 1,
        "numerator": 9.0,
        "denominator": 4.5,
        "expected": 4.5,
        "value": 2.0,
        "lower": 0.9,
        "upper": 3.8,
        "level": 0.95,
        "unit": "ratio",
        "method": "exact-conditional",
        "reason": None,
        "p": 0.01,
        "q": 0.03,
        "threshold": 0.05,
        "detectable_ratio": 3.1,
        "flag": flag,
        "consecutive_flags": 3 if flag else 0,
        "computed_at": as_of + dt.timedelta(hours=1),
    }


def _signal(signal_id: str, scope: str, its: str, as_of: dt.datetime) -> dict[str, Any]:
    return {
        "signal_id": signal_id,
        "number": 1,
        "kind": "opened",
        "happened_at": as_of - dt.timedelta(days=3),
        "actor": "rule",
        "metric_id": "adverse_event_ratio",
        "metric_version": 1,
        "scope": scope,
        "scope_id": its,
        "flag": "high",
        "as_of": as_of - dt.timedelta(days=3),
        "value": 2.0,
        "q": 0.03,
    }


def _balance(term: str, as_of: dt.datetime) -> dict[str, Any]:
    covariate, _, category = term.partition("=")
    return {
        "protocol_id": "scar-deep",
        "covariate": covariate,
        "category": category or None,
        "patients": 40,
        "compared": 60,
        "mean_own": 0.5,
        "mean_other": 0.3,
        "smd": -0.42,
        "smd_weighted": 0.03,
        "reason": None,
        "as_of": as_of,
        "snapshot_id": 1,
    }


def _effect(clinic_id: str, operator: str | None, as_of: dt.datetime) -> dict[str, Any]:
    """An operator's has no limits: the level is estimated not to vary."""
    limits = dict.fromkeys(("lower", "upper", "standardised_lower", "standardised_upper"))
    if operator is None:
        limits = {"lower": 0.05, "upper": 0.35, "standardised_lower": 0.08, "standardised_upper": 0.53}
    return {
        "scale": "gais",
        "depth": "operator" if operator else "clinic",
        "clinic_id": clinic_id,
        "operator": operator,
        "sessions": 40,
        "patients": 20,
        "value": 0.2 if operator is None else 0.0,
        "standardised": 0.3 if operator is None else 0.0,
        **limits,
        "level": 0.95,
        "adjusted_for": "session_number",
        "method": "reml; prasad-rao; satterthwaite",
        "version": 1,
        "reason": "no limits: this level does not vary beyond chance" if operator else None,
        "as_of": as_of,
        "snapshot_id": 1,
    }


def _look(as_of: dt.datetime, number: int, word: str) -> dict[str, Any]:
    return {
        "metric_id": "adverse_event_surveillance",
        "metric_version": 1,
        "scope": "cartridge_lot",
        "scope_id": f"lot-{word}",
        "look": number,
        "as_of": as_of - dt.timedelta(days=7 * (2 - number)),
        "events": number,
        "expected": 1.5 * number,
        "relative_risk": 0.7,
        "statistic": 0.4 * number,
        "critical_value": 4.8,
        "alpha_spent": 0.002 * number,
        "signal": False,
        "reason": None,
    }


def _refused(as_of: dt.datetime, number: int) -> dict[str, Any]:
    return {
        "topic": "clinic.sessions",
        "partition": 0,
        "offset": 100 + number,
        "received_at": as_of,
        "key": b"k",
        "value": b"secret of a clinic",
        "headers": "{}",
        "rule": "json.invalid",
        "path": "$",
        "detail": "not JSON",
        "codec_version": "1",
        "batch_id": "batch-1",
        "landed_at": as_of,
    }
