# ruff: noqa: B018
# %% [markdown]
# # Which protocol helps more: crude, and among patients alike?
#
# Operators choose deeper protocols for worse scars, so protocols cannot be compared by their plain means.

# %%
import os

import warehouse

db = warehouse.connect(os.environ.get("DERMASTREAM_HOME", ".dermastream"))

# %% [markdown]
# Mean improvement of each protocol, with its interval.

# %%
improvement = db.sql("""
    SELECT scope_id AS protocol, value AS improvement, lower, upper, denominator AS patients, unit, reason
    FROM mart.metric_current
    WHERE metric_id = 'protocol_improvement' AND period = 'year'
    ORDER BY value DESC NULLS LAST
""").pl()
improvement

# %% [markdown]
# The same difference twice: crude, and adjusted for what is recorded of the patients. Where both differ, the
# protocols were given to different people. What is not recorded, neither knows.

# %%
differences = db.sql("""
    SELECT
      scope_id AS compared,
      any_value(value) FILTER (metric_id = 'protocol_difference_crude') AS crude,
      any_value(value) FILTER (metric_id = 'protocol_difference_adjusted') AS adjusted,
      any_value(lower) FILTER (metric_id = 'protocol_difference_adjusted') AS lower,
      any_value(upper) FILTER (metric_id = 'protocol_difference_adjusted') AS upper,
      any_value(method) FILTER (metric_id = 'protocol_difference_adjusted') AS method,
      any_value(reason) FILTER (metric_id = 'protocol_difference_adjusted') AS reason
    FROM mart.metric_current
    WHERE metric_id IN ('protocol_difference_crude', 'protocol_difference_adjusted')
    GROUP BY scope, scope_id, period
    ORDER BY compared
""").pl()
differences

# %% [markdown]
# Who is given what: skin types and age bands by protocol, the confounding one can see.

# %%
mix = db.sql("""
    SELECT
      protocol_id,
      count(*) AS sessions,
      count(DISTINCT patient_key) AS patients,
      avg(depth_mm) AS depth_mm,
      avg((skin_type >= 4)::INT) AS share_of_skin_type_4_to_6,
      mode(age_band) AS most_frequent_age
    FROM mart.session_outcome
    WHERE protocol_id IS NOT NULL
    GROUP BY protocol_id
    ORDER BY sessions DESC
""").pl()
mix

# %% [markdown]
# Benefit is half of it: adverse events of each protocol, observed against expected with the same case mix.
# With enough patients, `mart.protocol_rank` holds both against each other, with the ranks that each may have.

# %%
harm = db.sql("""
    SELECT scope_id AS protocol, numerator AS observed, expected, value AS ratio, lower, upper, flag, reason
    FROM mart.metric_current
    WHERE metric_id = 'adverse_event_ratio' AND scope = 'protocol'
    ORDER BY ratio DESC NULLS LAST
""").pl()
harm
