"""Spark beside DuckDB: `SparkEngine` answers the lake's queries by Spark Connect."""

from flywheel.lake.spark.engine import SparkEngine
from flywheel.lake.spark.session import SparkServer, SparkSession

__all__ = ["SparkEngine", "SparkServer", "SparkSession"]
