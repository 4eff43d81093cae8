"""CPU time of the quick commands and of the shell's completion, each a fresh process.

    python benchmarks/throughput/startup.py [--repeats 7]

User and system seconds of the child, as the operating system counts them: best and median.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

# The console script: the shell completes by its name.
PROGRAM = Path(sys.executable).with_name("vaebench")

COMMANDS = {
    "--help": ("--help",),
    "list": ("list",),
    "table igp-table12": ("table", "igp-table12"),
    "table igp-table9": ("table", "igp-table9", "--show", "published"),
    "status": ("status",),
}
COMPLETIONS = ("vaebench r", "vaebench run igp-", "vaebench table igp-table12 --sc")


def cpu_seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [PROGRAM, *arguments],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def completion(words: str) -> dict[str, str]:
    """The environment in which a shell asks for completions of the last word."""
    position = str(len(words.split()) - 1)
    return {"_VAEBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    cases: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        name: (arguments, {}) for name, arguments in COMMANDS.items()
    }
    cases |= {f"completion of `{words}`": ((), completion(words)) for words in COMPLETIONS}
    for name, (arguments, environment) in cases.items():
        seconds = [cpu_seconds(arguments, environment) for _ in range(repeats)]
        print(f"{min(seconds):.3f} s best, {statistics.median(seconds):.3f} s median  {name}")


if __name__ == "__main__":
    main()
