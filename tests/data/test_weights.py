"""The files of trained networks."""

import pytest

from vaebench.data.weights import weights_path
from vaebench.errors import UserError


def test_the_file_if_it_is_there_and_right(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path))
    assert weights_path("tiny-weights", tmp_path) is None
    path = tmp_path / "tiny-weights" / "tiny.pth"
    path.parent.mkdir()
    path.write_bytes(tiny_weights)
    assert weights_path("tiny-weights", tmp_path) == path
    path.write_bytes(tiny_weights[::-1])
    with pytest.raises(UserError) as caught:
        weights_path("tiny-weights", tmp_path)
    assert str(caught.value).startswith(f"{path}: expected sha256 ")
    assert str(caught.value).endswith("; `vaebench fetch-data tiny-weights` fetches it again")


@pytest.mark.parametrize("name", ["mnist", "no-such"])
def test_unknown_weights(tmp_path, name):
    with pytest.raises(UserError, match=f"^unknown weights '{name}'"):
        weights_path(name, tmp_path)
