"""Who gets what: login, forms, headers, and clinics that stay apart."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from tests.dashboards.conftest import login

pytestmark = pytest.mark.integration


def test_pages_lead_to_the_login(client: TestClient):
    """Without a session every page leads to the login, and back to where one wanted to go."""
    assert (
        client.get("/?clinic=clinic-north").headers["location"] == "/login?next=%2F%3Fclinic%3Dclinic-north"
    )
    assert client.get("/reports").headers["location"] == "/login?next=%2Freports"


def test_manager_sees_every_clinic(as_user: Callable[[str], TestClient]):
    page = as_user("manager").get("/")
    assert page.status_code == 200
    print(page.text)
    assert "North Street" in page.text
