"""English and German: one catalog with every word, numbers and clocks as each language writes them."""

import datetime as dt
import html
import re
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboards import choosing, language, saved, words
from dashboards.app import DashboardSettings, create_app
from dashboards.language import catalog, say, speaking
from dashboards.pages import PAGES
from dashboards.views import dictionary
from producers.contracts.errors import CheckFailed
from tests.dashboards import said
from tests.dashboards.conftest import Clock, Lake, incidence, login, post
from warehouse import store
from warehouse.metrics import signals

AsUser = Callable[[str], TestClient]
MORNING = dt.datetime(2026, 3, 2, 9, 5, tzinfo=dt.UTC)

NOT_SHOWN = {
    " ",
    "Retry-After",
    "_",
    "an order failed",
    "metric_id",
    "no warehouse",
    "own open",
    "reason",
}
NOT_SHOWN |= {
    "open point",
    "snapshot is not a number",
    "no attempt of this browser",
    "the answer is another provider's",
    "the provider let nobody in",
    "the sign-in service does not answer",
    "the state is not this browser's",
}
"""Constants of the pages' code that are names, and what only a log or an error in a log says."""


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


# ── the catalog ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.unit
def test_every_word_of_the_code_is_in_the_catalog():
    """A word that a template, `say` or a page's heading has, and the catalog has not, is named."""
    metrics = [*words.METRICS.values(), *words.MORE.values()]
    ours = {text for each in metrics for text in (each.title, each.counted, each.explanation) if text}
    wanted = (said.spoken() | said.shown() | ours) - NOT_SHOWN
    assert len(wanted) > 400
    assert sorted(wanted - catalog("de").keys()) == []


@pytest.mark.unit
def test_a_translation_takes_the_same_values():
    """What is put into the English is put into the German; no entry is empty or lacks its plural."""
    for english, german in catalog("de").items():
        for form in german:
            assert _fields(form) == _fields(english), english


@pytest.mark.unit
def test_templates_have_no_words_of_their_own():
    """Text and labels in templates go through the catalog, but for names of formats and ours."""
    names = {"dermastream", "SVG", "PNG", "CSV", "Parquet", "SHA", "charset", "utf"}
    for file in sorted((said.PACKAGE / "templates").glob("*.html")):
        text = re.sub(r"(?s)\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", file.read_text())
        labels = re.findall(r'(?:aria-label|alt|title|placeholder)="([^"]*)"', text)
        bare = re.sub(r"(?s)<[^>]*>", " ", text)
        found = {
            word for part in (bare, *labels) for word in re.findall(r"[A-Za-z]{3,}", html.unescape(part))
        }
        assert found <= names, file.name


# ── numbers and clocks ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.unit
def test_numbers_and_dates():
    """The same figures as each language writes them; nothing is ever `-0`."""
    row = incidence("clinic", "a", 12, 1387)
    with speaking("de"):
        assert language.number(1234.5, 1) == "1.234,5"
        assert language.percent(0.123, 1) == "12,3\u00a0%"
        assert language.number(-0.001, 2) == "0,00"
        assert language.date(MORNING.date()) == "02.03.2026"
        assert words.day(MORNING) == "2. März 2026"
        assert words.ratio_text(row) == "12 von 1.387"
        assert language.plural("{n} day", "{n} days", 1) == "1 Tag"
    assert language.number(1234.5, 1) == "1,234.5"
    assert language.percent(0.123, 1) == "12.3%"
    assert words.day(MORNING) == "2 March 2026"
    assert language.plural("{n} day", "{n} days", 1) == "1 day"
    assert say("no such word") == "no such word"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("spoken", "zone", "says"),
    [
        ("en", "UTC", "2026-03-02 09:05 UTC"),
        ("en", "Europe/Berlin", "2026-03-02 10:05 CET"),
        ("de", "Europe/Berlin", "02.03.2026 10:05 MEZ"),
        ("de", "America/New_York", "02.03.2026 04:05 EST"),
        ("en", "Asia/Dubai", "2026-03-02 13:05 UTC+04"),
        ("en", "Nowhere/Here", "2026-03-02 09:05 UTC"),
    ],
)
def test_a_moment_names_its_clock(spoken: str, zone: str, says: str):
    """A time stands by the clinic's clock, which is named; an unknown clock is UTC."""
    with speaking(spoken, zone):
        assert words.moment(MORNING) == says


