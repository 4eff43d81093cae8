"""What a user may have written wrongly in the parameters of an evaluator."""

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError


def check_whole(evaluator: str, least: int, **parameters: object) -> None:
    """UserError unless all of these are whole numbers from `least`."""
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(
                f"{evaluator}: {name} is {value!r}; expected a whole number from {least}"
            )


def check_learning(evaluator: str, data: Dataset, labels: object, draws: object) -> None:
    """UserError unless there are classes and so many labels to learn from, or None for all, of
    codes that are the mean of so many draws."""
    if labels is not None and (isinstance(labels, bool) or not isinstance(labels, int)):
        raise UserError(
            f"{evaluator}: labels is {labels!r}; expected a whole number from 1, or null for all"
        )
    check_whole(evaluator, 1, labels=1 if labels is None else labels)
    check_whole(evaluator, 0, draws=draws)
    if data.info.classes < 2 or data.train.labels.ndim != 1:
        raise UserError(f"{evaluator}: {data.info.name} has no classes")
