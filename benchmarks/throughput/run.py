"""Training steps against the papers' way of the same computation, interleaved in one process.

    python benchmarks/throughput/run.py [CASE ...] [--threads 1] [--repeats 9] [--json FILE]
    python benchmarks/throughput/run.py --list

Targets are printed, not tested: the exit status is 0 however slow a machine is.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ar_elbo
import dispatch
import du_vae
import igp
import igp_text
import mae
import mae_cifar
import peak
import pythae_case
import seeds
import text
from cases import Case, Skipped
from timing import Side, Turn, cpu_ratios, interleave, ratios, spread
from vaebench.execution.slots import cores
from vaebench.store import provenance
from vaebench.training.numerics import Numerics, resolve

MODULES = (igp, ar_elbo, du_vae, text, igp_text, mae, mae_cifar, pythae_case)
CASES = {case.name: case for module in MODULES for case in module.CASES}
SEEDS = "seeds-as-processes"
DISPATCH = "dispatch"
DISPATCH_RUNS, DISPATCH_MS = 1000, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all without one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9, help="timed rounds of a case at most")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all turns here too")
    parser.add_argument("--list", action="store_true", help="show the cases' names")
    options = parser.parse_args()
    if options.threads < 1 or options.repeats < 1:
        parser.error("--threads and --repeats are numbers from 1")
    known = [*CASES, SEEDS, DISPATCH]
    if options.list:
        print("\n".join(known))
        return
    for name in options.cases:
        if name not in known:
            parser.error(f"no case {name!r}; there are {', '.join(known)}")

    chosen = resolve("cpu", options.threads)
    report: dict[str, Any] = {
        "code": provenance.code(),
        "machine": provenance.machine(),
        "numerics": chosen.as_dict(),
        "load": os.getloadavg(),
    }
    print(f"{report['machine']['cpu']}, torch {report['machine']['torch']}, ", end="")
    print(f"{options.threads} threads, load {report['load'][0]:.1f}")
    reached = peak.measure(chosen)
    report["peak"] = asdict(reached) | {"float32": reached.float32}
    show_peak(reached)
    report["cases"] = {}
    for name in options.cases or known:
        try:
            if name == SEEDS:
                report["cases"][name] = run_seeds(options.threads, options.repeats)
            elif name == DISPATCH:
                report["cases"][name] = run_dispatch()
            else:
                report["cases"][name] = run(CASES[name], chosen, options.repeats, reached)
        except Skipped as reason:
            print(f"\n{name}: skipped: {reason}")
            report["cases"][name] = {"skipped": str(reason)}
        if options.json:  # after every case, so that an interrupted run leaves what it has
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def show_peak(found: peak.Peak) -> None:
    print("\nGFLOP/s of matrix products    float32    oneDNN  bfloat16")
    for rates in found.rates:
        shape = " x ".join(map(str, rates.shape))
        print(f"{shape:26s} {rates.default:10.0f}{rates.onednn:10.0f}{rates.bfloat16:10.0f}")
    gain = "faster here" if found.gains else "no gain here, so the targets are not demanded"
    print(f"the start-up probe chose the route {found.chosen}: {gain}")


def run(case: Case, chosen: Numerics, rounds: int, found: peak.Peak) -> dict[str, Any]:
    pair = case.build(chosen, case.steps)
    rounds = min(rounds, case.rounds or rounds)
    turns = interleave([pair.baseline, pair.ours], rounds)
    baseline, ours = turns[pair.baseline.name], turns[pair.ours.name]
    clock, cpu = spread(ratios(baseline, ours)), spread(cpu_ratios(baseline, ours))
    print(f"\n{case.name}: {rounds} rounds of {case.steps} steps")
    sides = {
        side.name: side_report(side, turns[side.name], case.steps, found.float32)
        for side in (pair.baseline, pair.ours)
    }
    print(f"  ratio {clock.median:.2f} ({clock.low:.2f} to {clock.high:.2f}), ", end="")
    print(f"by CPU time {cpu.median:.2f} ({cpu.low:.2f} to {cpu.high:.2f})")
    if pair.difference is not None:
        print(f"  losses at equal weights and noise differ by {pair.difference:.1e}")
    verdict = None
    if case.target is not None:
        verdict = "reached" if clock.median >= case.target else "not reached"
        verdict = verdict if found.gains else f"not demanded ({verdict})"
        print(f"  at least {case.target}x: {verdict}")
    if case.share is not None:
        reached = sides[pair.ours.name]["share_of_peak"] >= case.share
        print(
            f"  at least {100 * case.share:.0f} % of the peak: {'' if reached else 'not '}reached"
        )
    return {
        "steps": case.steps,
        "target": case.target,
        "share": case.share,
        "verdict": verdict,
        "ratio": asdict(clock),
        "cpu_ratio": asdict(cpu),
        "loss_difference": pair.difference,
        "sides": sides,
    }


def side_report(side: Side, turns: list[Turn], steps: int, highest: float) -> dict[str, Any]:
    """Print and return a side's seconds a step and its share of the float32 peak."""
    seconds = spread([turn.seconds / steps for turn in turns])
    gflops = side.flop / seconds.median / 1e9
    faults = spread([turn.faults / steps for turn in turns]).median
    print(f"  {side.name:12s}{1e3 * seconds.median:9.2f} ms a step{gflops:8.0f} GFLOP/s", end="")
    print(f"{100 * gflops / highest:5.0f} % of the peak{faults:8.0f} page faults a step")
    return {
        "seconds": asdict(seconds),
        "flop": side.flop,
        "gflops": gflops,
        "share_of_peak": gflops / highest,
        "faults": faults,
        "turns": [asdict(turn) for turn in turns],
    }


def run_seeds(threads: int, rounds: int) -> dict[str, Any]:
    if threads < 2:
        raise Skipped("it needs --threads 2 or more")
    print(f"\n{SEEDS}: {threads} processes of one thread by one of {threads}, {rounds} rounds")
    found = {}
    for samples in seeds.STEPS:
        ratio = seeds.compare(samples, threads, rounds)
        found[f"k{samples}"] = asdict(ratio)
        print(
            f"  k = {samples}: throughput {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        )
    return found


def run_dispatch() -> dict[str, Any]:
    print(f"\n{DISPATCH}: what the engine adds to a run")
    found: dict[str, Any] = dispatch.compare(DISPATCH_RUNS, cores())
    alone = found["dispatched alone"]
    found["verdict"] = "reached" if alone <= DISPATCH_MS else "not reached"
    print(f"  dispatched in at most {DISPATCH_MS:.0f} ms a run: {found['verdict']}")
    return found


if __name__ == "__main__":
    main()
