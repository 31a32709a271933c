"""`find_names`: persons, places and organizations that a language model finds, through Presidio.

The model is the user's: a spaCy pipeline with named entities, installed as a package or in a folder.
Presidio and spaCy are the extra ``presidio``; nothing is downloaded.
"""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError
from flywheel.privacy.finding import Pii
from flywheel.workload.privacy import NameKind, NameRules

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

__all__ = ["find_names", "require_model"]

_ENTITIES: dict[NameKind, str] = {
    "person": "PERSON",
    "location": "LOCATION",
    "organization": "ORGANIZATION",
}
_KINDS = {entity: kind for kind, entity in _ENTITIES.items()}
# The labels of spaCy's pipelines, of English and of the others.
_LABELS = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "ORG": "ORGANIZATION",
}


def find_names(text: str, rules: NameRules) -> list[Pii]:
    """Return the names in a text, in its order and without overlaps.

    Raises:
        ConfigurationError: Presidio or the model is not installed.
    """
    results = _analyzer(rules.model, rules.language).analyze(
        text,
        language=rules.language,
        entities=[_ENTITIES[kind] for kind in rules.kinds],
        score_threshold=rules.minimum_score,
    )
    findings: list[Pii] = []
    for result in sorted(results, key=lambda result: (result.start, -result.end)):
        if not findings or result.start >= findings[-1].end:
            value = " ".join(text[result.start : result.end].casefold().split())
            findings.append(Pii(_KINDS[result.entity_type], result.start, result.end, value))
    return findings


def require_model(rules: NameRules | None) -> None:
    """Load the model that finds names, where a workload names one.

    Raises:
        ConfigurationError: Presidio or the model is not installed.
    """
    if rules is not None:
        _analyzer(rules.model, rules.language)


@lru_cache(maxsize=8)
def _analyzer(model: str, language: str) -> "AnalyzerEngine":
    # Presidio would download a model that is not there.
    if not (_is_installed(model) or Path(model).is_dir()):
        raise ConfigurationError(
            f"privacy.names.model names {model}, which is neither an installed spaCy pipeline nor a "
            "folder with one.",
            next_step=f"install it, for example with `python -m spacy download {model}`, or give "
            "the folder of a pipeline",
        )
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    except ImportError as error:
        raise ConfigurationError(
            f"privacy.names needs Presidio, which is not installed ({error}).",
            next_step="install flywheel[presidio]",
        ) from error
    entities = list(_KINDS)
    engine = SpacyNlpEngine(
        models=[{"lang_code": language, "model_name": model}],
        ner_model_configuration=NerModelConfiguration(
            model_to_presidio_entity_mapping=_LABELS, labels_to_ignore=[]
        ),
    )
    engine.load()
    recognizer = SpacyRecognizer(supported_language=language, supported_entities=entities)
    registry = RecognizerRegistry(recognizers=[recognizer], supported_languages=[language])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except (PackageNotFoundError, ValueError):
        return False
    return True
