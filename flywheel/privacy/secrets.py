"""`SECRETS`: patterns of keys, tokens and passwords that are recognizable by their form."""

import re

__all__ = ["SECRETS"]

_VALUE = (
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"((?=[^\s\"'<>]{0,64}\d)(?=[^\s\"'<>]{0,64}[A-Za-z])[^\s\"'<>]{6,})"
)

# Group 1 is the secret where the words before it stay.
SECRETS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern)
    for pattern in (
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{1,10000}?-----END [A-Z ]{0,30}PRIVATE KEY-----",
        # JSON Web Tokens
        r"(?<!\w)eyJ[\w-]{10,}\.eyJ[\w-]{5,}\.[\w-]{5,}",
        # OpenAI, Anthropic and others; Flywheel's own; Slack; GitHub; GitLab; npm; Hugging Face
        r"(?<![\w-])(?:sk|pk|rk)[-_](?:[a-z]{2,10}[-_]){0,3}[A-Za-z0-9_-]{20,}",
        r"(?<![\w-])fw-[0-9a-f]{12}-[\w-]{20,}",
        r"(?<![\w-])xox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"(?<!\w)gh[opsur]_[A-Za-z0-9]{36,}",
        r"(?<!\w)github_pat_\w{22,}",
        r"(?<![\w-])glpat-[\w-]{20,}",
        r"(?<!\w)npm_[A-Za-z0-9]{36}",
        r"(?<!\w)hf_[A-Za-z0-9]{30,}",
        # Amazon and Google
        r"(?<!\w)(?:AKIA|ASIA)[0-9A-Z]{16}(?!\w)",
        r"(?<!\w)AIza[\w-]{35}",
        # "Bearer TOKEN", and "password: VALUE" where the value has a letter and a digit
        r"(?i:\bbearer\s{1,4})([\w.~+/-]{20,}={0,2})",
        r"(?i:\b(?:password|passwort|passwd|pwd|secret|token|api[_ -]?key)\b)" + _VALUE,
    )
)
