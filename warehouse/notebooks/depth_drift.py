# ruff: noqa: B018
# %% [markdown]
# # Do pens go deeper than they are set, and does that show in adverse events?
#
# Set depth stands in the session, measured depth in the telemetry, the pen's own error in its calibrations.

# %%
import os

import warehouse

db = warehouse.connect(os.environ.get("DERMASTREAM_HOME", ".dermastream"))

# %% [markdown]
# Measured minus set depth, by device and week, in mm.

# %%
measured = db.sql("""
    SELECT
      clinic_id,
      device_id,
      date_trunc('week', session.completed_at) AS week,
      count(*) AS sessions,
      avg(telemetry.depth_mm_mean - session.depth_mm) AS deeper_mm
    FROM core.telemetry_summary AS telemetry
    JOIN mart.session_outcome AS session USING (clinic_id, session_id, device_id)
    GROUP BY ALL
    ORDER BY abs(deeper_mm) DESC
""").pl()
measured

# %% [markdown]
# The trend of each pen's own error between calibrations, and the day on which it will be out of tolerance.

# %%
drift = db.sql("""
    SELECT clinic_id, device_id, calibrations, slope_mm_per_day, slope_lower, slope_upper, expected_on, reason
    FROM mart.device_drift
    WHERE as_of = (SELECT max(as_of) FROM mart.device_drift)
    ORDER BY abs(slope_mm_per_day) DESC NULLS LAST
""").pl()
drift

# %% [markdown]
# Adverse events by the error at the last calibration before the session. The intervals say what can be told
# apart; that a pen drifts in clinics that also differ otherwise, they do not say.

# %%
by_error = db.sql("""
    WITH treated AS (
      SELECT
        len(events_from) > 0 AS with_event,
        round(abs(calibration.depth_error_mm), 1) AS error_mm
      FROM mart.session_outcome AS session
      ASOF JOIN core.calibration AS calibration
        ON session.clinic_id = calibration.clinic_id AND session.device_id = calibration.device_id
        AND session.completed_at >= calibration.occurred_at
      WHERE first_follow_up_at IS NOT NULL OR first_sign_at IS NOT NULL
    )
    SELECT
      error_mm, count(*) AS sessions, count(*) FILTER (with_event) AS with_event,
      unnest(wilson(count(*) FILTER (with_event), count(*)))
    FROM treated
    WHERE error_mm IS NOT NULL
    GROUP BY error_mm
    ORDER BY error_mm
""").pl()
by_error
