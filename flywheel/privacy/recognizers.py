"""`find_pii`: where personal data stand in a text, found by form and checksum.

No model and no names of persons (`names` has those): a number counts where its checksum or numbering plan is right, so
that order numbers and amounts stay. Texts and findings are never logged.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from flywheel.privacy.finding import Pii
from flywheel.privacy.national_ids import NATIONAL_IDS
from flywheel.privacy.secrets import SECRETS
from flywheel.workload.privacy import PII_KINDS, PiiKind

__all__ = ["find_pii"]

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d]|[.,-]\d)")
# First digits and lengths of the networks: Visa, Mastercard, American Express, Discover, JCB,
# Diners Club, UnionPay, Maestro.
_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}|(?:6011|65\d{2}|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}|(?:50|5[6-8]|6\d)\d{10,17}"
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}(?:\.\d{1,3}){0,3}(?![\w:]|\.\d)")
# Two colons and a digit: what programs write with colons is words.
_MANY_GROUPS = re.compile(r"(?=[^:]*:[^:]*:)(?=\D*\d)")
_VERSION = re.compile(r"(?i)\b(?:v|version|release|firmware|build)[ .:]{0,2}$")
_SOME_DIGITS = re.compile(r"\d(?:\D{0,3}\d){5}")
_PHONE_WORD = re.compile(
    r"(?i)\b(?:tel|telefon|telephone|phone|mobil|mobile|cell|fax|call|ruf)\w{0,8}"
    r"(?:\W{1,4}\w{1,8}){0,2}\W{0,4}$"
)
_ID_BEFORE, _ID_BEHIND = re.compile(r"\w-?$"), re.compile(r"-?\w")
_CONTEXT = 24
_FEWEST_DIGITS_OF_A_PHONE = 7


def find_pii(
    text: str, *, kinds: Sequence[PiiKind] = PII_KINDS, region: str | None = None
) -> list[Pii]:
    """Return what is found in a text, in its order and without overlaps.

    Args:
        text: any text.
        kinds: what to look for.
        region: country of telephone numbers without a country code and of national ids.
    """
    findings: list[Pii] = []
    # In this order a number that could be two things is the one with the stronger check.
    for kind in PII_KINDS:
        if kind not in kinds:
            continue
        for finding in _RECOGNIZERS[kind](text, region):
            if all(finding.end <= one.start or one.end <= finding.start for one in findings):
                findings.append(finding)
    return sorted(findings, key=lambda finding: finding.start)


def _secrets(text: str, _: str | None) -> Iterator[Pii]:
    for pattern in SECRETS:
        for match in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            yield Pii("secret", *match.span(group), match[group])


def _emails(text: str, _: str | None) -> Iterator[Pii]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        yield Pii("email", *match.span(), match[0].casefold())


def _ibans(text: str, _: str | None) -> Iterator[Pii]:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # The words behind it may look like its end: of all beginnings, one length is valid.
        for end in range(match.end(), match.start() + 14, -1):
            number = text[match.start() : end]
            if number[-1].isalnum() and iban.is_valid(number):
                yield Pii("iban", match.start(), end, iban.compact(number).upper())
                break


def _cards(text: str, _: str | None) -> Iterator[Pii]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = _digits(match[0])
        if _NETWORKS.fullmatch(digits) and luhn.is_valid(digits):
            yield Pii("card", *match.span(), digits)


def _national_ids(text: str, region: str | None) -> Iterator[Pii]:
    for form in NATIONAL_IDS.get(region or "", ()):
        for match in form.pattern.finditer(text):
            if form.is_valid(match[0]):
                yield Pii("national_id", *match.span(), re.sub(r"\W", "", match[0]))


def _addresses(text: str, _: str | None) -> Iterator[Pii]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if pattern is _IPV6 and not _MANY_GROUPS.match(match[0]):
                continue
            if _VERSION.search(text, max(0, match.start() - _CONTEXT), match.start()):
                continue
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            # An address of no machine or of the machine itself is nobody's.
            if not (address.is_unspecified or address.is_loopback):
                yield Pii("ip", *match.span(), str(address))


def _phones(text: str, region: str | None) -> Iterator[Pii]:
    if not _SOME_DIGITS.search(text):
        return
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(text, region):
        raw = match.raw_string
        # A bracket that closes later is not the number's.
        start = match.start + int(raw[0] == "(" and raw.count("(") > raw.count(")"))
        before = max(0, start - _CONTEXT)
        # Digits beside letters, or joined to them by a hyphen, are a part of a longer id.
        if _ID_BEFORE.search(text, max(0, start - 2), start) or _ID_BEHIND.match(text, match.end):
            continue
        if len(_digits(raw)) < _FEWEST_DIGITS_OF_A_PHONE or (
            not _looks_like_a_phone(raw, region) and not _PHONE_WORD.search(text, before, start)
        ):
            continue
        form = phonenumbers.PhoneNumberFormat.E164
        yield Pii("phone", start, match.end, phonenumbers.format_number(match.number, form))


def _looks_like_a_phone(raw: str, region: str | None) -> bool:
    # Digits alone, or in other groups than the country writes, are as likely an order's.
    import phonenumbers

    if raw.startswith(("+", "0", "(")):
        return True
    grouped = phonenumbers.Leniency.STRICT_GROUPING
    return not raw.isdigit() and phonenumbers.PhoneNumberMatcher(raw, region, grouped).has_next()


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


_RECOGNIZERS: Mapping[PiiKind, Callable[[str, str | None], Iterator[Pii]]] = {
    "secret": _secrets,
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "national_id": _national_ids,
    "ip": _addresses,
    "phone": _phones,
}
