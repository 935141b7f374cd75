#!/usr/bin/env python3
"""A PostgreSQL for the trial, in the folder of the first argument, with the tables that the server expects; prints where it is.

The published server brings no migrations of its own, so the tables are made from what it declares. Those for archived passages need types
that are not made here; the trial needs none.
"""

import os
import sys

import pgserver
from sqlalchemy import create_engine, text
from sqlalchemy.schema import CreateIndex

folder = os.path.abspath(sys.argv[1])
database = pgserver.get_server(folder, cleanup_mode=None)
if not os.path.exists(f"{folder}/made"):
    database.psql("create extension if not exists vector;")
    import letta.orm  # noqa: F401, it declares the tables
    from letta.orm.base import Base

    engine = create_engine(f"postgresql+psycopg2://postgres@/postgres?host={folder}")

    def run(statement) -> None:
        try:
            with engine.begin() as connection:
                statement(connection)
        except Exception as error:  # each stands alone
            print(f"left out: {str(error).splitlines()[0]}", file=sys.stderr)

    for table in Base.metadata.sorted_tables:
        indexes = list(table.indexes)
        table.indexes.clear()
        run(lambda connection, table=table: table.create(connection, checkfirst=True))
        for index in indexes:
            run(lambda connection, index=index: connection.execute(CreateIndex(index)))
    run(lambda connection: connection.execute(text("create sequence if not exists message_seq_id")))
    numbered = "alter table messages alter column sequence_id set default nextval('message_seq_id')"
    run(lambda connection: connection.execute(text(numbered)))
    columns = "id varchar primary key, text varchar, archive_id varchar, organization_id varchar, is_deleted boolean, created_at timestamptz"
    run(lambda connection: connection.execute(text(f"create table if not exists archival_passages ({columns})")))
    open(f"{folder}/made", "w").close()
print(f"postgresql://postgres:@/postgres?host={folder}")
