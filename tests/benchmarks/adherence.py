"""How fast adherence and effectiveness are computed, beside the libraries that a user would pick.

    uv run python -m tests.benchmarks.adherence
    uv run python -m tests.benchmarks.adherence --sessions 500000 --only courses,survival

Sections: `courses` (all adherence metrics and the refresh of one more day), `survival` (Kaplan-Meier of every
clinic in one pass beside lifelines in a loop), `effects` (IPTW and AIPW beside statsmodels' logit, which is
only their first step), `mixed` (a mixed model, and one beside statsmodels on a part). Seconds depend on the
machine: only ratios within one run mean much; CPU seconds are told for machines that others use. Compiled
parts are warm: a service compiles once. Prints one JSON document.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from lifelines import KaplanMeierFitter
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.mixed_linear_model import MixedLM

from warehouse.metrics.causal import aipw, iptw
from warehouse.metrics.courses import (
    PATIENT,
    rebuild_courses,
    series,
    time_to_return,
    window_status,
    window_summary,
    windows,
)
from warehouse.metrics.coverage import persistence, proportion_of_days_covered
from warehouse.metrics.due import due_list, maintenance_demand
from warehouse.metrics.mixed import mixed_model
from warehouse.metrics.survival import aalen_johansen, kaplan_meier

AS_OF = dt.date(2026, 11, 1)
CLINICS = 500


class Took(float):
    """Seconds by the clock, with those of all cores in `cpu`."""

    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Took, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    took = Took(time.perf_counter() - began)
    took.cpu = time.process_time() - cpu
    return took, found


def told(**times: Took) -> dict[str, float]:
    """`name_seconds` and `name_cpu_seconds` of each."""
    return {
        f"{name}_{kind}": round(seconds, 3)
        for name, took in times.items()
        for kind, seconds in (("seconds", float(took)), ("cpu_seconds", took.cpu))
    }


def network(sessions: int, patients: int, seed: int) -> pl.DataFrame:
    """Sessions of three years; each patient has a few, at gaps of a series and then of maintenance."""
    rng = np.random.default_rng(seed)
    counts = 1 + rng.multinomial(sessions - patients, np.full(patients, 1 / patients))
    patient = np.repeat(np.arange(patients), counts)
    number = np.arange(len(patient)) - np.repeat(counts.cumsum() - counts, counts)
    gap = np.where(number < 3, rng.integers(25, 60, len(patient)), rng.integers(70, 220, len(patient)))
    gap[number == 0] = 0
    elapsed = gap.cumsum()
    elapsed -= np.repeat(elapsed[counts.cumsum() - counts], counts)
    start = dt.date(2023, 11, 1).toordinal() - dt.date(1970, 1, 1).toordinal()
    day = start + np.repeat(rng.integers(0, 1050, patients), counts) + elapsed
    frame = pl.DataFrame({"patient": patient, "day": day, "number": number}).with_columns(
        clinic_id="clinic-" + (pl.col("patient") % CLINICS).cast(pl.String).str.zfill(3),
        patient_key=pl.col("patient").hash(seed).cast(pl.String).str.zfill(20)
        + pl.col("patient").cast(pl.String).str.zfill(12),
        session_id="s" + pl.int_range(pl.len()).cast(pl.String),
        completed_on=pl.col("day").cast(pl.Int32).cast(pl.Date),
        indication=pl.when(pl.col("patient") % 3 == 0)
        .then(pl.lit("wrinkles"))
        .otherwise(pl.lit("acne-scars")),
    )
    return frame.drop("patient", "day", "number").sample(fraction=1.0, shuffle=True, seed=seed)


def adherence(sessions: pl.DataFrame, as_of: dt.date) -> dict[str, Any]:
    """All adherence metrics, from sessions."""
    courses = rebuild_courses(sessions)
    opened = windows(courses)
    return {"opened": opened, **_measures(sessions, courses, opened, as_of)}


def _measures(
    sessions: pl.DataFrame, courses: pl.DataFrame | None, opened: pl.DataFrame, as_of: dt.date
) -> dict[str, Any]:
    found = {
        "windows": window_summary(window_status(opened, as_of=as_of)),
        "due": due_list(opened, as_of=as_of),
        "demand": maintenance_demand(opened, as_of=as_of, by=["clinic_id"]),
        "returns": aalen_johansen(
            time_to_return(opened, as_of=as_of), duration="days", cause="cause", by=["clinic_id"]
        ),
    }
    if courses is not None:
        covers = sessions.with_columns(valid_days=pl.lit(183))
        found |= {
            "series": series(courses, as_of=as_of),
            "covered": proportion_of_days_covered(covers, start=as_of - dt.timedelta(days=365), end=as_of),
            "persistence": persistence(covers, as_of=as_of, permissible_gap_days=90),
        }
    return found


def one_more_day(sessions: pl.DataFrame, opened: pl.DataFrame, as_of: dt.date) -> dict[str, Any]:
    """Windows of the patients of the day anew, all others kept; then the measures of windows."""
    today = sessions.filter(pl.col("completed_on") == as_of - dt.timedelta(days=1)).select(PATIENT).unique()
    theirs = sessions.join(today, on=list(PATIENT), how="semi")
    fresh = windows(rebuild_courses(theirs))
    kept = opened.join(today, on=list(PATIENT), how="anti")
    together = pl.concat([kept, fresh])
    return {"patients": today.height, **_measures(sessions, None, together, as_of)}


def courses_section(sessions: int, patients: int, seed: int) -> dict[str, Any]:
    frame = network(sessions, patients, seed)
    warm = frame.head(1000)
    adherence(warm, AS_OF)
    past = frame.filter(pl.col("completed_on") < AS_OF)
    seconds, found = timed(lambda: adherence(past, AS_OF))
    later = frame.filter(pl.col("completed_on") < AS_OF + dt.timedelta(days=1))
    day_seconds, day = timed(lambda: one_more_day(later, found["opened"], AS_OF + dt.timedelta(days=1)))
    return {
        "sessions": past.height,
        "patients": past.select(PATIENT).n_unique(),
        "windows": found["opened"].height,
        **told(all=seconds, one_more_day=day_seconds),
        "patients_of_the_day": day["patients"],
    }


def survival_section(subjects: int, seed: int) -> dict[str, Any]:
    """Whole days of 1.5 M subjects of 500 clinics; lifelines fits clinic by clinic on the same arrays."""
    rng = np.random.default_rng(seed)
    days = np.ceil(rng.lognormal(np.log(125), 0.5, subjects)).clip(1, 700)
    frame = pl.DataFrame(
        {"clinic_id": rng.integers(0, CLINICS, subjects), "days": days, "event": rng.random(subjects) < 0.6}
    )
    kaplan_meier(frame.head(1000), duration="days", event="event", by=["clinic_id"])
    seconds, curve = timed(lambda: kaplan_meier(frame, duration="days", event="event", by=["clinic_id"]))
    parts = {key[0]: part for key, part in frame.partition_by("clinic_id", as_dict=True).items()}

    def loop() -> dict[int, Any]:
        return {
            clinic: KaplanMeierFitter().fit(part["days"].to_numpy(), part["event"].to_numpy())
            for clinic, part in parts.items()
        }

    theirs_seconds, fits = timed(loop)
    largest = 0.0
    for (clinic,), mine in curve.partition_by("clinic_id", as_dict=True).items():
        theirs = fits[clinic].survival_function_["KM_estimate"].loc[mine["time"].to_numpy()].to_numpy()
        largest = max(largest, float(np.abs(theirs - mine["survival"].to_numpy()).max()))
    return {
        "subjects": subjects,
        "clinics": len(parts),
        **told(all_clinics=seconds, lifelines_loop=theirs_seconds),
        "times_faster": round(theirs_seconds / seconds, 1),
        "times_less_cpu": round(theirs_seconds.cpu / seconds.cpu, 1),
        "largest_difference": largest,
    }


def effects_section(rows: int, covariates: int, seed: int) -> dict[str, Any]:
    """IPTW and AIPW on all rows; statsmodels' logit, the first step of both, on the same rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, covariates))
    beta = rng.normal(0, 0.15, covariates)
    treated = rng.random(rows) < 1 / (1 + np.exp(-(x @ beta)))
    y = x @ rng.normal(0, 0.3, covariates) + 0.2 * treated + rng.normal(size=rows)
    names = [f"x{n}" for n in range(covariates)]
    frame = pl.DataFrame({"treated": treated, "y": y, **{name: x[:, n] for n, name in enumerate(names)}})
    options: dict[str, Any] = {"outcome": "y", "treatment": "treated", "covariates": names}
    iptw_seconds, weighted = timed(lambda: iptw(frame, **options))
    aipw_seconds, robust = timed(lambda: aipw(frame, **options))
    design = np.column_stack([np.ones(rows), x])
    logit_seconds, _ = timed(lambda: Logit(treated.astype(float), design).fit(disp=0))
    return {
        "rows": rows,
        "covariates": covariates,
        **told(iptw=iptw_seconds, aipw=aipw_seconds, statsmodels_logit_alone=logit_seconds),
        "true_effect": 0.2,
        "iptw": [round(weighted[name].item(), 4) for name in ("value", "lower", "upper")],
        "aipw": [round(robust[name].item(), 4) for name in ("value", "lower", "upper")],
    }


