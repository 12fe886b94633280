"""Write the tables of a small record shop: 120 records, and 300 customers who buy all records of a few artists.

python examples/shop/make_tables.py shop-tables
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

GENRES = ("folk", "jazz", "soul", "techno")
COUNTRIES = ("DE", "FR", "JP")
FIRST = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana")
LAST = ("Abel", "Brook", "Coste", "Diaz", "Egger")
ADJECTIVES = ("Blue", "Early", "Empty", "Golden", "Gentle", "Hidden", "Last", "Quiet", "Silver", "Slow", "Warm", "Wild")
NOUNS = ("Avenue", "Border", "Coast", "Garden", "Harbour", "Letter", "Morning", "River", "Summer", "Window")
N_CUSTOMERS = 300
N_ARTISTS = 40


def make_item(number: int) -> dict[str, Any]:
    """Return a record; each artist has an old, a later and a new one, and no record is sold in all countries."""
    album, artist = divmod(number, N_ARTISTS)
    return {
        "item_id": f"r{number}",
        "title": f"{ADJECTIVES[number // 10]} {NOUNS[number % 10]}",
        "genre": GENRES[artist % 4],
        "artist_id": f"{FIRST[artist % 8]} {LAST[artist // 8]}",
        "price": 9 + number % 14,
        "sold_in": [country for country in COUNTRIES if country != COUNTRIES[number // 4 % 3]],
        "added_at": f"{2022 + album}-03-01",
    }


def main(folder: Path) -> None:
    """Write the tables as JSON lines."""
    draw = random.Random(0)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    items = [make_item(number) for number in range(120)]
    users = []
    interactions = []
    for number in range(N_CUSTOMERS):
        registered_at = start + timedelta(hours=10 * number)
        country = COUNTRIES[number % 3]
        users.append({"user_id": f"c{number}", "country": country, "registered_at": registered_at.isoformat()})
        of_genre = range(number % 4, N_ARTISTS, 4)
        artists = draw.sample(of_genre, 5, counts=range(len(of_genre), 0, -1))  # the first ones are the most popular
        bought = [item for rank, item in enumerate(items) if rank % N_ARTISTS in artists]
        for day, item in enumerate(draw.sample(bought, len(bought))):
            timestamp = (registered_at + timedelta(days=day)).isoformat()
            interactions.append({"user_id": f"c{number}", "item_id": item["item_id"], "timestamp": timestamp})
    write_rows(folder / "items.jsonl", items)
    write_rows(folder / "users.jsonl", users)
    write_rows(folder / "interactions.jsonl", interactions)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
