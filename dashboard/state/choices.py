"""What the core is asked for: all choices of a person at one moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itslive_core import InversionSettings, PairSelection
    from itslive_core.settings import Settings

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """What the core is asked for, frozen for a worker.

    Parameters
    ----------
    settings : InversionSettings
        Of the inversion; its filters on values hold for the Gaussian process too.
    selection : PairSelection
        Filters on metadata.
    inverts : bool
        The inversion is wanted.
    process : Settings or None
        Of the estimator that is wanted beside or instead of the inversion.
    spatial_smoothing : float or str
        Coupling of neighbours where a whole glacier is inverted.
    """

    settings: InversionSettings
    selection: PairSelection
    inverts: bool = True
    process: Settings | None = None
    spatial_smoothing: float | str = 0.0

    @property
    def of_area(self) -> Settings:
        """Settings for a whole glacier: of both methods the inversion, which is far quicker."""
        if self.inverts or self.process is None:
            return replace(self.settings, spatial_smoothing=self.spatial_smoothing)
        device = {"device": self.settings.device} if "device" in self.process.kinds() else {}
        return replace(self.process, **device)
