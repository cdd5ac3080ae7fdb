"""Disproportionality: which events are reported with which product more often than the rest of the reports
say.

For reports without denominators. A report, or session, counts once for a pair however often it names it.

reports -> contingency (counts per pair) -> disproportionality (PRR, ROR, IC with intervals)
"""

import numpy as np
import polars as pl
from scipy import special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import column, reasons, share

PAIR: dict[str, pl.DataType] = {
    "product": pl.String(),
    "event": pl.String(),
    "stratum": pl.String(),
    "reports": pl.Int64(),
    "product_reports": pl.Int64(),
    "event_reports": pl.Int64(),
    "total_reports": pl.Int64(),
}
"""Distinct reports that name both, the product, the event, and all of them, in one stratum."""


def contingency(
    reports: pl.DataFrame,
    *,
    report: str = "report",
    product: str = "product",
    event: str = "event",
    strata: str | None = None,
) -> pl.DataFrame:
    """Counts per pair and stratum, PAIR; only pairs that occur somewhere, each in every stratum.

    `reports`: one row per mention; the columns are named by the arguments and hold no nulls. A report belongs
    to one stratum. Without `strata` there is one, named "all". Raises CheckFailed.
    """
    named = {"report": report, "product": product, "event": event} | ({"stratum": strata} if strata else {})
    for column_name in named.values():
        if column_name not in reports.columns:
            raise CheckFailed(f"reports.{column_name}: column is missing")
        if reports[column_name].null_count():
            raise CheckFailed(f"reports.{column_name}: must not be null")
    codes, names = {}, {}
    for name, source in named.items():
        codes[name], names[name] = _coded(reports[source], keep_names=name != "report")
    if not strata:
        codes["stratum"], names["stratum"] = np.zeros(reports.height, dtype=np.uint64), pl.Series(["all"])
    of_report = pl.DataFrame({"report": codes["report"], "stratum": codes["stratum"]}).unique()
    if of_report["report"].n_unique() != of_report.height:
        raise CheckFailed(f"reports.{report}: must belong to one stratum")
    size = {name: len(names[name]) for name in ("product", "event", "stratum")}
    per_report = size["product"] * size["event"] * size["stratum"]
    if per_report and float(codes["report"].max(initial=0)) * per_report >= 2**64:
        raise CheckFailed("reports: too many products and events for one table")

    def distinct(*parts: str) -> np.ndarray:
        """How many reports name each combination of the parts, in the order of their codes."""
        key, width = codes["report"], 1
        for part in parts:
            key, width = key * np.uint64(size[part]) + codes[part], width * size[part]
        once = pl.Series(key).unique().to_numpy() % np.uint64(max(width, 1))
        return np.bincount(once.astype(np.int64), minlength=width).reshape([size[part] for part in parts])

    pair, totals = distinct("product", "event", "stratum"), distinct("stratum")
    of_product, of_event = distinct("product", "stratum"), distinct("event", "stratum")
    at_product, at_event = np.nonzero(pair.sum(axis=2))
    # One row per pair and stratum, pairs in order.
    i, j = np.repeat(at_product, size["stratum"]), np.repeat(at_event, size["stratum"])
    k = np.tile(np.arange(size["stratum"]), len(at_product))
    return pl.DataFrame(
        {
            "product": names["product"].gather(i),
            "event": names["event"].gather(j),
            "stratum": names["stratum"].gather(k),
            "reports": pair[i, j, k],
            "product_reports": of_product[i, k],
            "event_reports": of_event[j, k],
            "total_reports": totals[k],
        },
        schema=PAIR,
    )


def _coded(values: pl.Series, *, keep_names: bool) -> tuple[np.ndarray, pl.Series]:
    """Whole numbers from 0 for the values, in the order of their names where these are kept."""
    if not keep_names and values.dtype.is_integer():
        return (values - (values.min() or 0)).cast(pl.UInt64).to_numpy(), pl.Series([])
    text = values.cast(pl.String)
    if not keep_names:
        return text.cast(pl.Categorical).to_physical().cast(pl.UInt64).to_numpy(), pl.Series([])
    names = text.unique().sort()
    return text.cast(pl.Enum(names)).to_physical().cast(pl.UInt64).to_numpy(), names


MEASURE: dict[str, pl.DataType] = {
    "product": pl.String(),
    "event": pl.String(),
    "reports": pl.Int64(),
    "expected": pl.Float64(),
    **{f"{name}{end}": pl.Float64() for name in ("prr", "ror", "ic") for end in ("", "_lower", "_upper")},
    "chi_squared": pl.Float64(),
    "level": pl.Float64(),
    "reason": pl.String(),
}
"""One row per pair; `reason` says why PRR and ROR have no value. IC is in bits and always has one."""


