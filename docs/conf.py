"""How Sphinx builds these pages, with the extra ``docs``: python -m sphinx -W --keep-going docs docs/_build/html."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the checkout that the pages are written for

import solvers  # noqa: E402

project = "adaptive-solvers"
author = "the adaptive-solvers developers"
project_copyright = author
version = release = solvers.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "py:obj"

html_theme = "pydata_sphinx_theme"
html_title = f"adaptive-solvers {version}"
html_context = {"default_mode": "auto"}
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
html_copy_source = False

# The docstrings say types, shapes and units under Parameters; annotations in the signature would say less, and longer.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Unknown sections, sections out of order, parameters that the function does not have.
numpydoc_validation_checks = {"GL06", "GL07", "PR02"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r".*\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

# Norms are written |x| in the docstrings, and shapes (k, *image_shape), as a reader of help() wants them; to
# reStructuredText these are a substitution and an emphasis. Literals and doctests stay as they are.
_LITERAL = re.compile(r"(``.*?``)")
_MARKUP = re.compile(r"(?<!\\)\||(?<![\w*])\*{1,2}(?=(?:\w+|,)(?:[^*\w]|$))")


def _escape_mathematics(app, what, name, obj, options, lines):
    doctest = False
    for i, line in enumerate(lines):
        doctest = bool(line.strip()) and (doctest or line.lstrip().startswith(">>>"))
        if not doctest:
            parts = _LITERAL.split(line)
            lines[i] = "".join(p if p.startswith("``") else _MARKUP.sub(r"\\\g<0>", p) for p in parts)


def setup(app):
    # Before numpydoc, whose own markup has emphasis in it.
    app.connect("autodoc-process-docstring", _escape_mathematics, priority=400)
