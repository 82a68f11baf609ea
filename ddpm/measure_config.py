"""The section `ddpm.measure:`."""

from typing import Annotated, Literal

from pydantic import Field

from lab.config import Section

Positive = Annotated[int, Field(ge=1)]


class Vae(Section):
    """The variational autoencoder that the diffusion model is compared with: the same pictures,
    one vector for each, drawn from a normal distribution and decoded."""

    steps: Positive = 1000
    """Optimizer steps."""
    batch_size: Positive = 32
    """Pictures a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """AdamW's highest rate; it rises over the first steps and falls over the last."""
    latent: Annotated[int, Field(ge=2)] = 64
    """Numbers that stand for a picture."""
    kl_weight: Annotated[float, Field(ge=0)] = 1.0
    """What a nat of the vectors' divergence from the normal distribution costs, beside the
    Gaussian negative log likelihood of the picture. 1 is the evidence lower bound."""


class Measure(Section):
    """Measure how near drawn pictures are to those of the data that nothing was trained on,
    beside baselines and beside how near real pictures are to each other."""

    extractor: str = "drawn"
    """The network whose features are compared. drawn: a small one that knows drawn pictures and
    comes with this program; inception: the one that FID and Inception score are defined by (needs
    torch-fidelity and its weights); clip:FOLDER or clip:HUB-ID: a CLIP. Figures of different
    extractors, numbers or pictures are not comparable, and tables of them are refused."""
    count: Annotated[int, Field(ge=0)] = 0
    """n, how many pictures are compared with as many real ones; 0: half of the test pictures, so
    that the other half can show how near real pictures come. Small n give large distances."""
    first_seed: Annotated[int, Field(ge=0)] = 100_000
    """The first drawn picture's seed, far from those that are looked at."""
    baselines: tuple[Literal["noise", "vae"], ...] = ("noise", "vae")
    """What is measured beside the model. noise: what sampling begins with; vae: pictures of a
    small variational autoencoder, trained here on the same pictures."""
    vae: Vae = Vae()
    """That autoencoder."""
    beside: tuple[str, ...] = ()
    """Other runs' folders, such as outputs/NAME/ddpm, whose models' figures are put into the same
    table: measured on the same terms, or refused."""
    claimed: Literal["none", "flowers", "faces"] = "none"
    """Show the published study's figures for Flowers102 or CelebA in columns of their own. They
    are of other pictures, another extractor and another n: not to be compared with."""
