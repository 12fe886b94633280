"""A user's signals have one shape: command line, Python, what is put and what is posted give the same list."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from firstday.errors import DataError
from firstday.features.signals import Signals
from firstday.features.wire_types import Impression
from tests.serve.conftest import assert_error

WHOLE: dict[str, Any] = {
    "age": 24,
    "profile": {"country": "FR"},
    "picks": [["item", "i003"], {"entity": "item", "entity_id": "i004"}],
    "friends": ["u1"],
    "interactions": [["stream", "item", "i001"], {"signal": "favorite", "entity_id": "i002"}],
    "shown": ["i005", ["i006", 2], {"item_id": "i007", "position": 3}],
}


def test_the_shape_means_the_same_in_both_forms() -> None:
    read = Signals.of(WHOLE)
    assert read == Signals(
        age=24,
        country="FR",
        friends=["u1"],
        interactions=[
            ("onboarding", "item", "i003"),
            ("onboarding", "item", "i004"),
            ("stream", "item", "i001"),
            ("favorite", "item", "i002"),
        ],
        shown=[Impression("i005"), Impression("i006", 2), Impression("i007", 3)],
    )
    assert Signals.of({"profile": "premium", "picks": "many"}).groups == {"profile": "premium", "picks": "many"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"interactions": [{"signal": "stream"}]},
        {"picks": [["artist"]]},
        {"picks": [{"entity": "artist"}]},
        {"profile": {"age": 3}},
        {"shown": [["i1", 0]]},
    ],
)
def test_an_error_names_the_same_field_in_python_and_over_http(wrong: dict[str, Any], http: httpx.Client) -> None:
    with pytest.raises(DataError) as caught:
        Signals.of(wrong)
    field = caught.value.where
    assert_error(http.put("/v1/users/wrong", json=wrong), 422, "invalid", field)
    path = field if "profile" in wrong else f"signals.{field}"
    assert_error(http.post("/v1/recommendations", json={"signals": wrong}), 422, "invalid", path)