@pytest.mark.unit
@pytest.mark.parametrize(
    ("header", "best"),
    [("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr,en;q=0.4,de;q=0.6", "de"), ("en,de;q=0.9", "en"), ("", "en"),
     ("de;q=0", "en"), ("de;q=x,*", "en")],
)  # fmt: skip
def test_the_browsers_language(header: str, best: str):
    """The language the browser prefers among those there are."""
    assert language.best(header) == best


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────

ENGLISH = frozenset(
    re.findall(
        "[a-z]+",
        """
        the of and with by for from is are not were has have its this that which each every yes to at on what
        when who where why how our their your session sessions patients device devices clinic clinics adverse
        event events report lots week weeks day days hours minutes computed due overdue network owner open
        closed unknown never nobody none low high calibration calibrated newest oldest found expected
        table among against than other others held needs must please characters""",
    )
)
"""Words by which English gives itself away, and the commonest of our own."""
CITED = ("Statistics with Confidence", "Breslow und Day")
"""A book's title, which stays in the language it was written in, and a name that looks English."""
ADDRESSES = {
    "signal": {"signal": "signal-clinic-north"},
    "session": {"session": "clinic-north/s-north-0"},
    "clinic": {"clinic": "clinic-north"},
    "adherence": {"clinic": "clinic-north"},
    "trace": {"device": "clinic-north/pen-north"},
    "dictionary": {"relation": "mart.metric_result"},
    "views": {"address": "/safety"},
}


def _leftovers(page: str) -> list[str]:
    """Texts of a German page that have an English word: left out is code and what is marked English."""
    page = re.sub(r"(?s)<(script|style|code)\b.*?</\1>", " ", page)
    page = re.sub(r'(?s)<(\w+)\b[^>]*\blang="en"[^>]*>.*?</\1>', " ", page)
    labels = re.findall(r'(?:aria-label|alt)="([^"]*)"', page)
    charts = [
        text
        for chart in re.findall(r' chart="([^"]*)"', page)
        for text in re.findall(r'"(?:title|note|finding|hint|counts|interval|text|description)": "([^"]*)"',
                               html.unescape(chart))
    ]  # fmt: skip
    for cited in CITED:
        page = page.replace(cited, "")
    said_there = (*re.findall(r">([^<]+)<", page), *labels, *charts)
    texts = [re.sub(r"/\S*", "", html.unescape(each)).strip() for each in said_there]
    return [
        text
        for text in texts
        if ENGLISH & set(re.findall(r"(?<![\w/.-])[a-z]+(?![\w/-]|\.\w)", text.lower()))
    ]


@pytest.mark.integration
def test_no_english_on_a_german_page(as_user: AsUser):
    """Every page in German says nothing in English, in text, labels, charts and options."""
    left: dict[str, list[str]] = {}
    clients = {"manager": as_user("manager"), "admin": as_user("admin")}
    for page in PAGES:
        client = clients["admin" if page.name == "audit" else "manager"]
        answer = client.get(page.path, params={"lang": "de"} | ADDRESSES.get(page.name, {}))
        assert answer.status_code == 200, page.name
        assert '<html lang="de">' in answer.text
        if found := _leftovers(answer.text):
            left[page.name] = found
    for address in ("/reports?lang=de", "/nothing?lang=de", "/login?lang=de"):
        if found := _leftovers(clients["manager"].get(address).text):
            left[address] = found
    assert left == {}


def _german(client: TestClient) -> TestClient:
    client.headers["Accept-Language"] = "de"
    return client


