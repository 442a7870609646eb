"""Makes mutants of a header, all of them in one text: which of them it is, a program is told when it starts.

A mutant is one small change to one line: a condition negated, an operator, a truth value or an enumerator exchanged for
its neighbour, the argument of a call emptied, a call or an assignment dropped. In the text that comes out, each place that has mutants is written out
once for each of them and once as it was, and `coflow_mutants::on(N)` chooses. So a compiler sees a header once, and not
a hundred times.
"""

import re

from statements import Parser

EXCHANGES = [
    ("and to or", r"(?<= )&&(?= )|(?<= )&&$", "||"),
    ("or to and", r"(?<= )\|\|(?= )|(?<= )\|\|$", "&&"),
    ("== to !=", r"(?<= )==(?= )", "!="),
    ("!= to ==", r"(?<= )!=(?= )", "=="),
    ("< to <=", r"(?<= )<(?= )", "<="),
    ("<= to <", r"(?<= )<=(?= )", "<"),
    ("> to >=", r"(?<= )>(?= )", ">="),
    (">= to >", r"(?<= )>=(?= )", ">"),
    ("+ to -", r"(?<= )\+(?= )", "-"),
    ("- to +", r"(?<= )-(?= )", "+"),
    ("+= to -=", r"\+=", "-="),
    ("-= to +=", r"-=", "+="),
    ("+= to =", r"\+=", "="),
    ("true to false", r"\btrue\b", "false"),
    ("false to true", r"\bfalse\b", "true"),
    ("not dropped", r"!(?=[\w(*])(?!=)", ""),
    ("argument emptied", r"(?<=\w\()(?:std::move\([a-z]\w*\)|(?!true|false|this)[a-z]\w*)(?=\);?)", "{}"),
]
NEIGHBOURS = {
    "half": {"open": "draining", "draining": "shut", "ended": "shut", "shut": "failed", "failed": "shut", "closed": "shut"},
    "shutdown_mode": {"read": "write", "write": "read", "read_write": "read"},
    "attempt": {"done": "wait", "wait": "done", "verdict": "wait"},
    "operation_phase": {"idle": "waiting", "waiting": "idle", "called": "waiting", "settled": "waiting"},
    "error": {"closed": "truncated", "truncated": "closed", "no_executor": "closed", "torn_write": "closed"},
}
ENUMERATOR = re.compile(r"(?<![\w:])(%s)::(\w+)\b(?!\()" % "|".join(NEIGHBOURS))


class Mutant:
    def __init__(self, header, line, operator, before, after):
        self.number = 0
        self.header = header
        self.line = line  # its number
        self.operator = operator
        self.before = before  # the line's text
        self.after = after
        self.function = ""  # in which it is

    def __str__(self):
        return f"{self.header}:{self.line}: {self.operator}: {self.before}  =>  {self.after}"


