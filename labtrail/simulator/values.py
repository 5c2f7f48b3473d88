"""What results look like: a headline value for each test, with unit, reference range and critical limits.

Typical adult values, for demonstration. A panel is reported by the one figure that is most looked at.
"""

from random import Random
from typing import NamedTuple

from models.rules.event_types import Flag


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


def draw_value(test: str, rng: Random) -> Value:
    """A believable result of this test; an unknown test is reported as negative."""
    ill = rng.random() < ILL_SHARE
    measured = MEASURED.get(test)
    if measured is None:
        words = TOLD.get(test, Told("Negative", ("Positive",)))
        if not ill:
            return Value(words.usual, None, "normal")
        return Value(rng.choice(words.others), None, "critical" if words.critical else "abnormal")
    mean, spread = measured.mean, measured.spread
    if ill and measured.ill_mean is not None:
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
