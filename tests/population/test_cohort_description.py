"""Cohorts: every figure against another library or a case worked by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pa = pytest.importorskip("pyarrow", reason="lumbar[cluster] is not installed")

import pyarrow.parquet  # noqa: E402

from lumbar.cli.main import main  # noqa: E402
from lumbar.errors import UnreadableInput, UsageError  # noqa: E402
from lumbar.population.cohort.ageing import ageing_table  # noqa: E402
from lumbar.population.cohort.comparison import compare_groups, hedges_g  # noqa: E402
from lumbar.population.cohort.correlations import correlations  # noqa: E402
from lumbar.population.cohort.covariates import covariates_of  # noqa: E402
from lumbar.population.cohort.distributions import distributions  # noqa: E402
from lumbar.population.cohort.harmonize import harmonize  # noqa: E402
from lumbar.population.cohort.outliers import find_outliers  # noqa: E402
from lumbar.population.cohort.people import People, read_people  # noqa: E402
from lumbar.population.cohort.prevalence import ANY, prevalences, wilson  # noqa: E402
from lumbar.population.cohort.rater_agreement import compare_tables  # noqa: E402
from lumbar.population.cohort.site_effects import site_effects  # noqa: E402
from lumbar.population.cohort.strata import strata_of  # noqa: E402
from lumbar.population.cohort.table import CohortTable, Column, read_results  # noqa: E402
from lumbar.population.cohort.zscores import z_scores  # noqa: E402

CSV = """study,level,side,structure,finding,value,unit,error,quality
b,L4/L5,,disc,disc_height_mm,8.5,mm,0.4,passed
a,L4/L5,,disc,disc_height_mm,7.5,mm,,doubtful
a,L5/S1,,disc,disc_height_mm,6.5,mm,,failed
a,L4/L5,left,recess,subarticular_stenosis_grade_0_2,2,grade 0-2,,
"""


def made(n: int = 400, seed: int = 0, missing: float = 0.0) -> tuple[CohortTable, People]:
    """Heights that fall with age and are larger at site B, a muscle of men and women, a grade."""
    random = np.random.default_rng(seed)
    age, sex, site = random.uniform(20, 90, n), random.choice(["F", "M"], n), random.choice(["A", "B", "C"], n)
    heights = 10 - 0.05 * age[:, None] + random.normal(0, 0.5, (n, 4)) * np.where(site == "C", 2, 1)[:, None] + 1.5 * (site == "B")[:, None]
    muscle = 20 + 5 * (sex == "M") + random.normal(0, 2, n)
    grade = np.clip(np.round((age - 40) / 30 + random.normal(0, 0.5, n)), 0, 2)
    values = np.column_stack([heights, muscle, grade]).astype(np.float32)
    values[random.random(values.shape) < missing] = np.nan
    levels = ("L1/L2", "L2/L3", "L3/L4", "L4/L5")
    columns = (*(Column("disc", "disc_height_mm", level, "", "mm") for level in levels), Column("multifidus", "volume_ml", "", "left", "ml"),
               Column("canal", "spinal_canal_stenosis_grade_0_2", "L4/L5", "", "grade 0-2"))  # fmt: skip
    return CohortTable(np.array([f"s{k:04d}" for k in range(n)]), columns, values, {}), People(age, sex, {"site": site})


def test_results_become_a_matrix_and_failed_values_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(CSV)
    table = read_results(tmp_path)
    assert table.studies.tolist() == ["a", "b"]
    assert [(c.structure, c.finding, c.level, c.side) for c in table.columns if c.level != "L5/S1"] == [
        ("disc", "disc_height_mm", "L4/L5", ""),
        ("recess", "subarticular_stenosis_grade_0_2", "L4/L5", "left"),
    ]
    number = next(k for k, c in enumerate(table.columns) if c.finding == "disc_height_mm" and c.level == "L4/L5")
    np.testing.assert_array_equal(table.values[:, number], np.float32([7.5, 8.5]))
    assert np.isfinite(table.values).sum() == 3 and table.left_out == {"quality failed": 1}


def test_parquet_and_csv_give_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(CSV)
    import pyarrow.csv as text  # noqa: PLC0415

    pyarrow.parquet.write_table(text.read_csv(tmp_path / "results.csv"), tmp_path / "other.parquet", row_group_size=1)
    first, second = read_results(tmp_path / "results.csv"), read_results(tmp_path / "other.parquet")
    assert first.columns == second.columns and first.studies.tolist() == second.studies.tolist()
    np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize("text", ["", "study,finding\n1,2\n", CSV.splitlines()[0] + "\n"])
def test_other_tables_than_results_are_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(UnreadableInput):
        read_results(tmp_path)
    with pytest.raises(UnreadableInput):
        read_results(tmp_path / "nothing")


def test_people_are_joined_by_study_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("study;age;sex;site\n2;44,5;female;Ulm\n9;1;m;x\n1;;;\n")
    people = read_people(path, np.array(["1", "2", "3"]))
    np.testing.assert_array_equal(people.age_years, [np.nan, 44.5, np.nan])
    assert people.sex.tolist() == ["", "F", ""] and people.facts["site"].tolist() == ["", "Ulm", ""]
    path.write_text("study,age\n1,4\n1,5\n")
    with pytest.raises(UnreadableInput, match="line 3"):
        read_people(path, np.array(["1"]))
    with pytest.raises(UnreadableInput, match="none of the studies"):
        read_people(path, np.array(["x"])) if path.write_text("study,age\n7,4\n") else None


def test_distributions_are_those_of_numpy() -> None:
    table, people = made(missing=0.1)
    found = {(one.column, one.by, one.group): one for one in distributions(table, strata_of(people))}
    women = table.values[people.sex == "F", 0].astype(np.float64)
    one = found[table.columns[0], "sex", "F"]
    np.testing.assert_allclose(one.quantiles, np.nanquantile(women, [0.025, 0.25, 0.5, 0.75, 0.975]))
    np.testing.assert_allclose([one.mean, one.sd, one.minimum, one.maximum], [np.nanmean(women), np.nanstd(women, ddof=1), np.nanmin(women), np.nanmax(women)])
    assert (one.n, one.missing) == (np.isfinite(women).sum(), np.isnan(women).sum())
    decade = (people.age_years >= 40) & (people.age_years < 50)
    assert found[table.columns[0], "age", "40-49"].n == np.isfinite(table.values[decade, 0]).sum()
    assert {group for _, by, group in found if by == "site"} == {"A", "B", "C"}


def test_prevalence_counts_people_and_its_interval_is_wilsons() -> None:
    low, high = wilson(8, 50)
    assert low == pytest.approx(0.0834, abs=5e-4) and high == pytest.approx(0.2851, abs=5e-4)  # Newcombe 1998, by his formula
    for cases, n in ((0, 7), (3, 7), (7, 7), (120, 1000)):
        np.testing.assert_allclose(wilson(cases, n), stats.binomtest(cases, n).proportion_ci(0.95, method="wilson"), atol=1e-12)
    values = np.array([[0, 2], [1, np.nan], [np.nan, np.nan], [0, 0]], np.float32)
    columns = tuple(Column("canal", "spinal_canal_stenosis_grade_0_2", level, "") for level in ("L3/L4", "L4/L5"))
    table = CohortTable(np.array(list("abcd")), columns, values, {})
    people = People(np.full(4, np.nan), np.full(4, ""), {})
    found = {(one.what, one.level): (one.cases, one.n) for one in prevalences(table, strata_of(people))}
    assert found == {
        ("moderate or severe", "L3/L4"): (1, 3), ("moderate or severe", "L4/L5"): (1, 2), ("moderate or severe", ANY): (2, 3),
        ("severe", "L3/L4"): (0, 3), ("severe", "L4/L5"): (1, 2), ("severe", ANY): (1, 3),
    }  # fmt: skip


def test_correlations_are_spearmans_of_one_value_a_person() -> None:
    table, _ = made(missing=0.1)
    found = {(one.first, one.second): one for one in correlations(table)}
    one = found["disc_height_mm", "canal spinal_canal_stenosis_grade_0_2"]
    with np.errstate(invalid="ignore"):
        height = np.nanmean(table.values[:, :4].astype(np.float64), axis=1)
    both = np.isfinite(height) & np.isfinite(table.values[:, 5])
    expected = stats.spearmanr(height[both], table.values[both, 5])
    assert (one.n, one.rho, one.p) == (both.sum(), pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    ordered = sorted(found.values(), key=lambda c: c.p)
    np.testing.assert_allclose([c.p_adjusted for c in ordered], stats.false_discovery_control([c.p for c in ordered]))


def test_site_effects_are_the_f_test_of_statsmodels() -> None:
    api = pytest.importorskip("statsmodels.formula.api")
    pd = pytest.importorskip("pandas")
    table, people = made()
    covariates = covariates_of(people)
    effects = {one.column: one for one in site_effects(table, people.facts["site"], covariates)}
    data = pd.DataFrame({"y": table.values[:, 0].astype(float), "age": people.age_years, "sex": people.sex, "site": people.facts["site"]})
    whole, base = (api.ols(f"y ~ age + I(age**2) + sex{more}", data).fit() for more in (" + site", ""))
    one = effects[table.columns[0]]
    assert one.partial_eta_squared == pytest.approx((base.ssr - whole.ssr) / base.ssr)
    assert one.p == pytest.approx(whole.compare_f_test(base)[1], rel=1e-6)
    assert one.p_adjusted < 1e-6 and one.p_spread < 1e-6  # B was planted larger, C wider
    assert effects[table.columns[4]].p_adjusted > 0.01  # the muscle has no site effect


def test_groups_are_compared_with_age_held_fixed() -> None:
    table, people = made(1000)
    older = np.where(people.age_years > 60, "older", "younger")  # differs by age alone
    ones = {one.column: one for one in compare_groups(table, older, covariates_of(people))}
    height = ones[table.columns[0]]
    assert height.hedges_g > 0.5 and height.p_ranks < 1e-6 and height.p_model > 1e-3
    a, b = (table.values[older == name, 0] for name in ("older", "younger"))
    assert height.p_ranks == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
    sex = {one.column: one for one in compare_groups(table, people.sex, covariates_of(People(people.age_years, np.full(1000, ""), {})))}
    assert sex[table.columns[4]].p_model_adjusted < 1e-10
    with pytest.raises(UsageError, match="1 groups"):
        compare_groups(table, np.full(1000, "x"), covariates_of(people))


def test_hedges_g_by_hand() -> None:
    """Means 2 and 4, variances 1 and 1, three each: d = 2, J = 1 − 3/15 = 0.8, so g = 1.6; variance 6/9 + 1.6²/12."""
    g, low, high = hedges_g(np.array([1.0, 2, 3]), np.array([3.0, 4, 5]))
    assert g == pytest.approx(1.6)
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(6 / 9 + 1.6**2 / 12))


def test_z_scores_hold_age_and_sex_fixed() -> None:
    table, people = made(2000)
    table.values[0, 4] = 25 + 3 * 2.0 if people.sex[0] == "M" else 20 + 3 * 2.0  # three standard deviations above the own sex
    z = z_scores(table, covariates_of(people))
    assert z[0, 4] == pytest.approx(3.0, abs=0.25)
    assert abs(np.corrcoef(z[:, 0], people.age_years)[0, 1]) < 1e-3
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.01)


def test_combat_is_its_authors_and_takes_sites_out_while_age_stays() -> None:
    neurocombat = pytest.importorskip("neuroCombat").neuroCombat
    pd = pytest.importorskip("pandas")
    table, people = made(600)
    covariates = covariates_of(people)
    found = harmonize(table, people.facts["site"], covariates)
    known = pd.DataFrame({"site": people.facts["site"], **{f"c{k}": covariates.design[:, k] for k in (1, 2, 3)}})
    expected = neurocombat(dat=table.values[:, :4].astype(float).T, covars=known, batch_col="site", continuous_cols=["c1", "c2", "c3"])["data"].T
    np.testing.assert_allclose(found.table.values[:, :4], expected, atol=1e-4)
    assert found.findings == ("disc disc_height_mm", "multifidus volume_ml") and np.isnan(found.table.values[:, 5]).all()  # no grades
    after = {one.column: one for one in site_effects(found.table, people.facts["site"], covariates)}
    assert after[table.columns[0]].partial_eta_squared < 0.01
    assert np.polyfit(people.age_years, found.table.values[:, 0], 1)[0] == pytest.approx(-0.05, abs=0.005)


def test_combat_also_applies_to_people_with_missing_levels() -> None:
    pytest.importorskip("neuroCombat")
    table, people = made(600, missing=0.1)
    found = harmonize(table, people.facts["site"], covariates_of(people))
    np.testing.assert_array_equal(np.isfinite(found.table.values[:, :5]), np.isfinite(table.values[:, :5]))
    assert found.left_out == 0
    part = ~np.isfinite(table.values[:, :4]).all(axis=1) & np.isfinite(table.values[:, 0])
    rest = found.table.values[:, 0] + 0.05 * people.age_years
    assert abs(rest[part & (people.facts["site"] == "B")].mean() - rest[part & (people.facts["site"] == "A")].mean()) < 0.3  # it was 1.5
    with pytest.raises(UsageError, match="two sites"):
        harmonize(table, np.full(600, "A"), covariates_of(people))


def test_two_tables_agree_as_planted() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    table, _ = made()
    values = table.values.copy()
    values[:, 0] += 0.25
    values[::10, 5] = 0
    other = CohortTable(table.studies[::-1], table.columns, values[::-1], {})
    found = {one.column: one for one in compare_tables(table, other)}
    assert found[table.columns[0]].agreement.bias == pytest.approx(0.25, abs=1e-5) and found[table.columns[1]].agreement.bias == 0
    graded = found[table.columns[5]]
    assert graded.weighted_kappa == pytest.approx(metrics.cohen_kappa_score(table.values[:, 5], values[:, 5], weights="quadratic"))
    assert graded.same_share == pytest.approx((table.values[:, 5] == values[:, 5]).mean())
    with pytest.raises(UsageError, match="share no study"):
        compare_tables(table, CohortTable(np.array(["x"]), table.columns, values[:1], {}))


def test_the_planted_outlier_comes_first() -> None:
    table, _ = made(200)
    table.values[7, 2] = 40.0
    table.values[9, :3] = np.nan
    found = find_outliers(table)
    assert found.distance.argmax() == 7 and found.farthest[7] == table.columns[2] and found.farthest_z[7] > 10
    assert found.missing[9] == 3 and found.missing.sum() == 3
    assert np.isnan(find_outliers(table.rows(np.arange(200) < 5)).distance).all()


def test_ageing_draws_a_table_by_level_with_the_mean_of_both_sides() -> None:
    values = np.array([[1, 3, 10], [2, np.nan, np.nan], [np.nan] * 3], np.float32)
    columns = (Column("m", "fat", "L4/L5", "left"), Column("m", "fat", "L4/L5", "right"), Column("m", "fat", "L5/S1", "left"))
    table = CohortTable(np.array(list("abc") * 50), columns, np.tile(values, (50, 1)), {})
    people = People(np.tile([40.0, 50.0, 60.0], 50), np.full(150, "F"), {})
    rows, people_drawn = ageing_table(table, people, "fat")
    assert people_drawn == 100 and len(rows) == 150
    assert set(rows.index[rows.level == "L4/L5"]) == {2.0} and set(rows.index[rows.level == "L5/S1"]) == {10.0}
    with pytest.raises(UsageError, match="no finding"):
        ageing_table(table, people, "fit")


def write(table: CohortTable, people: People, folder: Path) -> None:
    folder.mkdir()
    lines = ["study,level,side,structure,finding,value,unit,error,quality"]
    for row, study in enumerate(table.studies):
        for number, c in enumerate(table.columns):
            if np.isfinite(table.values[row, number]):
                lines.append(f"{study},{c.level},{c.side},{c.structure},{c.finding},{table.values[row, number]},{c.unit},,")
    (folder / "results.csv").write_text("\n".join(lines) + "\n")
    facts = zip(table.studies, people.age_years, people.sex, people.facts["site"], strict=True)
    (folder / "people.csv").write_text("study,age_years,sex,site\n" + "".join(f"{s},{a:.2f},{x},{p}\n" for s, a, x, p in facts))


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_the_command_leaves_page_and_tables_and_heeds_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, people = made(300, missing=0.05)
    write(table, people, tmp_path / "results")
    (tmp_path / "marks.csv").write_text("study,mark\ns0000,wrong\ns0001,ok\n")
    out = tmp_path / "out"
    words = ("--marks", tmp_path / "marks.csv", "--compare", "sex", "--against", tmp_path / "results", "--aging", "disc_height_mm", "--draws", 200, "--json")
    assert run("cohort", tmp_path / "results", "-o", out, *words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["studies"] == 299 and document["held_fixed"] == ["age", "sex"]
    names = {path.name for path in out.iterdir()}
    assert names >= {"cohort.html", "cohort.json", "distributions.csv", "prevalence.csv", "correlations.csv", "sites.csv", "agreement.csv", "zscores.parquet"}
    assert (out / "aging" / "aging.html").is_file()
    cleaned = (out / "cleaned.csv").read_text()
    assert "s0000" not in cleaned and "s0001" in cleaned
    page = (out / "cohort.html").read_text()
    assert "299 studies" in page and "Research use only" in page
    assert not re.search(r'(src|href)="https?:', page)  # one file, offline
    assert pyarrow.parquet.read_table(out / "zscores.parquet").num_rows == 299
