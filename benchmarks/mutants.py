"""Mutation tests: disable one rule, promise or guard at a time, and check that a test fails.

python benchmarks/mutants.py                     all of them, one after another: some twenty minutes
python benchmarks/mutants.py rules               those of `rules`, `stores`, `tokens` or `leakage` alone

Each change is made in a copy of the sources; its tests run against that copy until the first failure. Prints surviving
mutants, and exits with status 1 if there are any.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "firstday"
RULE_TESTS = (
    "tests/data/test_dirty_tables.py",
    "tests/data/test_dirty_files.py",
    "tests/data",
    "tests/cli/test_left_out.py",
    "tests/experiment/test_own_outcomes.py",
)
STORE_TESTS = (
    "tests/serve/test_store_machine.py",
    "tests/serve/test_records.py",
    "tests/serve/test_stores.py",
    "tests/serve/test_store_sqlite.py",
    "tests/serve/test_store_postgres.py",
    "tests/serve/test_export.py",
    "tests/serve/test_guests.py",
)
TOKEN_TESTS = ("tests/serve/test_tokens.py", "tests/serve/test_limits.py", "tests/serve/test_users.py")
SPLIT_TESTS = ("tests/data", "tests/features/test_clock.py", "tests/training")
EXPIRY_TESTS = ("tests/features/test_clock.py",)
CLOCK_TESTS = ("tests/training/test_clock.py", "tests/engine/test_first_uses.py", "tests/training/test_renew.py")
LATEST_TESTS = ("tests/methods/test_latest.py",)
LIST_TESTS = ("tests/recommend/test_lists_by_hand.py", "tests/recommend")
ITEM_TESTS = ("tests/recommend/test_current_items.py",)
ITEMS_SERVED = ("tests/serve/test_current_items.py",)
ARRIVAL_TESTS = ("tests/evaluation/test_arrivals.py",)
CONTENT_TESTS = ("tests/training/test_item_content.py",)
NEW_ITEM_TESTS = ("tests/recommend/test_new_items.py",)
SCORE_TESTS = ("tests/evaluation/test_evaluation_split.py",)
TARGET_TESTS = ("tests/data/test_target_uses.py",)
ORDER_TESTS = ("tests/methods/test_order.py",)
REJECTED_TESTS = ("tests/recommend/test_rejected.py",)
ORDER = "methods/order.py"
APART = "data/splits/apart.py"
SQLITE = "serve/store/sqlite.py"
REDIS = "serve/store/redis.py"
POSTGRES = "serve/store/postgres.py"
STORE_LOG = "serve/store/log.py"
RECORDS = "serve/store/records.py"
GUESTS = "serve/store/guests.py"
STORE = "serve/store/store.py"
SIGNED = "serve/tokens.py"
GATE = "serve/middleware.py"
LISTS = "serve/routes/lists.py"
PROTOCOL = "serve/protocol.py"
OWN_PATHS = 'scope["path"] not in ("/v1/events", f"/v1/users/{claims.sub}/recommendations")'
WIRE_TYPES = "features/wire_types.py"
SNAPSHOT = "data/splits/snapshot.py"
EVENTS = "data/events.py"
IMPRESSIONS = "data/impressions.py"
ROLES = "data/splits/roles.py"
REGISTRATION = "data/splits/registration.py"
HISTORIES = "data/splits/histories.py"
CURRENT = "recommend/new_items/current_items.py"
CLOCK = "methods/clock.py"
ARRIVALS = "evaluation/arrivals.py"
NEW_ITEMS = "recommend/new_items/new_items.py"
PLACEMENT = "recommend/new_items/placement.py"
CONTENT = "methods/item_content.py"
TARGET_USES = "data/splits/target_uses.py"

STORES = (
    (SQLITE, "WHERE us < ?6 OR us < ?7", "WHERE ?6 = ?6 OR us < ?7"),
    (SQLITE, "OR us < ?7 AND kind", "OR false AND ?7 AND kind"),
    (SQLITE, "'guest') AND +us > ?", "'guest') AND +us < 0 * ?"),
    (SQLITE, "if self._has_removed:", "if False:"),
    (SQLITE, "return 0 if is_ahead else", "return"),
    (SQLITE, "if is_new[-1] and entry.list_key:", "if False:"),
    (SQLITE, "execute(KEEP_NEWEST_VALUES if owner == kind else KEEP_NEWEST, (owner, kind, caps[kind]))", "pass"),
    (SQLITE, "execute(DELETE_OLDER, (user_id,))", "pass"),
    (SQLITE, '"DELETE FROM log WHERE owner = ?"', "\"DELETE FROM log WHERE owner = ? AND kind != 'assignment'\""),
    (SQLITE, "self._latest_us = latest_us", "pass"),
    (SQLITE, 'self._writer.execute(SET_FACT, ("latest", self._latest_us))', "pass"),
    (SQLITE, "WHERE us > ? AND kind", "WHERE us < ? AND kind"),
    (SQLITE, "kind IN {tuple(FIELDS)}", "kind IN ({EXPIRING_SQL})"),
    (GUESTS, "if found[name].person_id == person_id", "if True"),
    (GUESTS, "if person.person_id == person_id else ()", "if True else ()"),
    (SQLITE, "while (await self._commits.write([work]))[0].rowcount:", "while False:"),
    (REDIS, "(old_us or -1) < since", "true"),
    (REDIS, "if sets[old_kind] then", "if false then"),
    (REDIS, "if caps[i] then", "if kinds[i] then"),
    (POSTGRES, "SET_TOLD, KEEP_NEWEST, KEEP_NEWEST_ITEMS", "SET_TOLD, KEEP_NEWEST"),
    (STORE, "(kinds or {}).get(name, owner)", "owner"),
    (STORE, "else until_us + 1", "else ALWAYS"),
    (REDIS, "local shown = list and", "local shown = false and"),
    (REDIS, "if excess > 0 then", "if false then"),
    (REDIS, "if (time_of('user') or now) < oldest then", "if false then"),
    (REDIS, "latest = math.max(latest + 1, now)", "latest = now"),
    (REDIS, "retention > 0 and first + #kinds or 0", "0"),
    (POSTGRES, "(LOCK, *statements)", '("SELECT 1", *statements)'),
    (REDIS, "tonumber(us) > tonumber(ARGV[1])", "false"),
    (POSTGRES, "us + 0 > %(until_us)s", "us + 0 < %(until_us)s - us"),
    (POSTGRES, "greatest(last_value + 1, {NOW_US})", "{NOW_US}"),
    (POSTGRES, "log.us + 0 < {OLDEST_US} AND log.kind", "false AND log.kind"),
    (POSTGRES, "log.us + 0 < touched.first_us", "false"),
    (POSTGRES, "log.us + 0 < entry.before_us", "false"),
    (POSTGRES, "THEN -number ELSE", "THEN number ELSE"),
    (POSTGRES, "ORDER BY before_us DESC, CASE", "ORDER BY CASE"),
    (POSTGRES, "new.us + 0 = {FIRST_US} + number", "true"),
    (POSTGRES, "log.us + 0 <= newest_us AND", "false AND"),
    (POSTGRES, "ELSE log.body END", "ELSE excluded.body END"),
    (POSTGRES, "SET enable_seqscan = off; SET enable_hashjoin = off;", ""),
    (POSTGRES, "line.shutdown(socket.SHUT_RDWR)", "pass"),
    (POSTGRES, "SET statement_timeout = '{timeout_s}s';", ""),
    (POSTGRES, "IF to_regclass('firstday_log') IS NULL THEN", "IF true THEN"),
    (POSTGRES, "SESSION if read_only else SESSION + SCHEMA", "SESSION + SCHEMA"),
    (
        POSTGRES,
        'while (await self._write({"retention_us": self.rules.retention_us}, statement)).rowcount:',
        "while False:",
    ),
    (POSTGRES, "WHERE us > %s AND kind", "WHERE us < %s AND kind"),
    (POSTGRES, "kind IN {tuple(FIELDS)}", "kind IN ({EXPIRING_SQL})"),
    (RECORDS, '"profile", body, ALWAYS', '"profile", body, NEVER'),
    (RECORDS, '{record.experiment}", body, NEVER', '{record.experiment}", body, ALWAYS'),
    (RECORDS, "if shown.is_told:", "if False:"),
    (GUESTS, "if person.person_id == person_id else ()", ""),
    (STORE, "replace_before_us=us + 1", "replace_before_us=ALWAYS"),
    (WIRE_TYPES, "return self.signal == SHOWN and self.entity == ITEM", "return False"),
    (STORE_LOG, "if entry[1] >= oldest_us or entry[0] not in EXPIRING", ""),
    (STORE_LOG, "entries[-1][1] < oldest_us and owner", "False and owner"),
    (STORE, "if await self.append(links):", "if not await self.append(links):"),
    (SQLITE, "self._latest_us = max(self._latest_us + 1, now_us())", "self._latest_us = now_us()"),
)
"""Promises of the stores: file, code, and its replacement."""
TOKENS = (
    (SIGNED, "not any(hmac", "False and any(hmac"),
    (SIGNED, "time.time() < claims.exp", "time.time()"),
    (SIGNED, "claims.nbf <= time.time()", "time.time()"),
    (SIGNED, 'scheme.lower() != "bearer"', "False"),
    (SIGNED, "<= self._most", "<= 1e9"),
    (SIGNED, "self._counts.clear()", "pass"),
    (GATE, 'headers.get("origin", claims.aud[0]) not in claims.aud', "False"),
    (GATE, OWN_PATHS, "False"),
    (GATE, OWN_PATHS, 'not TOKEN_PATH.fullmatch(scope["path"])'),
    (GATE, "origin in self.settings.origins and", "origin and"),
    (GATE, ' and TOKEN_PATH.fullmatch(scope["path"])', ""),
    (GATE, "is_stream = not user_id and", "is_stream ="),
    (GATE, "min(MAX_TOKEN_BYTES, settings.max_body_bytes) if user_id else max_bytes", "max_bytes"),
    (GATE, ' and not scope["firstday.token_user"]', ""),
    (GATE, "if is_foreign(scope, headers) and", "if False and"),
    (GATE, "if self._n_current[whose] >= most:", "if False:"),
    (GATE, 'f"token {user_id}", MAX_TOKEN_REQUESTS', 'f"token {user_id}", 999'),
    ("serve/batching.py", "if request.has_token and person_id", "if False and person_id"),
    (LISTS, "if n > most:", "if False:"),
    (LISTS, "if list_request.has_token and n_items", "if False and n_items"),
    (LISTS, "list_request.n_comparisons", "list_request.rules.n_comparisons"),
    ("serve/schemas.py", "if size > MAX_FILTERS_LENGTH:", "if False:"),
    (PROTOCOL, "if size > MAX_HEAD_BYTES:", "if False:"),
    (PROTOCOL, "if self._unread > MAX_HEAD_BYTES:\n            self._refuse(TOO_LARGE)", "if False:\n            pass"),
    (PROTOCOL, "self._head_timer = self._call_later(partial(self._refuse, TOO_SLOW))", "pass"),
    (PROTOCOL, "self._write_timer = self._call_later(self.transport.abort)", "pass"),
    ("serve/routes/users.py", "token_user and dict(events)", "False and dict(events)"),
)
LEAKAGE = (
    (EVENTS, 'rows.filter(pl.col("timestamp") < now)', "rows", SPLIT_TESTS),
    (SNAPSHOT, "np.flatnonzero(find_first_seen(dataset) < moment)", "np.arange(len(dataset.items))", SPLIT_TESTS),
    (SNAPSHOT, "(registered_us >= 0) & (registered_us < moment)", "registered_us >= 0", SPLIT_TESTS),
    (IMPRESSIONS, "& used_before.fill_null(False)", "", SPLIT_TESTS),
    (IMPRESSIONS, '.filter(pl.col("timestamp") < now)', "", SPLIT_TESTS),
    (ROLES, "is_warm[validation] = False", "pass", SPLIT_TESTS),
    (ROLES, "is_warm[order[n_warm:]] = False", "pass", SPLIT_TESTS),
    (HISTORIES, " & (end_us <= self.log.end)", "", SPLIT_TESTS),
    (REGISTRATION, "np.minimum(day_end_us, life.end)", "life.end", SPLIT_TESTS),
    (REGISTRATION, "after.keep(~contains(on_day, after))", "after", SPLIT_TESTS),
    (REGISTRATION, " | (first_seen >= target)", "", SPLIT_TESTS),
    (REGISTRATION, "dataset.find_expired(day) | ", "", SPLIT_TESTS),
    (REGISTRATION, "dataset.find_expired(end) & is_later", "dataset.find_expired(cut_off) & is_later", EXPIRY_TESTS),
    ("training/fit.py", "else dataset.items_without_vector\n", "else unlisted\n", EXPIRY_TESTS),
    ("evaluation/run.py", "begin_at=chosen, moment_us=holdout.cut_off", "begin_at=chosen", EXPIRY_TESTS),
    (CLOCK, "unavailable.keep(n_users[unavailable.columns] > 0)", "excluded", CLOCK_TESTS),
    (REGISTRATION, ", roles.validation)\n", ", roles.validation[:0])\n", SPLIT_TESTS),
    (
        ORDER,
        "total = add_up(blending.at(query.n_known[rows]), scores)",
        "total = add_up(blending.at(query.n_known[rows]), scores) + fold.truth.take(rows).has(chosen)",
        ORDER_TESTS,
    ),
    (ORDER, "go_back(run.folds, run.first_uses, clock_of(run.model))", "run.folds", ORDER_TESTS),
    (APART, "np.flatnonzero(~np.isin(split.warm, apart.users))", "np.arange(len(split.warm))", ORDER_TESTS),
    (APART, "uses.keep(~contains(on_day, uses))", "uses", ORDER_TESTS),
    (APART, " & ~np.isin(split.warm, split.validation.users)", "", ORDER_TESTS),
    ("training/fit.py", "_learn(source, split.fold(rows),", "_learn(source, split,", SPLIT_TESTS),
    ("ranking.py", "scores[excluded_rows.row_of_entry(), excluded_rows.columns] = -np.inf", "pass", LIST_TESTS),
    ("ranking.py", " & ~excluded.take(rows).has(items)", "", LIST_TESTS),
    ("features/signal_batch.py", "self.actions[pair].keep(is_rejected)", "self.actions[pair]", REJECTED_TESTS),
    ("features/signal_batch.py", "if links is not None:\n", "if False:\n", REJECTED_TESTS),
    ("recommend/query.py", "current.items_of_members)", "{})", REJECTED_TESTS),
    ("methods/candidates.py", "np.where(excluded.has(chosen), ", "np.where(chosen < 0, ", LIST_TESTS),
    ("methods/explore.py", "quota.open[excluded] = False", "pass", LIST_TESTS),
    ("methods/candidates.py", "np.tile(rules.items, ", "np.tile(np.arange(query.model.n_items), ", LIST_TESTS),
    (CURRENT, "listed[index] = ", "listed[index] |= ", ITEM_TESTS),
    (CURRENT, "(pl.col(EXPIRES_AT) > now)", "(pl.col(EXPIRES_AT) > '')", ITEMS_SERVED),
    ("recommend/rules/list_rules.py", "    result[changed] = of_changed\n", "", ITEM_TESTS),
    (
        "methods/candidates.py",
        "is_same = ~np.isin(order, changed)",
        "is_same = order >= 0",
        ("tests/methods/test_candidates.py",),
    ),
    ("recommend/segment_description.py", " & (current or model).listed[items]", "", ITEM_TESTS),
    ("recommend/explain.py", " & query.item_rules.allowed[liked]", "", ITEM_TESTS),
    ("serve/stored_items.py", "pl.when(~IS_WITHDRAWN)", "pl.when(pl.lit(True))", ITEMS_SERVED),
    ("serve/stored_items.py", "is_restored = may_restore and ", "is_restored = ", ITEMS_SERVED),
    ("serve/stored_items.py", "0 if is_restored else put[WITHDRAWN_US]", "0", ITEMS_SERVED),
    (CURRENT, "is_own = ~np.isin(index, model.updated)", "is_own = index >= 0", ITEMS_SERVED),
    (CLOCK, "past = first_uses.until(moment)", "past = first_uses", CLOCK_TESTS),
    (CLOCK, "measure_terms(first_uses.until(moment), ", "measure_terms(first_uses, ", CLOCK_TESTS),
    ("methods/latest.py", "came_us < moments[rows, None]", "came_us < np.inf", LATEST_TESTS),
    ("methods/latest.py", "days[(days < 0) | ~query.list_rules.allowed]", "days[days < 0]", LATEST_TESTS),
    ("data/first_uses.py", "np.arange(min(n_days, self.counts.n_rows))", "np.arange(self.counts.n_rows)", LATEST_TESTS),
    (CLOCK, "truth.keep(n_users[truth.columns] > 0)", "truth", CLOCK_TESTS),
    (CLOCK, "(int(start) - MODEL_AGE_US, ", "(int(start), ", CLOCK_TESTS),
    (CLOCK, "judged[~half] = gains[gains[:, half].mean", "judged[~half] = gains[gains.mean", CLOCK_TESTS),
    ("methods/calibrate.py", "first_uses.until(fold.moment_us)", "first_uses", CLOCK_TESTS),
    ("data/first_uses.py", 'pl.col("timestamp").min()', 'pl.col("timestamp").max()', CLOCK_TESTS),
    ("training/renew.py", "histories.can_be_warm & ~held_out", "histories.can_be_warm", CLOCK_TESTS),
    (ARRIVALS, "np.nonzero(all_uses.first_seen[arrivals] >= ends[:, None])", "np.zeros((2, 0), int)", ARRIVAL_TESTS),
    (ARRIVALS, "is_new = all_uses.first_seen < ends.max()", "is_new = all_uses.first_seen > 0", ARRIVAL_TESTS),
    (NEW_ITEMS, 'np.searchsorted(moments[order], self.times, side="right")', "0 * self.items", ARRIVAL_TESTS),
    (NEW_ITEMS, 'self.times, side="right")', "self.times)", ARRIVAL_TESTS),
    (NEW_ITEMS, "self.n_until[np.searchsorted(self.all_times, times)]", "self.n_until[0 * times - 1]", ARRIVAL_TESTS),
    (CONTENT, "links.keep(~np.isin(links.row_of_entry(), hidden))", "links", CONTENT_TESTS),
    (CONTENT, "measure_success(fold.day_end_us, ", "measure_success(fold.day_end_us + 5 * DAY_US, ", CONTENT_TESTS),
    (CONTENT, "is_wrong = (weights < 0)", "is_wrong = (weights < -np.inf)", CONTENT_TESTS),
    (PLACEMENT, "query.list_rules.allowed[index] & ", "", NEW_ITEM_TESTS),
    (PLACEMENT, " & ~query.list_excluded.has(index)", "", NEW_ITEM_TESTS),
    ("methods/blend.py", "np.where(np.isin(chosen, new.index), np.float32(-np.inf), values)", "values", NEW_ITEM_TESTS),
    ("evaluation/score.py", "first_seen[lists] >= cold.day_end_us[:, None]", "first_seen[lists] < 0", SCORE_TESTS),
    (TARGET_USES, "(moment >= cut_off[user])", "(moment >= moments[0])", TARGET_TESTS),
    (TARGET_USES, "(moment >= histories.day_end_us[user])", "(moment >= registered_us[user])", TARGET_TESTS),
)
"""Guards against leakage and against items that must not be listed, with their tests."""


@dataclass(frozen=True)
class Mutant:
    """A change of a file, and the tests that should fail with it."""

    kind: str
    file: str
    name: str
    text: str
    tests: tuple[str, ...]


def main() -> None:
    """Run the requested mutants and print the survivors."""
    kinds = sys.argv[1:] or ["rules", "stores", "tokens", "leakage"]
    survivors = [mutant for mutant in make_mutants() if mutant.kind in kinds and not is_noticed(mutant)]
    for mutant in survivors:
        print(f"survived: {mutant.file}: {mutant.name}")
    sys.exit(bool(survivors))


def make_mutants() -> Iterator[Mutant]:
    """Yield a mutant per rule of the tables, then the changes listed above."""
    yield from without_rules(SOURCES / "tables" / "rules.py")
    yield from without_rules(SOURCES / "tables" / "guests.py")
    yield from without_rules(SOURCES / "data" / "interactions.py")
    listed = [("stores", *change, STORE_TESTS) for change in STORES] + [("leakage", *change) for change in LEAKAGE]
    listed += [("tokens", *change, TOKEN_TESTS) for change in TOKENS]
    for kind, file, code, instead, tests in listed:
        text = (SOURCES / file).read_text(encoding="utf-8")
        if text.count(code) != 1:
            raise SystemExit(f"{file}: {code!r} is there {text.count(code)} times, not once; mend {__file__}.")
        yield Mutant(kind, file, f"{code} -> {instead}", text.replace(code, instead), tests)


def without_rules(path: Path) -> Iterator[Mutant]:
    """Yield a mutant for each rule and note of a file, in which it matches no row."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)

    def place(line: int | None, column: int | None) -> int:
        return sum(len(before) for before in lines[: (line or 1) - 1]) + (column or 0)

    for call in ast.walk(ast.parse(text)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Rule":
            rows = call.args[1]
            start = place(rows.lineno, rows.col_offset)
            end = place(rows.end_lineno, rows.end_col_offset)
            changed = f"{text[:start]}(({text[start:end]}) & False){text[end:]}"
            yield Mutant("rules", str(path.relative_to(SOURCES)), ast.unparse(call.args[0]), changed, RULE_TESTS)


def is_noticed(mutant: Mutant) -> bool:
    """Whether a test fails with a mutant."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "firstday"
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
        (sources / mutant.file).write_text(mutant.text, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *dict.fromkeys(mutant.tests)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    last = (done.stdout.splitlines() or [""])[-1]
    print(f"{mutant.kind} {mutant.file}: {mutant.name[:80]}: {last}", flush=True)
    return done.returncode == 1


if __name__ == "__main__":
    main()
