"""What results look like: a value for each test, with unit, reference range, critical limits, and the odd forms.

Typical adult values, for demonstration. A panel is reported by the one figure that is most looked at, or by its
analytes. Each value knows whether it must be taken for critical: that is planned here, not judged.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

from config.catalog import CriticalValue
from models.rules.event_types import Flag

Answer = Literal["yes", "no", "unjudged"]
"""Whether a value is critical; `unjudged`: it can't be decided."""


class Measured(NamedTuple):
    unit: str
    mean: float
    spread: float
    low: float
    high: float
    decimals: int
    critical_below: float = float("-inf")
    critical_above: float = float("inf")
    ill_mean: float | None = None
    """Where the values of the one in twelve who is ill lie."""


class Told(NamedTuple):
    """A result in words: the usual one, the others, and whether the others are critical."""

    usual: str
    others: tuple[str, ...]
    critical: bool = False


class Value(NamedTuple):
    value: str
    unit: str | None
    flag: Flag


class Said(NamedTuple):
    """What one report says, and what must come of it."""

    value: str | float | None
    unit: str | None
    flag: Flag | None
    critical: Answer
    components: tuple[dict[str, Any], ...] = ()


ILL_SHARE = 0.08
MEASURED = {
    "CBCD": Measured("g/dL", 13.8, 1.3, 12.0, 16.5, 1, 7.0, 20.0, 8.4),
    "CMP": Measured("mmol/L", 4.2, 0.35, 3.5, 5.1, 1, 2.8, 6.2, 5.6),
    "BMP": Measured("mmol/L", 4.2, 0.35, 3.5, 5.1, 1, 2.8, 6.2, 3.2),
    "LIPID": Measured("mg/dL", 112, 30, 0, 130, 0, ill_mean=175),
    "A1C": Measured("%", 5.5, 0.35, 4.0, 5.7, 1, ill_mean=8.6),
    "TSH": Measured("m[IU]/L", 2.1, 0.7, 0.4, 4.5, 2, ill_mean=9.5),
    "PTINR": Measured("INR", 1.05, 0.09, 0.9, 1.2, 1, critical_above=5.0, ill_mean=3.4),
    "ESR": Measured("mm/h", 11, 5, 0, 20, 0, ill_mean=48),
    "FERR": Measured("ng/mL", 95, 40, 15, 300, 0, ill_mean=9),
    "VITD": Measured("ng/mL", 34, 8, 30, 100, 1, ill_mean=15),
    "B12": Measured("pg/mL", 480, 120, 200, 900, 0, ill_mean=150),
    "HCGQ": Measured("m[IU]/mL", 2.0, 0.8, 0, 5, 1, ill_mean=5400),
    "PSA": Measured("ng/mL", 1.2, 0.6, 0, 4.0, 2, ill_mean=7.9),
    "GLU": Measured("mg/dL", 95, 10, 70, 99, 0, 55, 450, 240),
}
TOLD = {
    "UAC": Told("Negative", ("Leukocyte esterase 2+", "Blood 1+", "Protein trace", "Ketones 1+")),
    "UCX": Told("No growth", ("Escherichia coli >100,000 CFU/mL", "Mixed flora 10,000 CFU/mL")),
    "STREPA": Told("Not detected", ("Detected",)),
    "THRCX": Told("Normal flora", ("Group A Streptococcus isolated",)),
    "RESP4": Told("Not detected", ("SARS-CoV-2 detected", "Influenza A detected", "RSV detected")),
    "HEPAC": Told("Nonreactive", ("HBsAg reactive", "HCV antibody reactive")),
    "HIVAGAB": Told("Nonreactive", ("Reactive",)),
    "CTNG": Told("Not detected", ("C. trachomatis detected", "N. gonorrhoeae detected")),
    "PAPHPV": Told("NILM, HPV negative", ("ASC-US, HPV positive", "LSIL")),
    "BLDCX": Told("No growth at 5 days", ("Gram-positive cocci in clusters", "Gram-negative rods"), True),
    "FIT": Told("Negative", ("Positive",)),
    "DOTUDS": Told("Negative", ("Positive: marijuana metabolite", "Negative, dilute")),
}
CULTURES = {"UCX", "THRCX", "BLDCX"}
"""Tests that are first reported as preliminary."""
_BASIC = {
    "NA": Measured("mmol/L", 139, 2.2, 135, 145, 0, 120, 160, 131),
    "K": Measured("mmol/L", 4.2, 0.35, 3.5, 5.1, 1, 2.8, 6.2, 5.6),
    "CL": Measured("mmol/L", 103, 2.5, 98, 107, 0),
    "CO2": Measured("mmol/L", 25, 2.2, 21, 32, 0, 10, 40),
    "GLU": Measured("mg/dL", 95, 10, 70, 99, 0, 55, 450, 240),
    "BUN": Measured("mg/dL", 14, 4, 7, 20, 0, ill_mean=38),
    "CREA": Measured("mg/dL", 0.9, 0.18, 0.6, 1.3, 2, ill_mean=2.4),
    "CA": Measured("mg/dL", 9.4, 0.35, 8.6, 10.3, 1, 6.5, 13.0),
}
PANELS = {
    "BMP": _BASIC,
    "CMP": _BASIC
    | {
        "ALB": Measured("g/dL", 4.3, 0.3, 3.5, 5.0, 1),
        "ALT": Measured("U/L", 24, 9, 5, 55, 0, ill_mean=140),
    },
    "LIPID": {
        "CHOL": Measured("mg/dL", 185, 30, 100, 200, 0),
        "TRIG": Measured("mg/dL", 120, 40, 30, 150, 0, ill_mean=310),
        "HDL": Measured("mg/dL", 52, 11, 40, 90, 0),
        "LDL": Measured("mg/dL", 112, 30, 0, 130, 0, ill_mean=175),
    },
}
"""The analytes of the panels."""
COMPONENTS_SHARE = 0.35
"""How often a panel is reported by its analytes."""
NARRATIVES = {
    "PAPHPV": 0.6,
    "UCX": 0.15,
    "BLDCX": 0.3,
}
"""How often the result of such a test is a text of several thousand letters."""
_SENTENCES = (
    "Satisfactory for evaluation; endocervical and transformation zone components are present.",
    "Specimen was processed by the liquid-based method and read by a cytotechnologist.",
    "Susceptible to cefazolin, ceftriaxone, gentamicin, nitrofurantoin and trimethoprim-sulfamethoxazole.",
    "Resistant to ampicillin (MIC > 16 µg/mL); intermediate to ciprofloxacin (MIC 0.5 µg/mL).",
    "Shift in flora suggestive of bacterial vaginosis; inflammation is present.",
    "Interpret together with the clinical findings; repeat if symptoms persist.",
    "High-risk HPV was tested by nucleic acid amplification, with genotypes 16 and 18/45 reported apart.",
    "This screening test has false negative and false positive results; it does not replace an examination.",
)
NARRATIVE_LETTERS = (2_100, 7_000)
NUMBER_SHARE = 0.04
"""How often a figure comes as a JSON number instead of as text."""
ODD_SHARE = 0.2
"""How often a value that has limits comes without a flag and in a form that is harder to judge."""


