"""Run `emonet_cases.py` and write docs/transformers_tests.md.

Usage: python tests/transformers_suite/report.py
"""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).parents[2] / "docs" / "transformers_tests.md"


def run_cases() -> list[tuple[str, str, str, str]]:
    """Run the cases: class, test, `passed`, `failed` or `skipped`, and the reason."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
        options = ["-o", "addopts=--import-mode=importlib", f"--junitxml={report}"]
        file = Path(__file__).with_name("emonet_cases.py")
        subprocess.run([*command, *options, str(file)], cwd=PAGE.parents[1], check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    results: dict[tuple[str, str], tuple[str, str]] = {}
    for case in cases:
        name = (case.attrib["classname"].rpartition(".")[2], case.attrib["name"].partition(" ")[0])
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if failure is not None:
            results[name] = ("failed", failure.attrib.get("message", ""))
        elif results.get(name, ("", ""))[0] != "failed":
            reason = "" if skipped is None else skipped.attrib.get("message", "")
            results[name] = ("passed" if skipped is None else "skipped", reason)
    return [(*name, *result) for name, result in sorted(results.items())]


def page_of(results: list[tuple[str, str, str, str]]) -> str:
    """The page: a table of the classes, and every reason for which tests are skipped."""
    import transformers

    counts = Counter((case, outcome) for case, _, outcome, _ in results)
    lines = [
        "# The tests of transformers",
        "",
        f"`ModelTesterMixin` and `ConfigTester` of transformers {transformers.__version__} over tiny "
        "EmoNets, by `python tests/transformers_suite/report.py`.",
        "",
        "| Class | Passed | Failed | Skipped |",
        "|---|---:|---:|---:|",
    ]
    for case in sorted({case for case, *_ in results}):
        numbers = [str(counts[case, outcome]) for outcome in ("passed", "failed", "skipped")]
        lines.append(f"| {case} | {' | '.join(numbers)} |")
    lines += ["", "## Why tests are skipped", "", "| Reason | Tests |", "|---|---|"]
    reasons: dict[str, set[str]] = {}
    for _, test, outcome, reason in results:
        if outcome == "skipped":
            reasons.setdefault(reason.replace("|", "/"), set()).add(test)
    lines += [f"| {reason} | {', '.join(sorted(tests))} |" for reason, tests in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page_of(run_cases()), "utf-8")
