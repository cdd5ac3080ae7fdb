"""Do the intervals hold the truth as often as they say? Simulated worlds with the planted confounding.

    uv run python -m tests.benchmarks.calibration_effectiveness --worlds 200

Older patients and deeper scars get the deeper protocol, skin types V-VI the shallower one, and the same
traits change the gain: so the deeper protocol looks better crude and is not. Coverage of every interval is
counted against the truth that the world was made with, each with its own Wilson interval; a family of four
alike protocols says how often any is called different. In the worlds `unrecorded` the depth of the scar is
not in the record: no method can put that right, and the E-value is what is left. Prints one JSON document.
"""

import argparse
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from warehouse.metrics.causal import effects
from warehouse.metrics.dropout import completers_and_all
from warehouse.metrics.intervals import wilson
from warehouse.metrics.mixed import mixed_model
from warehouse.metrics.protocols import protocol_differences

LEVEL = 0.95
COVARIATES = ("age_band", "skin_type", "indication", "clinic_id")
_AGES = ("18-29", "30-39", "40-49", "50-59", "60+")
_AGE_SHARES = (0.22, 0.30, 0.24, 0.16, 0.08)
_SKIN_SHARES = (0.12, 0.23, 0.48, 0.10, 0.05, 0.02)
_SD = {"clinic": 0.1, "operator": 0.1, "patient": 0.5, "rating": 0.3}
"""Of the gain, in GAIS grades: the parameters of the simulated network."""


def world(
    rng: np.random.Generator, *, patients: int = 1500, effect: float = 0.0, protocols: int = 2
) -> pl.DataFrame:
    """One network's assessed patients. `effect` is the true gain of the deeper protocol (of two) for
    everybody."""
    clinic = rng.integers(0, 12, patients)
    operator = rng.integers(0, 4, patients)
    age = rng.choice(5, patients, p=_AGE_SHARES)
    skin = rng.choice(6, patients, p=_SKIN_SHARES)
    deep_scar = rng.random(patients) < 0.25 + 0.08 * age
    dark = skin >= 4
    push = 0.3 * (age - 1.5) + 0.9 * deep_scar - 1.2 * dark + rng.normal(0, 0.4, 12)[clinic] - 0.3
    if protocols == 2:
        given = (rng.random(patients) < 1 / (1 + np.exp(-push))).astype(int)
    else:
        weights = np.exp(np.outer(push, np.linspace(-0.5, 0.5, protocols)))
        borders = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
        given = (rng.random(patients)[:, None] > borders).sum(axis=1).clip(max=protocols - 1)
    effects_of_people = (
        rng.normal(0, _SD["clinic"], 12)[clinic]
        + rng.normal(0, _SD["operator"], 48)[clinic * 4 + operator]
        + rng.normal(0, _SD["patient"], patients)
    )
    gain = (
        1.0 + 0.35 * deep_scar + 0.08 * (age - 1.5) - 0.25 * dark + effect * (given == protocols - 1)
        + effects_of_people + rng.normal(0, _SD["rating"], patients)
    )  # fmt: skip
    return pl.DataFrame(
        {
            "clinic_id": [f"c{n:02d}" for n in clinic],
            "operator_id": [f"o{n}" for n in operator],
            "patient_key": [f"p{n}" for n in range(patients)],
            "age_band": [_AGES[n] for n in age],
            "skin_type": [("I-II", "I-II", "III", "IV", "V-VI", "V-VI")[n] for n in skin],
            "indication": np.where(deep_scar, "deep-scars", "shallow-scars"),
            "protocol": [f"protocol-{n}" for n in given],
            "deeper": given == protocols - 1,
            "gain": gain,
        }
    )


class Count:
    """Hits among worlds. Where a world has several tries, they share its errors: then the interval is that of
    as many independent tries as vary like its worlds do."""

    def __init__(self) -> None:
        self.hits, self.of, self.total = 0, 0, 0.0
        self.shares: list[float] = []

    def add(self, hit: bool, error: float = 0.0) -> None:
        self.hits, self.of, self.total = self.hits + hit, self.of + 1, self.total + error

    def add_world(self, hits: np.ndarray, errors: np.ndarray) -> None:
        """Tries of one world."""
        self.shares.append(float(hits.mean()))
        for hit, error in zip(hits.tolist(), errors.tolist(), strict=True):
            self.add(hit, error)

    def report(self, nominal: float | None = None) -> dict[str, Any]:
        share = self.hits / self.of
        tries = self.of
        if len(self.shares) > 1 and (spread := np.var(self.shares, ddof=1) / len(self.shares)):
            tries = min(tries, round(share * (1 - share) / spread))
        lower, upper = wilson(pl.Series([round(share * tries)]), pl.Series([tries]), level=LEVEL)
        found = {
            "share": round(share, 4),
            "lower": round(lower[0], 4),
            "upper": round(upper[0], 4),
            "of": self.of,
            "mean_error": round(self.total / self.of, 4),
        }
        if self.shares:
            found["independent_tries"] = tries
        return found if nominal is None else found | {"nominal": nominal}


def seeds(seed: int, worlds: int, what: str) -> Iterator[np.random.Generator]:
    """A generator a world, the same in every run."""
    for number in range(worlds):
        yield np.random.default_rng([seed, number, sum(map(ord, what))])


