"""Hooks of `serve_fuzz.py` that hide what schemathesis cannot generate: bodies of lines, some of them invalid."""

from __future__ import annotations

from itertools import chain
from typing import Any

import schemathesis

FILTERS = ["", 'item_id != "i1"']


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:  # noqa: ARG001
    """Exclude event streams, and what depends on the time or the model: late times, strategies, entities, rules.

    tests/serve/test_event_stream.py covers streams, truncated and invalid in all ways.
    """
    raw_schema["paths"]["/v1/events"]["post"]["requestBody"]["content"].pop("application/x-ndjson")
    raw_schema["components"]["schemas"]["StrategyName"]["enum"] = ["popular", "segment", "auto"]
    parameters = raw_schema["paths"]["/v1/onboarding"]["get"]["parameters"]
    next(one for one in parameters if one["name"] == "entity")["schema"]["enum"] = ["item"]
    for name in ("Rules", "Row"):  # only a model with columns knows which values are valid
        properties = raw_schema["components"]["schemas"][name]["properties"]
        for rule in ("cap", "pin", "boost", "lists", "context"):
            properties.pop(rule)
        properties["filter"]["enum"] = FILTERS
    paths = ("/v1/users/{user_id}/recommendations", "/v1/items/{item_id}/similar")
    for one in chain.from_iterable(raw_schema["paths"][path]["get"]["parameters"] for path in paths):
        valid = {
            "filter": FILTERS,
            "cap": ["item_id:1"],
            "pin": ["1:i1"],
            "boost": ['item_id == "i1":2'],
            "after": [""],
        }
        if one["name"] == "allow":
            one["schema"] = one["schema"]["anyOf"][0]  # in a query, anything is text, and null is absence
        if one["name"] in valid:
            (one["schema"].get("items") or one["schema"])["enum"] = valid[one["name"]]
    raw_schema["components"]["schemas"]["UserListBody"]["properties"]["after"]["enum"] = [""]
    timestamp = raw_schema["components"]["schemas"]["EventBody"]["properties"]["timestamp"]["anyOf"][0]
    timestamp["pattern"] = timestamp["pattern"].replace("20[0-9][0-9]", "20[01][0-9]")


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:  # noqa: ARG001
    """Drop pages with two rows of the same name, which are invalid, but OpenAPI cannot say so."""
    rows = case.body.get("rows") if isinstance(case.body, dict) else None
    names = [str(row.get("name")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return len(names) == len(set(names))
