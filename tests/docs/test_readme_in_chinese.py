"""README.zh-CN.md has the commands of README.md, and leads to the same pages."""

import re

from projects import ROOT

ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


def commands(page: str) -> list[str]:
    """The lines of its code blocks, without their comments, which are translated."""
    code = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    return [re.sub(r" +# .*$", "", line) for line in code]


def test_the_commands_are_the_same_in_the_same_order() -> None:
    ours, theirs = commands(CHINESE), commands(ENGLISH)
    missing, surplus = ([line for line in one if line not in other]
                        for one, other in ((theirs, ours), (ours, theirs)))
    assert not missing, "README.zh-CN.md lacks these lines of README.md:\n    " + "\n    ".join(missing)
    assert not surplus, "README.zh-CN.md has lines that README.md has not:\n    " + "\n    ".join(surplus)
    assert ours == theirs, "README.zh-CN.md has the lines of README.md in another order"


def test_it_names_the_same_methods_and_links_the_same_pages() -> None:
    for pattern in (r"^\| (`[^|]+`) \|", r"\]\((docs/[^)]+|reports/[^)]+)\)"):
        ours, theirs = (sorted(set(re.findall(pattern, page, re.MULTILINE))) for page in (CHINESE, ENGLISH))
        assert ours == theirs != []
    assert not [name for name in re.findall(r"\]\(([^)#:]+)\)", CHINESE) if not (ROOT / name).exists()]


def test_each_page_names_the_other_at_its_top() -> None:
    assert "(README.zh-CN.md)" in ENGLISH.splitlines()[2] and "(README.md)" in CHINESE.splitlines()[2]