def mixed_section(rows: int, seed: int) -> dict[str, Any]:
    """Three nested levels on all rows; statsmodels with the innermost level alone on a hundredth of them."""
    rng = np.random.default_rng(seed)
    clinic, operator, patient = (rng.integers(0, size, rows) for size in (CLINICS, 5, 60))
    nested = (clinic * 5 + operator) * 60 + patient
    x = rng.normal(size=(rows, 5))
    y = (
        x @ np.arange(0.1, 0.6, 0.1) + rng.normal(0, 0.1, CLINICS)[clinic]
        + rng.normal(0, 0.1, CLINICS * 5)[clinic * 5 + operator]
        + rng.normal(0, 0.5, CLINICS * 300)[nested] + rng.normal(0, 0.3, rows)
    )  # fmt: skip
    names = [f"x{n}" for n in range(5)]
    frame = pl.DataFrame(
        {
            "clinic_id": clinic, "operator_id": operator, "patient_key": patient, "nested": nested, "y": y,
            **{name: x[:, n] for n, name in enumerate(names)},
        }
    )  # fmt: skip
    seconds, found = timed(lambda: mixed_model(frame, outcome="y", covariates=names))
    part = frame.sort("nested").head(max(rows // 100, 1000))
    ours_seconds, ours = timed(lambda: mixed_model(part, outcome="y", covariates=names, groups=["nested"]))
    design = np.column_stack([np.ones(part.height), part.select(names).to_numpy()])

    def fit() -> Any:
        return MixedLM(part["y"].to_numpy(), design, groups=part["nested"].to_numpy()).fit(reml=True)

    theirs_seconds, theirs = timed(fit)
    return {
        "rows": rows,
        **told(all_rows=seconds, part=ours_seconds, part_statsmodels=theirs_seconds),
        "approximation": "none: the restricted likelihood is exact",
        "standard_deviations": found.components["standard_deviation"].round(4).to_list(),
        "true_standard_deviations": [0.1, 0.1, 0.5, 0.3],
        "part_rows": part.height,
        "part_times_faster": round(theirs_seconds / ours_seconds, 1),
        "part_largest_difference_of_coefficients": float(
            np.abs(np.asarray(theirs.fe_params) - ours.fixed["value"].to_numpy()).max()
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=5_000_000)
    parser.add_argument("--patients", type=int, default=1_500_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of effects and of the mixed model")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--only", default="courses,survival,effects,mixed")
    chosen = parser.parse_args()
    patients = min(chosen.patients, chosen.sessions)
    sections: dict[str, Callable[[], dict[str, Any]]] = {
        "courses": lambda: courses_section(chosen.sessions, patients, chosen.seed),
        "survival": lambda: survival_section(patients, chosen.seed),
        "effects": lambda: effects_section(chosen.rows, 30, chosen.seed),
        "mixed": lambda: mixed_section(chosen.rows, chosen.seed),
    }
    report: dict[str, Any] = {
        "seed": chosen.seed,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "polars": pl.__version__},
    }
    for name in chosen.only.split(","):
        report[name] = sections[name]()
        report[name]["peak_gigabytes_so_far"] = round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
        )
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
