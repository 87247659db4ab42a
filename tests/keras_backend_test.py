"""Keras's other backends are refused before anything is changed, with the reason."""

import keras
import keras_nets as nets
import pytest
from int8x import PruningCallback, QATCallback


@pytest.mark.parametrize("callback", [QATCallback, PruningCallback])
@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_a_fit_on_another_backend_is_refused(backend, callback, monkeypatch):
    model = nets.compiled(nets.small())
    x, y, _, _ = nets.digits()
    names = [variable.path for variable in model.variables]
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(ImportError, match=f"jax backend was wanted, got '{backend}'"):
        model.fit(x, y, verbose=0, callbacks=[callback()])
    monkeypatch.undo()
    assert [variable.path for variable in model.variables if "optimizer" not in variable.path] == (
        names
    )
    assert model.fit(x, y, verbose=0).history["loss"]
