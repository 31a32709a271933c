"""`NATIONAL_IDS`: forms of national identity numbers by country; python-stdnum has their checksums.

Numbers of companies are left out. Where a form is digits alone and its check is weak, separators
are required.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

__all__ = ["NATIONAL_IDS", "NationalId"]


@dataclass(frozen=True)
class NationalId:
    """One number: how it is written, and python-stdnum's module that checks it."""

    pattern: re.Pattern[str]
    module: str

    def is_valid(self, text: str) -> bool:
        """Return whether a text of that form has a right checksum, date and area."""
        return bool(import_module(f"stdnum.{self.module}").is_valid(text))


def _id(pattern: str, module: str) -> NationalId:
    return NationalId(re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w]|[.-]\w)"), module)


_CODE = "[0-9LMNPQRSTUV]"  # of an Italian tax code, whose digits are letters where two would agree

NATIONAL_IDS: Mapping[str, tuple[NationalId, ...]] = {
    "AT": (_id(r"\d{4} ?\d{6}", "at.vnr"),),
    "BE": (_id(r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", "be.nn"),),
    "BR": (_id(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", "br.cpf"),),
    "CH": (_id(r"756\.?\d{4}\.?\d{4}\.?\d{2}", "ch.ssn"),),
    "CN": (_id(r"\d{17}[\dX]", "cn.ric"),),
    "CZ": (_id(r"\d{6}/\d{3,4}", "cz.rc"),),
    "DE": (_id(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "de.idnr"),),
    "DK": (_id(r"\d{6}-\d{4}", "dk.cpr"),),
    "ES": (
        _id(r"\d{8}-?[A-Z]", "es.dni"),
        _id(r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    ),
    "FI": (_id(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", "fi.hetu"),),
    "FR": (_id(r"[1-478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", "fr.nir"),),
    "GB": (_id(r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs"),),
    "IE": (_id(r"\d{7}[A-W][A-IW]?", "ie.pps"),),
    "IN": (_id(r"\d{4} ?\d{4} ?\d{4}", "in_.aadhaar"),),
    "IT": (
        _id(rf"[A-Z]{{6}}{_CODE}{{2}}[A-Z]{_CODE}{{2}}[A-Z]{_CODE}{{3}}[A-Z]", "it.codicefiscale"),
    ),
    "NL": (_id(r"\d{4}\.?\d{2}\.?\d{3}", "nl.bsn"),),
    "NO": (_id(r"\d{6} ?\d{5}", "no.fodselsnummer"),),
    "PL": (_id(r"\d{11}", "pl.pesel"),),
    "PT": (_id(r"\d{8} ?\d ?[A-Z]{2}\d", "pt.cc"),),
    "SE": (_id(r"(?:\d{2})?\d{6}[-+]\d{4}", "se.personnummer"),),
    "US": (_id(r"\d{3}-\d{2}-\d{4}", "us.ssn"),),
}
