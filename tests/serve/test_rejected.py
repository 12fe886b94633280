"""What a user rejected over HTTP is in no list, by an event as by the stored profile; see `tests.recommend`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.recommend.test_rejected import ITEMS, NEW, make_rejecting
from tests.serve.conftest import add_events, get_list, ids_of, read_body
from tests.serve.in_process import running_app


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("rejecting")
    with running_app(make_rejecting().save(folder / "model"), folder) as app, app.open_client() as client:
        for item in NEW:
            assert client.put(f"/v1/items/{item['item_id']}", json={"artist_id": item["artist_id"]}).is_success
        yield client


def list_everywhere(http: httpx.Client, user_id: str, **options: Any) -> set[str]:
    """Return the items in any list of a user, that of everyone, rows, or of what goes with an item."""
    address = f"/v1/users/{user_id}/recommendations"
    listed = set()
    for some in (ITEMS[:4], ITEMS[4:]):
        listed |= {*ids_of(read_body(http.post(address, json={"rules": {"allow": some}, "k": 6, **options})))}
    listed |= {*ids_of(get_list(http, user_id, k=6, **options))}
    rows = [{"name": "one", "k": 3}, {"name": "two", "k": 3}]
    for row in read_body(http.post(address, json={"rows": rows, **options}))["rows"]:
        listed |= {*ids_of(row)}
    for item in ITEMS[:6]:
        parameters = {"k": 6, "user": user_id, **options}
        listed |= {*ids_of(read_body(http.get(f"/v1/items/{item}/similar", params=parameters)))}
    return listed


@pytest.mark.parametrize(
    ("signal", "entity", "name", "rejected"),
    [
        ("hide", "item", "i1", {"i1"}),
        ("ban", "item", "n1", {"n1"}),
        ("ban", "artist", "a1", {"i1", "n1"}),
        ("ban", "artist", "a2", set()),
        ("skip", "item", "i1", set()),
    ],
)
@pytest.mark.parametrize("by_event", [True, False])
def test_rejected_items_are_listed_nowhere(
    http: httpx.Client, signal: str, entity: str, name: str, rejected: set[str], *, by_event: bool
) -> None:
    user_id = f"{signal} {entity} {name} {by_event}"
    assert list_everywhere(http, user_id) == {*ITEMS}
    if by_event:
        add_events(http, user_id, name, signal=signal, entity=entity)
    else:
        assert http.put(f"/v1/users/{user_id}", json={"interactions": [[signal, entity, name]]}).is_success
    assert list_everywhere(http, user_id) == {*ITEMS} - rejected
    assert list_everywhere(http, user_id, keep_used=True) == {*ITEMS}
