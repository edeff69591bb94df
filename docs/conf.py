"""Sphinx settings, for both languages.

    sphinx-build -n -W docs out/en
    sphinx-build -n -W -D language=zh_CN docs out/zh

Both runs build the same pages under the same addresses, so that every link between the languages is checked
and works in either output. The second only starts from zh/index and speaks Chinese around the pages, as far
as the theme can. To publish one site, copy out/zh/zh over out/en/zh.
"""

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.search import languages

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # autodoc imports this tree's loopkit, installed or not
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import bigrams  # noqa: E402  (it is found by the line above)

project = "loopkit"
author = "The loopkit maintainers"
copyright = "2026, The loopkit maintainers"
language = "en"
root_doc = "index"
locale_dirs = ["locales"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
default_role = "code"  # docstrings have single backticks, which would be italics

nitpicky = True
# No inventories are fetched, so that the build needs no network: only loopkit's own names can be resolved.
nitpick_ignore_regex = [("py:.*", r"(?!loopkit).*")]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = "loopkit"
html_static_path = ["_static"]
html_css_files = ["loopkit.css"]
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "native"


def start_from_the_chosen_language(app: Any, config: Any) -> None:
    """`-D language=` comes after this file was read: only now is it known."""
    if str(config.language).startswith("zh"):
        config.root_doc = "zh/index"


def list_what_has_no_twin(app: Any, docname: str, source: list[str]) -> None:
    """The Chinese sidebar has each page once: in Chinese, or else in English. `/howto/*` means the latter."""
    if docname != "zh/index":
        return
    for folder in ("howto", "reference", "explanation"):
        pages = sorted(page.stem for page in (ROOT / "docs" / folder).glob("*.md"))
        english = [page for page in pages if not (ROOT / "docs" / "zh" / folder / f"{page}.md").exists()]
        listed = [page for page in english if f"\n/{folder}/{page}\n" not in source[0]]
        source[0] = source[0].replace(
            f"\n/{folder}/*\n", "".join(f"\n/{folder}/{page}" for page in listed) + "\n"
        )


def other_language(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """The link at the top of each page: to its twin, or to the front page where it has none."""
    chinese = pagename.startswith("zh/")
    twin = pagename.removeprefix("zh/") if chinese else f"zh/{pagename}"
    if twin not in app.env.found_docs:
        twin = "index" if chinese else "zh/index"
    context["other_language_url"] = context["pathto"](twin)
    context["other_language_code"] = "en" if chinese else "zh-CN"
    context["other_language_name"] = "English" if chinese else "中文"


def frame_diagrams(app: Any, doctree: Any) -> None:
    """A picture that stands alone gets a box in which a narrow screen can scroll it (loopkit.css)."""
    for paragraph in doctree.findall(nodes.paragraph):
        if len(paragraph) == 1 and isinstance(paragraph[0], nodes.image):
            paragraph["classes"].append("diagram")


def drop_the_written_switch(app: Any, doctree: Any, docname: str) -> None:
    """The link to the twin below a page's title is for who reads the files; here it is at the top already."""
    for paragraph in list(doctree.findall(nodes.paragraph))[:2]:
        if paragraph.astext() in ("English", "中文"):
            paragraph.parent.remove(paragraph)


def shorten_paths(app: Any, doctree: Any) -> None:
    """A diff is headed by two absolute paths, which are this machine's business."""
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") == "udiff":
            # Both, or the highlighter takes it for text that was put together from parts, and leaves it grey.
            block.rawsource = block.rawsource.replace(f"{ROOT}/examples/", "")
            block[:] = [nodes.Text(block.rawsource)]


def setup(app: Any) -> None:
    app.connect("config-inited", start_from_the_chosen_language)
    app.connect("source-read", list_what_has_no_twin)
    app.connect("doctree-read", shorten_paths)
    app.connect("doctree-read", frame_diagrams)
    app.connect("doctree-resolved", drop_the_written_switch)
    app.connect("html-page-context", other_language)
    # Under both names, since both languages' pages are in both outputs.
    languages["en"] = bigrams.SearchBigrams
    languages["zh"] = bigrams.SearchBigramsChinese
