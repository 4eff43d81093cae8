"""A plugin that notes each start of a training in TRAININGS; each epoch lasts PAUSE longer."""

import os
import time
from pathlib import Path

from vaebench.execution import single

train = single.train


def counted(*arguments, **options):
    with Path(os.environ["TRAININGS"]).open("a") as log:
        log.write(options["checkpoint"].parent.name + "\n")
    report = options["report"]

    def slowly(epoch, terms):
        report(epoch, terms)
        time.sleep(float(os.environ.get("PAUSE", "0")))

    options["report"] = slowly
    return train(*arguments, **options)


single.train = counted
