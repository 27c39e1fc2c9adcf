"""Compiles the row kernel; everything else about the build is in pyproject.toml.

The compiled modules are plain Python (Cython's pure-Python mode). Where no C compiler or no Python.h is found,
``optional`` turns the failure into a warning, and the same files run interpreted: slower, with the same answers.
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = ("maskproxy/session/rows.py",)

setup(
    ext_modules=cythonize(
        [Extension(path.removesuffix(".py").replace("/", "."), [path], optional=True) for path in COMPILED],
        build_dir="build/cython",
        language_level=3,
    )
)
