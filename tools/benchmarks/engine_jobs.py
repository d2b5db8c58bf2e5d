"""What Preprocess does to a plain file, by other engines, each a function of its own.

The label goes to the front as an integer, numbers are checked and kept as they are written, classes
are counted.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

CLASSES = {"setosa": "0", "versicolor": "1", "virginica": "2"}
FEATURES = ["Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width"]
CHUNK_ROWS = 100_000


def by_csv_module(source: str, folder: str) -> None:
    """Row by row, in Python."""
    counts: Counter[str] = Counter()
    with open(source, newline="") as file, (Path(folder) / "csv.csv").open("w") as into:
        rows = csv.reader(file, strict=True)
        next(rows)
        for *features, label in rows:
            for number in features:
                float(number)
            counts[label] += 1
            into.write(f"{CLASSES[label]},{','.join(features)}\n")


def by_pandas_chunks(source: str, folder: str) -> None:
    """A hundred thousand rows at a time, as text so that numbers are not written anew."""
    import pandas as pd

    counts: Counter[str] = Counter()
    with (Path(folder) / "pandas.csv").open("w") as into:
        for frame in pd.read_csv(source, dtype=str, chunksize=CHUNK_ROWS):
            for name in FEATURES:
                pd.to_numeric(frame[name])
            counts.update(frame["Species"])
            frame["Species"] = frame["Species"].map(CLASSES)
            frame[["Species", *FEATURES]].to_csv(into, index=False, header=False)


def by_pyarrow(source: str, folder: str) -> None:
    """Record batches of text columns, on one thread."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    pa.set_cpu_count(1)
    text = {name: pa.string() for name in (*FEATURES, "Species")}
    batches = pyarrow.csv.open_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=4 << 20),
        convert_options=pyarrow.csv.ConvertOptions(column_types=text),
    )
    schema = pa.schema([("label", pa.int32()), *((name, pa.string()) for name in FEATURES)])
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with pyarrow.csv.CSVWriter(Path(folder) / "arrow.csv", schema, write_options=options) as into:
        for batch in batches:
            for name in FEATURES:
                pc.cast(batch[name], pa.float64())
            codes = pc.index_in(batch["Species"], value_set=pa.array(list(CLASSES)))
            pc.value_counts(codes)
            into.write(pa.table([codes, *(batch[name] for name in FEATURES)], schema=schema))


def by_polars(source: str, folder: str) -> None:
    """A streaming query for the counts and numbers, another for the rows."""
    import polars as pl

    table = pl.scan_csv(source, infer_schema=False)
    numbers = [pl.col(name).cast(pl.Float64).sum() for name in FEATURES]
    table.group_by("Species").agg(pl.len(), *numbers).collect(engine="streaming")
    rows = table.select(pl.col("Species").replace(CLASSES), *FEATURES)
    rows.sink_csv(Path(folder) / "polars.csv", include_header=False, quote_style="never")


def by_duckdb(source: str, folder: str) -> None:
    """SQL on one thread, with rejects kept by the engine."""
    import duckdb

    base = duckdb.connect()
    base.execute("SET threads = 1")
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in (*FEATURES, "Species"))
    base.execute(
        f"CREATE VIEW rows AS SELECT * FROM read_csv('{source}', header = true, "
        f"auto_detect = false, columns = {{{columns}}}, store_rejects = true)"
    )
    names = ", ".join(f'"{name}"' for name in FEATURES)
    checked = " AND ".join(f'try_cast("{name}" AS DOUBLE) IS NOT NULL' for name in FEATURES)
    base.execute(f'SELECT "Species", count(*) FROM rows WHERE {checked} GROUP BY 1')
    base.execute(
        f"COPY (SELECT CASE \"Species\" WHEN 'setosa' THEN 0 WHEN 'versicolor' THEN 1 ELSE 2 END, "
        f"{names} FROM rows WHERE {checked}) TO '{folder}/duckdb.csv' (HEADER false)"
    )
