"""The phantom's knobs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PhantomParams(BaseModel):
    """How many cells to draw, how large, and how hard to tell apart.

    Attributes
    ----------
    n_cells
        Cells in all; classes share them by Matek 2019's frequencies, rounded, after the floor.
    n_slides
        Slides, one a patient; a cell's slide is its group.
    image_size
        Side of the square image, pixels.
    micrometres_per_pixel
        Sampling in the object plane; with the default size a field of 24.6 µm.
    min_per_class
        Floor under the number of cells of a class.
    overlap
        Scale of the spread within a class and of the drift towards neighbouring classes; at 0 a
        class's cells differ by patient and by chance in whole numbers (nucleoli, vacuoles) alone.
    patient_effect
        Scale of what cells of one slide share in morphology, and of how much the slides'
        differential counts differ.
    stain_variation
        Scale of the differences in hue and saturation among slides.
    illumination
        Relative fall of the lamp's intensity from the brightest to the darkest edge, on average.
    focus_blur
        Median standard deviation of the defocus over slides, µm.
    noise
        Standard deviation of the sensor's noise at full intensity, in grey levels of 255.
    crowding
        Scale of the red cells' and platelets' density.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_cells: int = Field(default=1300, ge=1, le=1_000_000)
    n_slides: int = Field(default=40, ge=1, le=10_000)
    image_size: int = Field(default=224, ge=32, le=1024)
    micrometres_per_pixel: float = Field(default=0.11, gt=0.01, le=1.0)
    min_per_class: int = Field(default=12, ge=0)
    overlap: float = Field(default=1.0, ge=0, le=3)
    patient_effect: float = Field(default=1.0, ge=0, le=3)
    stain_variation: float = Field(default=1.0, ge=0, le=3)
    illumination: float = Field(default=0.08, ge=0, le=0.5)
    focus_blur: float = Field(default=0.09, ge=0, le=2)
    noise: float = Field(default=2.5, ge=0, le=50)
    crowding: float = Field(default=1.0, ge=0, le=3)
