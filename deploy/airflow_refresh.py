"""Airflow 3: the nightly refresh of the model, then lists for yesterday's newcomers by whichever model is in place.

Put it into the folder of DAGs. The workers need `firstday[train]`; or let `FIRSTDAY` be the path of one that has it,
such as /opt/firstday-train/bin/firstday.
"""

from __future__ import annotations

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FIRSTDAY = "firstday"
TABLES, MODEL, NEWCOMERS, LISTS = "/srv/tables", "/srv/firstday/model", "/srv/newcomers", "/srv/lists"

with DAG(
    dag_id="firstday_refresh",
    schedule="15 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["firstday"],
    doc_md=__doc__,
) as dag:
    refresh = BashOperator(
        task_id="refresh",
        # Exit status 2 (bad tables) and 3 (refused; the old model goes on) fail the task: tell somebody on failure.
        bash_command=f"{FIRSTDAY} refresh {TABLES} --out {MODEL} --drop-bad-rows 0.01 --wait 3600",
        retries=0,
        execution_timeout=pendulum.duration(hours=6),
    )
    lists = BashOperator(
        task_id="lists",
        bash_command=(
            f"{FIRSTDAY} recommend {MODEL} --batch {NEWCOMERS} --out {LISTS}/{{{{ ds }}}}.parquet --drop-bad-rows 0.01"
        ),
        trigger_rule="all_done",  # after a refusal the old model is as good as yesterday
    )
    refresh >> lists
