"""The safety cards on session rows: against slow versions, at the edges, over days; calibration in short."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from producers.contracts.errors import CheckFailed
from tests.benchmarks import calibration
from warehouse.metrics import RESULT, SAFETY_CARDS, safety_metrics, with_history
from warehouse.metrics import safety as module
from warehouse.metrics.cards import CASE_MIX, markdown
from warehouse.metrics.surveillance import no_looks, take_look

pytestmark = pytest.mark.unit

START, END = calibration.START, calibration.END
DAY = dt.timedelta(days=1)
NO_LOOKS = pl.DataFrame(schema=module.WATCH)


def measured(sessions: pl.DataFrame, as_of: dt.datetime = END) -> pl.DataFrame:
    return safety_metrics(sessions, NO_LOOKS, start=START, as_of=as_of).rows


def test_every_row_has_the_one_shape():
    """RESULT, no NaN, limits around values, a reason where there is no value; every scope and card
    is there."""
    rows = measured(calibration.world(np.random.default_rng(1)))
    assert dict(rows.schema) == RESULT
    assert set(rows["metric_id"]) == set(SAFETY_CARDS)
    assert set(rows.filter(pl.col("metric_id") == "adverse_event_ratio")["scope"]) == set(module.SCOPES)
    assert not any(rows.select(pl.col(pl.Float64).is_nan().any()).row(0))
    assert ((rows["value"].is_null()) == rows["reason"].is_not_null()).all()
    inside = rows.drop_nulls(["value", "lower", "upper"])
    assert ((inside["lower"] <= inside["value"]) & (inside["value"] <= inside["upper"])).all()
    assert rows.select("metric_id", "scope", "scope_id").is_unique().all()


def test_observed_and_expected_sum_to_the_same():
    """The model's score equations: over all groups as many are expected as were seen, and per skin
    type too."""
    sessions, model = module.with_expected(calibration.world(np.random.default_rng(2)))
    assert sessions["expected"].sum() == pytest.approx(sessions["adverse"].sum(), rel=1e-6)
    assert sessions["expected_crude"].sum() == pytest.approx(sessions["adverse"].sum(), rel=1e-6)
    assert model is not None
    assert model.trials == sessions.height
    assert {term.split("=")[0] for term in model.terms} == {"intercept", *CASE_MIX}


def test_a_group_is_compared_with_the_others():
    """Two lots of 100 sessions of one kind, 12 and 4 events: 4 expected, ratio 3, p by the binomial of 16."""
    world = calibration.world(np.random.default_rng(9)).head(200)
    same = world.with_columns(
        *(pl.lit("same").alias(name) for name in CASE_MIX),
        cartridge_lot=pl.Series(["a"] * 100 + ["b"] * 100),
        events=pl.Series([1] * 12 + [0] * 88 + [1] * 4 + [0] * 96),
    )
    rows = measured(same).filter(
        pl.col("metric_id") == "adverse_event_ratio", pl.col("scope") == "cartridge_lot"
    )
    first = rows.row(0, named=True)
    assert (first["numerator"], first["expected"], first["value"]) == pytest.approx((12, 4, 3))
    half = stats.binom.sf(12, 16, 0.5) + stats.binom.pmf(12, 16, 0.5) / 2
    assert first["p"] == pytest.approx(2 * half)
    assert rows["value"][1] == pytest.approx(1 / 3)


@pytest.mark.parametrize("events", [0, 1])
def test_no_event_or_all_events(events):
    """Without an event nothing is expected; with one in every session, one each; nobody is
    flagged, no NaN."""
    rows = measured(calibration.world(np.random.default_rng(3)).with_columns(events=pl.lit(events)))
    assert rows["flag"].null_count() == rows.height
    ratios = rows.filter(pl.col("metric_id") == "adverse_event_ratio")
    assert set(ratios["value"]) == ({1.0} if events else {None})


def test_one_clinic_and_nobody():
    """A single clinic has nothing to be compared with; an empty frame has no rows."""
    world = calibration.world(np.random.default_rng(4))
    one = measured(world.filter(pl.col("clinic_id") == "c01"))
    clinic = one.filter(pl.col("metric_id") == "adverse_event_ratio", pl.col("scope") == "clinic")
    assert clinic.select("value", "q", "flag").row(0) == (None, None, None)
    assert clinic["reason"].to_list() == ["only one group: nothing to compare with"]
    assert one.filter(pl.col("metric_id") == "adverse_event_reporting")["reason"].to_list() == [
        "no patients elsewhere with as many sessions"
    ]
    assert measured(world.clear()).height == 0


def test_young_and_unfollowed_sessions_are_not_counted():
    """The last fourteen days, and sessions that nobody followed up, change no ratio."""
    world = calibration.world(np.random.default_rng(5))
    more = pl.concat(
        [
            world,
            world.head(50).with_columns(
                session_id=pl.lit("young") + pl.col("session_id"),
                completed_at=pl.lit(END - 3 * DAY),
                events=pl.lit(1),
            ),
            world.head(50).with_columns(
                session_id=pl.lit("unasked") + pl.col("session_id"),
                followed_up=pl.lit(False),
                events=pl.lit(1),
            ),
        ],
        how="vertical_relaxed",
    )
    ratio = pl.col("metric_id") == "adverse_event_ratio"
    assert measured(more).filter(ratio).equals(measured(world).filter(ratio))


def test_the_order_of_sessions_and_their_types_change_no_bit():
    """Sessions come as the warehouse's files have them: in whatever order, names as text or categories."""
    world = calibration.world(np.random.default_rng(9), calibration.Plant(lot=6))
    names = [name for name, dtype in module.SESSION.items() if dtype == pl.String()]
    told = world.sample(fraction=1, shuffle=True, seed=3).drop("session_id")
    given = (world, told, told.with_columns(pl.col(names).cast(pl.Categorical)))
    first, *others = (safety_metrics(one, NO_LOOKS, start=START, as_of=END) for one in given)
    for other in others:
        assert other.rows.equals(first.rows)
        assert other.looks.equals(first.looks)
        assert other.hierarchy.equals(first.hierarchy)
        assert other.model == first.model


