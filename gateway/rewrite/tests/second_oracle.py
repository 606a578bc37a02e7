#!/usr/bin/env python3
"""A second oracle: what Python's json reads in a body, filtered by the rules, against what came out.

Reads what `examples/random_tasks.rs` writes, from a file or from standard input. Written from the
rules as users are told them, and on purpose unlike the oracle in Rust: places are paths of names,
looked up in sets, and values are compared, not bytes.

A body that Python's json cannot read may still pass where something is dropped, for of a dropped
value only the end is sought. Such outputs, as all others, must be strict JSON and hold nothing that
the rules would drop. Where nothing is dropped, what one refuses the other must refuse.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass

DROPPED = object()
SHOWN_DIFFERENCES = 5


class Refused(Exception):
    """The body is not understood."""


@dataclass(frozen=True)
class Number:
    text: str


@dataclass(frozen=True)
class Object:
    members: list


# ---- reading ------------------------------------------------------------------------------------


def read(body):
    """The document with order, duplicates and the digits of numbers; Refused if it is not strict JSON."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=Object, parse_int=number,
                           parse_float=number, parse_constant=refuse)
        encodable(value)
    except (ValueError, RecursionError) as error:
        raise Refused(str(error)) from error
    return value


def read_rows(body):
    """The rows of JSON Lines: of each line that is not blank, what stands in it."""
    return [read(line) for line in body.split(b"\n") if line.strip(b" \t\r")]


def number(text):
    # Some versions read digits of other scripts.
    return Number(text) if text.isascii() else refuse(text)


def refuse(text):
    raise Refused(f"no JSON: {text!r}")


