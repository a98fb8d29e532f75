"""What `make setup` does when the lock and the index differ: stop where a file was changed, fall back where another platform is meant."""

import importlib.util

import pytest

from tests.support.paths import ROOT

SPEC = importlib.util.spec_from_file_location("locked_install", ROOT / ".ci" / "install.py")
installing = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(installing)

HEAD = "WARNING: Location 'file:///simple/x/' is ignored\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated\n"


def differ(*packages: str) -> str:
    return HEAD + "".join(
        f"    {package} from https://index.example/{package}.whl#sha256=07 (from -r requirements.lock (line 4)):\n"
        f"        Expected sha256 00\n        Expected     or 01\n             Got        07\n\n"
        for package in packages
    )


CHANGED, OTHER_TORCH = differ("attrs==26.1.0"), differ("torch==2.13.0")
NO_WHEEL = "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\nERROR: No matching distribution found for x==1\n"
NOT_LISTED = (
    "ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:\n    y>=1 from https://a\n"
)
NO_NETWORK = "WARNING: Retrying\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
LOCK, CUDA, PLAIN = installing.LOCK, installing.CUDA_LOCK, installing.PLAIN


def run(answers: dict[str, tuple[int, str]], unlocked: bool = False) -> tuple[int, list[str], list[str]]:
    """(exit code, the files that were tried, what was said)."""
    tried: list[str] = []
    said: list[str] = []

    def pip(arguments: list[str]) -> tuple[int, str]:
        assert ("--require-hashes" in arguments) == (arguments[-1] != PLAIN)
        tried.append(arguments[-1])
        return answers[arguments[-1]]

    return installing.install(pip, said.append, unlocked), tried, said


@pytest.mark.parametrize(
    ("answers", "code", "tried", "told"),
    [
        ({LOCK: (0, "")}, 0, [LOCK], None),
        ({LOCK: (1, CHANGED)}, 1, [LOCK], "error: attrs==26.1.0 is not the file that the lock lists"),
        ({LOCK: (1, differ("torch==2.13.0", "attrs==26.1.0"))}, 1, [LOCK], "error: torch==2.13.0, attrs==26.1.0 is not"),
        ({LOCK: (1, HEAD)}, 1, [LOCK], "error: a package is not"),  # pip words it otherwise one day
        ({LOCK: (1, CHANGED + NO_WHEEL)}, 1, [LOCK], "error: attrs==26.1.0"),
        ({LOCK: (1, OTHER_TORCH), CUDA: (0, "")}, 0, [LOCK, CUDA], "torch==2.13.0 is not the build without CUDA"),
        ({LOCK: (1, OTHER_TORCH), CUDA: (1, OTHER_TORCH)}, 1, [LOCK, CUDA], "error: torch==2.13.0 is not the file"),
        ({LOCK: (1, OTHER_TORCH), CUDA: (1, CHANGED)}, 1, [LOCK, CUDA], "error: attrs==26.1.0"),
        ({LOCK: (1, OTHER_TORCH), CUDA: (1, NO_WHEEL), PLAIN: (0, "")}, 0, [LOCK, CUDA, PLAIN], "does not fit here"),
        ({LOCK: (1, NO_WHEEL), PLAIN: (0, "")}, 0, [LOCK, PLAIN], "does not fit here"),
        ({LOCK: (1, NOT_LISTED), PLAIN: (0, "")}, 0, [LOCK, PLAIN], "does not fit here"),
        ({LOCK: (1, NO_WHEEL), PLAIN: (2, "ERROR: no")}, 2, [LOCK, PLAIN], "does not fit here"),
        ({LOCK: (1, NO_NETWORK)}, 1, [LOCK], "error: requirements.lock could not be installed: ERROR: Could not install packages"),
        ({LOCK: (2, "")}, 1, [LOCK], "pip ended with 2"),
    ],
)
def test_what_is_installed(answers, code, tried, told):
    assert run(answers)[:2] == (code, tried)
    said = run(answers)[2]
    assert not [line for line in said if "\n" in line]
    if code == 1:
        assert PLAIN not in tried  # nothing is installed without hashes
    if told:
        assert any(told in line for line in said)
    else:
        assert said == []


def test_a_file_that_differs_says_what_to_do_and_that_nothing_was_installed():
    (line,) = run({LOCK: (1, CHANGED)})[2]
    assert "nothing was installed" in line
    assert "make setup UNLOCKED=1" in line


def test_unlocked_takes_the_plain_requirements_and_says_so():
    code, tried, said = run({PLAIN: (0, "")}, unlocked=True)
    assert (code, tried) == (0, [PLAIN])
    assert "without hashes" in said[0]


def test_both_locks_pin_what_the_requirements_ask_for():
    wanted = {line.strip().lower() for line in (ROOT / PLAIN).read_text().splitlines() if line and not line.startswith("#")}
    for lock in (LOCK, CUDA):
        text = (ROOT / lock).read_text()
        pinned = {line.partition(" ")[0] for line in text.splitlines() if line and line[0] not in "# "}
        assert wanted <= pinned, lock
        assert text.count("==") <= text.count("--hash=sha256:")
