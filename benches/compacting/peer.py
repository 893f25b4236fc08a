"""Compacts the logs of a folder to one zstd-3 Parquet file for each hour with one engine, or asks the
compacted hours a question. Prints what it found, or how many rows it wrote.

    python peer.py ENGINE compact LOGS OUT      LOGS: the folder of the hours' folders
    python peer.py ENGINE errors|body PARQUET   PARQUET: the folder of the compacted hours

All write the same columns, flat, those of a record that analyzer writes, but what analyzer makes of a record
besides: times as times, the rate limits, what the body of a failure says, and the key of the log. Each does so as
its documentation says. None has a protocol for publishing, reads back what it wrote, or takes in late logs: it is the bare work.
"""

import glob
import json
import os
import sys

FIELDS = {
    "": {"schema_version": "int", "exchange_id": "text", "lambda_request_id": "text", "started_at": "text",
         "origin": "text", "ending": "text", "status": "int", "method": "text", "path": "text",
         "received_path": "text", "token_id": "text", "developer": "text", "model": "text", "stream": "bool",
         "duration_ms": "float", "ttfb_ms": "float", "auth_ms": "float", "upstream_ttfb_ms": "float",
         "request_bytes": "long", "response_bytes": "long", "response_content_type": "text",
         "response_encoding": "text", "redacted": "bool", "response_truncated": "bool", "request_body": "text",
         "response_body": "text"},
    "proxy": {"version": "text", "region": "text", "function": "text"},
    "error": {"origin": "text", "code": "text", "type": "text", "message": "text", "detail": "text"},
    "upstream": {"host": "text", "status": "int", "request_id": "text", "processing_ms": "float", "cf_ray": "text"},
    "client": {"ip": "text", "user_agent": "text", "originator": "text", "version": "text",
               "session_id": "text", "turn_id": "text"},
    "usage": {"input_tokens": "long", "cached_input_tokens": "long", "output_tokens": "long",
              "reasoning_tokens": "long", "total_tokens": "long"},
}
SQL = {"text": "VARCHAR", "int": "INTEGER", "long": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN"}


def flat(quote='"'):
    """What is selected: every field under its flat name, the body last."""
    names = [f"{quote}{name}{quote}" for name in FIELDS[""] if name != "response_body"]
    for outer, fields in FIELDS.items():
        if outer:
            names += [f"{quote}{outer}{quote}.{quote}{name}{quote} as {outer}_{name}" for name in fields]
    return ", ".join([*names, f"{quote}response_body{quote}"])


def hours(logs):
    return sorted(folder for folder in glob.glob(f"{logs}/*/*/*/*") if os.path.isdir(folder))


def target(out, folder):
    name = f"{out}/{'-'.join(folder.split('/')[-4:])}.parquet"
    os.makedirs(out, exist_ok=True)
    return name


def duckdb(logs, out):
    import duckdb as engine

    db = engine.connect()
    columns = {name: SQL[kind] for name, kind in FIELDS[""].items()}
    for outer, fields in FIELDS.items():
        if outer:
            inner = ", ".join(f'"{name}" {SQL[kind]}' for name, kind in fields.items())
            columns[outer] = f"STRUCT({inner})"
    for folder in hours(logs):
        db.execute(f"""copy (select {flat()} from read_json('{folder}/*.json.zst', columns = {columns},
            maximum_object_size = 67108864, compression = 'zstd') order by started_at, exchange_id)
            to '{target(out, folder)}' (format parquet, compression zstd, compression_level 3)""")


def datafusion(logs, out):
    import datafusion as engine
    import pyarrow

    kinds = {"text": pyarrow.string(), "int": pyarrow.int32(), "long": pyarrow.int64(),
             "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    fields = [pyarrow.field(name, kinds[kind]) for name, kind in FIELDS[""].items()]
    for outer, inner in FIELDS.items():
        if outer:
            struct = pyarrow.struct([pyarrow.field(name, kinds[kind]) for name, kind in inner.items()])
            fields.append(pyarrow.field(outer, struct))
    for folder in hours(logs):
        context = engine.SessionContext()
        context.register_json("logs", folder + "/", schema=pyarrow.schema(fields),
                              file_extension=".json.zst", file_compression_type="zstd")
        frame = context.sql(f"select {flat()} from logs order by started_at, exchange_id")
        frame.write_parquet(target(out, folder), compression="zstd", compression_level=3)


def polars(logs, out):
    import polars as engine

    kinds = {"text": engine.String, "int": engine.Int32, "long": engine.Int64, "float": engine.Float64,
             "bool": engine.Boolean}
    schema = {name: kinds[kind] for name, kind in FIELDS[""].items()}
    for outer, inner in FIELDS.items():
        if outer:
            schema[outer] = engine.Struct({name: kinds[kind] for name, kind in inner.items()})
    columns = [engine.col(name) for name in FIELDS[""] if name != "response_body"]
    for outer, inner in FIELDS.items():
        if outer:
            columns += [engine.col(outer).struct.field(name).alias(f"{outer}_{name}") for name in inner]
    columns.append(engine.col("response_body"))
    for folder in hours(logs):
        frame = engine.scan_ndjson(f"{folder}/*.json.zst", schema=schema)
        frame.select(columns).sort("started_at", "exchange_id").sink_parquet(
            target(out, folder), compression="zstd", compression_level=3)


def chdb(logs, out):
    import chdb as engine

    kinds = {"text": "Nullable(String)", "int": "Nullable(Int32)", "long": "Nullable(Int64)",
             "float": "Nullable(Float64)", "bool": "Nullable(Bool)"}
    columns = [f"`{name}` {kinds[kind]}" for name, kind in FIELDS[""].items()]
    for outer, inner in FIELDS.items():
        if outer:
            columns.append(f"`{outer}` Tuple({', '.join(f'`{name}` {kinds[kind]}' for name, kind in inner.items())})")
    schema = ", ".join(columns).replace("'", "\\'")
    for folder in hours(logs):
        engine.query(f"""insert into function file('{target(out, folder)}', Parquet)
            select {flat('`')} from file('{folder}/*.json.zst', JSONEachRow, '{schema}')
            order by started_at, exchange_id
            settings output_format_parquet_compression_method = 'zstd', output_format_parquet_string_as_string = 1,
                input_format_skip_unknown_fields = 1, input_format_null_as_default = 1,
                input_format_json_read_objects_as_strings = 1""")


def pyarrow(logs, out):
    import pyarrow
    import pyarrow.parquet
    import zstandard

    unpack = zstandard.ZstdDecompressor()
    kinds = {"text": pyarrow.string(), "int": pyarrow.int32(), "long": pyarrow.int64(),
             "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    names = [("", name, kind) for name, kind in FIELDS[""].items() if name != "response_body"]
    names += [(outer, name, kind) for outer, inner in FIELDS.items() if outer for name, kind in inner.items()]
    names.append(("", "response_body", "text"))
    try:
        from orjson import loads
    except ImportError:
        loads = json.loads
    for folder in hours(logs):
        columns = [[] for _ in names]
        for path in sorted(glob.glob(f"{folder}/*.json.zst")):
            with open(path, "rb") as file:
                record = loads(unpack.stream_reader(file).read())
            for values, (outer, name, _) in zip(columns, names):
                values.append((record[outer] or {}).get(name) if outer else record[name])
        arrays = [pyarrow.array(values, kinds[kind]) for values, (_, _, kind) in zip(columns, names)]
        table = pyarrow.table(arrays, [f"{outer}_{name}" if outer else name for outer, name, _ in names])
        table = table.sort_by([("started_at", "ascending"), ("exchange_id", "ascending")])
        pyarrow.parquet.write_table(table, target(out, folder), compression="zstd", compression_level=3)


def ask(engine, question, files):
    body = "response_body like '%temporary errors%'"
    errors = "select error_origin, error_code, count(*) from {} where error_origin is not null group by 1, 2"
    count = f"select count(*) from {{}} where {body}"
    query = count if question == "body" else errors
    if engine == "duckdb":
        import duckdb as module
        rows = module.sql(query.format(f"read_parquet('{files}')")).fetchall()
    elif engine == "datafusion":
        import datafusion as module
        context = module.SessionContext()
        context.register_parquet("logs", files.split("*")[0])
        rows = [list(row.values()) for row in context.sql(query.format("logs")).to_pylist()]
    elif engine == "chdb":
        import chdb as module
        rows = json.loads(str(module.query(query.format(f"file('{files}')"), "JSONCompact")))["data"]
    else:
        import polars as module
        frame = module.scan_parquet(files)
        if question == "body":
            found = module.col("response_body").str.contains("temporary errors", literal=True)
            rows = frame.filter(found).select(module.len()).collect().rows()
        else:
            is_error = module.col("error_origin").is_not_null()
            rows = frame.filter(is_error).group_by("error_origin", "error_code").len().collect().rows()
    print(sum(int(row[-1]) for row in rows))


if __name__ == "__main__":
    engine, what, place = sys.argv[1:4]
    if what == "compact":
        globals()[engine](place, sys.argv[4])
    else:
        ask(engine, what, f"{place}/*/*/*.parquet")
