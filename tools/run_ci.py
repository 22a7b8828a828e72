"""What .ci/run runs after installing packages: style, a clean timed build, and ./test."""

import shutil
import sys

from run_tests import JOBS, PYTHON
from source_files import ROOT
from steps import Outcome, outcome_of, program, run_shown, run_steps

CLEAN = "build/clean"
TIDY_SECONDS, TEST_SECONDS = 600, 3300


def script(name, *options, seconds=120):
    return program([PYTHON, f"tools/{name}.py", *options], seconds, f"ci-{name}")


def formatting():
    return script("style")


def clean_build():
    """Everything of the dev preset from nothing, without the compiler cache; each public header compiles alone."""
    shutil.rmtree(ROOT / CLEAN, ignore_errors=True)
    configured = program(["cmake", "--preset", "dev", "-B", CLEAN], 300, "ci-configure")
    if configured.failed:
        return configured
    command = ["cmake", "--build", CLEAN, "--parallel", JOBS]
    return program(command, 1800, "ci-build", environment={"CCACHE_DISABLE": "1"})


def budget():
    outcome = script("build_budget", "--build", CLEAN)
    print((ROOT / "build/logs/ci-build_budget.log").read_text(encoding="utf-8"), end="", flush=True)
    return outcome


def clang_tidy():
    """All files, as far as ten minutes reach; the tool says how many it did not reach."""
    options = ("--all", "--build", CLEAN, "--seconds", str(TIDY_SECONDS))
    outcome = script("clang_tidy", *options, seconds=TIDY_SECONDS + 200)
    lines = (ROOT / "build/logs/ci-clang_tidy.log").read_text(encoding="utf-8").splitlines()
    return outcome + Outcome(note="; ".join(line for line in lines if line.startswith("clang_tidy:")))


def tests():
    """./test, its output shown as it is."""
    return outcome_of(*run_shown(["./test"], TEST_SECONDS, "ci-test"))


STEPS = [("formatting", formatting), ("clean build", clean_build), ("build budget", budget),
         ("clang-tidy", clang_tidy), ("./test", tests)]

if __name__ == "__main__":
    sys.exit(run_steps(STEPS))
