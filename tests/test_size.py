"""Sizes are those of a small repository counted by hand, and one above its ceiling is named."""

from pathlib import Path

import check_size


def test_sizes_are_counted_and_compared(tmp_path: Path) -> None:
    files = {
        "src/firstday/a.py": '"""Not counted."""\n\nx = 1\n',  # Module, Assign, Name, Store, Constant
        "src/firstday/lab/b.py": "x\n",  # Module, Expr, Name, Load
        "src/firstday/page/c.js": "1;\n2;\n",
        "src/firstday/templates/d.html": "<p>\n",
        "tests/t.py": "x\n",
        "benchmarks/lab/m.py": "",
        "docs/p.md": "one two\n",
        "README.md": "three",
        "CONTRIBUTING.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    sizes = check_size.measure(tmp_path)
    assert sizes == {
        "src": 9, "core": 5, "tests": 4, "benchmarks": 1, "words": 3,
        "nodes_per_statement": 4.5, "javascript_lines": 2, "template_lines": 1,
    }  # fmt: skip
    assert check_size.find_exceeded(sizes, {"src": 9, "core": 5}) == []
    assert [line.split(":")[0] for line in check_size.find_exceeded(sizes, {"src": 9, "core": 4})] == ["core"]