@pytest.mark.integration
def test_every_card_is_german(as_user: AsUser, lake: Lake):
    """All that cards say stands in the catalog; what it lacks is named. A card that the catalog does not know
    stays English as a whole and is marked so."""
    cards = store.rows(lake.connection, store.statement("dashboard/metric_card"))
    texts = {card[name] for card in cards for name in dictionary.TEXTS if card[name]}
    assert len(texts) > 80
    assert sorted(texts - catalog("de").keys()) == []
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute(
            "INSERT INTO mart.metric_card SELECT * REPLACE ('of_tomorrow' AS metric_id, 'Tomorrow' AS title) "
            "FROM mart.metric_card WHERE metric_id = 'adverse_event_ratio'"
        )
    page = as_user("manager").get("/metrics?lang=de").text
    rows = dict(re.findall(r'(?s)<tr id="cards-(\w+)"(.*?)</tr>', page))
    assert rows.keys() == {card["metric_id"] for card in cards} | {"of_tomorrow"}
    unknown = rows.pop("of_tomorrow")
    assert unknown.count(' lang="en"') == 6
    assert "such sessions expected if it were like the other groups" in unknown
    assert "lower is better" in unknown
    for card in cards:
        assert catalog("de")[card["description"]][0] in html.unescape(rows[card["metric_id"]])
        assert 'lang="en"' not in rows[card["metric_id"]]


@pytest.mark.integration
def test_the_dictionary_says_what_is_english(as_user: AsUser):
    """Comments of the catalog are English, are marked so, and a German page tells it; an English one need
    not."""
    client = as_user("manager")
    for path in ("/dictionary", "/dictionary?relation=mart.metric_result"):
        note = "What relations and columns mean is told in English only."
        german = client.get(path, headers={"Accept-Language": "de"}).text
        assert catalog("de")[note][0] in german
        assert note not in client.get(path).text


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kind", "status", "given"),
    [("commented", "closed", {"note": "x"}), ("assigned", "open", {"owner": " "}),
     ("snoozed", "open", {"note": "x"}), ("snoozed", "open", {"until": MORNING, "note": "x"}),
     ("snoozed", "open", {"until": MORNING + dt.timedelta(days=1)}), ("commented", "open", {"note": " "}),
     ("closed", "acknowledged", {})],
)  # fmt: skip
def test_rules_about_signals_are_german(kind: str, status: str, given: dict[str, Any]):
    """Every rule that a form about a signal may break is in the catalog."""
    signal = {"signal_id": "s", "status": status}
    with pytest.raises(CheckFailed) as refused:
        signals.act(signal, kind, by="ann", at=MORNING, **given)
    assert str(refused.value).removeprefix("signal s: ") in catalog("de")


OPERATOR = "/signal/signal-operator-north"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("path", "fields", "status", "says"),
    [
        (f"{OPERATOR}/closed", {"note": " "}, 422, "Bitte geben Sie an, was gefunden wurde."),
        (f"{OPERATOR}/closed", {"note": "x" * 501}, 422, "Text: höchstens 500 druckbare Zeichen"),
        (f"{OPERATOR}/snoozed", {"until": "soon", "note": "x"}, 422, "Bis: ein Datum wie 2026-11-30"),
        (f"{OPERATOR}/assigned", {"owner": "x" * 65}, 422, "Neu zuständig: höchstens 64"),
        (f"{OPERATOR}/closed", {}, 400, "Diese Adresse ergibt keinen Sinn"),
        (f"{OPERATOR}/opened", {}, 404, "Hier ist nichts"),
        ("/health/replay", {"rule": "json.invalid"}, 403, "Das ist nicht für dieses Konto"),
        ("/views/save", {"title": " ", "address": "/safety"}, 422, "1 bis 60 druckbare Zeichen"),
        ("/views/save", {"title": "x", "address": "//evil.example"}, 422, "Adresse einer Seite"),
        ("/views/save", {"title": "x", "address": "/" + "x" * 9000}, 413, "Das ist zu viel"),
        ("/views/save", {"title": "51", "address": "/safety"}, 422, "höchstens 50 Ansichten"),
        ("/views/forget", {}, 400, "Bitte beginnen Sie wieder beim Überblick."),
    ],
)
def test_a_refused_form_is_german(
    as_user: AsUser, settings: DashboardSettings, path: str, fields: dict, status: int, says: str
):
    """Whatever a form breaks is said in the reader's language, and nothing in English beside it."""
    for number in range(saved.MOST if fields.get("title") == "51" else 0):
        saved.save(settings.accounts, "manager", saved.View(str(number), "/"))
    answer = post(_german(as_user("manager")), path, **fields)
    assert answer.status_code == status
    assert '<html lang="de">' in answer.text
    assert says in answer.text
    assert _leftovers(answer.text) == []
    assert ' lang="en"' not in answer.text


