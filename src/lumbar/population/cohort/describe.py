"""Description of the results of a cohort."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UsageError
from lumbar.population.analysis import Population, PopulationOptions, describe
from lumbar.population.cohort.ageing import ageing_table
from lumbar.population.cohort.comparison import Comparison, compare_groups
from lumbar.population.cohort.correlations import Correlation, correlations
from lumbar.population.cohort.covariates import Covariates, covariates_of
from lumbar.population.cohort.distributions import Distribution, distributions
from lumbar.population.cohort.harmonize import Harmonized, harmonize
from lumbar.population.cohort.people import People
from lumbar.population.cohort.prevalence import Prevalence, prevalences
from lumbar.population.cohort.rater_agreement import ColumnAgreement, compare_tables
from lumbar.population.cohort.site_effects import SiteEffect, site_effects
from lumbar.population.cohort.strata import strata_of
from lumbar.population.cohort.table import CohortTable
from lumbar.population.cohort.zscores import z_scores


@dataclass(frozen=True)
class CohortOptions:
    """Options of the description, besides distributions, prevalence, correlations and z-scores."""

    site: str = "site"  # column of the table of people
    compare: str | None = None  # column whose groups are compared
    harmonize: bool = False  # remove site effects by ComBat before all analyses except that of the site effects
    aging: str | None = None  # finding whose ageing is described
    draws: int = 1000  # bootstrap draws and permutations of the ageing page
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Cohort:
    """Description of a cohort."""

    table: CohortTable  # the described table: harmonized, if requested
    people: People
    covariates: Covariates
    distributions: tuple[Distribution, ...]
    prevalences: tuple[Prevalence, ...]
    correlations: tuple[Correlation, ...]
    z_scores: NDArray[np.float32]  # (n, c)
    sites: tuple[SiteEffect, ...]  # of the values as measured
    harmonized: Harmonized | None
    sites_after: tuple[SiteEffect, ...]  # of the harmonized values
    comparisons: tuple[Comparison, ...]
    agreement: tuple[ColumnAgreement, ...]
    ageing: Population | None
    warnings: tuple[str, ...]


def describe_cohort(table: CohortTable, people: People, options: CohortOptions, other: CohortTable | None = None) -> Cohort:
    """Describe `table`; `other` are results of another version or reader on the same studies.

    Raises:
        UsageError: a named column is missing, or a requested analysis needs more people.
    """
    covariates = covariates_of(people)
    sites = people.facts.get(options.site)
    before = tuple(site_effects(table, sites, covariates)) if sites is not None else ()
    warnings = [*_left_out(table), *_unknown(people, covariates)]
    harmonized = None
    if options.harmonize:
        if sites is None:
            raise UsageError(f"harmonizing needs the column {options.site!r} in the table of people; it has {', '.join(people.facts) or 'age and sex only'}")
        harmonized = harmonize(table, sites, covariates)
        warnings.append(_harmonized(harmonized))
    used = _merged(table, harmonized) if harmonized else table
    ageing = None
    if options.aging:
        rows, drawn = ageing_table(used, people, options.aging, options.site, seed=options.seed)
        ageing = describe(rows, PopulationOptions(draws=options.draws, seed=options.seed, mixed=False))
        if drawn < len(table.studies):
            warnings.append(f"ageing of {options.aging} was analysed in a random sample of {drawn} people of known age")
    return Cohort(
        table=used,
        people=people,
        covariates=covariates,
        distributions=tuple(distributions(used, strata_of(people, options.site))),
        prevalences=tuple(prevalences(used, strata_of(people, options.site))),
        correlations=tuple(correlations(used)),
        z_scores=z_scores(used, covariates),
        sites=before,
        harmonized=harmonized,
        sites_after=tuple(site_effects(harmonized.table, sites, covariates)) if harmonized and sites is not None else (),
        comparisons=tuple(compare_groups(used, people.fact(options.compare), covariates)) if options.compare else (),
        agreement=tuple(compare_tables(other, used)) if other is not None else (),
        ageing=ageing,
        warnings=tuple(warnings),
    )


def _merged(table: CohortTable, harmonized: Harmonized) -> CohortTable:
    """Harmonized findings in place of the measured ones; the others, such as grades, as they are."""
    done = np.isfinite(harmonized.table.values).any(axis=0)
    values = np.where(done, harmonized.table.values, table.values)
    return CohortTable(table.studies, table.columns, values, table.left_out)


def _harmonized(harmonized: Harmonized) -> str:
    text = f"harmonized by ComBat over sites: {', '.join(harmonized.findings) or 'nothing'}; all figures except the site effects use these values"
    if harmonized.left_out:
        text += f"; {harmonized.left_out} measured values could not be harmonized and are left out"
    return text


def _left_out(table: CohortTable) -> list[str]:
    return [f"{count} values were left out: {why}" for why, count in table.left_out.items()]


def _unknown(people: People, covariates: Covariates) -> list[str]:
    n, used = len(people.sex), int(covariates.known.sum())
    if not covariates.names:
        return ["age and sex are unknown for most: z-scores and comparisons are not adjusted for them (give a table with --people)"]
    missing = f"; {n - used} people with unknown values have no z-scores and are not compared" if used < n else ""
    return [f"z-scores, site effects and comparisons are adjusted for {' and '.join(covariates.names)}{missing}"]