def coverage_of_effects(seed: int, worlds: int, patients: int) -> dict[str, Any]:
    """Crude and adjusted intervals against the true effect: none, planted, and with the scar unrecorded."""
    report: dict[str, Any] = {}
    for name, effect, covariates in (
        ("no effect, planted confounding", 0.0, COVARIATES),
        ("effect of .2, planted confounding", 0.2, COVARIATES),
        ("no effect, unrecorded depth of scar", 0.0, ("age_band", "skin_type", "clinic_id")),
    ):
        counts: dict[str, Count] = {}
        e_values = []
        for rng in seeds(seed, worlds, name):
            frame = world(rng, patients=patients, effect=effect)
            found = effects(frame, outcome="gain", treatment="deeper", covariates=list(covariates))
            for row in found.iter_rows(named=True):
                counts.setdefault(row["method"], Count()).add(
                    row["lower"] <= effect <= row["upper"], row["value"] - effect
                )
            e_values.append(found.filter(method="aipw")["e_value"].item())
        report[name] = {method: count.report(LEVEL) for method, count in counts.items()}
        report[name]["median_e_value_of_aipw"] = round(float(np.median(e_values)), 3)
    return report


def false_positives(seed: int, worlds: int, patients: int) -> dict[str, Any]:
    """Four protocols that are all alike: how often is any pair called different?"""
    kinds = {"holm": Count(), "none": Count()}
    crude = Count()
    for rng in seeds(seed, worlds, "alike"):
        frame = world(rng, patients=patients, protocols=4)
        for adjustment, count in kinds.items():
            found = protocol_differences(
                frame, outcome="gain", protocol="protocol", covariates=list(COVARIATES), adjustment=adjustment
            )
            count.add(bool((found["p_adjusted"] < 1 - LEVEL).any()))
        plain = protocol_differences(
            frame.with_columns(same=pl.int_range(pl.len()) % 2), outcome="gain", protocol="protocol",
            covariates=["same"],
        )  # fmt: skip
        crude.add(bool((plain["p_adjusted"] < 1 - LEVEL).any()))
    return {
        "any of six pairs called different, Holm": kinds["holm"].report(1 - LEVEL),
        "the same without a correction for six pairs": kinds["none"].report(),
        "the same with Holm, unadjusted for the case mix": crude.report(),
    }


def shrunken_effects(seed: int, worlds: int) -> dict[str, Any]:
    """Prediction intervals of clinics and operators from the mixed model, against the effects drawn."""
    counts = {"clinic": Count(), "operator": Count(), "slope a session": Count()}
    for rng in seeds(seed, worlds, "series"):
        clinics, operators, patients, visits = 25, 4, 12, 3
        effect = {
            "clinic": rng.normal(0, 0.3, clinics),
            "operator": rng.normal(0, 0.3, clinics * operators),
            "patient": rng.normal(0, 0.5, clinics * operators * patients),
        }
        visit = np.arange(clinics * operators * patients * visits)
        patient, operator = visit // visits, visit // (visits * patients)
        clinic, number = operator // operators, visit % visits + 1.0
        gain = 0.35 * number + effect["clinic"][clinic] + effect["operator"][operator]
        gain = gain + effect["patient"][patient] + rng.normal(0, 0.3, len(visit))
        frame = pl.DataFrame(
            {
                "clinic_id": clinic,
                "operator_id": operator,
                "patient_key": patient,
                "number": number,
                "gain": gain,
            }
        )
        found = mixed_model(frame, outcome="gain", covariates=["number"])
        slope = found.fixed.filter(term="number").row(0, named=True)
        counts["slope a session"].add(slope["lower"] <= 0.35 <= slope["upper"], slope["value"] - 0.35)
        for name, column in (("clinic", "clinic_id"), ("operator", "operator_id")):
            told = found.effects[column]
            value, lower, upper = told.select("value", "lower", "upper").to_numpy().T
            held = (lower <= effect[name]) & (effect[name] <= upper)
            given = ~np.isnan(lower)  # no interval where a level's variance is estimated as 0
            if given.any():
                counts[name].add_world(held[given], (value - effect[name])[given])
    return {name: count.report(LEVEL) for name, count in counts.items()}


def informative_drop_out(seed: int, worlds: int) -> dict[str, Any]:
    """Patients who gained little after the first sessions leave: completers against all, weighted."""
    counts: dict[str, Count] = {}
    for rng in seeds(seed, worlds, "leaving"):
        interim = rng.normal(0.5, 0.5, 1000)
        gain = 0.5 + interim + rng.normal(0, 0.3, 1000)
        stays = rng.random(1000) < 1 / (1 + np.exp(-(0.8 + 1.2 * (interim - 0.5))))
        frame = pl.DataFrame({"interim": interim, "gain": np.where(stays, gain, math.nan), "stays": stays})
        found = completers_and_all(
            frame.with_columns(pl.col("gain").fill_nan(None)),
            outcome="gain", measured="stays", covariates=["interim"], interim="interim",
        )  # fmt: skip
        for row in found.iter_rows(named=True):
            counts.setdefault(row["method"], Count()).add(
                row["lower"] <= 1.0 <= row["upper"], row["value"] - 1.0
            )
    return {method: count.report(LEVEL) for method, count in counts.items()}


def run(worlds: int, seed: int, patients: int = 1500) -> dict[str, Any]:
    """All of it as one document."""
    return {
        "worlds": worlds,
        "seed": seed,
        "patients": patients,
        "coverage": coverage_of_effects(seed, worlds, patients),
        "false positives": false_positives(seed, worlds, patients),
        "shrunken effects": shrunken_effects(seed, 5 * worlds),  # quick, and tries of one world are alike
        "drop-out": informative_drop_out(seed, worlds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--patients", type=int, default=1500)
    chosen = parser.parse_args()
    print(json.dumps(run(chosen.worlds, chosen.seed, chosen.patients), indent=2))


if __name__ == "__main__":
    main()
