"""The section `ddpm.measure:`."""

from lab.config import Section


class Measure(Section):
    """Distances between drawn pictures and those of the data."""
