# ruff: noqa: B018
# %% [markdown]
# # Can today's numbers be trusted: how late, how complete, and what did we believe before?

# %%
import os

import warehouse

db = warehouse.connect(os.environ.get("DERMASTREAM_HOME", ".dermastream"))

# %% [markdown]
# Lag by clinic: from what happened to the broker (the clinic's), and from there to the warehouse (ours).

# %%
lag = db.sql("""
    SELECT
      clinic_id,
      count(*) AS sessions,
      median(epoch(received_at - occurred_at)) / 3600 AS reporting_lag_hours,
      quantile_cont(epoch(landed_at - received_at), 0.99) AS landing_lag_seconds_p99,
      max(occurred_at) AS newest_session_at
    FROM raw.session_completed
    GROUP BY clinic_id
    ORDER BY newest_session_at
""").pl()
lag

# %% [markdown]
# The books: every event consumed is landed, a duplicate, or refused; and what was refused, by rule.

# %%
books = db.sql("""
    SELECT
      topic, sum(consumed) AS consumed, sum(landed) AS landed, sum(duplicate) AS duplicate,
      sum(quarantined) AS quarantined, sum(consumed) = sum(landed + duplicate + quarantined) AS balanced
    FROM landing.batch
    GROUP BY topic
    ORDER BY topic
""").pl()
books

# %%
refused = db.sql("""
    SELECT rule, count(*) AS events, max(landed_at) AS last_at
    FROM landing.quarantine
    GROUP BY rule
    ORDER BY events DESC
""").pl()
refused

# %% [markdown]
# Sessions that a metric left out, and why: a low rate may only be a low follow-up.

# %%
left_out = db.sql("""
    SELECT metric_id, reason, sessions
    FROM mart.left_out
    WHERE scope = 'network' AND as_of = (SELECT max(as_of) FROM mart.left_out)
    ORDER BY metric_id, sessions DESC
""").pl()
left_out

# %% [markdown]
# Time travel: the same question at a moment in the past. Every commit is a snapshot; here is one half-way
# through those that are kept, and what had landed by then.

# %%
then = db.sql("""
    SELECT quantile_disc(snapshot_time, 0.5) FROM ducklake_snapshots('dermastream')
""").fetchall()[0][0]
then_and_now = db.sql(
    """
    SELECT clinic_id, coalesce(past.sessions, 0) AS sessions_then, present.sessions AS sessions_now
    FROM (SELECT clinic_id, count(*) AS sessions FROM raw.session_completed GROUP BY clinic_id) AS present
    LEFT JOIN (
      SELECT clinic_id, count(*) AS sessions
      FROM raw.session_completed AT (TIMESTAMP => $then::TIMESTAMPTZ)
      GROUP BY clinic_id
    ) AS past USING (clinic_id)
    ORDER BY clinic_id
    """,
    params={"then": then},
).pl()
then_and_now
