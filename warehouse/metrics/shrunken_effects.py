"""Clinics and operators by what their patients gain, shrunken by how little is known of each.

scores by session -> a mixed model a scale (patient within operator within clinic) -> effects, intervals
"""

import math
from collections.abc import Mapping

import polars as pl

from warehouse.metrics.cards import SHRUNKEN_EFFECT
from warehouse.metrics.columns import require
from warehouse.metrics.mixed import MixedModel, mixed_model
from warehouse.metrics.regression import NotEstimable, design, gram, inverse
from warehouse.metrics.scales import SCALES, Scale, check_scores

CASE_MIX = ("session_number", "indication", "area", "skin_type", "age_band")
"""What scores are adjusted for, the most telling first: of covariates that determine each other it stays."""

SHRUNKEN_ROW: dict[str, pl.DataType] = {
    **{name: pl.String() for name in ("scale", "depth", "clinic_id", "operator")},
    **{name: pl.Int64() for name in ("sessions", "patients")},
    **{name: pl.Float64() for name in ("value", "lower", "upper")},
    **{f"standardised{part}": pl.Float64() for part in ("", "_lower", "_upper")},
    "level": pl.Float64(),
    **{name: pl.String() for name in ("adjusted_for", "method")},
    "version": pl.Int32(),
    "reason": pl.String(),
}

_PATHS = {"clinic": ["clinic_id"], "operator": ["clinic_id", "operator"]}


def shrunken_effects(scores: pl.DataFrame, *, scales: Mapping[str, Scale] = SCALES) -> pl.DataFrame:
    """Every clinic and operator with a score, on every scale, SHRUNKEN_ROW.

    `scores`: one session a row and scale, `clinic_id`, `operator`, `patient` (any keys), `scale`, `score` and
    the columns of CASE_MIX. Effects are towards better, in units of the scale and in standard deviations of a
    score. Null with a reason where the model has no answer; limits alone where a level's variance is
    estimated as 0 or cannot be told from another's. Raises CheckFailed for bad columns.
    Source: as `mixed.mixed_model`.
    """
    require(scores, "scores", ("clinic_id", "operator", "patient", *CASE_MIX))
    check_scores(scores, scales)
    parts = [
        _of_scale(scores.filter(pl.col("scale") == name), scales[name])
        for name in scores["scale"].unique().sort()
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SHRUNKEN_ROW)


def _of_scale(mine: pl.DataFrame, scale: Scale) -> pl.DataFrame:
    covariates = _told_apart(mine)
    better = pl.col("score").cast(pl.Float64) * (1 if scale.better == "higher" else -1)
    frame = mine.select(
        # An Enum sorts as a number does, faster than a name.
        *(pl.col(name).cast(pl.Enum(mine[name].unique().sort())) for name in _PATHS["operator"]),
        "patient", *covariates, score=better,
    )  # fmt: skip
    patients = frame.group_by(*_PATHS["operator"], "patient").agg(sessions=pl.len())
    missing = _not_estimable(patients)
    groups = [name for name in ("clinic_id", "operator", "patient") if name not in missing]
    model = mixed_model(
        frame, outcome="score", covariates=covariates, groups=groups or ["clinic_id"],
        level=SHRUNKEN_EFFECT.level, shrunken=[name for name in groups if name != "patient"],
    )  # fmt: skip
    rows = [_of_depth(patients, depth, model, missing.get(path[-1])) for depth, path in _PATHS.items()]
    told = pl.concat(rows, how="diagonal").with_columns(
        scale=pl.lit(scale.id),
        level=pl.lit(SHRUNKEN_EFFECT.level),
        adjusted_for=pl.lit(", ".join(covariates)),
        method=pl.lit(SHRUNKEN_EFFECT.interval),
        version=pl.lit(SHRUNKEN_EFFECT.version),
    )
    return told.select(pl.col(name).cast(dtype) for name, dtype in SHRUNKEN_ROW.items())


def _not_estimable(patients: pl.DataFrame) -> dict[str, str]:
    """Levels that the data cannot tell, and why. A level that others stand for is left out of the model."""
    clinics, operators = (patients.select(path).n_unique() for path in _PATHS.values())
    missing = {}
    if clinics < 2:
        missing["clinic_id"] = "there is only one clinic"
    if operators == clinics:
        missing["operator"] = "no clinic has a second operator"
    if patients["sessions"].max() == 1:
        missing["patient"] = "no patient has a second score"
    return missing


def _of_depth(patients: pl.DataFrame, depth: str, model: MixedModel, missing: str | None) -> pl.DataFrame:
    """One row a group: its sessions, and its effect or why there is none."""
    path = _PATHS[depth]
    counted = patients.group_by(path).agg(
        sessions=pl.col("sessions").sum(),
        patients=pl.len() if depth == "operator" else pl.col("patient").n_unique(),
    )
    reason = (missing and f"not estimable: {missing}") or model.reason
    if reason is not None:
        unknown = {name: pl.lit(None, dtype) for name, dtype in SHRUNKEN_ROW.items() if dtype == pl.Float64}
        told = counted.with_columns(**unknown, reason=pl.lit(reason))
    else:
        # Where clinics are left out of the model, the keys of operators do not name them.
        effects = model.effects[path[-1]].drop("rows", "standard_error", "prediction_error")
        on = [name for name in path if name in effects.columns]
        total = math.sqrt(model.components["variance"].sum())
        told = counted.join(effects, on=on, how="left").with_columns(
            standardised=pl.col("value") / total,
            standardised_lower=pl.col("lower") / total,
            standardised_upper=pl.col("upper") / total,
            reason=pl.when(pl.col("lower").is_null()).then(pl.lit(_NO_LIMITS)),
        )
    return told.with_columns(pl.col(path).cast(pl.String), depth=pl.lit(depth)).sort(path)


_NO_LIMITS = "no limits: this level does not vary beyond chance, or cannot be told from another level"


def _told_apart(mine: pl.DataFrame) -> list[str]:
    """Covariates that vary and that those before them do not determine."""
    told: list[str] = []
    cells = mine.select(CASE_MIX).unique()
    for name in CASE_MIX:
        wider = design(cells, "scores", [*told, name])
        try:
            inverse(gram(wider.matrix), wider.terms)
        except NotEstimable:
            continue
        if cells[name].n_unique() > 1:
            told.append(name)
    return told