def draw_value(test: str, rng: Random) -> Value:
    """A believable result of this test; an unknown test is reported as negative."""
    measured = MEASURED.get(test)
    if measured is not None:
        return _draw(measured, rng)
    words = TOLD.get(test, Told("Negative", ("Positive",)))
    if rng.random() >= ILL_SHARE:
        return Value(words.usual, None, "normal")
    return Value(rng.choice(words.others), None, "critical" if words.critical else "abnormal")


def _draw(measured: Measured, rng: Random) -> Value:
    mean, spread = measured.mean, measured.spread
    if rng.random() < ILL_SHARE and measured.ill_mean is not None:
        mean = measured.ill_mean
        spread = max(spread, abs(mean - measured.mean) * 0.35)
    number = round(max(10**-measured.decimals, rng.gauss(mean, spread)), measured.decimals)
    return Value(f"{number:.{measured.decimals}f}", measured.unit, flag_of(measured, number))


def flag_of(measured: Measured, number: float) -> Flag:
    """How the lab flags this number."""
    if number < measured.critical_below:
        return "critical-low"
    if number > measured.critical_above:
        return "critical-high"
    if number < measured.low:
        return "low"
    return "high" if number > measured.high else "normal"


Limits = Sequence[CriticalValue]
"""The lines of the catalog for a test or analyte: one for each unit."""


def say(test: str, limits: Callable[[str], Limits], rng: Random, *, plain: bool = False) -> Said:
    """What a report of this test says. `limits`: of a test or analyte; `plain`: nothing that is hard to judge."""
    if test in PANELS and rng.random() < COMPONENTS_SHARE:
        return _panel(PANELS[test], limits, rng, plain=plain)
    lines = limits(test)
    if lines and not plain and rng.random() < ODD_SHARE:
        return odd(lines, rng)
    drawn = draw_value(test, rng)
    said = _flagged(drawn, lines)
    if rng.random() < NARRATIVES.get(test, 0):
        return said._replace(value=_narrative(drawn.value, rng))
    if test in MEASURED and rng.random() < NUMBER_SHARE:
        return said._replace(value=float(drawn.value))
    return said


def _flagged(drawn: Value, lines: Limits) -> Said:
    """The lab flags by the catalog's limits where there are any, else by the typical ones."""
    flag, line = drawn.flag, next((one for one in lines if one.unit == drawn.unit), None)
    if line is not None:
        if line.low_below is not None and float(drawn.value) < line.low_below:
            flag = "critical-low"
        elif line.high_above is not None and float(drawn.value) > line.high_above:
            flag = "critical-high"
    return Said(drawn.value, drawn.unit, flag, "yes" if flag.startswith("critical") else "no")


