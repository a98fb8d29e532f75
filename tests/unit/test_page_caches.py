"""What pages keep in memory has an end: by the number of entries, and where it is data, by its bytes."""

import ast

from tests.support.paths import ROOT


def test_every_cache_has_a_largest_number_of_entries_and_of_bytes():
    found, n = [], 0
    for path in sorted((ROOT / "pages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
                if name not in ("st.cache_data", "st.cache_resource"):
                    continue
                n += 1
                given = {word.arg for word in decorator.keywords} if isinstance(decorator, ast.Call) else set()
                wanted = {"max_entries", "max_size"} if name == "st.cache_data" else {"max_entries"}  # a resource is never pickled
                if not wanted <= given:
                    found.append(f"{path.name}:{node.lineno} {node.name} lacks {', '.join(sorted(wanted - given))}")
    assert not found, "\n".join(found)
    assert n > 8
