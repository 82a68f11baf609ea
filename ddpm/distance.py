"""How far the studies' sets of pictures are from the test pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ddpm.config import Config
from ddpm.data import Pictures
from ddpm.extractors import load_extractor
from ddpm.stages import Bench
from lab.errors import UserError
from metrics.fidelity import frechet_distance, halves


@dataclass(frozen=True)
class Distance:
    """A distance of sets of `n` pictures from as many test pictures."""

    name: str
    """With the extractor and n, without which it is no figure: FD-drawn64 (n = 64)."""
    n: int
    floor: float
    """Of other test pictures, as many: how near real ones come."""
    of: Callable[[np.ndarray], float]
    """Pictures uint8 [n or more, h, w, 3] -> the distance of the first n."""


def distance_to(config: Config, bench: Bench, drawn: int) -> Distance | None:
    """The distance that the tables of a study with so many drawn pictures have; None where no
    extractor is asked for or a single picture is drawn. n is as many as are drawn, or half of the
    test pictures.

    Raises:
        UserError: an unknown extractor, or no test pictures.
    """
    if config.study is None or not config.study.extractor or drawn < 2:
        return None
    pictures, most = pictures_to_compare(bench.pictures)
    n = min(drawn, most)
    extractor = load_extractor(config.study.extractor, bench.device)
    real, others = (extractor.features(part) for part in halves(pictures.part("test"), n))

    def of(pixels: np.ndarray) -> float:
        return frechet_distance(extractor.features(pixels[:n]), real)

    short = "FID" if extractor.name == "inception2048" else f"FD-{extractor.name}"
    return Distance(f"{short} (n = {n})", n, frechet_distance(others, real), of)


def pictures_to_compare(pictures: Pictures | None) -> tuple[Pictures, int]:
    """The data, and how many of its test pictures can be compared with as many others of them.

    Raises:
        UserError: fewer than two.
    """
    there = len(pictures.test) if pictures else 0
    if pictures is None or there < 4:
        raise UserError(
            "ddpm.study.extractor compares with test pictures, of which there are "
            f"{there}: raise ddpm.data.test, or leave the extractor out"
        )
    return pictures, there // 2
