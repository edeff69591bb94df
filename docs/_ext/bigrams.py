"""Search in pages that are English, Chinese, or both.

Chinese has no spaces between its words. Cutting it into words takes a dictionary, which the browser would
need, too, and the two would have to agree. Pairs of neighbouring characters need none: a page is indexed by
all its pairs, a query is cut into the same pairs, and a page that has all of them has, nearly always, the
words. Single characters are indexed as well, for who looks for one. English is stemmed as Sphinx does it.

One index serves both languages, since both are built into both outputs (see conf.py).
"""

import re

from sphinx.search.en import SearchEnglish

HAN = "\u3400-\u9fff"
RUNS = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")


def pieces(text: str, *, singles: bool) -> list[str]:
    """The terms of a text: words as they are, Chinese in pairs of characters (and singly)."""
    found: list[str] = []
    for run in RUNS.findall(text):
        if not re.match(f"[{HAN}]", run):
            found.append(run)
            continue
        found += [run[start : start + 2] for start in range(len(run) - 1)]
        if singles or len(run) == 1:
            found += run
    return found


class SearchBigrams(SearchEnglish):
    """The same `pieces` in the index (Python) and in the query (JavaScript)."""

    # RUNS and pieces() once more. `(?![HAN])` in front of each character is what `[^\W HAN]` says there.
    js_splitter_code = r"""
var splitQuery = (query) => {
  const found = [];
  const runs = query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{Letter}\p{Number}_])+/gu) || [];
  for (const run of runs) {
    if (!/^[\u3400-\u9fff]/.test(run) || run.length === 1) found.push(run);
    else for (let start = 0; start < run.length - 1; start++) found.push(run.slice(start, start + 2));
  }
  return found;
};
"""

    def split(self, input: str) -> list[str]:
        return pieces(input, singles=True)

    def stem(self, word: str) -> str:
        # A pair of Chinese characters has no endings; Sphinx's own test of length is meant for letters.
        return word if re.match(f"[{HAN}]", word) else super().stem(word)

    def word_filter(self, word: str) -> bool:
        return bool(re.match(f"[{HAN}]", word)) or super().word_filter(word)


class SearchBigramsChinese(SearchBigrams):
    lang = "zh"
    language_name = "Chinese"
