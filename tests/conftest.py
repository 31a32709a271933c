"""What every test may use: the repository, public data beside it, a quiet environment."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# Before any library is imported: no test asks a hub or sends telemetry.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
os.environ["WANDB_DISABLED"] = "true"
# No test reads or writes the deployment of the person who runs it.
os.environ["FLYWHEEL_HOME"] = tempfile.mkdtemp(prefix="flywheel-tests-")
os.environ["FLYWHEEL_WORKLOADS"] = str(REPOSITORY / "deploy" / "workloads")
atexit.register(shutil.rmtree, os.environ["FLYWHEEL_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Return the folder of public data beside the checkout, or skip with the reason."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data sets are not beside this checkout")
    return folder
