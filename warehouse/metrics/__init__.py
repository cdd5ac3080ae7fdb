"""The definition of every number: cards in words, and pure functions from counts to measures.

Polars in, polars out: no store, no SQL, no settings, no clock.

Safety, in the order in which the modules build on each other:
values            what a column of numbers must be, and the error that names what it is not
intervals         Wilson, Clopper-Pearson, Garwood, Byar
exact_tests       Poisson, binomial, Fisher, two rates
comparisons       ratios and differences of rates and proportions
incidence         by any exposure, by severity, time to onset; trends: frequency and severity over time
standardisation   observed over expected, direct rates; case_mix: logistic and Poisson models, calibration
risk_indicators   funnel limits, over-dispersion, false discovery rate, the indicator
shrinkage         MGPS (EBGM) and beta-binomial; disproportionality: PRR, ROR, IC
maxsprt, cusum    sequential tests and charts; surveillance: a plan and the looks taken
reporting         under- and over-reporting; tracing: what is behind a flag; signals: hysteresis and clocks
safety, cards     the cards that flows compute every day; findings: what stands beside them in marts

Effectiveness and adherence:
columns           what a column of numbers must be, as `values` for a frame
scales            scales as data, outcomes in a window, hedges_g
balance           standardised differences; propensity: fit_propensity, weights, overlap, effective size
causal            crude, iptw, standardisation, aipw, or all as effects; sensitivity: e_value
protocols         protocol_differences, protocol_ranks, benefit_and_harm, adjust_p
mixed             mixed_model (REML, nested intercepts); shrunken_effects: of clinics and operators
dropout           ipcw, completers_and_all
courses           rebuild_courses, windows, series, time_to_return; due: due_list, maintenance_demand
coverage          proportion_of_days_covered, sliding_coverage, persistence
survival          kaplan_meier, survival_quantile, restricted_mean, aalen_johansen
survival_tests    log_rank_test (and its weights), gray_test; cox: cox, cause_specific_cox
devices           calibration_coverage, next_due, cartridges_reused, firmware_support; drift: theil_sen,
                  change_point, out_of_tolerance
schedule          the cards that flows compute every day

Each method is imported from its module, `from warehouse.metrics.causal import aipw`, for some share their
module's name; what stands below is what the rest of the warehouse calls.
"""

from warehouse.metrics.adherence import device_in_calibration, follow_up_coverage, maintenance_on_time
from warehouse.metrics.cards import CARDS, FINDING_CARDS, SAFETY_CARDS, MetricCard
from warehouse.metrics.effectiveness import protocol_improvement
from warehouse.metrics.findings import device_drift, reported_pairs, severity
from warehouse.metrics.frames import RESULT, with_history
from warehouse.metrics.incidence import adverse_event_incidence
from warehouse.metrics.safety import Safety, safety_metrics
from warehouse.metrics.schedule import NEEDED_DAYS, Facts, Schedule, schedule
from warehouse.metrics.schedule_cards import SCHEDULE_CARDS
from warehouse.metrics.shrunken_effects import shrunken_effects

__all__ = [
    "CARDS",
    "FINDING_CARDS",
    "NEEDED_DAYS",
    "RESULT",
    "SAFETY_CARDS",
    "SCHEDULE_CARDS",
    "Facts",
    "MetricCard",
    "Safety",
    "Schedule",
    "adverse_event_incidence",
    "device_drift",
    "device_in_calibration",
    "follow_up_coverage",
    "maintenance_on_time",
    "protocol_improvement",
    "reported_pairs",
    "safety_metrics",
    "schedule",
    "severity",
    "shrunken_effects",
    "with_history",
]
