"""How strong an unmeasured confounder would have to be to explain an effect away."""

import math

from producers.contracts.errors import CheckFailed


def e_value(risk_ratio: float | None) -> float | None:
    """E-value of a risk ratio: the least risk ratio that an unmeasured confounder must have with both the
    protocol and the outcome to move the ratio to 1. At least 1; null for null and for a ratio of 0, 1 for a
    ratio of 1. Raises CheckFailed for NaN and below 0.

    Source: VanderWeele and Ding, Annals of Internal Medicine 167 (2017) 268-274, table 1.
    """
    if risk_ratio is None or risk_ratio == 0:
        return None
    if not risk_ratio > 0:
        raise CheckFailed("risk ratio: must be a number above 0")
    ratio = risk_ratio if risk_ratio >= 1 else 1 / risk_ratio
    return ratio + math.sqrt(ratio * (ratio - 1))


def e_value_of_limit(lower: float | None, upper: float | None) -> float | None:
    """E-value of the limit of a risk ratio's interval that is nearer to 1; 1 where the interval holds 1.

    Source: as `e_value`.
    """
    if lower is None or upper is None:
        return None
    if lower <= 1 <= upper:
        return 1.0
    return e_value(lower if lower > 1 else upper)


def approximate_risk_ratio(difference: float, standard_deviation: float) -> float:
    """A difference of means as a risk ratio, exp(0.91 d), where d is in standard deviations; for E-values
    only. Raises CheckFailed where nothing varies. Source: VanderWeele and Ding (2017), table 1, after
    Hasselblad and Hedges (1995) and Chinn (2000).
    """
    if not standard_deviation > 0:
        raise CheckFailed("standard deviation: must be above 0")
    return math.exp(0.91 * difference / standard_deviation)
