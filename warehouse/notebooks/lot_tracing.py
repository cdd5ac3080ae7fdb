# ruff: noqa: B018
# %% [markdown]
# # A lot of cartridges is recalled: whom did it touch, and what came of it?
#
# Run as a script, or cell by cell in an editor that knows `# %%`. `warehouse.connect` is read-only and live.

# %%
import os

import warehouse

db = warehouse.connect(os.environ.get("DERMASTREAM_HOME", ".dermastream"))

# %% [markdown]
# Every lot with its sessions, those with an adverse event beyond the expected reaction, and the interval of
# their share, highest lower limit first. Only sessions whose outcome is known count: followed
# up, or with a sign reported.

# %%
lots = db.sql("""
    SELECT
      cartridge_lot,
      count(*) AS sessions,
      count(*) FILTER (len(events_from) > 0) AS with_event,
      unnest(wilson(count(*) FILTER (len(events_from) > 0), count(*)))
    FROM mart.session_outcome
    WHERE cartridge_lot IS NOT NULL AND (first_follow_up_at IS NOT NULL OR first_sign_at IS NOT NULL)
    GROUP BY cartridge_lot
    ORDER BY wilson(with_event, sessions).lower DESC
""").pl()
lots

# %% [markdown]
# The network's own test of each lot: observed against expected with the same case mix, and its flag. Many
# lots are looked at, so `q` says how many of the flagged would be false.

# %%
tested = db.sql("""
    SELECT scope_id AS cartridge_lot, numerator AS observed, expected, value AS ratio, lower, upper, q, flag
    FROM mart.metric_current
    WHERE metric_id = 'adverse_event_ratio' AND scope = 'cartridge_lot'
    ORDER BY q NULLS LAST
""").pl()
tested

# %% [markdown]
# Say the first of them is recalled. Every session with it, and the people to call, by their pseudonyms: only
# their own clinic knows who they are.

# %%
recalled = lots["cartridge_lot"][0]
touched = db.sql(
    """
    SELECT clinic_id, session_id, patient_key, completed_at, device_id, operator_id, cartridge_serial
    FROM mart.session_outcome
    WHERE cartridge_lot = $lot
    ORDER BY clinic_id, completed_at
    """,
    params={"lot": recalled},
).pl()
touched

# %% [markdown]
# And cartridges of that lot that were opened, with their expiry: those opened twice or late are a finding.

# %%
opened = db.sql(
    """
    SELECT
      clinic_id, device_id, count(*) AS opened, min(expires_on) AS expires_on, max(occurred_at) AS last_at
    FROM raw.cartridge_opened
    WHERE cartridge_lot = $lot
    GROUP BY clinic_id, device_id
    ORDER BY opened DESC
    """,
    params={"lot": recalled},
).pl()
opened
