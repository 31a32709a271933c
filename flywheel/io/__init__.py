"""Files, text and servers at the edge of the process: delimited, packed and SQLite files."""
