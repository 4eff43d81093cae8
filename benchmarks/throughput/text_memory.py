"""The memory that the likelihood of a sentence of 80 words takes, by the number of samples.

    python benchmarks/throughput/text_memory.py [--samples 500 5000] [--threads 1]

Each number is measured in a process of its own: the highest resident size, and before the first
sample, with the 54 million weights of the text model.
"""

import argparse
import multiprocessing
import resource

import torch

_MIB = 2**10  # Linux counts in KiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for samples in options.samples:
        with context.Pool(1) as pool:
            before, highest = pool.apply(measure, (samples, options.threads))
        print(f"{samples:6d} samples: {highest / _MIB:.0f} MiB, {before / _MIB:.0f} before")


def measure(samples: int, threads: int) -> tuple[int, int]:
    """KiB before and at most."""
    from text import data, recipe
    from vaebench.evaluation.importance import importance_log_likelihoods
    from vaebench.models.latent import LatentModel
    from vaebench.training.allocator import keep_freed_memory
    from vaebench.training.numerics import resolve

    resolve("cpu", threads).apply()
    keep_freed_memory()
    model = recipe().model
    assert isinstance(model, LatentModel)
    x = data().take(torch.arange(1)).x
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    importance_log_likelihoods(model.eval(), x, samples)
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
