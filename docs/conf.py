"""How Sphinx builds the pages: `make docs`, then build/docs/docs/index.html.

The source is the whole repository, so that pages may point at tables and code where they are, and
a link that leads nowhere is an error.
"""

project = "pseudoword"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "benchmarks/results/*.md", "storybook/**/README.md"]
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3  # a link to a heading that is gone is an error, too
nitpicky = True
html_theme = "furo"
html_title = "pseudoword"
