"""What is looked at every day beside the rates: pairs, the tree of clinics, severity, drift, protocols.

adverse events -> pairs (PRR, ROR, IC, EBGM), severity trend | followed-up sessions -> hierarchy
calibrations -> drift | scored patients -> ranks, benefit and harm
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl

from warehouse.metrics import disproportionality as reports
from warehouse.metrics import exact_tests, intervals
from warehouse.metrics.drift import out_of_tolerance
from warehouse.metrics.protocols import protocol_means, protocol_ranks
from warehouse.metrics.risk_indicators import hierarchical_fdr
from warehouse.metrics.shrinkage import ebgm
from warehouse.metrics.trends import severity_trend
from warehouse.metrics.values import column

PRODUCTS = ("cartridge_lot", "firmware", "protocol", "device")
"""What a term may be reported with."""

DEPTH_TOLERANCE_MM = 0.15
"""Largest depth error that is tolerated, either side [assumption]."""

LEAST_REPORTS, LEAST_RATIO = 3, 2.0
"""A pair is flagged from as many sessions on, when it is surely as many times what is expected: EB05, or the
lower limit of IC, 2 to its power, where no prior could be fitted. Source: for 2, Szarfman, Machado and
O'Neill, Drug Safety 25 (2002) 381-392; for three reports, Evans, Waller and Davis (2001), as for PRR."""

PAIR_ROW: dict[str, pl.DataType] = {
    **{name: pl.String() for name in ("scope", "scope_id", "term")},
    "sessions": pl.Int64(),
    "expected": pl.Float64(),
    **{f"{name}{part}": pl.Float64() for name in ("prr", "ror", "ic") for part in ("", "_lower", "_upper")},
    **{name: pl.Float64() for name in ("ebgm", "eb05", "eb95", "level")},
    "flag": pl.String(),
    "reason": pl.String(),
}
HIERARCHY_ROW: dict[str, pl.DataType] = {
    **{name: pl.String() for name in ("depth", "clinic_id", "operator", "cartridge_lot")},
    "observed": pl.Int64(),
    **{name: pl.Float64() for name in ("expected", "value", "p", "q")},
    "rejected": pl.Boolean(),
}
CALIBRATION_ROW: dict[str, pl.DataType] = {
    "tenth": pl.Int32(), "sessions": pl.Int64(), "observed": pl.Int64(),
    **{name: pl.Float64() for name in ("expected", "lower", "upper", "level")},
}  # fmt: skip
SEVERITY_ROW: dict[str, pl.DataType] = {
    "scope": pl.String(), "scope_id": pl.String(), "events": pl.Int64(), "statistic": pl.Float64(),
    "p": pl.Float64(), "method": pl.String(), "reason": pl.String(),
}  # fmt: skip
RANK_ROW: dict[str, pl.DataType] = {
    "indication": pl.String(), "protocol_id": pl.String(), "patients": pl.Int64(),
    **{name: pl.Float64() for name in ("benefit_crude", "benefit", "benefit_lower", "benefit_upper")},
    **{name: pl.Int64() for name in ("rank", "rank_lower", "rank_upper")},
    **{name: pl.Float64() for name in ("harm", "harm_lower", "harm_upper")},
    "harm_patients": pl.Int64(), "level": pl.Float64(), "reason": pl.String(), "harm_reason": pl.String(),
}  # fmt: skip


def reported_pairs(events: pl.DataFrame) -> pl.DataFrame:
    """Every pair of a product and a term that was reported with it, PAIR_ROW.

    `events`: one adverse event a row, `session`, `term` and the columns of PRODUCTS, `unknown` where it is
    not known: then the event is in no pair of that scope. A session counts once for a pair.
    """
    found = [_pairs_of(events.filter(pl.col(scope) != "unknown"), scope) for scope in PRODUCTS]
    return pl.concat(found)


