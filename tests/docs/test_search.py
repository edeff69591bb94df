"""Does the search of the built pages find what a reader types, in both languages?

Run by `tox -e docs` once the pages are built: LOOPKIT_SITE names the folder with the outputs `en` and `zh`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if "LOOPKIT_SITE" not in os.environ:
    pytest.skip("needs the built pages: tox -e docs", allow_module_level=True)

SITE = Path(os.environ["LOOPKIT_SITE"])
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))
import bigrams  # noqa: E402

WANTED = {
    "事件循环": "zh/tutorial/06-callbacks",
    "轮询": "zh/tutorial/02-polling",
    "水平触发": "zh/tutorial/05-epoll",
    "背压": "zh/tutorial/03-select",
    "端口": "zh/tutorial/01-blocking",
    "协程": "zh/tutorial/08-coroutines",
    "描述符": "zh/tutorial/03-select",
    "空闲连接": "zh/reference/glossary",
    "速查": "zh/reference/cheat-sheet",
    "level-triggered": "explanation/level-edge-oneshot",
}


@pytest.fixture(params=["en", "zh"], scope="module")
def index(request: pytest.FixtureRequest) -> dict[str, Any]:
    text = (SITE / request.param / "searchindex.js").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", text, re.DOTALL)[1])  # type: ignore[index]
    return loaded


@pytest.mark.parametrize("query", WANTED)
def test_a_page_about_it_is_found(index: dict[str, Any], query: str) -> None:
    english = bigrams.SearchBigrams({})
    found = set(index["docnames"])
    for term in bigrams.pieces(query, singles=False):
        term = english.stem(term.lower())
        pages: set[str] = set()
        for terms in (index["terms"], index["titleterms"]):
            where = terms.get(term, [])
            pages |= {index["docnames"][number] for number in ([where] if isinstance(where, int) else where)}
        found &= pages
    assert WANTED[query] in found


@pytest.mark.skipif(not shutil.which("node"), reason="asks a JavaScript engine")
@pytest.mark.parametrize(
    "query", [*WANTED, "核", "用 epoll 等待", "fd_set 与 1024 位", "call_soon、call_later", ""]
)
def test_the_browser_cuts_a_query_as_the_index_was_cut(query: str) -> None:
    script = (
        f"{bigrams.SearchBigrams.js_splitter_code}; console.log(JSON.stringify(splitQuery(process.argv[1])))"
    )
    done = subprocess.run(["node", "-e", script, query], capture_output=True, encoding="utf-8", check=True)
    assert json.loads(done.stdout) == bigrams.pieces(query, singles=False)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_has_a_sidebar_its_contents_and_the_other_language(language: str) -> None:
    pages = [page for page in (SITE / language).rglob("*.html") if "_static" not in page.parts]
    assert len(pages) > 50
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert 'class="sidebar-tree"' in text, page
        switch = re.search(r'class="language-switch">\s*<a href="([^"#]+)', text)
        assert switch, page
        assert (page.parent / switch[1]).is_file(), page
        # Two headings or more, besides the title: they are listed at the side.
        if text.count("<h2>") > 1 and page.name not in ("genindex.html", "py-modindex.html", "search.html"):
            assert 'class="toc-tree"' in text, page


def test_what_stands_around_a_chinese_page_is_chinese() -> None:
    text = (SITE / "zh" / "zh" / "tutorial" / "03-select.html").read_text(encoding="utf-8")
    assert [word for word in ("上一页", "下一页", "本页内容", "搜索") if word not in text] == []
    assert re.findall(r">\s*(Previous|Next|Home|On this page|Back to top|Search)\s*<", text) == []


def test_the_chinese_sidebar_has_each_page_once_in_chinese_or_else_in_english() -> None:
    text = (SITE / "zh" / "zh" / "index.html").read_text(encoding="utf-8")
    tree = text[text.index('class="sidebar-tree"') : text.index("</aside>")]
    listed = {link.removesuffix(".html") for link in re.findall(r'href="([^"#]+\.html)"', tree)}
    docs = Path(__file__).parents[2] / "docs"
    for folder in ("howto", "reference", "explanation"):
        for page in (docs / folder).glob("*.md"):
            chinese = (docs / "zh" / folder / page.name).is_file()
            assert (f"{folder}/{page.stem}" in listed) == chinese
            assert (f"../{folder}/{page.stem}" in listed) != chinese
