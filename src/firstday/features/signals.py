"""`Signals`: everything known about one new user, in the caller's ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import astuple, dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from firstday.display import readable, shorten
from firstday.errors import DataError, describe_fault
from firstday.features.wire_types import (
    IN_PROCESS,
    AnyImpression,
    AnyInteraction,
    AnyPick,
    Id,
    Impression,
    Interaction,
    as_whole,
    check_single,
)

PICK_SIGNAL = "onboarding"
"""Signal of a pick, or of a yes in the questionnaire, if the model was trained with it."""


RESERVED = ("age", "interactions", "friends", "shown", "user_id")
"""Fields of `Signals` that are not profile columns, and therefore cannot be names of profile columns."""


USER_FORM = 'give fd.Signals(...) or an object such as {"age": 24}'


def _as_list(value: Any) -> Any:
    """Convert any iterable but text and mappings to a list."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else value


Age = Annotated[int, Field(strict=True, ge=0, le=120), BeforeValidator(as_whole)]
_List = BeforeValidator(_as_list)
_Profile = Mapping[str, Annotated[str, BeforeValidator(lambda value: str(check_single(value)))]]


@readable
@dataclass(frozen=True, init=False)
class Signals:
    """Everything known about one new user; every field is optional.

    Parameters
    ----------
    age
        Years, or None.
    interactions
        Each an `Interaction`, a triple (signal, entity, id), such as ``("favorite", "item", "i81")``, or a dictionary.
    friends
        Ids of the user's friends; only friends that the model stores count.
    shown
        Impressions, each an `Impression`, an item id, a pair (id, position), or a dictionary. Interactions with items
        by the signal ``shown`` are also impressions.
    user_id
        Id of the user. It only seeds the random choices of `explore`, together with the items that the user liked and
        passed over; None: these alone are the seed.
    groups
        Categorical profile columns by name, such as ``country="FR"``.

    Raises
    ------
    DataError
        A value has the wrong form, or the age is outside 0 to 120. Its `where` names the first such value, such as
        ``interactions[3].entity_id``, and its `code` is the type of pydantic's error.
    """

    age: Age | None = None
    interactions: Annotated[tuple[AnyInteraction, ...], _List] = ()
    friends: Annotated[tuple[Id, ...], _List] = ()
    shown: Annotated[tuple[AnyImpression, ...], _List] = ()
    user_id: Any = None
    groups: Annotated[_Profile, Field(validation_alias="profile")] = field(default_factory=dict)

    def __init__(
        self,
        /,
        *,
        age: int | None = None,
        interactions: Iterable[Any] | None = (),
        friends: Iterable[Any] | None = (),
        shown: Iterable[Any] | None = (),
        user_id: Any = None,
        **groups: Any,
    ) -> None:
        picks = groups.pop("picks") if isinstance(groups.get("picks"), list | tuple) else ()
        profile = groups.pop("profile") if isinstance(groups.get("profile"), Mapping) else {}
        if reserved := [name for name in profile if name in RESERVED]:
            text = f"{reserved[0]} cannot be the name of a profile column; put it next to profile."
            raise DataError(text, where="profile", code="reserved")
        columns = {**groups, **profile}
        fields = {
            "age": age,
            "interactions": interactions,
            "friends": friends,
            "shown": shown,
            "user_id": user_id,
            "profile": {name: value for name, value in columns.items() if value is not None},
        }
        _validate(_SIGNALS, {name: value for name, value in fields.items() if value is not None}, self)
        pick_actions = [
            Interaction(signal=PICK_SIGNAL, entity=pick.entity, entity_id=pick.entity_id)
            for pick in _validate(_PICKS, {"picks": picks})["picks"]
        ]
        actions = [*pick_actions, *self.interactions]
        impressions = [Impression(action.entity_id) for action in actions if action.is_impression]
        self.__dict__.update(
            interactions=tuple(action for action in actions if not action.is_impression),
            shown=(*impressions, *self.shown),
        )

    def _repr_facts_(self) -> Mapping[str, Any]:
        parts = {"age": self.age, **self.groups, **{name: getattr(self, name) for name in RESERVED[1:]}}
        parts["interactions"] = tuple(map(astuple, self.interactions))
        return {name: part for name, part in parts.items() if part not in (None, ())}

    def copy(self, **changes: Any) -> Signals:
        """Return a copy with some fields replaced."""
        return Signals(**{**self.groups, **{name: getattr(self, name) for name in RESERVED}, **changes})

    def extend(self, interactions: Iterable[Interaction], shown: Iterable[Impression]) -> Signals:
        """Return a copy with more interactions and impressions, which are not validated again."""
        signals = copy(self)
        signals.__dict__["interactions"] += tuple(interactions)
        signals.__dict__["shown"] += tuple(shown)
        return signals

    @classmethod
    def from_json(cls, text: str | bytes) -> Signals:
        """Parse signals from JSON; for the form see `of`.

        Raises
        ------
        DataError
            The text is not a JSON object of this form.
        """
        try:
            user = json.loads(text)
        except (RecursionError, ValueError) as error:
            raise DataError(f"is not valid JSON ({error}); {USER_FORM}.", where="user", code="json_invalid") from None
        return cls.of(user)

    @classmethod
    def of(cls, user: Signals | Mapping[str, Any]) -> Signals:
        """Return signals unchanged, or parse them from a dictionary. The form is the same for all commands and calls.

        Parameters
        ----------
        user
            ``{"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]], "friends": ["u7"], "interactions":
            [["favorite", "item", "i81"]], "shown": [["i9", 2]]}``; all fields are optional. Picks, interactions and
            impressions may also be objects: ``{"signal": "favorite", "entity": "item", "entity_id": "i81"}``. Profile
            columns may be at the top level, next to ``age``. None means unknown.

        Raises
        ------
        DataError
            The value is neither signals nor a mapping, or the mapping does not have this form.
        """
        if isinstance(user, cls):
            return user
        if not isinstance(user, Mapping) or any(not isinstance(name, str) for name in user):
            raise DataError(f"is a {type(user).__name__}; {USER_FORM}.", where="user", code="dict_type")
        return cls(**user)


_SIGNALS = TypeAdapter(Signals)
_PICKS = TypeAdapter(Mapping[str, list[AnyPick]])


def _validate(adapter: TypeAdapter[Any], values: Mapping[str, Any], instance: Signals | None = None) -> Any:
    """Validate a user's values, into an instance if one is given; raise DataError for the first invalid value."""
    try:
        return adapter.validator.validate_python(values, self_instance=instance, context=IN_PROCESS)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where, text = describe_fault(fault)
        raise DataError(f"{text} (got {shorten(fault['input'])}).", where=where, code=fault["type"]) from None
