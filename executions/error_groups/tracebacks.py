"""The exception and the own frames of a traceback of Python, Java or JavaScript. Takes time linear in the text.

Own frames are those of no library: the places in the program at fault. Lines and columns are left out, as
they change with each edit of a file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from executions.text_limits import LONGEST_LINE, RAISED

from .messages import DIGIT, WORD

MOST_FRAMES = 30  # own ones, the innermost
PYTHON_BLOCK = "Traceback (most recent call last)"
PYTHON_FRAME = re.compile(r'File "([^"]+)", line \d+(?:, in (.+))?')
JAVA_FRAME = re.compile(r"at (?:[\w.@$-]*/{1,2})*([\w$.]+)\.([\w$<>]+)\([^()]*\)")
JAVA_CAUSE = "Caused by: "
JAVA_THREAD = re.compile(r'Exception in thread "[^"]*" ')
PLACE_END = re.compile(r":\d{1,9}(?::\d{1,9})?\Z")
PYTHON_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "/lib64/python", "/python/lib/", "<frozen ")
JAVA_LIBRARIES = (
    "java.", "javax.", "jdk.", "sun.", "com.sun.", "jakarta.", "kotlin.", "kotlinx.", "scala.", "groovy.", "clojure.",
    "org.springframework.", "org.apache.", "org.hibernate.", "org.postgresql.", "org.junit.", "org.eclipse.",
    "com.fasterxml.", "com.google.common.", "com.zaxxer.", "io.netty.", "io.grpc.", "io.vertx.", "io.micrometer.",
    "okhttp3.", "reactor.", "akka.",
)  # fmt: skip
JAVASCRIPT_LIBRARIES = ("/node_modules/", "node:", "internal/", "native", "<anonymous>", "deno:", "ext:")


@dataclass(frozen=True, slots=True)
class Raised:
    """`exception` is the name of a class without its module, or empty. `frames` are own ones, the innermost last."""

    exception: str = ""
    frames: tuple[str, ...] = ()


def parse(traceback: str) -> Raised:
    """Parse a traceback; for a chain, its last exception, which is the cause in Java."""
    lines = [line.strip(" \t|+") for line in traceback.splitlines() if len(line) <= LONGEST_LINE]
    if any(line.startswith(PYTHON_BLOCK) for line in lines):
        return _python(lines)
    if any(JAVA_FRAME.fullmatch(line) for line in lines):
        return _java(lines)
    if any(_javascript_place(line) for line in lines):
        return _javascript(lines)
    return Raised()


def _python(lines: list[str]) -> Raised:
    """Read the last block: each exception of a chain has one, and that which was raised in the end comes last."""
    begin = max(place for place, line in enumerate(lines) if line.startswith(PYTHON_BLOCK))
    frames: list[str] = []
    exception = ""
    for line in lines[begin + 1 :]:
        if frame := PYTHON_FRAME.match(line):
            frames.append(_python_frame(frame[1], frame[2] or ""))
            exception = ""
        else:
            exception = exception or _class_of(line)
    return Raised(exception, _own(frames))


def _python_frame(path: str, function: str) -> str:
    path = path.replace("\\", "/")
    is_own = not any(part in path.lower() for part in PYTHON_LIBRARIES)
    return f"{_file(path)}: {function}" if is_own else ""


def _java(lines: list[str]) -> Raised:
    """Read the last cause: that of the exceptions before it."""
    begin = max((place for place, line in enumerate(lines) if line.startswith(JAVA_CAUSE)), default=0)
    frames = [f"{each[1]}.{each[2]}" for line in lines[begin:] if (each := JAVA_FRAME.fullmatch(line))]
    own = [_without_numbers(frame) if not frame.startswith(JAVA_LIBRARIES) else "" for frame in frames]
    return Raised(_class_before_frames(lines[begin:], "at "), _own(reversed(own)))


def _javascript(lines: list[str]) -> Raised:
    places = filter(None, map(_javascript_place, lines))
    own = [_javascript_frame(*place) for place in places]
    return Raised(_class_before_frames(lines, "at "), _own(reversed(own)))


def _javascript_place(line: str) -> tuple[str, str] | None:
    """Return function and file of "at f (file:1:2)" or "at file:1:2"."""
    if not line.startswith("at "):
        return None
    name, _between, place = (
        line[3:].removeprefix("async ").rpartition(" (") if line.endswith(")") else ("", "", line[3:])
    )
    place = place.removesuffix(")")
    end = PLACE_END.search(place)
    return (name, place[: end.start()]) if end else None


def _javascript_frame(function: str, path: str) -> str:
    path = path.replace("\\", "/")
    is_own = not any(part in path for part in JAVASCRIPT_LIBRARIES)
    return f"{_file(path)}: {function}" if is_own else ""


def _class_before_frames(lines: list[str], frame: str) -> str:
    """Return the class that the last line before the first frame names. A message may have several lines."""
    before: list[str] = []
    for line in lines:
        if line.startswith(frame):
            break
        before.append(JAVA_THREAD.sub("", line.removeprefix(JAVA_CAUSE)).removeprefix("Uncaught "))
    return next(filter(None, map(_class_of, before)), "")


def _class_of(line: str) -> str:
    found = RAISED.fullmatch(line)
    name = found[1].rpartition(".")[2] if found else ""
    return name if name[:1].isupper() else ""


def _own(frames: Iterable[str]) -> tuple[str, ...]:
    """Return the innermost own frames, each call of a recursion once."""
    return tuple(_once(frame for frame in frames if frame)[-MOST_FRAMES:])


def _once(frames: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(frames))


def _file(path: str) -> str:
    """Return the file with its folder: what is above it differs between machines and releases."""
    return _without_numbers("/".join(path.rpartition("?")[0 if "?" in path else 2].split("/")[-2:]))


def _without_numbers(text: str) -> str:
    """Return the text without the words that are generated: hashes of bundles, numbers of lambdas."""
    return WORD.sub(lambda word: DIGIT_RUN.sub("#", word[0]) if DIGIT.search(word[0]) else word[0], text)


DIGIT_RUN = re.compile(r"[0-9a-f]{8,}|\d+")
