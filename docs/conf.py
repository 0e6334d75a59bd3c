"""How the documentation is built, by `make docs`, from pages that read on a code host, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Lagkeeper"
author = "the Lagkeeper authors"
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "written_by_programs", "plain_docstrings"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
nitpicky = True
# Types of the standard library and of generated code have no page here.
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["config.cache"]

myst_heading_anchors = 4
myst_enable_extensions = ["deflist", "fieldlist"]
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 78
add_module_names = False
toc_object_entries_show_parents = "hide"
default_role = "code"

html_theme = "furo"
html_title = "Lagkeeper"
html_static_path = ["_static"]
html_css_files = ["lagkeeper.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7ab8ff", "color-brand-content": "#7ab8ff"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# `make check-links`, on a machine with a way out.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_workers = 4
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1).*"]