class MutatedHeader:
    """The mutants of one header; `write` gives its text with those that are wanted."""

    def __init__(self, name, text):
        self.name = name
        self.parser = Parser(text)
        self.text = text
        self.mutants = []  # in the order of the lines
        self.places = []  # (span, [(mutant, text of the span)])
        for span in sorted(self.parser.spans, key=lambda one: one.start):
            variants = self.variants(span)
            if variants:
                self.places.append((span, variants))
                self.mutants += [mutant for mutant, _ in variants]

    def variants(self, span):
        code = self.parser.code[span.start : span.end]
        original = self.text[span.start : span.end]
        found = []

        def add(operator, start, end, new, shown=None):
            """Replaces code[start:end] by `new`."""
            changed = original[:start] + new + original[end:]
            if any(text == changed for _, text in found):
                return
            at = span.start + start
            line = self.text.count("\n", 0, at) + 1
            first = self.text.rfind("\n", 0, at) + 1
            last = self.text.find("\n", at)
            before = self.text[first:last]
            if shown is None:
                shown = self.text[first:at] + new + self.text[min(span.start + end, last) : last]
            mutant = Mutant(self.name, line, operator, before.strip(), " ".join(shown.split()))
            mutant.function = span.function
            found.append((mutant, changed))

        if span.name is not None:  # only what has been declared can be asked twice
            self.whole(span, code, original, add)
            return found
        for operator, pattern, new in EXCHANGES:
            for match in re.finditer(pattern, code, re.MULTILINE):
                add(operator, match.start(), match.end(), new)
        for match in ENUMERATOR.finditer(code):
            neighbour = NEIGHBOURS[match[1]].get(match[2])
            if neighbour:
                add("enumerator", match.start(2), match.end(2), neighbour)
        for match in re.finditer(r"\s\?\s", code):
            start = self.start_of_condition(code, match.start())
            asked = original[start : match.start()]
            add("negated", start, match.start(), f"!({asked})")
        self.whole(span, code, original, add)
        return found

    @staticmethod
    def start_of_condition(code, at):
        depth = 0
        while at > 0:
            c = code[at - 1]
            if c in ")]}":
                depth += 1
            elif c in "([{":
                if depth == 0:
                    return at
                depth -= 1
            elif depth == 0 and c in ",;":
                return at
            elif depth == 0 and c == "=" and code[at - 2 : at] not in ("==", "!=", "<=", ">="):
                return at
            at -= 1
        match = re.match(r"\s*(co_)?return\b", code)
        return match.end() if match else 0

    def whole(self, span, code, original, add):
        """What can happen to all of it."""
        # What an exchange has negated already is not negated twice.
        simple = not re.search(r"&&|\|\||\s\?\s", code)
        negated = simple and re.search(r" [!=<>]= | [<>] |(?<![\w)])!(?=[\w(])", code)
        if span.kind == "condition":
            if negated:
                return
            if span.name is None:
                add("negated", 0, len(original), f"!({original})")
            else:
                shown = f"!({' '.join(original.split())})"
                add("negated", 0, len(original), "!" + span.name, shown)
            return
        if span.kind != "statement":
            return
        given = re.match(r"return\b\s*(.*);$", code, re.DOTALL)
        if given:
            value = original[given.start(1) : given.end(1)]
            if span.deduced or value in ("true", "false"):
                return
            if not value:
                add("return dropped", 0, len(original), ";")
            else:
                if not negated:
                    add("negated", given.start(1), given.end(1), f"!({value})")
                if "(" in value:
                    add("call dropped", given.start(1), given.end(1), "")
            return
        if re.match(r"(co_return|co_yield|static_cast<void>|delete|std::terminate)\b", code):
            return
        what = "assignment dropped" if re.search(r"[^=!<>]=[^=]|\+\+|--", code) else "call dropped"
        add(what, 0, len(original), ";", "(nothing)")

    def write(self, wanted):
        """The text, with those mutants whose numbers `wanted` has; and by line, the numbers of the mutants on it."""
        out = []
        self.emit(out, 0, len(self.text), [(s, [v for v in vs if v[0].number in wanted]) for s, vs in self.places])
        text = "".join(out)
        lines = {}
        for number, line in enumerate(text.split("\n"), 1):
            for match in re.finditer(r"/\*mutant (\d+)\*/", line):
                lines.setdefault(number, set()).add(int(match[1]))
        return text, lines

    def emit(self, out, start, end, places):
        at = start
        for span, variants in places:
            if not variants:
                continue
            out.append(self.text[at : span.start])
            out.append(self.choice(span, variants))
            at = span.end
        out.append(self.text[at:end])

    def choice(self, span, variants):
        """On lines of their own, so that what a compiler says can be traced; without comments, which end lines."""
        plain = self.one_line(self.text[span.start : span.end])
        if span.kind == "statement":
            made = "{"
            for mutant, text in variants:
                n = mutant.number
                made += f"\n/*mutant {n}*/ if (::coflow_mutants::on({n})) {{ {self.one_line(text)} }} else"
            return f"{made}\n{{ {plain} }} }}\n"
        if span.name is not None:
            made = f"{plain}; "
            rest = f"static_cast<bool>({span.name})"
        else:
            made = ""
            rest = f"static_cast<bool>({plain})" if span.kind == "condition" else f"({plain})"
        for mutant, text in variants:
            n = mutant.number
            value = self.one_line(text)
            value = f"static_cast<bool>({value})" if span.kind == "condition" else f"({value})"
            made += f"\n/*mutant {n}*/ ::coflow_mutants::on({n}) ? {value} :"
        return f"{made}\n{rest}\n"

    @staticmethod
    def one_line(text):
        return " ".join(re.sub(r"//[^\n]*", "", text).split())
