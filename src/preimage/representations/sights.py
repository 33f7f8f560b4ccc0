"""What the cells of every tensor see while a network runs: one rule a function.

Along each axis cell i sees the interval [first + i·step, last + i·step] of pixels. A filter of
support k, stride s and padding p makes of it

    first ← first − p·step,   last ← last + (k − 1 − p)·step,   step ← step·s.

Where branches meet (a sum, a concatenation) the result sees the hull of what they see. A function
of the whole map (its mean, group normalization, a fully connected layer) sees the hull of all
cells. Attention, and whatever has no rule here, has no geometry, nor has anything behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from preimage.representations.base import Geometry
from preimage.representations.calls import elements


@dataclass(frozen=True)
class Span:
    """What the cells along one axis see: pixels `first + i·step` to `last + i·step`.

    `whole` marks cells that all see the same.
    """

    first: float = 0.0
    last: float = 0.0
    step: float = 1.0
    whole: bool = False

    def slid(self, support: int, stride: float, before: int) -> Span:
        """Behind a filter of that support and stride, `before` cells padded in front."""
        step = self.step * stride
        if self.whole:
            return replace(self, step=step)
        last = self.last + (support - 1 - before) * self.step
        return Span(self.first - before * self.step, last, step)

    def hull(self, cells: int) -> Span:
        """What all cells see together."""
        if self.whole:
            return self
        return replace(self, last=self.last + (cells - 1) * self.step, whole=True)

    def enlarged(self, factor: float, before: float, behind: float) -> Span:
        """Behind an enlargement whose cell i looks at i/factor − before to i/factor + behind."""
        step = self.step / factor
        if self.whole:
            return replace(self, step=step)
        return Span(self.first - before * self.step, self.last + behind * self.step, step)


@dataclass(frozen=True)
class Sight:
    """What the cells of a tensor see, and along which of its dimensions they lie.

    Attributes:
        rows, columns: down and across.
        axes: the dimensions of rows and columns; None for a tensor without positions.
    """

    rows: Span
    columns: Span
    axes: tuple[int, int] | None

    def each(self, change: Callable[[Span, int], Span | None]) -> Sight | None:
        """Both spans changed, called with 0 for rows and 1 for columns."""
        rows, columns = change(self.rows, 0), change(self.columns, 1)
        return (
            None if rows is None or columns is None else replace(self, rows=rows, columns=columns)
        )

    def whole(self, shape: Sequence[int], axes: tuple[int, int] | None) -> Sight:
        """What all cells of a tensor of that shape see together."""
        if self.axes is None:
            return replace(self, axes=axes)
        return Sight(
            self.rows.hull(shape[self.axes[0]]), self.columns.hull(shape[self.axes[1]]), axes
        )

    def geometry(self) -> Geometry | None:
        """The larger of both receptive fields; None where the step is not a whole number."""
        sides = [span.last - span.first + 1 for span in (self.rows, self.columns)]
        steps = {self.rows.step, self.columns.step}
        if len(steps) > 1 or not all(float(n).is_integer() for n in (*steps, *sides)):
            return None
        centre = (self.columns.first + self.columns.last) / 2
        return Geometry(int(max(sides)), int(steps.pop()), centre)


@dataclass(frozen=True)
class Call:
    """A function's call, as a rule sees it.

    Attributes:
        args, kwargs: as given; the first argument is the image's way.
        shape, rank: of the first tensor among them.
        out: shape of what it gave.
        sight: of the first tensor that sees the image.
        others: of all tensors that see the image.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: tuple[int, ...]
    out: tuple[int, ...]
    sight: Sight
    others: tuple[Sight, ...]

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if len(self.args) > position else default

    def numbers(self, name: str = "dim") -> tuple[int, ...]:
        """Dimensions given as one argument or several, counted from the front."""
        given = self.kwargs[name] if name in self.kwargs else self.args[1:]
        while isinstance(given, tuple | list) and len(given) == 1:
            given = given[0]
        flat = given if isinstance(given, tuple | list) else (given,)
        rank = max(len(self.shape), len(self.out))
        return tuple(n % rank for n in flat if isinstance(n, int) and not isinstance(n, bool))

    @property
    def on_maps(self) -> bool:
        """Whether rows and columns are the last two dimensions, as in `[N, C, H, W]`."""
        rank = len(self.shape)
        return self.sight.axes == (rank - 2, rank - 1)


Rule = Callable[[Call], Sight | None]


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, tuple | list):
        return (value[0], value[-1])
    return (value, value)


