"""The question of the benchmark, asked of one query engine: how many failures are HTTP 500s or say
"temporary errors", and how many successes quote it. Prints both counts.

    python peer.py ENGINE PLACE GLOB        PLACE: s3 or local

Each is asked as its documentation says for many small JSON files, and without the columns it need not
read. A body in base64 is not decoded; that would need a function of one's own in most of them.
"""

import os
import sys
from pathlib import Path

WORDS = "temporary errors"


def duckdb(place, glob):
    import duckdb as engine

    db = engine.connect()
    if place == "s3":
        import duckdb_extension_httpfs as extension

        folder = Path(extension.__file__).parent
        db.execute(f"load '{next(folder.rglob('*.duckdb_extension'))}'")
        url = os.environ["AWS_ENDPOINT_URL"]
        db.execute(f"""create secret (type s3, key_id '{os.environ["AWS_ACCESS_KEY_ID"]}',
            secret '{os.environ["AWS_SECRET_ACCESS_KEY"]}', region '{os.environ["AWS_REGION"]}',
            endpoint '{url.split("//")[1]}', url_style 'path', use_ssl false)""")
    columns = "{status: 'INTEGER', error: 'JSON', response_body: 'VARCHAR'}"
    return db.execute(f"""
        select count(*) filter (error is not null and error != 'null'
                   and (status = 500 or contains(lower(error ->> 'message'), '{WORDS}'))),
               count(*) filter ((error is null or error = 'null')
                   and contains(lower(response_body), '{WORDS}'))
        from read_json('{glob}', columns = {columns}, maximum_object_size = 67108864)""").fetchone()


def chdb(place, glob):
    import chdb as engine

    if place == "s3":
        source = f"s3('{os.environ['AWS_ENDPOINT_URL']}/{glob[5:]}', '{os.environ['AWS_ACCESS_KEY_ID']}', '{os.environ['AWS_SECRET_ACCESS_KEY']}', 'JSONEachRow', 'status Int32, error Nullable(String), response_body String')"
    else:
        source = f"file('{glob}', 'JSONEachRow', 'status Int32, error Nullable(String), response_body String')"
    answer = engine.query(f"""
        select countIf(error is not null and (status = 500
                   or positionCaseInsensitive(JSONExtractString(assumeNotNull(error), 'message'), '{WORDS}') > 0)),
               countIf(error is null and positionCaseInsensitive(response_body, '{WORDS}') > 0)
        from {source}
        settings input_format_json_read_objects_as_strings = 1,
            input_format_skip_unknown_fields = 1""", "CSV")
    return [int(part) for part in str(answer).strip().split(",")]


def polars(place, glob):
    import polars as engine

    options = None
    if place == "s3":
        options = {
            "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "aws_allow_http": "true",
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "aws_region": os.environ["AWS_REGION"],
        }
    schema = {
        "status": engine.Int64,
        "error": engine.Struct({"message": engine.String}),
        "response_body": engine.String,
    }
    frame = engine.scan_ndjson(glob, schema=schema, storage_options=options)
    message = engine.col("error").struct.field("message")
    failed = message.is_not_null()
    says = lambda column: column.str.to_lowercase().str.contains(WORDS, literal=True)
    return frame.select(
        (failed & ((engine.col("status") == 500) | says(message))).sum().alias("errors"),
        (~failed & says(engine.col("response_body"))).sum().alias("quotes"),
    ).collect().row(0)


def datafusion(place, glob):
    import datafusion as engine
    import pyarrow

    config = engine.SessionConfig()
    config = config.set("datafusion.execution.listing_table_ignore_subdirectory", "false")
    context = engine.SessionContext(config)
    folder = glob.split("/**")[0] + "/"
    if place == "s3":
        from datafusion.object_store import AmazonS3

        bucket = glob[5:].split("/")[0]
        store = AmazonS3(
            bucket_name=bucket,
            region=os.environ["AWS_REGION"],
            access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint=os.environ["AWS_ENDPOINT_URL"],
            allow_http=True,
        )
        context.register_object_store("s3://", store, bucket)
    packing = "zst" in glob
    schema = pyarrow.schema([
        ("status", pyarrow.int64()),
        ("error", pyarrow.struct([("message", pyarrow.string())])),
        ("response_body", pyarrow.string()),
    ])
    context.register_json(
        "logs", folder, schema=schema,
        file_extension=".json.zst" if packing else ".json",
        file_compression_type="zstd" if packing else None,
    )
    batch = context.sql(f"""
        select sum(case when error is not null and (status = 500
                   or strpos(lower(error['message']), '{WORDS}') > 0) then 1 else 0 end),
               sum(case when error is null and strpos(lower(response_body), '{WORDS}') > 0
                   then 1 else 0 end)
        from logs""").collect()[0]
    return [batch.column(0)[0].as_py(), batch.column(1)[0].as_py()]


print(*globals()[sys.argv[1]](*sys.argv[2:4]))
