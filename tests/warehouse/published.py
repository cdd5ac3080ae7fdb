"""Data of other people, from the packages that carry them, or typed from the paper named."""

from importlib.resources import files

import polars as pl
from lifelines import datasets

BIRTH_WEIGHT_OUTCOME = ("prenatal1_", "mmarried_", "mage", "fbaby_")
BIRTH_WEIGHT_CHOICE = ("mmarried_", "mage", "mage2", "fbaby_", "medu")


def birth_weights() -> pl.DataFrame:
    """Birth weight and smoking of 4 642 mothers (Cattaneo, Journal of Econometrics 155 (2010) 138-154); in
    statsmodels' tests, BSD-3."""
    return pl.read_csv(str(files("statsmodels.treatment.tests.results") / "cataneo2.csv"))


def marrow_transplants() -> pl.DataFrame:
    """137 bone marrow transplants (Klein and Moeschberger, Survival Analysis (1997), §1.3): `Group`, days
    `T`, `Status` 1 for any event (statsmodels' tests, BSD-3), and `cause`: 1 relapse, 2 death, 0 neither,
    from Guo and So, Cause-Specific Analysis of Competing Risks Using the PHREG Procedure (2018)."""
    cause = (
        "00000000000000212112212122111221112212000000000000000000000000000002222222212112121222212111"
        "000000000001211211112111122121122122211112112"
    )
    frame = pl.read_csv(str(files("statsmodels.duration.tests.results") / "bmt.csv"))
    return frame.with_columns(pl.Series("cause", [int(digit) for digit in cause]))


def lung() -> pl.DataFrame:
    """228 patients with lung cancer (Loprinzi et al., Journal of Clinical Oncology 12 (1994) 601-607)."""
    return pl.from_pandas(datasets.load_lung()[["time", "status", "sex"]])


def rossi() -> pl.DataFrame:
    """432 released prisoners (Rossi, Berk and Lenihan (1980)), followed for a year."""
    return pl.from_pandas(datasets.load_rossi())


GODS = {
    # Hernán and Robins, Causal Inference: What If (2020), tables 2.2 and 3.1: L critical, A transplant, Y
    # death
    "L": [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "A": [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "Y": [0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0],
}
