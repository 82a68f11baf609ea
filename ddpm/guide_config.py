"""The section `ddpm.guide:`."""

from lab.config import Section


class Guide(Section):
    """Losses that lead the sampling."""