@pytest.mark.integration
def test_a_refused_sign_in_is_german(client: TestClient):
    """A wrong password and a form without its token are refused in German."""
    answer = login(_german(client), "manager", "not the password")
    assert (answer.status_code, _leftovers(answer.text)) == (401, [])
    assert "Prüfen Sie Name und Passwort" in answer.text
    answer = client.post("/login", data={"name": "manager", "password": "x", "csrf": "0" * 64})
    assert (answer.status_code, _leftovers(answer.text)) == (403, [])
    assert "das Formular ist veraltet" in answer.text


@pytest.mark.integration
def test_a_rule_without_german_is_marked_english(settings: DashboardSettings, clock: Clock, tmp_path: Path):
    """What only the warehouse can name stays in its words, marked as English on a German page."""
    key = tmp_path / "key"
    key.write_text("no hexadecimal digits")
    app = create_app(replace(settings, privacy_key=key), clock)
    with TestClient(app, follow_redirects=False) as client:
        login(client, "admin")
        answer = post(_german(client), "/health/replay", rule="json.invalid")
    assert answer.status_code == 422
    assert f'<p lang="en">{key} is not a tombstone key: 64 hexadecimal digits</p>' in answer.text
    assert _leftovers(answer.text) == []


@pytest.mark.integration
def test_files_for_machines_are_the_same_in_every_language(as_user: AsUser):
    """A table as CSV has points for decimals and UTC, whatever the page's language."""
    client = as_user("manager")
    for file in ("overview/clinics.csv", "clinic/sessions.csv", "adherence/due.csv", "safety/groups.csv"):
        asked = {"clinic": "clinic-north"} if file.startswith("clinic/") else {}
        english = client.get(f"/export/{file}", params=asked).text
        german = client.get(f"/export/{file}", params=asked | {"lang": "de"}).text
        assert english == german
        assert "UTC" in english


@pytest.mark.integration
def test_the_address_then_the_choice_then_the_browser(as_user: AsUser):
    """The address decides; a choice made on our page is remembered, a link from elsewhere is not."""
    client = as_user("manager")
    assert '<html lang="de">' in client.get("/", headers={"Accept-Language": "de"}).text
    page = client.get("/signals?lang=de", headers={"Sec-Fetch-Site": "cross-site"}).text
    assert 'href="/safety?lang=de"' in page
    assert choosing.COOKIE not in client.cookies
    client.get("/?lang=de", headers={"Sec-Fetch-Site": "same-origin"})
    assert client.cookies[choosing.COOKIE] == "de"
    assert '<html lang="de">' in client.get("/").text
    assert '<html lang="en">' in client.get("/?lang=en").text
    assert client.get("/?lang=xx").status_code == 400


@pytest.mark.integration
def test_a_clinics_page_goes_by_its_clock(as_user: AsUser):
    """Times on a clinic's page are by its clock, those of the network by UTC."""
    client = as_user("manager")
    assert re.search(r"computed 2026-03-02 \d\d:\d\d GMT", client.get("/clinic?clinic=clinic-north").text)
    assert re.search(r"computed 2026-03-02 \d\d:\d\d UTC", client.get("/").text)
