"""Takes C++ headers apart into statements, as far as writing mutants of them needs it.

It knows the C++ of this tree, not all of it. What it does not understand it leaves alone: a function body that it cannot
take apart has no mutants, which `run --list` shows.
"""

import re

NOISE = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|^[ \t]*#[^\n]*", re.MULTILINE)
OPEN = {"(": ")", "[": "]", "{": "}"}
SCOPE = re.compile(r"(inline\s+)?namespace\b|(class|struct|union)\b|extern\s*\"")
LABEL = re.compile(r"(case\b[^:;{}]*|default\s*|public\s*|protected\s*|private\s*):(?!:)\s*")
NAME = re.compile(r"[A-Za-z_]\w*")
# A type and a name before what initialises it; a call or an assignment has no such thing.
DECLARATION = re.compile(
    r"(?:(?:static|const|constexpr|mutable|volatile|unsigned|typename|auto|struct)\s+)*"
    r"[A-Za-z_][\w:]*(?:<[^;=()]*>)?(?:\s*::\s*\w+)*(?:\s+const)?(?:\s*[&*]+\s*(?:const\s+)?|\s+)"
    r"(?P<name>[A-Za-z_]\w*)\s*(?P<by>=(?!=)|;|\{|\(|:)"
)


def blanked(text):
    """The text with comments, literals and directives made blank, character for character."""
    return NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


class Span:
    """A piece of the text that mutants can be written for: a condition, an initialiser, or a whole statement."""

    def __init__(self, kind, start, end):
        self.kind = kind  # "condition", "value", "statement"
        self.start = start
        self.end = end
        self.name = None  # of a variable that a condition declares and then is
        self.function = ""  # its name
        self.deduced = False  # in a function whose return type its return statements say


class Parser:
    def __init__(self, text):
        self.text = text
        self.code = blanked(text)
        self.spans = []
        self.scope(0, len(self.code))

    # ---- places

    def skip(self, at):
        while at < len(self.code) and self.code[at].isspace():
            at += 1
        return at

    def close(self, at):
        """The place behind the bracket that closes the one at `at`."""
        wanted = []
        while at < len(self.code):
            c = self.code[at]
            if c in OPEN:
                wanted.append(OPEN[c])
            elif wanted and c == wanted[-1]:
                wanted.pop()
                if not wanted:
                    return at + 1
            at += 1
        raise SyntaxError("a bracket is open")

    def find(self, what, at, end):
        """The first of `what` outside of brackets, or `end`."""
        while at < end:
            c = self.code[at]
            if c in what:
                return at
            at = self.close(at) if c in OPEN else at + 1
        return end

    def word(self, at):
        match = NAME.match(self.code, at)
        return match.group() if match else ""

    # ---- what is outside of functions

    def scope(self, at, end):
        while True:
            at = self.skip(at)
            if at >= end:
                return
            if self.code[at] in ";}":
                at += 1
                continue
            label = LABEL.match(self.code, at)
            if label and self.word(at) in ("public", "protected", "private"):
                at = label.end()
                continue
            stop = at
            while stop < end and self.code[stop] not in ";{}":
                stop = self.close(stop) if self.code[stop] in "([" else stop + 1
            head = self.head(self.code[at:stop])
            if stop >= end or self.code[stop] != "{":
                at = stop + 1
            elif SCOPE.match(head):
                behind = self.close(stop)
                self.scope(stop + 1, behind - 1)
                at = behind
            else:
                behind = self.close(stop)
                if "(" in head and not re.match(r"(concept|enum|requires)\b", head) and "=" not in re.sub(
                    r"operator\s*=|[=!<>]=|\([^()]*\)", "", head
                ):
                    name = re.search(r"([~\w]+)\s*\(", head)
                    self.function(stop, behind, name[1] if name else "", bool(re.match(r"(?:\w+\s+)*auto\b(?!.*->)", head, re.DOTALL)))
                at = behind

    @staticmethod
    def head(text):
        """A declaration's text without what stands before its own keyword."""
        text = text.strip()
        while True:
            match = re.match(r"\[\[.*?\]\]\s*|friend\s+|requires\s*\((?:[^()]|\([^()]*\))*\)\s*", text, re.DOTALL)
            if match:
                text = text[match.end() :]
            elif re.match(r"template\s*<", text):
                depth = 0
                for i, c in enumerate(text):
                    depth += (c == "<") - (c == ">")
                    if c == ">" and depth == 0:
                        break
                text = text[i + 1 :].strip()
            else:
                return text

    def function(self, start, end, name, deduced):
        before = len(self.spans)
        try:
            self.block(start, end)
        except SyntaxError:
            del self.spans[before:]
        for span in self.spans[before:]:
            span.function = name
            span.deduced = deduced

    # ---- statements; each gives the place behind it

    def block(self, start, end):
        at = self.skip(start + 1)
        while at < end - 1:
            at = self.skip(self.statement(at))
        return end

    def statement(self, at):
        at = self.skip(at)
        label = LABEL.match(self.code, at)
        if label:
            return self.statement(label.end())
        if self.code[at] == "{":
            return self.block(at, self.close(at))
        word = self.word(at)
        if word in ("if", "while", "for", "switch"):
            return self.control(word, at)
        if word == "do":
            behind = self.skip(self.statement(at + len(word)))
            start = self.code.index("(", behind)
            self.condition(start + 1, self.close(start) - 1)
            return self.find(";", start, len(self.code)) + 1
        if word == "try":
            at = self.skip(self.statement(at + len(word)))
            while self.word(at) == "catch":
                at = self.skip(self.statement(self.close(self.code.index("(", at))))
            return at
        if word in ("struct", "class", "enum", "union", "using", "typedef", "static_assert"):
            return self.find(";", at, len(self.code)) + 1
        return self.simple(word, at)

    def control(self, word, at):
        at = self.skip(at + len(word))
        fixed = self.word(at) in ("constexpr", "consteval")
        start = self.code.index("(", at)
        end = self.close(start)
        if not fixed:
            self.head_of(word, start + 1, end - 1)
        at = self.skip(end)
        while self.code.startswith("[[", at):
            at = self.skip(self.close(at))
        at = self.statement(at)
        behind = self.skip(at)
        if word == "if" and self.word(behind) == "else":
            return self.statement(behind + len("else"))
        return at

    def head_of(self, word, start, end):
        if word == "for":
            first = self.find(";", start, end)
            if first < end:
                self.condition(first + 1, self.find(";", first + 1, end))
        elif word == "switch":
            self.spans.append(Span("value", start, end))
        else:
            first = self.find(";", start, end)
            self.condition(first + 1 if first < end else start, end)

    def condition(self, start, end):
        start = self.skip(start)
        if start >= end:
            return
        span = Span("condition", start, end)
        match = DECLARATION.match(self.code, start, end)
        if match and match["by"] == "=":
            span.name = match["name"]
        self.spans.append(span)

    def simple(self, word, at):
        end = self.find(";", at, len(self.code)) + 1
        if word.startswith("COFLOW_") or word in ("break", "continue", "goto", "assert", "throw"):
            return end
        if word not in ("return", "co_return", "co_await", "delete", "co_yield"):
            match = DECLARATION.match(self.code, at, end)
            if match:
                if match["by"] == "=":
                    self.spans.append(Span("value", self.skip(match.end()), end - 1))
                return end
        self.spans.append(Span("statement", at, end))
        return end
