"""Asks another engine the questions on stdin, a line each, of the Parquet files below a folder; prints a
line of JSON for each: the rows. The first line of stdout says the types of the columns."""
import json
import sys

engine, root = sys.argv[1], sys.argv[2]
questions = [line.rstrip("\n") for line in sys.stdin]
files = f"{root}/parquet"

if engine == "duckdb":
    import duckdb

    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    connection.sql(
        "CREATE VIEW exchanges AS SELECT * FROM read_parquet("
        f"'{files}/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    )

    def ask(question):
        return connection.sql(question).fetchall()

    types = {row[0]: row[1] for row in ask("DESCRIBE exchanges")}
elif engine == "chdb":
    import chdb.session

    session = chdb.session.Session()
    session.query(
        "CREATE VIEW exchanges AS SELECT * FROM "
        f"file('{files}/*/*/*.parquet', Parquet) SETTINGS session_timezone = 'UTC'"
    )

    def ask(question):
        return json.loads(str(session.query(question, "JSONCompact")))["data"]

    # Which columns are never null is no part of a type elsewhere.
    types = {
        row[0]: row[1].removeprefix("Nullable(").removesuffix(")") if row[1].startswith("Nullable(") else row[1]
        for row in ask("DESCRIBE TABLE exchanges")
    }
else:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    builder = builder.config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    spark = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(files)
    frame.createOrReplaceTempView("exchanges")

    def ask(question):
        return [list(row) for row in spark.sql(question).collect()]

    types = dict(frame.dtypes)

print(json.dumps(types))
for question in questions:
    print(json.dumps([list(row) for row in ask(question)], default=str))
