"""The name of the program, by which programs have separate files."""

import os
import sys


def name_of_program() -> str:
    """Return the name of the executed file, module (`python -m MODULE`) or package."""
    first = sys.argv[0] if sys.argv else ""  # may be a text that is not a path
    if first == "-m":
        return _name_of_module()
    folder, program = os.path.split(first)
    if program == "__main__.py":  # python -m PACKAGE
        program = os.path.basename(folder) or program  # noqa: PTH119  # the same
    return program.removesuffix(".py") or "python"


def _name_of_module() -> str:
    """Return the name of the module after `-m`. Python replaces `-m` by its path only after importing the package
    around it, whose code may create a client."""
    module, *_rest = sys.orig_argv[-len(sys.argv) :] or [""]  # the arguments after it are in sys.argv too
    if module.startswith("-"):  # -mMODULE, also behind other options of one letter
        module = module.partition("m")[2]
    return module.removesuffix(".__main__").rpartition(".")[2] or "python"
