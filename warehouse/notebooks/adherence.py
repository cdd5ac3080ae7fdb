# ruff: noqa: B018
# %% [markdown]
# # Who comes back in time, and who is about to be lost?
#
# A window is what a session opens: the days in which the next one is on time, in a series or as maintenance.

# %%
import os

import warehouse

db = warehouse.connect(os.environ.get("DERMASTREAM_HOME", ".dermastream"))

# %% [markdown]
# Windows that are over, by the session of the course that opened them: early, on time, late, or nobody came.

# %%
by_session = db.sql("""
    SELECT
      kind,
      session_number,
      count(*) AS windows,
      count(*) FILTER (returned_on < due_from) AS early,
      count(*) FILTER (returned_on BETWEEN due_from AND due_until) AS on_time,
      count(*) FILTER (returned_on > due_until) AS late,
      count(*) FILTER (returned_on IS NULL) AS not_yet,
      median(days_to_return) AS median_days
    FROM mart.patient_window
    WHERE due_until < (SELECT max(as_of) FROM mart.metric_result)
    GROUP BY kind, session_number
    ORDER BY kind DESC, session_number
""").pl()
by_session

# %% [markdown]
# The published measures, with numerator, denominator and interval; without a value, the reason stands.

# %%
measures = db.sql("""
    SELECT metric_id, scope_id, value, lower, upper, numerator, denominator, unit, reason
    FROM mart.metric_current
    WHERE metric_id IN
        ('maintenance_on_time', 'series_completion', 'series_gap_on_time', 'maintenance_return')
      AND scope IN ('network', 'clinic') AND period = 'year'
    ORDER BY metric_id, scope_id
""").pl()
measures

# %% [markdown]
# Windows that are open today and in which nobody has come yet, by clinic: whom to call, and since
# when in vain. With enough history, `mart.patient_due` adds the chance that they come in time.

# %%
due = db.sql("""
    SELECT
      clinic_id,
      kind,
      CASE
        WHEN due_until < current_date THEN 'overdue'
        WHEN due_from <= current_date THEN 'due'
        ELSE 'later'
      END AS state,
      count(*) AS patients,
      min(due_until) AS oldest_last_day
    FROM mart.patient_window
    WHERE returned_on IS NULL AND replaced_on IS NULL AND breaks_on > current_date
    GROUP BY ALL
    ORDER BY ALL
""").pl()
due