def _panel(analytes: dict[str, Measured], limits: Callable[[str], Limits], rng: Random, *, plain: bool) -> Said:
    parts = []
    for code, measured in analytes.items():
        lines = limits(code)
        if lines and not plain and rng.random() < ODD_SHARE:
            parts.append((code, odd(lines, rng)))
        else:
            parts.append((code, _flagged(_draw(measured, rng), lines)))
    answers = {said.critical for _, said in parts}
    worst: Answer = "yes" if "yes" in answers else "unjudged" if "unjudged" in answers else "no"
    return Said(None, None, None, worst, tuple(_component(code, said) for code, said in parts))


def _component(code: str, said: Said) -> dict[str, Any]:
    fields = {"code": code, "value": said.value, "unit": said.unit, "flag": said.flag}
    return {name: value for name, value in fields.items() if value is not None}


def _narrative(headline: str, rng: Random) -> str:
    text, length = f"{headline}.", rng.randint(*NARRATIVE_LETTERS)
    while len(text) < length:
        text += f" {rng.choice(_SENTENCES)}"
    return text


# --- values without a flag that are harder to judge


class _Odd(NamedTuple):
    """One way to write a value. `make`: from a line and a number of each kind, value and unit."""

    weight: int
    critical: Answer
    make: Callable[[CriticalValue, "_Numbers", Random], tuple[str, str | None]]
    needs_low: bool = False
    needs_high: bool = False


class _Numbers(NamedTuple):
    """Numbers within a line's limits, below the low one and above the high one, as text."""

    within: str
    below: str
    above: str


UNITS_WITHOUT_LIMITS = ("g/L", "arb.u.")


def _text(number: float) -> str:
    return f"{number:.0f}" if number > 50 else f"{number:.1f}"


def _numbers(line: CriticalValue, rng: Random) -> _Numbers:
    low, high = line.low_below, line.high_above
    least = low * 1.2 if low is not None else (high or 1) * 0.2
    most = high * 0.8 if high is not None else least * 2
    below, above = (low or 0) * rng.uniform(0.4, 0.9), (most if high is None else high) * rng.uniform(1.1, 2.2)
    return _Numbers(_text(rng.uniform(least, most)), _text(below), _text(above))


def _spelled(unit: str | None, rng: Random) -> str | None:
    """Another spelling of the same unit."""
    if unit is None:
        return None
    return rng.choice((unit.lower(), unit.upper(), f" {unit}", unit.replace("/", " / ")))


def _share(number: float | None, share: float) -> str:
    return _text((number or 0) * share)


_ODD: tuple[_Odd, ...] = (
    _Odd(4, "no", lambda line, n, _: (n.within, line.unit)),
    _Odd(4, "no", lambda line, n, rng: (n.within, _spelled(line.unit, rng))),
    _Odd(3, "no", lambda line, n, _: (n.within.replace(".", ",") if "." in n.within else f"{n.within},5", line.unit)),
    _Odd(2, "yes", lambda line, n, rng: (n.above, _spelled(line.unit, rng)), needs_high=True),
    _Odd(2, "yes", lambda line, n, _: (n.below, line.unit), needs_low=True),
    _Odd(3, "yes", lambda line, n, rng: (f"{rng.choice('>≥')}{n.above}", line.unit), needs_high=True),
    _Odd(1, "yes", lambda line, n, rng: (f"{rng.choice(('>=', '≥ '))}{n.above}", line.unit), needs_high=True),
    _Odd(2, "yes", lambda line, n, rng: (f"{rng.choice('<≤')}{n.below}", line.unit), needs_low=True),
    _Odd(1, "unjudged", lambda line, _, __: (f">{_share(line.high_above, 0.9)}", line.unit), needs_high=True),
    _Odd(1, "unjudged", lambda line, _, __: (f"<{_share(line.low_below, 1.2)}", line.unit), needs_low=True),
    _Odd(1, "unjudged", lambda _, n, __: (n.within, None)),
    _Odd(1, "unjudged", lambda line, n, __: (f"{n.within} {line.unit}", None)),
    _Odd(1, "unjudged", lambda _, n, rng: (n.within, rng.choice(UNITS_WITHOUT_LIMITS))),
    _Odd(1, "unjudged", lambda line, _, rng: (f"{rng.randint(1, 9)},{rng.randint(100, 999)}", line.unit)),
    _Odd(1, "unjudged", lambda line, _, rng: (rng.choice(("see comment", "clotted", "1_000")), line.unit)),
)


def odd(lines: Limits, rng: Random) -> Said:
    """A value without a flag, in one of the units that have limits, in no unit or in another one."""
    units = [line for line in lines if line.unit is not None]
    if len(units) < len(lines):  # a value without a unit has limits too: nothing is odd about it
        return Said("see comment", None, None, "unjudged")
    line = rng.choice(units)
    forms = [
        form
        for form in _ODD
        if not (form.needs_low and line.low_below is None) and not (form.needs_high and line.high_above is None)
    ]
    form = rng.choices(forms, [form.weight for form in forms])[0]
    value, unit = form.make(line, _numbers(line, rng), rng)
    return Said(value, unit, None, form.critical)