def disproportionality(pairs: pl.DataFrame, *, level: float = 0.95) -> pl.DataFrame:
    """PRR, ROR and IC of each pair with intervals, MEASURE. `pairs`: PAIR, as `contingency` gives it.

    With several strata, PRR and ROR are Mantel and Haenszel's, and the expected number is summed over strata.
    PRR: Evans, Waller and Davis, Pharmacoepidemiology and Drug Safety 10 (2001) 483-486, its interval on the
    log scale, chi-squared with Yates's correction (null for several strata). ROR: Rothman, Lanes and Sacks,
    ibid. 13 (2004) 519-523; stratified variances: Robins, Breslow and Greenland, Biometrics 42 (1986)
    311-323, and Greenland and Robins, Biometrics 41 (1985) 55-68. IC: log2((n + 1/2) / (E + 1/2)) with
    quantiles of the gamma posterior, Noren, Hopstadius and Bate, Statistical Methods in Medical Research 22
    (2013) 57-69. Raises CheckFailed.
    """
    for name, dtype in PAIR.items():
        if name not in pairs.columns:
            raise CheckFailed(f"pairs.{name}: column is missing")
        if pairs[name].null_count():
            raise CheckFailed(f"pairs.{name}: must not be null")
        if dtype == pl.Int64() and (not pairs.schema[name].is_integer() or (pairs[name] < 0).any()):
            raise CheckFailed(f"pairs.{name}: must be whole numbers that are not negative")
    if pairs.select("product", "event", "stratum").is_duplicated().any():
        raise CheckFailed("pairs: product, event, stratum must be unique")
    a, n = pl.col("reports").cast(pl.Float64), pl.col("total_reports").cast(pl.Float64)
    row, col = pl.col("product_reports").cast(pl.Float64), pl.col("event_reports").cast(pl.Float64)
    b, c, d = row - a, col - a, n - row - col + a
    if pairs.select(((b < 0) | (c < 0) | (d < 0)).any()).item():
        raise CheckFailed("pairs.reports: must not exceed what the totals leave")
    r, s = a * d / n, b * c / n
    p, q = (a + d) / n, (b + c) / n
    sums = pairs.group_by("product", "event", maintain_order=True).agg(
        reports=pl.col("reports").sum(),
        strata=pl.len(),
        expected=(row * col / n).sum(),
        a=a.sum(),
        b=b.sum(),
        c=c.sum(),
        d=d.sum(),
        r=r.sum(),
        s=s.sum(),
        pr=(p * r).sum(),
        ps_qr=(p * s + q * r).sum(),
        qs=(q * s).sum(),
        risk=(a * (n - row) / n).sum(),
        risk_rest=(c * row / n).sum(),
        risk_spread=((row * (n - row) * col - a * c * n) / (n * n)).sum(),
    )
    v = {name: sums[name].to_numpy().astype(float) for name in sums.columns[2:]}
    return _measures(sums, v, share(level, "level"))


def _measures(sums: pl.DataFrame, v: dict[str, np.ndarray], level: float) -> pl.DataFrame:
    z, tail = stats.norm.ppf((1 + level) / 2), (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        prr, prr_error = v["risk"] / v["risk_rest"], np.sqrt(v["risk_spread"] / (v["risk"] * v["risk_rest"]))
        ror = v["r"] / v["s"]
        ror_error = np.sqrt(
            v["pr"] / (2 * v["r"] ** 2) + v["ps_qr"] / (2 * v["r"] * v["s"]) + v["qs"] / (2 * v["s"] ** 2)
        )
        total = v["a"] + v["b"] + v["c"] + v["d"]
        margins = (v["a"] + v["b"]) * (v["c"] + v["d"]) * (v["a"] + v["c"]) * (v["b"] + v["d"])
        gap = np.maximum(np.abs(v["a"] * v["d"] - v["b"] * v["c"]) - total / 2, 0)
        chi_squared = np.where(v["strata"] == 1, total * gap**2 / margins, np.nan)
    ratios = {"prr": (prr, prr_error), "ror": (ror, ror_error)}
    columns = [
        part
        for name, (value, error) in ratios.items()
        for part in (
            column(name, value),
            column(f"{name}_lower", value * np.exp(-z * np.where(v["a"] > 0, error, 0.0)), v["a"] > 0),
            column(f"{name}_upper", value * np.exp(z * np.where(v["a"] > 0, error, 0.0)), v["a"] > 0),
        )
    ]
    n, e = v["a"] + 0.5, v["expected"] + 0.5
    columns += [
        column("ic", np.log2(n / e)),
        column("ic_lower", np.log2(special.gammaincinv(n, tail) / e)),
        column("ic_upper", np.log2(special.gammaincinv(n, 1 - tail) / e)),
        column("chi_squared", chi_squared),
        pl.Series("level", np.full(len(n), level)),
        reasons(
            len(n),
            (
                v["risk_rest"] == 0,
                "the event is reported with no other product: PRR and ROR have no upper limit",
            ),
            (v["s"] == 0, "an empty cell: ROR has no upper limit"),
            (v["a"] == 0, "never reported together: PRR and ROR have no limits"),
        ),
    ]
    return sums.select("product", "event", "reports", "expected").with_columns(columns).select(*MEASURE)
