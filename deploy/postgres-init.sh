#!/usr/bin/env bash
# Runs once, when the database folder is new: a role and a database each for Flywheel's state,
# MLflow and Dagster.
set -euo pipefail
for name in flywheel mlflow dagster; do
  psql --no-psqlrc --set ON_ERROR_STOP=1 --set name="$name" \
    --set word="$(cat /run/secrets/database)" --username "$POSTGRES_USER" <<'SQL'
create role :"name" login password :'word';
create database :"name" owner :"name";
SQL
done