def _pairs_of(events: pl.DataFrame, scope: str) -> pl.DataFrame:
    if not events.height:
        return pl.DataFrame(schema=PAIR_ROW)
    counted = reports.contingency(events, report="session", product=scope, event="term")
    measured = reports.disproportionality(counted)
    shrunken = ebgm(measured["reports"], measured["expected"], minimum_count=1).rename({"reason": "_fit"})
    surely = pl.coalesce("eb05", 2 ** pl.col("ic_lower"))
    high = (pl.col("reports") >= LEAST_REPORTS) & (surely >= LEAST_RATIO)
    told = pl.concat([measured, shrunken], how="horizontal").with_columns(
        scope=pl.lit(scope),
        scope_id="product",
        term="event",
        sessions="reports",
        flag=pl.when(high).then(pl.lit("high")),
        reason=pl.coalesce("reason", "_fit"),
    )
    return told.select(pl.col(name).cast(dtype) for name, dtype in PAIR_ROW.items())


def hierarchy(sessions: pl.DataFrame, *, level: float = 0.05) -> pl.DataFrame:
    """Clinics, their operators, the lots these used: too many adverse events? HIERARCHY_ROW.

    `sessions`: followed-up ones, one a row or added up, with `clinic_id`, `operator` (unique in the network),
    `cartridge_lot`, `adverse` (events) and `expected` by the case-mix model. Each group is held against all
    other sessions, given all events. Unknown operators and lots are no group. Source: see `hierarchical_fdr`.
    """
    path = ["clinic_id", "operator", "cartridge_lot"]
    names = sessions.select(pl.col(name).cast(pl.String) for name in path)
    told = names.with_columns(sessions["adverse"], sessions["expected"])
    groups = pl.concat(
        [
            _groups(told, path[: number + 1], depth)
            for number, depth in enumerate(("clinic", "operator", "lot"))
        ],
        how="diagonal",
    )
    o, e = groups["observed"].to_numpy(), groups["expected"].to_numpy()
    all_events, all_expected = int(told["adverse"].sum() or 0), float(told["expected"].sum() or 0.0)
    rest, e_rest = all_events - o, np.maximum(all_expected - e, 0.0)
    p = exact_tests.rates_test(o, e, rest, e_rest, alternative="greater", mid_p=True)
    like_others = np.where(e_rest > 0, e * rest / np.where(e_rest > 0, e_rest, 1.0), e)
    nodes = groups.with_columns(
        id=_path(path), parent=_path(path[:2], where="lot", other=_path(path[:1], where="operator")), p=p,
        expected=pl.Series(like_others, dtype=pl.Float64),
        value=column("value", o / np.where(like_others > 0, like_others, np.nan)),
    )  # fmt: skip
    return hierarchical_fdr(nodes, level=level).select(
        pl.col(name).cast(dtype) for name, dtype in HIERARCHY_ROW.items()
    )


def _groups(told: pl.DataFrame, path: Sequence[str], depth: str) -> pl.DataFrame:
    known = told.filter(pl.all_horizontal(pl.col(name) != "unknown" for name in path))
    return (
        known.group_by(path)
        .agg(observed=pl.col("adverse").sum().cast(pl.Int64), expected=pl.col("expected").sum())
        .sort(path)
        .with_columns(depth=pl.lit(depth))
    )


def _path(path: Sequence[str], *, where: str | None = None, other: pl.Expr | None = None) -> pl.Expr:
    named = pl.concat_str([pl.col(name) for name in path], separator="\n", ignore_nulls=True)
    return named if where is None else pl.when(pl.col("depth") == where).then(named).otherwise(other)


def calibration(followed: pl.DataFrame, *, level: float = 0.95) -> pl.DataFrame:
    """Adverse events against those that the case-mix model expects, by tenth of risk; CALIBRATION_ROW.

    `followed`: one session a row, `adverse` (0 or 1) and `expected` (a risk). Sessions of equal risk belong
    to one tenth: that in which the middle one of them lies. Source: the table of Hosmer, Lemeshow and
    Sturdivant, Applied Logistic Regression, 3rd ed. (2013), §5.2.2; limits: Clopper and Pearson (1934).
    """
    risks = (
        followed.group_by("expected")
        .agg(pl.len().cast(pl.Int64).alias("sessions"), observed=pl.col("adverse").sum().cast(pl.Int64))
        .sort("expected")
    )
    middle = pl.col("sessions").cum_sum() - pl.col("sessions") / 2
    told = (
        risks.with_columns(tenth=(10 * middle / pl.col("sessions").sum()).floor() + 1)
        .group_by("tenth")
        .agg(
            pl.col("sessions", "observed").sum(),
            expected=(pl.col("expected") * pl.col("sessions")).sum(),
        )
        .sort("tenth")
    )
    lower, upper = intervals.clopper_pearson(told["observed"], told["sessions"], level=level)
    return told.with_columns(
        lower=lower * told["sessions"], upper=upper * told["sessions"], level=pl.lit(level)
    ).select(pl.col(name).cast(dtype) for name, dtype in CALIBRATION_ROW.items())


