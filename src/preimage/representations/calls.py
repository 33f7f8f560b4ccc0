"""Every call inside a network while it runs, by name.

A module's call is named by its path, `layer1.0.relu`; a module that is called again has `#2`, `#3`
behind it. A function that is called outside PyTorch's own layers is named by the module whose
forward calls it and by its own name as `torch.fx` would count it there, `layer1.0.add`, `relu_1`;
the bare name counted over the whole network, `add_3`, is what `torch.fx` calls the node, and is
taken too. Unlike `torch.fx`, nothing is traced symbolically: the network runs as it is, so loops
and branches that depend on data are no obstacle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Seen = Callable[[str, str, nn.Module | str, Any], None]
"""Name, other name, the module or the function's name, and what the call gave."""
Ran = Callable[[str, tuple[Any, ...], Mapping[str, Any], Any], None]
"""A function's name, its arguments, and what it gave."""

OPERATORS = {"__rsub__": "sub", "__rpow__": "pow", "__rdiv__": "div", "__rtruediv__": "div"}


def function_name(function: Any) -> str:
    """A function as people call it: `x += y` is an `add`, `F.relu(x, True)` a `relu`."""
    name = str(getattr(function, "__name__", type(function).__name__))
    return OPERATORS.get(name, name.strip("_"))


def is_own_layer(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's layers, whose inside is nobody's business."""
    home = type(module).__module__
    holds_layers = isinstance(module, nn.Sequential) or home == "torch.nn.modules.transformer"
    return home.startswith("torch.nn.modules.") and not holds_layers


class Calls(TorchFunctionMode):
    """While this is entered, calls inside the network are reported as they end.

    The hooks it places are gone when it is left, by an exception too.

    Args:
        network: what runs.
        seen: called after every named call.
        ran: called after every function, within PyTorch's own layers too.
    """

    def __init__(self, network: nn.Module, seen: Seen, ran: Ran | None = None) -> None:
        super().__init__()
        self._network, self._seen, self._ran = network, seen, ran
        self._paths = {module: path for path, module in network.named_modules()}
        self._taken = set(self._paths.values())
        self._counts: Counter[str] = Counter()
        self._stack: list[nn.Module] = [network]
        self._own = 0
        self._hooks: list[Any] = []

    def __enter__(self) -> Calls:
        for module in self._paths:
            if isinstance(module, torch.jit.ScriptModule):
                continue  # takes no hooks
            self._hooks.append(module.register_forward_pre_hook(self._begin))
            self._hooks.append(module.register_forward_hook(self._end))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        raw = getattr(func, "__name__", "")
        if raw == "__setitem__" and self._ran is not None:
            self._ran(raw, args, kwargs, args[0])
        if raw == "__get__" or not isinstance(output, Tensor | tuple | list):
            return output
        if self._ran is not None:
            self._ran(raw, args, kwargs, output)
        if not self._own:
            base, path = function_name(func), self._paths[self._stack[-1]]
            plain = self._counted(base)
            name = self._counted(f"{path}.{base}") if path else plain
            self._seen(name, plain, base, output)
        return output

    def _counted(self, base: str) -> str:
        """The name with the number of earlier calls behind it, as `torch.fx` does."""
        while True:
            number = self._counts[base]
            self._counts[base] += 1
            name = f"{base}_{number}" if number else base
            if name not in self._taken:
                return name

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._stack.append(module)
        self._own += is_own_layer(module)

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._stack.pop()
        self._own -= is_own_layer(module)
        path = self._paths[module]
        if self._own or not path:
            return
        with torch._C.DisableTorchFunction():
            self._counts[f"{path}#"] += 1
            number = self._counts[f"{path}#"]
            name = path if number == 1 else f"{path}#{number}"
            self._seen(name, name, module, output)


@contextmanager
def as_at_test_time(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Dropout and batch norm as at test time; every module gets its own mode back at the end.

    `modules` are all of a network's: to collect them anew in every iteration would take longer
    than a small layer.

    Attention takes its usual way, not the fused one that calls no module inside.
    """
    training = [module for module in modules if module.training]
    fused = torch.backends.mha.get_fastpath_enabled()
    for module in training:
        module.training = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module in training:
            module.training = True


def elements(output: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in what a call gave, with the words that choose it: `name`, `name[0]`..."""
    if isinstance(output, Tensor):
        yield name, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from elements(value, f'{name}["{key}"]')
    elif isinstance(output, tuple | list):
        for index, value in enumerate(output):
            yield from elements(value, f"{name}[{index}]")