def test_all_lots_at_once_are_looks_one_by_one():
    """Three days of looks at every lot agree with surveillance.take_look, group by group."""
    sessions, _ = module.with_expected(calibration.world(np.random.default_rng(6), calibration.Plant(lot=6)))
    last, slow = NO_LOOKS, {}
    for day in (150, 220, 220, 340):
        as_of = START + day * DAY
        until = sessions.filter(pl.col("completed_at") < as_of)
        _, new = module.watch(until, last, start=START, as_of=as_of)
        last = pl.concat([last, new]).sort("look").unique(["scope", "scope_id"], keep="last")
        for scope in module.WATCHED:
            for name, events, expected, others in (
                module.watched_groups(until, scope).drop("scope").iter_rows()
            ):
                before = slow.get((scope, name), no_looks())
                if before.height and before["as_of"][-1] == as_of:
                    continue
                slow[scope, name] = take_look(
                    before,
                    module.PLAN,
                    as_of=as_of,
                    events=events,
                    expected=expected,
                    baseline=(others, others),
                )
    assert {(row["scope"], row["scope_id"]) for row in last.iter_rows(named=True)} == set(slow)
    for row in last.iter_rows(named=True):
        expected = slow[row["scope"], row["scope_id"]].row(-1, named=True)
        assert row["alpha_spent"] == pytest.approx(expected.pop("alpha_spent"), abs=2e-4)
        assert row["as_of"] == expected.pop("as_of")
        assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert last.filter(pl.col("scope_id") == "lot-05")["signal"].to_list() == [True]


def test_days_in_a_row():
    """The same flag counts on, another begins anew, none is 0; change is since the day before."""
    rows = measured(calibration.world(np.random.default_rng(7))).head(4)
    today = rows.with_columns(flag=pl.Series(["high", "high", "low", None]))
    before = today.select(
        "metric_id",
        "metric_version",
        "scope",
        "scope_id",
        "period",
        value=pl.col("value") - 0.5,
        flag=pl.Series(["high", None, "high", "high"]),
        consecutive_flags=pl.Series([3, 0, 2, 1], dtype=pl.Int32),
    )
    found = with_history(today, before)
    assert found["consecutive_flags"].to_list() == [4, 1, 1, 0]
    assert found["change"].to_list() == pytest.approx([0.5] * 4)
    assert with_history(today, before.clear())["change"].null_count() == 4


def test_detectable_ratio_by_power():
    """At the ratio the exact test has 80 % power; two expected events need about 3.7 times the risk."""
    for expected in (0.5, 2.0, 9.3, 40.0):
        ratio = module.detectable_ratio(np.array([expected]))[0]
        rng = np.random.default_rng(1)
        seen = rng.poisson(ratio * expected, 200_000)
        tail = module.exact_tests.poisson_tails(seen.astype(float), np.full(200_000, expected))[0]
        assert (tail <= 0.025).mean() == pytest.approx(0.8, abs=0.005)
    assert module.detectable_ratio(np.array([0.0])).to_list() == [None]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda f: f.drop("firmware"), r"^sessions.firmware: column is missing"),
        (lambda f: f.with_columns(skin_type=pl.lit(3)), r"^sessions.skin_type: must be String"),
        (
            lambda f: f.with_columns(operator=pl.lit(None, dtype=pl.String)),
            r"^sessions.operator: must not be null",
        ),
        (lambda f: pl.concat([f, f]), r"^sessions.session_id: must be unique"),
        (lambda f: f.with_columns(events=-pl.col("events") - 1), r"^sessions.events: must not be negative"),
    ],
)
def test_broken_sessions_are_refused(broken, message):
    """One line with the frame, the column and the rule."""
    with pytest.raises(CheckFailed, match=message):
        measured(broken(calibration.world(np.random.default_rng(8)).head(200)))


def test_cards_as_pages():
    """A card's page says what is counted, against what, when it flags, and whose rule it is."""
    for card in SAFETY_CARDS.values():
        page = markdown(card)
        assert page.startswith(f"# {card.title}\n")
        for text in (card.numerator, card.denominator, card.source, card.owner, card.baseline):
            assert text in page
    assert "high at q <= 0.05" in markdown(SAFETY_CARDS["adverse_event_ratio"])


def test_calibration_in_short():
    """Six worlds with nothing planted and a few thousand draws: no method is beyond its nominal level."""
    rng = np.random.default_rng(20)
    found = [*calibration.null_worlds(rng, 6), *calibration.null_draws(rng, 8)]
    found += calibration.coverages(rng, 4000)
    assert [row for row in found if row.verdict == "DEFECT"] == []
    assert "| Wilson |" in calibration.markdown(
        {
            "false_alarms": [],
            "planted": [],
            "coverage": [calibration.asdict(row) | {"verdict": row.verdict} for row in found[-9:]],
        }
    )
