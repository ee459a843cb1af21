#!/usr/bin/env python3
"""Writes the migrations as one C file: embed_sql.py OUTPUT 0001_name.sql 0002_name.sql ...

Bytes instead of a string literal: ISO C promises only 4,095 characters of one.
"""
import os
import sys

output, paths = sys.argv[1], sys.argv[2:]
lines = ['#include "migrate.h"', ""]
rows = []
for number, path in enumerate(paths, 1):
    name = os.path.basename(path)
    if not name.startswith("%04d_" % number):
        sys.exit("embed_sql.py: %s: expected the name to begin with %04d_" % (path, number))
    with open(path, "rb") as sql:
        data = sql.read() + b"\0"
    lines.append("static const char sql_%04d[] = {" % number)
    for start in range(0, len(data), 20):
        lines.append("    " + " ".join("%d," % byte for byte in data[start:start + 20]))
    lines.append("};")
    rows.append('    {"%s", sql_%04d},' % (name, number))
lines += ["const struct rec_migration rec_migrations[] = {", *rows, "};"]
lines.append("const int rec_migration_count = %d;" % len(paths))
with open(output, "w") as out:
    out.write("\n".join(lines) + "\n")
