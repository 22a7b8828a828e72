"""What ./test runs: unit tests under sanitizers, the tools' own tests, TypeScript, scenarios and browser tests."""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys

from source_files import ROOT
from steps import Outcome, outcome_of, program, run, run_steps, show

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
JOBS = str(os.cpu_count() or 1)
BUILD_SECONDS, TEST_SECONDS, SCENARIO_SECONDS = 1800, 600, 1500
SHOWCASE = "build/release/bin/carillon-showcase"

# Programs without a second thread: ThreadSanitizer has nothing to see in them.
SINGLE_THREADED = {"test_wire", "test_showcase_csv"}

SANITIZER_SETTINGS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


def house_rules():
    """Layers, lengths, the coroutine rule, links of the documents."""
    checks = ("check_layers", "tidy", "doc_check")
    return sum((program([PYTHON, f"tools/{name}.py"], 120, name) for name in checks), Outcome())


def own_tests(folder):
    """The unit tests of our own scripts in a folder."""
    return program([PYTHON, "-m", "unittest", "discover", "-s", folder, "-p", "*_test.py"], 120,
                   f"unittest-{folder.replace('/', '-')}")


def tools():
    return sum((own_tests(folder) for folder in ("tools", "tests/scenarios", "tests/interop")), Outcome())


def configured(preset):
    """Configures a preset; returns (unit-test programs by target name, outcome of configuring)."""
    code, output = run(["cmake", "--preset", preset], 300, f"configure-{preset}")
    if code:
        show(f"configure-{preset}", output)
        return {}, Outcome(failed=1, note="cmake failed")
    listed = subprocess.run(["ctest", "--preset", preset, "--show-only=json-v1"], cwd=ROOT, check=True,
                            capture_output=True, text=True, timeout=60)
    # Before the first build ctest knows the names alone; a program lies where CMake puts all of them.
    names = [test["name"] for test in json.loads(listed.stdout)["tests"] if test["name"].startswith("test_")]
    return {name: ROOT / "build" / preset / "bin" / name for name in names}, Outcome()


def build(preset, targets):
    command = ["cmake", "--build", "--preset", preset, "--parallel", JOBS, "--target", *targets]
    return program(command, BUILD_SECONDS, f"build-{preset}", visible=True)


def unit_tests(preset, left_out=frozenset()):
    """Builds and runs the unit tests of a preset, two programs at a time."""
    programs, outcome = configured(preset)
    programs = {name: path for name, path in programs.items() if name not in left_out}
    if outcome.failed or not programs:
        return outcome if outcome.failed else Outcome(failed=1, note="no unit tests were found")
    built = build(preset, programs)
    if built.failed:
        return Outcome(failed=1, note="the build failed")
    prefix = fixed_addresses() if preset == "tsan" else []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ran = pool.map(lambda item: unit_test(preset, *item, prefix), programs.items())
        return sum(ran, Outcome())


def csv_check():
    """The CSV report against Python's own computation, on the files of a data-set package too."""
    built = build("release", ["csv-report"])
    if built.failed:
        return Outcome(failed=1, note="the build failed")
    return program([PYTHON, "tests/scenarios/csv_check.py", "--tool", "build/release/bin/csv-report"], 300, "csv-check")


def unit_test(preset, name, path, prefix):
    code, output = run([*prefix, path], TEST_SECONDS, f"{preset}-{name}", environment=SANITIZER_SETTINGS)
    outcome = outcome_of(code, output)
    if outcome.failed:
        show(f"{preset}-{name}", output)
    return outcome


def fixed_addresses():
    """g++ 12's ThreadSanitizer cannot place its shadow where the kernel randomizes 32 bits of addresses."""
    works = subprocess.run(["setarch", "--addr-no-randomize", "true"], capture_output=True, check=False)
    return ["setarch", "--addr-no-randomize"] if works.returncode == 0 else []


def typescript():
    """The TypeScript package: types and tests, after the packages that its lock file names."""
    folder = ROOT / "js"
    installed, lock = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        fetched = program(["npm", "ci", "--no-audit", "--no-fund"], 600, "npm-ci", folder=folder)
        if fetched.failed:
            return Outcome(failed=1, note="npm ci failed")
    return program(["npm", "test"], TEST_SECONDS, "npm-test", folder=folder)


def release():
    """What scenarios and browser tests start: the program that ./run starts, and an example."""
    code, output = run(["cmake", "--preset", "release"], 300, "configure-release")
    if code:
        show("configure-release", output)
        return Outcome(failed=1, note="cmake failed")
    return build("release", ["carillon-showcase", "example_word_count", "carillon-interop"])


def with_binary(command, name):
    """Runs a script that starts the real program; without the program it fails at once."""
    if not (ROOT / SHOWCASE).exists():
        return Outcome(failed=1, note=f"{SHOWCASE} was not built")
    return program([*command, "--binary", SHOWCASE], SCENARIO_SECONDS, name)


def scenarios():
    return with_binary([PYTHON, "tests/scenarios/run.py"], "scenarios") + csv_check()


def interop():
    """A real Django site, real Celery workers, and Carillon on the same Redis and RabbitMQ."""
    return with_binary([PYTHON, "tests/scenarios/run.py", "--folder", "tests/interop", "--pattern", "*_interop.py"],
                       "interop")


def real_parts():
    """Scenarios and interop at once: both wait more than they compute."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda step: step(), (scenarios, interop)), Outcome())


def browser():
    return with_binary(["node", "tests/browser/run.mjs"], "browser")


STEPS = {
    "rules": ("house rules", house_rules),
    "tools": ("tests of the tools", tools),
    "dev": ("unit tests, dev build", lambda: unit_tests("dev")),
    "asan": ("unit tests, ASan and UBSan", lambda: unit_tests("asan")),
    "tsan": ("unit tests, TSan", lambda: unit_tests("tsan", SINGLE_THREADED)),
    "js": ("TypeScript", typescript),
    "release": ("release build", release),
    "scenarios": ("scenarios", scenarios),
    "interop": ("Django, Celery and Carillon together", interop),
    "real": ("scenarios and interop at once", real_parts),
    "browser": ("browser", browser),
}
EVERYTHING = [name for name in STEPS if name not in ("dev", "scenarios", "interop")]
QUICK = ["rules", "tools", "dev", "js"]


def main():
    parser = argparse.ArgumentParser(prog="./test", description=__doc__, epilog="Without options: everything once.")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}: no sanitizers, no real server")
    for name, (title, _) in STEPS.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"only this step: {title}")
    options = vars(parser.parse_args())
    chosen = [name for name in STEPS if options[name] or options["quick"] and name in QUICK] or EVERYTHING
    return run_steps([STEPS[name] for name in chosen])


if __name__ == "__main__":
    sys.exit(main())
