"""What a protocol does, in two sentences."""

from __future__ import annotations

from firstday.config import Config


def explain_protocol(protocol: str, config: Config) -> tuple[str, str]:
    """Say in one sentence who is cold, and in one what day one and truth are.

    Parameters
    ----------
    protocol
        Its name.
    config
        The settings that it follows.
    """
    if protocol == "registration":
        dates = config.registration
        day = "the 24 hours from registration on" if dates.day_one == "24-hours" else "the day of registration"
        return (
            f"Cold users are those who registered in the {dates.cold_days:g} days after the cut-off; nothing that "
            "anyone did from then on is in anything that was trained.",
            f"Day one is {day}, and a list has to find what they used in the rest of their first "
            f"{dates.target_days:g} days.",
        )
    if protocol == "kdd21":
        return (
            "Warm and cold users are those of the paper: they were told apart before the data was released.",
            "Of day one, features alone are known; a list has to find what users streamed in their first 30 days, and "
            "nothing is left out of it.",
        )
    if protocol == "sampled":
        rules = config.sampled
        share = 100 * (1 - rules.warm - rules.validation)
        return (
            f"Cold users are a random {share:.0f} % of those with at least {rules.min_items} items; nothing that they "
            "did is in anything that was trained.",
            f"Of their items, {min(rules.sizes)} to {max(rules.sizes)} and at most half are drawn as day one; a list "
            "has to find the rest.",
        )
    return (
        f"Cold users are made by the protocol {protocol}; nothing that they did is in anything that was trained.",
        "A list is made from day one alone and has to find what they used afterwards.",
    )
