"""The name of the program, by which the files of one are apart from those of another."""

import os
import sys


def name_of_program() -> str:
    """Return the name of the file that is run, of the module of `python -m MODULE`, or of the package."""
    first = sys.argv[0] if sys.argv else ""  # a text that may be no path
    if first == "-m":
        return _name_of_module()
    folder, program = os.path.split(first)
    if program == "__main__.py":  # python -m PACKAGE
        program = os.path.basename(folder) or program  # noqa: PTH119  # the same
    return program.removesuffix(".py") or "python"


def _name_of_module() -> str:
    """Return the name of the module that `-m` names. Python puts its path in place of `-m` only after it has imported
    the package around it, whose code may make a client."""
    module, *_rest = sys.orig_argv[-len(sys.argv) :] or [""]  # what follows it is in sys.argv too
    if module.startswith("-"):  # -mMODULE, also behind other options of one letter
        module = module.partition("m")[2]
    return module.removesuffix(".__main__").rpartition(".")[2] or "python"
