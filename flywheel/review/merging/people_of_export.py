"""Who annotated, in an export that names one person by number here and by address there."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["with_people"]


def with_people(tasks: list[Any]) -> list[Any]:
    """Return the tasks with every person named by number and address where the file knows both."""
    people = dict(_named(tasks))
    return [_with_names(task, people) for task in tasks] if people else tasks


def _named(tasks: Iterable[Any]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    for raw in _annotations(tasks):
        person = raw.get("completed_by")
        if isinstance(person, Mapping) and isinstance(person.get("id"), int) and _address(person):
            yield person["id"], person


def _with_names(task: Any, people: Mapping[int, Mapping[str, Any]]) -> Any:
    if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
        return task
    annotations = [_with_name(raw, people) for raw in task["annotations"]]
    return task | {"annotations": annotations}


def _with_name(raw: Any, people: Mapping[int, Mapping[str, Any]]) -> Any:
    if not isinstance(raw, dict):
        return raw
    person = raw.get("completed_by")
    number = person.get("id") if isinstance(person, Mapping) else person
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if not isinstance(number, int) or number not in people or _address(person):
        return raw
    return raw | {"completed_by": people[number]}


def _annotations(tasks: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for task in tasks:
        annotations = task.get("annotations") if isinstance(task, Mapping) else None
        for raw in annotations if isinstance(annotations, list) else ():
            if isinstance(raw, Mapping):
                yield raw


def _address(person: Any) -> bool:
    if not isinstance(person, Mapping):
        return False
    return any(isinstance(person.get(key), str) and person[key] for key in ("email", "username"))
