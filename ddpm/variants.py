"""Models that differ from the experiment's own in their noise schedule alone, for the studies."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from ddpm.config import Config, Schedule
from ddpm.learning import learn
from ddpm.stages import Bench
from lab.errors import UserError
from lab.run import Progress, Run


@dataclass(frozen=True)
class Variant:
    """A schedule to train with in place of the experiment's."""

    count: int
    """Timesteps."""
    scaled: bool

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"T{self.count}-{'scaled' if self.scaled else 'raw'}"


def variants(config: Config, counts: Sequence[int], scaled: Sequence[bool]) -> list[Variant]:
    """Every number of timesteps with betas as they are, scaled, or both; squaredcos_cap_v2 has no
    betas to scale, so that it comes once.

    Raises:
        UserError: betas that are no variances, or nothing to train on.
    """
    if config.train is None:
        raise UserError(
            "ddpm.study trains models with other schedules, but there is no ddpm.train: add it, or "
            "leave out study.timesteps and study.randomness.scaled"
        )
    if config.schedule is None:
        raise UserError(
            "ddpm.study trains models with other schedules than ddpm.schedule, which is absent: "
            "add it, such as {name: linear, timesteps: 200}"
        )
    kinds = scaled[:1] if config.schedule.name == "squaredcos_cap_v2" else scaled
    found = [Variant(count, kind) for count in counts for kind in kinds]
    for variant in found:
        schedule_of(config, variant)
    return found


def asked_variants(config: Config) -> list[Variant]:
    """Every schedule that the studies of this experiment train a model for.

    Raises:
        UserError: as `variants`; so that it is said before anything is written.
    """
    study = config.study
    found: list[Variant] = []
    if study is not None and study.timesteps is not None:
        found += variants(config, study.timesteps.counts, study.timesteps.scaled)
    if study is not None and study.randomness is not None and study.randomness.scaled:
        count = config.schedule.timesteps if config.schedule else 0
        found += variants(config, (count,), study.randomness.scaled)
    return found


def schedule_of(config: Config, variant: Variant) -> Schedule:
    """The experiment's schedule with the variant's number of timesteps and scaling."""
    assert config.schedule is not None
    changed = {"timesteps": variant.count, "scaled": variant.scaled}
    try:
        return Schedule(**(config.schedule.model_dump() | changed))
    except ValueError:
        raise UserError(
            f"ddpm.study with {variant.count} timesteps: betas times 1000 / {variant.count} are "
            "above 1; take more timesteps, or scaled: [false]"
        ) from None


def bench_of(
    config: Config, run: Run, bench: Bench, variant: Variant
) -> Generator[Progress, None, Bench]:
    """The variant's model: the experiment's own where that is the same, one that lies in the run
    folder, or a newly trained one. All have equal first weights, batches and noises.
    """
    schedule = schedule_of(config, variant)
    if schedule == config.schedule:
        return bench
    assert bench.pictures is not None
    unet, scheduler = yield from learn(
        config.model_copy(update={"schedule": schedule}),
        run,
        run.folder / "study" / "models" / variant.name,
        bench.pictures,
        bench.processes,
        bench.device,
        bench.dtype,
        f"training {variant.name}",
    )
    return replace(bench, unet=unet, scheduler=scheduler)
