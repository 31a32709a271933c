"""Base models: any source ends as one ordinary Hugging Face folder, named by its content."""

from flywheel.artifacts.base_folder import BaseModel, load_base
from flywheel.basemodel.build import build_base
from flywheel.basemodel.home_bases import HomeBases

__all__ = ["BaseModel", "HomeBases", "build_base", "load_base"]
