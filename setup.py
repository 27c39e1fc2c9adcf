"""Compiles the hot path; everything else about the build is in pyproject.toml.

The compiled modules are plain Python (Cython's pure-Python mode). Where no C compiler or no Python.h is found the build
goes on with a warning, and the same files run interpreted: slower, with the same answers. What Cython refuses stops it.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = (
    "maskproxy/audit/moment.py",
    "maskproxy/audit/plain.py",
    "maskproxy/audit/template.py",
    "maskproxy/proxy/journal.py",
    "maskproxy/proxy/link.py",
    "maskproxy/proxy/pump.py",
    "maskproxy/proxy/recorder_client.py",
    "maskproxy/recorder/lines.py",
    "maskproxy/session/batch.py",
    "maskproxy/session/fast_path.py",
    "maskproxy/session/postgres.py",
    "maskproxy/session/rows.py",
    "maskproxy/session/state.py",
    "maskproxy/session/kernel/ops.py",
    "maskproxy/session/kernel/texts.py",
    "maskproxy/session/kernel/digests.py",
    "maskproxy/session/kernel/tokens.py",
    "maskproxy/session/kernel/numbers.py",
    "maskproxy/session/kernel/dates.py",
    "maskproxy/session/kernel/decimals.py",
)

extensions = cythonize(
    [Extension(path.removesuffix(".py").replace("/", "."), [path]) for path in COMPILED],
    build_dir="build/cython",
    language_level=3,
)
for extension in extensions:
    extension.optional = True  # here, because cythonize drops it
    extension.extra_compile_args.append("-g0")  # what a debugger would need takes long to write

setup(ext_modules=extensions, options={"build_ext": {"parallel": os.cpu_count() or 1}})
