"""Fill the tables between markers in README.md and docs from docs/results: no figure is typed by hand.

python docs/write_tables.py
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGES = tuple(
    DOCS / page
    for page in ("../README.md", "quality.md", "protocols.md", "simulator.md", "reproduce.md", "onboarding.md")
)
DATASETS = {"movielens-100k": "MovieLens 100K", "deezer-europe": "Deezer Europe"}
MEANING = {
    "blend": "several at once, by how much is known",
    "direct": "day-one features → network → items",
    "neighbors": "predicted vector → nearest warm users → items",
    "soft_segments": "predicted vector → near segments, weighted → their items",
    "personal": "predicted vector → nearest items",
    "segment": "predicted vector → nearest segment → items (paper's system)",
    "paper_segment": "the same with the paper's features and training alone",
    "day_one": "mean of the day's items → nearest items",
    "input_clusters": "clusters of day-one features",
    "fold_in": "vector solved from the day's items → nearest items",
    "friends": "what friends use (else as `group`)",
    "group": "most used in the age, country, ... group",
    "popular": "most used by everyone",
}
SIMULATED = (
    ("users", "users", "", "100,000"),
    ("items", "items", "", "50,000"),
    ("interactions", "interactions", "", ""),
    (
        "blocks (signal x entity) in the log; 4 more (stream, skip x artist, album) follow from items",
        "blocks",
        "",
        "18",
    ),
    ("newcomers who stream something on day one", "day_one_streams", " %", "77 %"),
    ("newcomers who leave only a profile on day one", "day_one_nothing", " %", "5 %"),
    ("newcomers who answer the questionnaire", "day_one_questionnaire", " %", ""),
    ("newcomers who stream something in the 30 days after day one", "active_in_month", " %", ""),
    ("streams of these in the 30 days, mean", "streams_in_month", "", ""),
    ("streams of these in the 30 days, median", "streams_in_month_median", "", ""),
    ("different items of these in the 30 days, mean", "items_in_month", "", ""),
    ("different items of these in the 30 days, median", "items_in_month_median", "", ""),
    ("P@50 of the most streamed items", "precision_popular", " %", "8.92 %"),
    ("P@50 of the most streamed items of the country and age group", "precision_profile", " %", ""),
    ("interactions of a user, mean", "interactions_per_user", "", ""),
    ("interactions of a user, median", "interactions_median", "", ""),
    ("interactions of the most active tenth of users", "interactions_most_active_tenth", " %", ""),
    ("streams of the most streamed 1 % of items", "streams_top_1_percent", " %", ""),
    ("streams of the most streamed 10 % of items", "streams_top_10_percent", " %", ""),
    ("skips among plays", "skips_per_100_plays", " %", ""),
    ("users who registered before the log begins", "registered_before_log", " %", ""),
    ("users whose age is unknown", "age_missing", " %", ""),
    ("friends of a user, mean", "friends_per_user", "", ""),
    ("friends of the same country", "same_country_friends", " %", ""),
    ("strangers of the same country", "same_country_strangers", " %", ""),
    ("items in common with a friend, mean", "common_items_friends", "", ""),
    ("items in common with a stranger, mean", "common_items_strangers", "", ""),
)
"""What is said of simulated tables: words, name in the results, unit, and what the paper states."""


class NotMeasuredError(Exception):
    """A benchmark has not been run yet, or not at the size that a table is about."""


def read_results(name: str) -> Any:
    """Return a file of docs/results."""
    if not (DOCS / "results" / f"{name}.json").exists():
        raise NotMeasuredError
    return json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))


def strategies() -> list[str]:
    """Return P@50 of each strategy on each dataset."""
    found = [{row["strategy"]: row for row in read_results(name)["results"]} for name in DATASETS]
    lines = [f"| P@50, % [95 % interval] | {' | '.join(DATASETS.values())} |", "|---|---|---|"]
    for strategy, meaning in MEANING.items():
        cells = [
            f"{row[strategy]['precision']:.1f} {_interval(row[strategy]['precision_ci'])}" if strategy in row else "-"
            for row in found
        ]
        name = f"`{strategy}`: {meaning}"
        lines.append(
            "| " + " | ".join(f"**{cell}**" if strategy == "segment" else cell for cell in (name, *cells)) + " |"
        )
    return lines


def gains() -> list[str]:
    """Return what the best strategy gains over the paper's system, over tuned peers and over popularity, in words."""
    text = []
    for name, title in DATASETS.items():
        found = read_results(name)
        rows = {row["strategy"]: row for row in found["results"]}
        if not found.get("tuned_peers"):
            continue
        peers = [peer for peer in found["tuned_peers"] if peer in rows and peer != "paper_segment"]
        best = max(peers, key=lambda peer: rows[peer]["precision"])
        beside = [_gain(rows["blend"], other) for other in ("paper_segment", "segment", best)]
        said = (
            f"- {title}: `blend` is {beside[0]} above the paper's system with the paper's settings, {beside[1]} above "
            f"`segment`, and {beside[2]} above the best tuned peer, `{best}`. {_with_nothing(rows)}"
        )
        text += textwrap.wrap(said, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return text


def _gain(row: dict[str, Any], other: str) -> str:
    """Return by how much a strategy is above another, in %, with the interval."""
    ratio, (low, high) = row["against"][other]["ratio"], row["against"][other]["ratio_ci"]
    return f"{100 * (ratio - 1):.0f} % [{100 * (low - 1):.0f}, {100 * (high - 1):.0f}]"


def _with_nothing(rows: dict[str, Any]) -> str:
    """Say what people get who used nothing on day one."""
    if rows["blend"].get("friends_only") is None:
        blend, popular = (rows[name]["by_day_one_size"]["0"] for name in ("blend", "popular"))
        return f"With nothing used on day one it has {blend:.1f} % against {popular:.1f} % of `popular`."
    blend, popular = (rows[name]["friends_only"] for name in ("blend", "popular"))
    return (
        f"For people of whom only profile and friends are known it has {blend:.1f} % against {popular:.1f} % of "
        f"`popular`, {100 * (blend / popular - 1):.0f} % more."
    )


def sizes(name: str) -> list[str]:
    """Return P@50 of each strategy by day-one size on one dataset."""
    rows = {row["strategy"]: row for row in read_results(name)["results"]}
    counts = rows["segment"]["n_by_day_one_size"]
    lines = [
        "| P@50, % | " + " | ".join(f"{size} items (n = {n:,})" for size, n in counts.items()) + " |",
        "|---|---|---|---|",
    ]
    for strategy in (strategy for strategy in MEANING if strategy in rows):
        cells = [f"{value:.1f}" for value in rows[strategy]["by_day_one_size"].values()]
        lines.append(f"| `{strategy}` | " + " | ".join(cells) + " |")
    return lines


def ablations(name: str) -> list[str]:
    """Return what each part of the default brings on one dataset."""
    strategies = ("segment", "personal", "direct", "blend")
    lines = ["| changed | " + " | ".join(f"`{strategy}`" for strategy in strategies) + " |", "|---|---|---|---|---|"]
    for row in read_results(f"ablations-{name}")["rows"]:
        cells = []
        for strategy in strategies:
            if strategy not in row:
                cells.append("-")
            elif row["variant"] == "default":
                cells.append(f"{row[strategy]:.1f}")
            else:
                interval = _interval(row[f"{strategy}_minus_default_ci"], "+.1f")
                cells.append(f"{row[f'{strategy}_minus_default']:+.1f} {interval}")
        lines.append(f"| {row['variant']} | " + " | ".join(cells) + " |")
    return lines


def peers(name: str) -> list[str]:
    """Return strategies and tuned peers side by side on one dataset, best first."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = [
        "| P@50, % [95 % interval] | all | / `segment` | 0 items | 1-3 | 4+ | own lists, % | novelty, bits "
        "| items reached, % | ms per user |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(read_results(name)["results"], key=lambda row: -row["precision"]):
        beside = row["against"].get("segment")
        ratio = f"{beside['ratio']:.2f} {_interval(beside['ratio_ci'], '.2f')}" if beside else ""
        sizes = [f"{value:.1f}" for value in row["by_day_one_size"].values()]
        about = [f"{row[what]:.1f}" for what in ("coverage", "novelty_bits", "catalogue_reached")]
        cells = [f"{row['precision']:.1f} {_interval(row['precision_ci'])}", ratio, *sizes, *about]
        lines.append(f"| `{row['strategy']}` | {' | '.join(cells)} | {row['ms_per_user']:.2f} |")
    return lines


def peers_options(name: str) -> list[str]:
    """Return what was tried of each tuned peer on one dataset, and what validation users chose in each seed."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = ["| peer | tried | chosen, by seed | time to fit, s | time for the grid, s |", "|---|---|---|---|---|"]
    for peer, told in read_results(name)["tuned_peers"].items():
        if not told["grid"]:
            continue
        tried = "; ".join(f"{option} {', '.join(f'{v:g}' for v in values)}" for option, values in told["grid"].items())
        chosen = [", ".join(f"{value:g}" for value in found["options"].values()) for found in told["by_seed"]]
        seconds = sum(found["tune_seconds"] for found in told["by_seed"]) / len(chosen)
        lines.append(f"| `{peer}` | {tried} | {'; '.join(chosen)} | {told['fit_seconds']:.1f} | {seconds:.0f} |")
    return lines


def growth() -> list[str]:
    """Return time and memory of each stage by number of users."""
    stages = ("simulate", "check", "train", "evaluate")
    lines = [
        "| users | interactions | " + " | ".join(stages) + " | P@50 `popular`, `segment` |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in read_results("growth")["by_users"]:
        took = [row.get(stage) for stage in stages]
        cells = ["-" if cost is None else f"{cost['seconds']:,.0f} s, {cost['peak_gib']:.1f} GiB" for cost in took]
        found = ", ".join(f"{value:.1f} %" for value in row.get("precision", {}).values()) or "-"
        lines.append(f"| {row['users']:,} | {row['interactions']:,} | {' | '.join(cells)} | {found} |")
    return lines


def service() -> list[str]:
    """Return P@50 of each strategy on a simulated service with a clock, by day-one size."""
    rows = {row["strategy"]: row for row in read_results("simulated-service")["results"]}
    counts = {**rows["segment"]["n_by_day_one_size"], "profile only": rows["segment"]["n_profile_only"]}
    titles = [f"{size}{'' if size == 'profile only' else ' items'} (n = {n:,})" for size, n in counts.items()]
    lines = ["| P@50, % [95 % interval] | all | " + " | ".join(titles) + " |", "|---|---|---|---|---|---|"]
    for strategy in (strategy for strategy in MEANING if strategy in rows):
        row = rows[strategy]
        whole = f"{row['precision']:.1f} {_interval(row['precision_ci'])}"
        cells = [f"{value:.1f}" for value in (*row["by_day_one_size"].values(), row["profile_only"])]
        lines.append(f"| `{strategy}` | {whole} | " + " | ".join(cells) + " |")
    return lines


def repeats() -> list[str]:
    """Return time and memory of reading and checking by number of interactions of the same users."""
    lines = ["| users | interactions | check |", "|---|---|---|"]
    for row in read_results("growth")["by_events"]:
        took = f"{row['check']['seconds']:,.0f} s, {row['check']['peak_gib']:.1f} GiB"
        lines.append(f"| {row['users']:,} | {row['interactions']:,} | {took} |")
    return lines


def simulated() -> list[str]:
    """Return statistics of simulated tables beside the paper's."""
    found = read_results("simulated")
    lines = ["| | simulated | paper |", "|---|---|---|"]
    return lines + [f"| {what} | {found[name]:,}{unit} | {paper or '-'} |" for what, name, unit, paper in SIMULATED]


def paper_scale() -> list[str]:
    """Return time and memory of the paper's table by size of the data."""
    lines = [
        "| users | songs | simulate | svd | svd with DropoutNet and MeLU | mf |",
        "|---|---|---|---|---|---|",
    ]
    for row in read_results("paper-scale")["scales"]:
        took = [row.get(part) for part in ("simulate", "svd", "svd_with_peers", "mf")]
        cells = [f"{part['seconds']:,.0f} s, {part['peak_gib']:.1f} GiB" if part else "-" for part in took]
        lines.append(f"| {row['users']:,} | {row['songs']:,} | {' | '.join(cells)} |")
    return lines


def paper_stages() -> list[str]:
    """Return the time of each stage at the full size beside the authors'."""
    results = read_results("paper-scale")
    full = _released_size(results)["svd"]
    stages, authors = full["stages"], results["authors_seconds"]
    lists = {name: row["ms_per_user"] * full["n_cold"] / 1000 for name, row in full["figures"].items()}
    pairs = (
        ("data", "data generation", stages["reading"]),
        ("training", "training", stages["cold model"]),
        ("full evaluation", "lists, full-personalised", lists["personal"]),
        ("clustering", "segments", stages["segments"]),
        ("semi evaluation", "lists, semi-personalised", lists["segment"]),
    )
    lines = ["| stage | authors, s | ours, s | ratio |", "|---|---|---|---|"]
    for name, title, ours in pairs:
        lines.append(f"| {title} | {authors[name]:,} | {ours:,.2f} | {_ratio(authors[name], ours)} |")
    whole = sum(authors.values())
    lines.append(
        f"| all of these | {whole:,} | {sum(p[2] for p in pairs):,.1f} | {_ratio(whole, sum(p[2] for p in pairs))} |"
    )
    lines.append(
        f"| the whole command: these, clusters of inputs ({stages['input clusters']:.1f} s), three more strategies, "
        f"loading libraries | - | {full['seconds']:,.1f} | - |"
    )
    return lines


def _released_size(results: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured at the size of the released data."""
    found = [row for row in results["scales"] if row["users"] == 100_000]
    if not found:
        raise NotMeasuredError
    row: dict[str, Any] = found[0]
    return row


def _ratio(theirs: float, ours: float) -> str:
    """Say how many times faster ours is, or how many times slower."""
    ratio = theirs / ours
    return f"{ratio:,.0f} x faster" if ratio >= 1 else f"{1 / ratio:,.0f} x slower"


def paper_figures() -> list[str]:
    """Return P@50 at the full size beside the paper's."""
    full = _released_size(read_results("paper-scale"))
    svd, mf = full["svd_with_peers"]["figures"], full["mf"]["figures"]
    lines = ["| method | strategy | svd | mf |", "|---|---|---|---|"]
    for strategy, row in svd.items():
        cells = [
            f"{found['precision']:.2f} ± {found['precision_deviation']:.2f} ({found['paper']['precision']:.2f})"
            if found
            else "-"
            for found in (row, mf.get(strategy))
        ]
        lines.append(f"| {row['title']} | `{strategy}` | {' | '.join(cells)} |")
    return lines


def paper_training() -> list[str]:
    """Return precision by length of training at the full size."""
    lines = [
        "| training | P@50, validation | P@50 `segment`, test | P@50 `personal`, test | training, s |",
        "|---|---|---|---|---|",
    ]
    for row in read_results("paper-training"):
        figures = row["figures"]
        cells = (
            row["training"]["validation_precision"],
            *(figures[name]["precision"] for name in ("segment", "personal")),
        )
        seconds = row["stages"]["cold model"]
        lines.append(f"| {row['name']} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {seconds:,.0f} |")
    return lines


def _interval(pair: list[float], form: str = ".1f") -> str:
    return f"[{pair[0]:{form}}, {pair[1]:{form}}]"


ARMS = {
    "adaptive": "the questionnaire",
    "segments": "mutual information with the segment",
    "popular": "the most used items",
    "random": "random ones of the 300 most used",
}
"""Ways to choose questions."""


def _onboarding(name: str, of_list: str) -> dict[tuple[str, int], Any]:
    """Return the rows of a way to make lists, by arm and number of questions."""
    rows = read_results(f"onboarding-{name}")["results"]
    return {(row["arm"], row["questions"]): row for row in rows if row["list"] == of_list}


def onboarding(name: str, of_list: str) -> list[str]:
    """Return P@50 by questions asked, for one way to make lists."""
    rows = _onboarding(name, of_list)
    numbers = sorted({questions for _, questions in rows})
    last = numbers[-1]
    lines = [
        f"| P@50, % [95 % interval] | {' | '.join(f'after {n}' for n in numbers)} | yes, of {last} | / popular, "
        f"after {last} | the same, common truth |",
        "|---" * (len(numbers) + 4) + "|",
    ]
    for arm, meaning in ARMS.items():
        if (arm, last) not in rows:
            continue
        cells = [f"{rows[arm, n]['precision']:.1f} {_interval(rows[arm, n]['precision_ci'])}" for n in numbers]
        cells.append(f"{rows[arm, last]['yes']:.1f}")
        for word in ("precision", "precision_common"):
            ratio, ends = (rows[arm, last].get(f"{word}_{what}") for what in ("ratio", "ratio_ci"))
            cells.append("" if ratio is None else f"{ratio:.2f} {_interval(ends, '.2f')}")
        lines.append(f"| {meaning} | {' | '.join(cells)} |")
    return lines


def onboarding_variants(name: str) -> list[str]:
    """Return P@50 on validation people of other settings and ways to choose questions."""
    lines = ["| P@50, %, validation | after 1 | after 3 | after 5 |", "|---|---|---|---|"]
    for row in read_results(f"onboarding-{name}")["ablations"]:
        lines.append(f"| {row['changed']} | {' | '.join(f'{value:.1f}' for value in row['precision'].values())} |")
    return lines


def onboarding_speed() -> list[str]:
    """Say how long a question and a list take at scale."""
    told = read_results("onboarding-speed")
    return [
        f"With {told['people']:,} people, {told['items']:,} items and vectors of {told['dimensions']} a question takes "
        f"{told['question_cpu_ms']:.1f} ms and a list {told['list_cpu_ms']:.1f} ms of one core."
    ]


def render(page: str) -> str:
    """Return a page with its tables renewed."""
    makers = {
        "strategies": strategies,
        "gains": gains,
        "sizes": sizes,
        "ablations": ablations,
        "peers": peers,
        "peers_options": peers_options,
        "growth": growth,
        "repeats": repeats,
        "service": service,
        "simulated": simulated,
        "onboarding": onboarding,
        "onboarding_variants": onboarding_variants,
        "onboarding_speed": onboarding_speed,
        "paper_scale": paper_scale,
        "paper_stages": paper_stages,
        "paper_figures": paper_figures,
        "paper_training": paper_training,
    }

    def renew(found: re.Match[str]) -> str:
        kind, *arguments = found[1].split()
        try:
            lines = makers[kind](*arguments)  # type: ignore[operator]
        except NotMeasuredError:
            lines = ["Not measured yet."]
        return f"<!-- table: {found[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- table: (.+?) -->\n.*?<!-- end -->", renew, page, flags=re.DOTALL)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
