"""What a view keeps of a data set, said without loading it."""

from vaebench.data.catalog import lookup
from vaebench.errors import UserError
from vaebench.registry.runs import DataView


def split_sizes(view: DataView) -> dict[str, int]:
    """Examples by split, in the order train, validation (where there is one), test.

    A UserError if the data set is not known or the view asks for what it cannot give.
    """
    entry = lookup(view.dataset)
    sizes = dict(entry.splits)
    if entry.is_text and view.pixels is not None:
        raise UserError(f"data: pixels: {entry.name} is text; leave pixels out")
    if entry.is_text and view.orientation is not None:
        raise UserError(f"data: orientation: {entry.name} is text; leave orientation out")
    if view.binarisations is not None and view.pixels != "binary":
        raise UserError(
            f"data: binarisations: the pixels of this view of {entry.name} are not drawn; "
            "say `pixels: binary`, or leave binarisations out"
        )
    if not entry.is_text and view.tokenizer is not None:
        raise UserError(f"data: tokenizer: {entry.name} is no text; leave tokenizer out")
    if view.held_out is not None:
        if "validation" in sizes:
            raise UserError(
                f"data: held_out: {entry.name} has {sizes['validation']:,} validation examples "
                "of its own; leave held_out out"
            )
        if view.held_out >= sizes["train"]:
            raise UserError(
                f"data: held_out: {view.held_out:,} leaves nothing to train on of the "
                f"{sizes['train']:,} training examples of {entry.name}"
            )
        sizes["validation"] = view.held_out
        sizes["train"] -= view.held_out
    if view.limit is not None:
        most = {"train": view.limit}
        # One of every class where there are few classes; 1,623 characters could not be limited.
        few = max(view.limit // 5, min(entry.classes, 100))
        sizes = {name: min(size, most.get(name, few)) for name, size in sizes.items()}
    return {
        name: sizes[name] * copies(view, name)
        for name in ("train", "validation", "test")
        if name in sizes
    }


def copies(view: DataView, split: str) -> int:
    """How many times each image of a split is there."""
    return 1 if split == "train" else view.binarisations or 1
