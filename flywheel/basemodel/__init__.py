"""Base models: any source ends as one ordinary Hugging Face folder, named by its content."""

from flywheel.base_folder import BaseModel, load_base
from flywheel.basemodel.build import build_base

__all__ = ["BaseModel", "build_base", "load_base"]