def _filtered(call: Call, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Sight | None:
    if not call.on_maps:
        return None
    kernels, dilations = _pair(kernel), _pair(dilation)
    strides = kernels if stride is None or stride in ([], ()) else _pair(stride)
    supports = [(k - 1) * d + 1 for k, d in zip(kernels, dilations, strict=True)]
    if isinstance(padding, str):
        padding = [(support - 1) // 2 if padding == "same" else 0 for support in supports]
    before = _pair(padding)
    return call.sight.each(lambda span, i: span.slid(supports[i], strides[i], before[i]))


def _convolution(call: Call) -> Sight | None:
    kernel = tuple(call.get(1, "weight").shape[2:])
    stride, padding = call.get(3, "stride", 1), call.get(4, "padding", 0)
    return _filtered(call, kernel, stride, padding, call.get(5, "dilation", 1))


def _max_pooling(call: Call) -> Sight | None:
    kernel, stride = call.get(1, "kernel_size"), call.get(2, "stride")
    return _filtered(call, kernel, stride, call.get(3, "padding", 0), call.get(4, "dilation", 1))


def _average_pooling(call: Call) -> Sight | None:
    kernel, stride = call.get(1, "kernel_size"), call.get(2, "stride")
    return _filtered(call, kernel, stride, call.get(3, "padding", 0), 1)


def _power_pooling(call: Call) -> Sight | None:
    """As average pooling, but its first argument is the exponent."""
    kernel, stride = call.get(2, "kernel_size"), call.get(3, "stride")
    return _filtered(call, kernel, stride, 0, 1)


def _average_pooling_3d(call: Call) -> Sight | None:
    """Over channels only, as local response normalization does."""
    kernel = call.get(1, "kernel_size")
    flat = isinstance(kernel, tuple | list) and tuple(kernel[1:]) == (1, 1)
    return call.sight if flat and call.shape[-2:] == call.out[-2:] else None


def _adaptive_pooling(call: Call) -> Sight | None:
    if not call.on_maps:
        return None
    sides = list(zip(call.shape[-2:], call.out[-2:], strict=True))
    if all(target == 1 for _, target in sides):
        return call.sight.whole(call.shape, call.sight.axes)
    if any(side % target for side, target in sides):
        return None
    ratios = [side // target for side, target in sides]
    return call.sight.each(lambda span, i: span.slid(ratios[i], ratios[i], 0))


def _transposed_convolution(call: Call) -> Sight | None:
    """Cell i is reached from the cells (i + p − k + 1)/s to (i + p)/s."""
    kernel, strides = call.get(1, "weight").shape[2:], _pair(call.get(3, "stride", 1))
    pads, dilations = _pair(call.get(4, "padding", 0)), _pair(call.get(7, "dilation", 1))
    if not call.on_maps:
        return None

    def change(span: Span, i: int) -> Span:
        reach = (kernel[i] - 1) * dilations[i]
        return span.enlarged(strides[i], (reach - pads[i]) / strides[i], pads[i] / strides[i])

    return call.sight.each(change)


def _interpolated(call: Call) -> Sight | None:
    """Cell i looks at cell ⌊i/f⌋, smooth modes at its neighbours too."""
    factors = [out / side for side, out in zip(call.shape[-2:], call.out[-2:], strict=True)]
    if not call.on_maps or any(factor < 1 for factor in factors):
        return None
    reach = 0 if "nearest" in str(call.get(3, "mode", "nearest")) else 1
    return call.sight.each(
        lambda span, i: span.enlarged(factors[i], reach + 1 - 1 / factors[i], reach)
    )


def _padded(call: Call) -> Sight | None:
    pads, axes, rank = tuple(call.get(1, "pad")), call.sight.axes, len(call.shape)
    if axes is None:
        return call.sight
    before = [
        pads[2 * (rank - 1 - axis)] if 2 * (rank - 1 - axis) < len(pads) else 0 for axis in axes
    ]
    return call.sight.each(lambda span, i: replace(span.slid(1, 1, before[i]), whole=span.whole))


def _pointwise(call: Call) -> Sight | None:
    """Cell by cell; what several tensors see at the same place is joined."""
    joined = call.sight
    for other in call.others:
        shifted = _joined(joined, other)
        if shifted is None:
            return None
        joined = shifted
    if joined.axes is None or len(call.out) == len(call.shape):
        return joined
    shift = len(call.out) - len(call.shape)
    return replace(joined, axes=(joined.axes[0] + shift, joined.axes[1] + shift))


def _joined(one: Sight, other: Sight) -> Sight | None:
    if None not in (one.axes, other.axes) and one.axes != other.axes:
        return None

    def hull(a: Span, b: Span) -> Span | None:
        whole = a.whole or b.whole
        if a.step != b.step and not whole:
            return None
        step = b.step if a.whole and other.axes is not None else a.step
        return Span(min(a.first, b.first), max(a.last, b.last), step, whole)

    rows, columns = hull(one.rows, other.rows), hull(one.columns, other.columns)
    if rows is None or columns is None:
        return None
    return Sight(rows, columns, one.axes or other.axes)


def _concatenated(call: Call) -> Sight | None:
    dims = call.numbers()
    joined = _pointwise(call)
    if joined is None or joined.axes is None:
        return joined
    return None if any(dim in joined.axes for dim in dims) else joined


def _reduced(call: Call) -> Sight | None:
    """A mean or a sum over some dimensions; over all where none are named."""
    return _over(call, call.numbers() or tuple(range(len(call.shape))))


def _largest(call: Call) -> Sight | None:
    """The larger of two maps, place by place, or the largest of one."""
    two = isinstance(call.get(1, "other"), Tensor)
    return _pointwise(call) if two else _reduced(call)


def _norm(call: Call) -> Sight | None:
    """Like a sum, but its first argument is the exponent."""
    dims = call.get(2, "dim")
    rank = len(call.shape)
    return _over(call, [n % rank for n in (range(rank) if dims is None else _tuple(dims))])


def _over(call: Call, dims: Sequence[int]) -> Sight | None:
    axes = call.sight.axes
    if axes is None:
        return call.sight
    sight, kept = call.sight, len(call.out) == len(call.shape)
    if any(axis in dims for axis in axes):
        sight = call.sight.whole(call.shape, axes if kept else None)
    if kept or sight.axes is None:
        return sight
    row, column = (axis - sum(dim < axis for dim in dims) for axis in axes)
    return replace(sight, axes=(row, column))


def _softmax(call: Call) -> Sight | None:
    return _over(call, call.numbers())


def _group_normalized(call: Call) -> Sight | None:
    return call.sight.whole(call.shape, call.sight.axes)


def _layer_normalized(call: Call) -> Sight | None:
    count = len(_tuple(call.get(1, "normalized_shape")))
    rank = len(call.shape)
    return _over(call, range(rank - count, rank))


def _instance_normalized(call: Call) -> Sight | None:
    return call.sight if not call.get(5, "use_input_stats", True) else _group_normalized(call)


def _linear(call: Call) -> Sight | None:
    axes = call.sight.axes
    return None if axes is not None and len(call.shape) - 1 in axes else call.sight


def _permuted(call: Call) -> Sight | None:
    axes, order = call.sight.axes, call.numbers("dims")
    if axes is None:
        return call.sight
    return replace(call.sight, axes=(order.index(axes[0]), order.index(axes[1])))


def _transposed(call: Call) -> Sight | None:
    axes, rank = call.sight.axes, len(call.shape)
    if axes is None:
        return call.sight
    first, second = call.get(1, "dim0") % rank, call.get(2, "dim1") % rank
    swap = {first: second, second: first}
    return replace(call.sight, axes=(swap.get(axes[0], axes[0]), swap.get(axes[1], axes[1])))


def _reshaped(call: Call) -> Sight | None:
    """Rows and columns are found again where as much lies before them as did."""
    axes = call.sight.axes
    if axes is None:
        return call.sight
    if all(call.shape[axis] == 1 for axis in axes):
        return call.sight.whole(call.shape, None)
    found = [_place(call.shape, axis, call.out) for axis in axes]
    if found[0] is not None and found[1] is not None:
        return replace(call.sight, axes=(found[0], found[1]))
    # A vector is all of the map; a sequence of positions is no map any more.
    return call.sight.whole(call.shape, None) if len(call.out) == 2 else None


def _place(shape: Sequence[int], axis: int, into: Sequence[int]) -> int | None:
    before = math.prod(shape[:axis])
    places = [
        place
        for place, side in enumerate(into)
        if side == shape[axis] and math.prod(into[:place]) == before
    ]
    return places[-1] if places else None


def _indexed(call: Call) -> Sight | None:
    axes, index = call.sight.axes, call.get(1, "index")
    if axes is None:
        return call.sight
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(isinstance(part, slice | int | type(None) | type(...)) for part in parts):
        return None
    if ... in parts:
        at = parts.index(...)
        used = sum(part is not None for part in parts) - 1
        parts[at : at + 1] = [slice(None)] * (len(call.shape) - used)
    places, spans, source, target = {}, [call.sight.rows, call.sight.columns], 0, 0
    for part in [*parts, *[slice(None)] * len(call.shape)]:
        if part is None:
            target += 1
            continue
        if source in axes:
            if isinstance(part, int):
                return None
            start, _, step = part.indices(call.shape[source])
            which = axes.index(source)
            spans[which] = spans[which].slid(1, step, -start)
            places[which] = target
        source, target = source + 1, target + (not isinstance(part, int))
        if source == len(call.shape):
            break
    return Sight(spans[0], spans[1], (places[0], places[1]))


def _unsqueezed(call: Call) -> Sight | None:
    axes = call.sight.axes
    if axes is None:
        return call.sight
    at = call.get(1, "dim") % len(call.out)
    return replace(call.sight, axes=(axes[0] + (axes[0] >= at), axes[1] + (axes[1] >= at)))


def _split(call: Call) -> Sight | None:
    dim = call.get(2, "dim", 0) % len(call.shape)
    return None if call.sight.axes is not None and dim in call.sight.axes else call.sight


def _tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _table(*rules: tuple[str, Rule]) -> dict[str, Rule]:
    return {name: rule for names, rule in rules for name in names.split()}


RULES: dict[str, Rule] = _table(
    ("conv2d", _convolution),
    ("conv_transpose2d", _transposed_convolution),
    ("max_pool2d max_pool2d_with_indices", _max_pooling),
    ("avg_pool2d", _average_pooling),
    ("lp_pool2d", _power_pooling),
    ("avg_pool3d", _average_pooling_3d),
    ("adaptive_avg_pool2d adaptive_max_pool2d", _adaptive_pooling),
    ("interpolate upsample", _interpolated),
    ("pad", _padded),
    (
        "relu relu6 hardtanh leaky_relu gelu silu mish hardswish hardsigmoid sigmoid tanh elu selu "
        "celu softplus softsign prelu rrelu threshold logsigmoid tanhshrink softshrink add sub mul "
        "div true_divide rsub rdiv rtruediv pow rpow sqrt rsqrt square exp expm1 log log1p abs neg "
        "reciprocal clamp clip clamp_min clamp_max minimum maximum where lerp addcmul addcdiv erf "
        "sin cos dropout dropout1d dropout2d feature_dropout alpha_dropout batch_norm normalize "
        "local_response_norm contiguous clone detach to type type_as float half bfloat16 double "
        "masked_fill expand expand_as zeros_like ones_like empty_like rand_like",
        _pointwise,
    ),
    ("cat concat concatenate", _concatenated),
    ("mean sum amax amin var std logsumexp", _reduced),
    ("max min", _largest),
    ("norm", _norm),
    ("softmax log_softmax", _softmax),
    ("group_norm", _group_normalized),
    ("instance_norm", _instance_normalized),
    ("layer_norm rms_norm", _layer_normalized),
    ("linear", _linear),
    ("permute", _permuted),
    ("transpose swapaxes", _transposed),
    ("view reshape flatten unflatten squeeze", _reshaped),
    ("unsqueeze", _unsqueezed),
    ("getitem", _indexed),
    ("split chunk tensor_split", _split),
)
"""What a function does to what cells see, by its name without underscores."""


class Sights:
    """What every tensor of a running network sees: None what has no geometry, nothing for what
    does not depend on the image."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        start = Sight(Span(), Span(), (image.dim() - 2, image.dim() - 1))
        self._sights: dict[int, Sight | None] = {id(image): start}
        self._constant = {id(tensor) for tensor in (*network.parameters(), *network.buffers())}
        # An id means its tensor only as long as that lives.
        self._alive: list[Any] = [image]

    def of(self, tensor: Tensor) -> Sight | None:
        """What its cells see."""
        return self._sights.get(id(tensor))

    def depends(self, tensor: Tensor) -> bool:
        """Whether it depends on the image; what comes from nowhere is taken to."""
        return id(tensor) not in self._constant

    def ran(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """A function's results see what its rule makes of what its arguments see."""
        self._alive.append(output)
        inputs = [tensor for _, tensor in elements((args, dict(kwargs)))]
        seeing = [tensor for tensor in inputs if self.depends(tensor)]
        results = [tensor for _, tensor in elements(output)]
        if not seeing:
            self._constant.update(id(tensor) for tensor in results)
            return
        sights = [self._sights.get(id(tensor)) for tensor in seeing]
        for tensor in results:
            self._constant.discard(id(tensor))
            self._sights[id(tensor)] = self._ruled(name, args, kwargs, seeing, sights, tensor)

    def _ruled(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        seeing: Sequence[Tensor],
        sights: Sequence[Sight | None],
        output: Tensor,
    ) -> Sight | None:
        rule = RULES.get(name.strip("_"))
        known = tuple(sight for sight in sights if sight is not None)
        if rule is None:
            # Whatever a function does to numbers that all see the whole image, they still do.
            rule = _pointwise if all(sight.axes is None for sight in known) else None
        if rule is None or len(known) < len(sights):
            return None
        # The one with positions and the most dimensions is the map; others are spread over it.
        order = sorted(
            range(len(known)), key=lambda i: (known[i].axes is None, -seeing[i].dim(), i)
        )
        first = order[0]
        call = Call(
            args=args,
            kwargs=kwargs,
            shape=tuple(seeing[first].shape),
            out=tuple(output.shape),
            sight=known[first],
            others=tuple(known[i] for i in order[1:]),
        )
        return rule(call)
