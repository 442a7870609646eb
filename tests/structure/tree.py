"""What the structure checks share: the rooms, the headers, and what a header includes.

Every check takes the root of the tree as an optional argument, and is this tree's own otherwise. It prints what is
wrong, one line each, and exits with 1; with 77 when it cannot judge on this machine.
"""

import pathlib
import re
import shutil
import subprocess
import sys

# The rooms and their order. A header includes its own room and rooms of a lower rank; layer and memory are peers.
RANK = {"core": 0, "async": 1, "layer": 2, "memory": 2, "net": 3, "tls": 4, "testing": 5}

# Public headers that no door includes: whoever wants one names it.
OPT_IN = {"coflow/async/cancellable.hpp"} | {
    f"coflow/tls/openssl{part}.hpp" for part in ("", "_certificate", "_context", "_engine", "_error", "_options")
}

STANDARD = set(
    """
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
    clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint
    cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution expected filesystem format forward_list
    fstream functional future generator initializer_list iomanip ios iosfwd iostream istream iterator latch limits list
    locale map mdspan memory memory_resource mutex new numbers numeric optional ostream print queue random ranges ratio
    regex scoped_allocator semaphore set shared_mutex source_location span spanstream sstream stack stacktrace stdexcept
    stdfloat stop_token streambuf string string_view strstream syncstream system_error thread tuple type_traits
    typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
    """.split()
)

POSIX = re.compile(
    r"(sys|net|netinet|arpa|linux|asm)/.+\.h$"
    r"|(aio|assert|ctype|dirent|endian|errno|fcntl|ifaddrs|inttypes|limits|netdb|poll|pthread|pwd|sched|semaphore|signal"
    r"|spawn|stdarg|stddef|stdint|stdio|stdlib|string|strings|syslog|termios|time|unistd)\.h$"
)

COMMENT = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?\*/", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(include|define)\b[ \t]*(.*?)[ \t]*$", re.MULTILINE)

problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def finish(summary):
    """Prints what was found and ends the check."""
    name = pathlib.Path(sys.argv[0]).name
    for line in problems:
        print(line)
    print(f"{name}: {len(problems)} problem(s)" if problems else f"{name}: {summary}")
    sys.exit(1 if problems else 0)


def skip(why):
    print(f"{pathlib.Path(sys.argv[0]).name}: skipped, {why}")
    sys.exit(77)


def root():
    places = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return pathlib.Path(places[0] if places else pathlib.Path(__file__).parents[2]).resolve()


class Header:
    """A header, by the name under which it is included: coflow/<room>.hpp, coflow/<room>/[detail/]<subject>.hpp."""

    def __init__(self, include, path):
        self.name = path.relative_to(include).as_posix()
        parts = self.name.split("/")
        self.is_door = len(parts) == 2
        self.room = path.stem if self.is_door else parts[1]  # the room of coflow.hpp is "coflow"
        self.is_detail = parts[2:3] == ["detail"]
        self.is_public = not self.is_door and not self.is_detail
        self.text = path.read_text(encoding="utf-8")
        self.includes = []  # (name, line)
        self.defines = []  # (macro, line)
        code = COMMENT.sub(self._blank, self.text)
        for match in DIRECTIVE.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            kind, rest = match.groups()
            if kind == "define":
                self.defines.append((re.match(r"\w*", rest).group(), line))
            else:
                self.includes.append((rest.strip('<>"'), line))

    @staticmethod
    def _blank(match):
        token = match.group()
        return re.sub(r"[^\n]", " ", token) if token.startswith("/") else token


def headers():
    """Every header of the tree, by name. It is an error to have none."""
    include = root() / "include"
    found = {}
    for path in sorted(include.rglob("*")):
        if path.is_file() and path.suffix == ".hpp":
            header = Header(include, path)
            found[header.name] = header
    if not found:
        sys.exit(f"{include}: no headers")
    return found


def compilers():
    """g++, and clang++-19 where it is installed."""
    return [name for name in ("g++", "clang++-19") if shutil.which(name)] or sys.exit("no compiler: need g++")


def run(command, code=None):
    """Runs a command with `code` as its input; its exit status and output."""
    done = subprocess.run(
        command, input=code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    return done.returncode, done.stdout
