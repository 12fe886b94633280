"""Sphinx configuration of the documentation site (make site).

The source folder is the whole repository, so that relative links work on the site and in the repository.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

import firstday

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for notebooks that run firstday

ROOT = Path(__file__).parents[1]

project = "firstday"
author = "The firstday developers"
version = release = firstday.__version__
language = "en"

root_doc = "docs/index"
include_patterns = ["docs/**", "*.md"]
exclude_patterns = ["README.md", *(path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "docs")]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
napoleon_google_docstring = False

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True

highlight_language = "none"

html_theme = "furo"
html_title = "firstday"
html_copy_source = False
html_show_copyright = False
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "start.html"}
templates_path = ["site"]

MAX_SHORT_CELL = 32
"""Maximum characters of a table cell that static/site.css keeps on one line."""


def setup(app: Sphinx) -> None:
    """Skip the MovieLens notebook if the data cannot be fetched, and classify table cells by length."""

    def skip_without_data(_app: Sphinx, config: Config) -> None:
        if config.nb_execution_mode != "off":
            try:
                firstday.load("movielens-100k")
            except firstday.DataError:
                config.nb_execution_excludepatterns = ["movielens.ipynb"]

    def classify_cells(_app: Sphinx, page: nodes.document) -> None:
        for cell in page.findall(nodes.entry):
            cell["classes"].append("short" if len(cell.astext()) <= MAX_SHORT_CELL else "prose")

    app.connect("config-inited", skip_without_data)
    app.connect("doctree-read", classify_cells)