def severity(events: pl.DataFrame) -> pl.DataFrame:
    """Whether grades rose by period, in the network and in each clinic with an event; SEVERITY_ROW.

    `events`: one adverse event a row, `clinic_id`, ordered `period`, `grade` 1 to 5.
    """
    groups = [("network", "network", events)] if events.height else []
    groups += [("clinic", str(name), mine) for (name,), mine in events.group_by("clinic_id")]
    rows = []
    for scope, scope_id, mine in groups:
        found = severity_trend(mine)
        rows.append(
            {
                "scope": scope, "scope_id": scope_id, "events": mine.height, "statistic": found.z,
                "p": found.p, "method": found.method, "reason": found.reason,
            }
        )  # fmt: skip
    return pl.DataFrame(rows, schema=SEVERITY_ROW).sort("scope", "scope_id")


def device_drift(errors: pl.DataFrame, *, as_of: dt.date) -> pl.DataFrame:
    """The day each device is expected out of tolerance, by the depth errors found at its calibrations.

    `errors`: `clinic_id`, `device_id`, `calibrated_on`, `depth_error_mm`. Source: see `out_of_tolerance`.
    """
    found = out_of_tolerance(
        errors, on="calibrated_on", error="depth_error_mm", tolerance=DEPTH_TOLERANCE_MM, as_of=as_of
    )
    return found.select(
        "clinic_id", "device_id", calibrations="points", slope_mm_per_day="slope", slope_lower="lower",
        slope_upper="upper", tolerance_mm=pl.lit(DEPTH_TOLERANCE_MM), out_already="out_already",
        expected_on="expected_on", earliest_on="earliest_on", latest_on="latest_on", reason="reason",
    )  # fmt: skip


def protocol_table(scored: pl.DataFrame, covariates: Sequence[str]) -> pl.DataFrame:
    """Protocols of each indication: rank by adjusted benefit, and adjusted harm beside it; RANK_ROW.

    `scored`: one patient a row, `indication`, `protocol_id`, `gain` (more is better), `adverse` (null where
    the outcome is not known: such a patient counts for benefit only) and the covariates. An indication with
    one protocol has nothing to rank and no row.
    """
    parts = []
    for indication in scored["indication"].unique().sort():
        mine = scored.filter(pl.col("indication") == indication)
        if mine["protocol_id"].n_unique() > 1:
            parts.append(_ranked(mine, covariates).with_columns(indication=pl.lit(indication)))
    if not parts:
        return pl.DataFrame(schema=RANK_ROW)
    return pl.concat(parts).select(pl.col(name).cast(dtype) for name, dtype in RANK_ROW.items())


def _ranked(mine: pl.DataFrame, covariates: Sequence[str]) -> pl.DataFrame:
    known = mine.drop_nulls("adverse")
    best = protocol_ranks(
        mine, outcome="gain", protocol="protocol_id", covariates=_varying(mine, covariates)
    ).rename(
        {
            "crude_mean": "benefit_crude",
            "value": "benefit",
            "lower": "benefit_lower",
            "upper": "benefit_upper",
        }
    )
    harm = protocol_means(
        known, outcome="adverse", protocol="protocol_id", covariates=_varying(known, covariates)
    )
    return best.join(
        harm.select(
            "protocol", harm="value", harm_lower=pl.col("lower").clip(lower_bound=0.0),
            harm_upper=pl.col("upper").clip(upper_bound=1.0), harm_patients="patients", harm_reason="reason",
        ),
        on="protocol", how="left",
    ).with_columns(
        protocol_id="protocol",
        harm_patients=pl.col("harm_patients").fill_null(0),
        harm_reason=pl.when(pl.col("harm").is_null()).then(
            pl.coalesce("harm_reason", pl.lit("no patient whose outcome is known"))
        ),
    )  # fmt: skip


def _varying(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Covariates with more than one value: the others are alike already."""
    return [name for name in columns if frame[name].n_unique() > 1]
