"""What a schema cannot say, told to schemathesis.

A schema has no clock: timestamps that are well formed and lie before 1970 or in the future are moved
to where the server takes them. A schema counts characters where the server counts bytes: texts that
are short enough in the one and too long in the other are shortened, and so are request targets.
Everything else stays as it was
made, so a request that is meant to be bad stays bad.
"""
import datetime
import json
import re
from urllib.parse import quote

import schemathesis

BYTES_MAX = {"title": 512, "categories": 64}
DATE_TIME = re.compile(r"(\d{4})-\d\d-\d\d[Tt]")


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    if isinstance(value, list):
        return "".join(json.dumps(line) + "\n" for line in value).encode()
    return json.dumps(value).encode()


def cut(text, limit):
    """At most limit bytes, when it has at most as many characters."""
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) <= limit:
        return text
    return text[: limit // 4]


def in_time(value):
    now = datetime.datetime.now(datetime.timezone.utc)
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value > now.timestamp():
        return 1000000000
    if isinstance(value, str) and (match := DATE_TIME.match(value)):
        if not 1970 < int(match[1]) < now.year:
            return "2001" + value[4:5] + "02-03" + value[10:]
    return value


def mend(value, key=None):
    if isinstance(value, dict):
        return {name: mend(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [mend(element, key) for element in value]
    if key == "timestamp":
        value = in_time(value)
    if isinstance(value, str):
        return cut(value, BYTES_MAX.get(key, 256))
    return value


def fit_target(query):
    """A valid array of ids may be longer, percent-encoded, than a request target may be."""
    items = query.get("item_id")
    while isinstance(items, list) and 1 < len(items) <= 100 and len(quote(str(items))) > 7000:
        items = items[: len(items) // 2]
        query = {**query, "item_id": items}
    return query


@schemathesis.hook
def before_call(ctx, case, kwargs):
    # Only what changes is put back: an assignment makes schemathesis judge the value again, and
    # path parameters are percent-encoded by now.
    for part in ("body", "query", "path_parameters"):
        value = getattr(case, part, None)
        if not isinstance(value, (dict, list)):
            continue
        mended = mend(value)
        if part == "query":
            mended = fit_target(mended)
        if mended != value:
            setattr(case, part, mended)