def encodable(value):
    """Half of a surrogate pair is no text, and only encoding it tells."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, Object):
        for name, inner in value.members:
            name.encode()
            encodable(inner)
    elif isinstance(value, list):
        for inner in value:
            encodable(inner)


def depth(value):
    if isinstance(value, Object):
        return 1 + max((depth(inner) for _, inner in value.members), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


# ---- the rules ----------------------------------------------------------------------------------


def path_of(text):
    return tuple(text.split("."))


def prefixes(paths):
    """All places from which one of the paths goes on."""
    return {path[:length] for path in paths for length in range(len(path))}


class Rules:
    def __init__(self, task):
        rows = task["rows"].removesuffix("[]")
        self.is_lines = rows == "$*"
        self.is_list = self.is_lines or task["rows"].endswith("[]")
        self.rows_at = () if rows in ("", "$", "$*") else path_of(rows)
        self.way = prefixes([self.rows_at])
        self.beside = {path_of(text) for text in task["beside"]}
        self.beside_way = prefixes(self.beside)
        self.pass_envelope = task["pass_envelope"]
        self.all = task["all"]
        columns = [column for column in task["columns"] if column["assistant"] or not self.all]
        shown = [column for column in columns if column["shown"]]
        self.shown = {path_of(column["path"]) for column in shown}
        self.whole = {path_of(column["path"]) for column in shown if column["whole"]}
        # In what passes whole all of them are replaced, elsewhere those that are shown.
        self.assistants = {path_of(column["path"]) for column in columns if column["assistant"]}
        self.shown_way = prefixes(self.shown)
        self.assistants_way = prefixes(self.assistants)
        self.names = dict(task["names"])
        self.fallback, self.keep_unmapped = task["fallback"], task["keep_unmapped"]
        self.judged, self.rule = task["judged"], task["rule"]
        self.rows_found = 0
        self.only_row_hidden = False

    def without_effect(self):
        """Whoever was shown something may see it again: no row is hidden and no id replaced."""
        self.rule = {"hide_private": False, "owner": None, "teams": None}
        self.names, self.fallback, self.keep_unmapped = {}, None, True
        return self

    def read(self, body):
        return read_rows(body) if self.is_lines else read(body)

    def depth(self, document):
        return max(map(depth, document), default=0) if self.is_lines else depth(document)

    def is_readable(self, body):
        try:
            self.read(body)
        except Refused:
            return False
        return True

    def is_whole(self, out):
        """Whether it is what a whole body comes to: of lines, each row with a line feed and none blank."""
        if self.is_lines and not (out == b"" or (out.endswith(b"\n") and b"\n\n" not in b"\n" + out)):
            return False
        return self.is_readable(out)

    def drops_nothing(self):
        return (self.all and self.pass_envelope and not self.assistants
                and not any(self.rule.values()))

    def body(self, document):
        seen = self.envelope(document, ())
        if not self.rows_found:
            raise Refused("no rows")
        return seen

    def envelope(self, value, at):
        if at == self.rows_at:
            self.rows_found += 1
            return self.rows(value)
        if at in self.way:
            if not isinstance(value, Object):
                raise Refused("no object around the rows")
        elif self.pass_envelope or at in self.beside:
            return value
        elif at not in self.beside_way:
            return DROPPED
        return self.walked(value, at, self.envelope)

    def walked(self, value, at, judge):
        """An object or array with what `judge` leaves of its parts; of scalars null is left."""
        if isinstance(value, Object):
            parts = ((name, judge(inner, (*at, name))) for name, inner in value.members)
            return Object([part for part in parts if part[1] is not DROPPED])
        if isinstance(value, list):
            parts = (judge(inner, at) for inner in value)
            return [part for part in parts if part is not DROPPED]
        return None if value is None else DROPPED

    def rows(self, value):
        if not self.is_list:
            if value is None:
                return None
            if not isinstance(value, Object):
                raise Refused("no row")
            if self.is_visible(value):
                return self.row(value)
            # Of a row that comes twice either may say so.
            self.only_row_hidden = True
            return None
        if not isinstance(value, list) or not all(isinstance(row, Object) for row in value):
            raise Refused("no rows")
        return [self.row(row) for row in value if self.is_visible(row)]

    def row(self, row):
        if self.all:
            return self.passed_whole(row, (), 0)
        return Object([(name, kept) for name, inner in row.members
                       if (kept := self.column(inner, (name,), 0)) is not DROPPED])

    def column(self, value, at, arrays):
        """What is left of a value at a path, in so many arrays since its member."""
        listed, goes_on = at in self.shown, at in self.shown_way
        if at in self.whole:
            return self.passed_whole(value, at, arrays)
        if listed and at in self.assistants and arrays < 2:
            return self.assistant(value, at, arrays, goes_on, self.column)
        if isinstance(value, Object):
            return self.members(value, at, self.column) if goes_on else DROPPED
        if isinstance(value, list):
            if goes_on or (listed and arrays == 0):
                return self.elements(value, at, arrays, self.column)
            return DROPPED
        if value is None and (listed or goes_on):
            return None
        return value if listed and arrays < 2 else DROPPED

    def passed_whole(self, value, at, arrays):
        if at in self.assistants and not (isinstance(value, list) and arrays):
            return self.assistant(value, at, arrays, at in self.assistants_way, self.passed_whole)
        if at in self.assistants:
            return None
        if isinstance(value, Object):
            return self.members(value, at, self.passed_whole)
        if isinstance(value, list):
            return self.elements(value, at, arrays, self.passed_whole)
        return value

    def members(self, value, at, judge):
        return Object([(name, kept) for name, inner in value.members
                       if (kept := judge(inner, (*at, name), 0)) is not DROPPED])

    def elements(self, value, at, arrays, judge):
        return [kept for inner in value if (kept := judge(inner, at, arrays + 1)) is not DROPPED]

    def assistant(self, value, at, arrays, goes_on, judge):
        if isinstance(value, Object) and goes_on:
            return self.members(value, at, judge)
        if isinstance(value, list) and arrays == 0:
            return self.elements(value, at, arrays, judge)
        if not isinstance(value, (str, Number)):
            return None
        name = self.names.get(text_of(value), self.fallback)
        if name is not None:
            return name
        return value if self.keep_unmapped else None

    # ---- rows that are hidden -------------------------------------------------------------------

    def is_visible(self, row):
        private, owner, teams = (self.rule[what] for what in ("hide_private", "owner", "teams"))
        return ((not private or self.is_public(row)) and (owner is None or self.is_owned(row, owner))
                and (teams is None or self.is_in(row, teams)))

    def is_public(self, row):
        values, _, is_sure = found(row, self.judged["private"])
        return is_sure and len(values) == 1 and values[0] is False

    def is_owned(self, row, owner):
        known = {owner["id"], owner["email"]} - {"", None}
        lists = [found(row, path) for path in self.judged["owner"]]
        if any(is_doubled for _, is_doubled, _ in lists):
            return False
        return any(text_of(value) in known for values, _, _ in lists for value in flat(values))

    def is_in(self, row, teams):
        values, _, is_sure = found(row, self.judged["team"])
        texts = [text_of(value) for value in flat(values)]
        return is_sure and bool(texts) and all(text and text in teams for text in texts)


def found(row, path):
    """The values at a path; whether a name on the way came twice; whether all came exactly once."""
    if path is None:
        return [], False, False
    places, is_doubled, is_missing = [row], False, False
    for name in path_of(path):
        inner = []
        for place in places:
            for value in flat([place]):
                named = [v for n, v in value.members if n == name] if isinstance(value, Object) else []
                is_doubled |= len(named) > 1
                is_missing |= not named
                inner += named
        places = inner
    return places, is_doubled, not (is_doubled or is_missing)


def flat(values):
    """With the elements of arrays instead of the arrays."""
    for value in values:
        if isinstance(value, list):
            yield from flat(value)
        else:
            yield value


def text_of(value):
    if isinstance(value, Number):
        return value.text
    return value if isinstance(value, str) else None


# ---- one task -----------------------------------------------------------------------------------


def compare(task):
    """The class that a task falls into; ValueError tells of a difference."""
    body, out = bytes.fromhex(task["body"]), bytes.fromhex(task["out"])
    expected, why_not, rules = DROPPED, None, Rules(task)
    try:
        document = rules.read(body)
        if rules.depth(document) > task["depth"]:
            raise Refused("too deep")
        expected = rules.body(document)
        readable = True
    except Refused as refusal:
        why_not, readable = str(refusal), rules.is_readable(body)
    if task["refused"]:
        if rules.is_whole(out) and not rules.is_lines:
            raise ValueError(f"refused as {task['refused']}, and yet a whole document came out")
        if why_not is None:
            raise ValueError(f"refused as {task['refused']}, expected {expected}")
        return "refused by both"
    if not rules.is_whole(out):
        raise ValueError("what came out is no strict JSON")
    if why_not is not None:
        if readable or not task["damaged"] or rules.drops_nothing():
            raise ValueError(f"accepted, but {why_not}")
        check_nothing_more(task, out)
        return "no JSON in what is dropped"
    if task["row_hidden"] != rules.only_row_hidden:
        raise ValueError(f"the only row: hidden {rules.only_row_hidden}, said {task['row_hidden']}")
    if rules.read(out) != expected:
        raise ValueError(f"expected {expected}")
    check_nothing_more(task, out)
    return "the same"


def check_nothing_more(task, out):
    """Of what came out the rules drop nothing: no more than was to be seen came out."""
    rules = Rules(task).without_effect()
    seen = rules.read(out)
    try:
        again = rules.body(seen)
    except Refused as refusal:
        raise ValueError(f"what came out is refused: {refusal}") from refusal
    if again != seen:
        raise ValueError(f"of what came out only this may be seen: {again}")


def main():
    with open(sys.argv[1], encoding="utf-8") if sys.argv[1:] else sys.stdin as lines:
        classes, differences = Counter(), 0
        for count, line in enumerate(lines, 1):
            task = json.loads(line)
            try:
                classes[compare(task)] += 1
            except ValueError as difference:
                differences += 1
                if differences <= SHOWN_DIFFERENCES:
                    body, out = (bytes.fromhex(task.pop(name)) for name in ("body", "out"))
                    print(f"line {count}: {difference}\n  {task}\n  body {body}\n  out  {out}",
                          file=sys.stderr)
    total = sum(classes.values()) + differences
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(classes.items()))
    # Were nearly all refused, that they are refused by both would say little.
    failed = differences or not total or classes["the same"] * 3 < total
    print(f"{total} documents: {kinds}; {differences} differences",
          file=sys.stderr if failed else sys.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
