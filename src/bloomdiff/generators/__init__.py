"""Generators of embeddings behind one contract: our diffusion model and its rivals.

Importing this package registers every generator; heavy libraries load only when one is used.
"""

from bloomdiff.generators.adasyn import AdasynGenerator
from bloomdiff.generators.base import GENERATORS, Generator, GeneratorParams
from bloomdiff.generators.borderline_smote import BorderlineSmoteGenerator
from bloomdiff.generators.calibration import CalibrationGenerator
from bloomdiff.generators.ctgan import CtganGenerator, TvaeGenerator
from bloomdiff.generators.diffusion import DiffusionGenerator
from bloomdiff.generators.factory import load_generator, make_generator
from bloomdiff.generators.forest_diffusion import ForestDiffusionGenerator
from bloomdiff.generators.gaussian import GaussianGenerator
from bloomdiff.generators.gaussian_copula import GaussianCopulaGenerator
from bloomdiff.generators.gmm import GmmGenerator
from bloomdiff.generators.image_space import ImageDiffusionGenerator
from bloomdiff.generators.jitter import JitterGenerator
from bloomdiff.generators.kde import KdeGenerator
from bloomdiff.generators.kmeans_smote import KMeansSmoteGenerator
from bloomdiff.generators.latent_ddim import LatentDdimGenerator
from bloomdiff.generators.mixup import MixupGenerator
from bloomdiff.generators.none import NoneGenerator
from bloomdiff.generators.oversample import OversampleGenerator
from bloomdiff.generators.retrieval import RetrievalGenerator
from bloomdiff.generators.smote import SmoteGenerator
from bloomdiff.generators.stable_diffusion import StableDiffusionLoraGenerator

__all__ = ["GENERATORS", "Generator", "GeneratorParams", "load_generator", "make_generator"]
