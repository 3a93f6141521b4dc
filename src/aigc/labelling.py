"""Section `label` of params.yaml: what the labels that laws ask for name. No out depends on it."""

import re

from pydantic import field_validator

from aigc.core import config, paths
from aigc.core.config import Section

NOT_STATED = "aigc (producer not stated)"
LONGEST_NAME = 200
# Unified social credit code: GB 32100-2015, 31 characters and a check character of weights 3^i mod 31.
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CODE = re.compile(rf"0011([{ALPHABET}]{{18}})[0-9A-Z]{{5}}")
LOOKS_LIKE_A_CODE = re.compile(r"001[0-9A-Za-z]*|[0-9][0-9A-Za-z]{14,}")


class LabelConfig(Section):
    producer: str

    @field_validator("producer")
    @classmethod
    def _is_a_code_or_a_name(cls, value: str) -> str:
        if problem := problem_of(value):
            raise ValueError(problem)
        return value


def problem_of(producer: str) -> str:
    """Why this is neither a provider's code nor a name, "" when it is one of them (or "")."""
    if LOOKS_LIKE_A_CODE.fullmatch(re.sub(r"[\s-]", "", producer)):
        found = CODE.fullmatch(producer)
        if not found:
            return ("a provider's code has 27 characters: 001, 1, the 18 of the unified social credit code "
                    "and 5 of the product, without spaces; correct it, or write a name")
        if not credit_code_is_valid(found[1]):
            return (f"{found[1]} is no unified social credit code: its last character does not fit the 17 "
                    "before it; correct it, or write a name")
    if len(producer) > LONGEST_NAME or not producer.isprintable() or producer != producer.strip():
        return f"a name is at most {LONGEST_NAME} printable characters, with no space at its ends"
    return ""


def credit_code_is_valid(code: str) -> bool:
    """Whether the check character of 18 characters of ALPHABET fits (GB 32100-2015)."""
    total = sum(ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(code[:17]))
    return ALPHABET.index(code[17]) == -total % 31


def producer() -> str:
    """`label.producer` of params.yaml; NOT_STATED where that is "", or where there is no params.yaml.

    Raises ConfigError where it is a code of a wrong form.
    """
    content = config.read() if paths.PARAMS.exists() else {}
    stated = config.section("label", LabelConfig, content).producer if "label" in content else ""
    return stated or NOT_STATED
