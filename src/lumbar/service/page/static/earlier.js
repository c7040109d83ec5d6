// Comparison with earlier examinations of the same person.
import { element, get } from "./api.js";

const VERDICTS = {
  changed: "changed", within_error: "within measurement error", unknown_error: "measurement error not known", not_comparable: "not comparable", seen_once: "only in one examination",
};

function shown(value, unit) {
  if (value === null || value === undefined) return "–";
  const number = typeof value === "number" ? String(Number(value.toFixed(2))) : String(value).replaceAll("_", " ");
  return unit && unit !== "1" ? `${number} ${unit}` : number;
}

function row(one) {
  const made = element("tr", { className: one.verdict === "changed" ? "changed" : "", hidden: one.verdict !== "changed" });
  const place = [one.level, one.structure.replaceAll("_", " ")].filter(Boolean).join(" ");
  const verdict = [VERDICTS[one.verdict] || one.verdict, one.note].filter(Boolean).join(": ");
  const numbers = [one.earlier, one.later, one.change, one.least_reliable_change].map((value) => shown(value, one.unit));
  const finding = one.finding.replace(/_(mm2|mm|ml|degrees|percent|years)$/, "").replaceAll("_", " "); // the unit stands beside the numbers
  made.append(...[finding, place, one.side, ...numbers, verdict].map((text) => element("td", {}, text)));
  return made;
}

export async function wireEarlier(base) {
  const choice = document.getElementById("earlier");
  const note = document.getElementById("earlier-note");
  const table = document.getElementById("comparison");
  const all = document.getElementById("earlier-all");
  const warnings = document.getElementById("earlier-warnings");
  let found = [];
  try {
    found = await get(`${base}/earlier`);
  } catch (error) {
    note.textContent = error.message;
    return;
  }
  choice.replaceChildren(element("option", { value: "" }, "–"), ...found.map((one) => element("option", { value: one.study }, `${one.study_date || "no date"}${one.worst ? `, ${one.worst.text}` : ""}`)));
  note.textContent = found.length ? "" : "No earlier examination of this patient is stored.";
  const body = table.querySelector("tbody");
  const filter = () => {
    for (const one of body.rows) one.hidden = !all.checked && !one.classList.contains("changed");
    table.hidden = ![...body.rows].some((one) => !one.hidden);
  };
  all.addEventListener("change", filter);
  choice.addEventListener("change", async () => {
    table.hidden = true;
    warnings.replaceChildren();
    document.getElementById("earlier-more").hidden = true;
    if (!choice.value) return;
    note.textContent = "comparing…";
    try {
      const compared = await get(`${base}/compare/${choice.value}`);
      const changed = compared.rows.filter((one) => one.verdict === "changed");
      const doubted = changed.filter((one) => one.note).length;
      const doubt = doubted ? `; for ${doubted} of them that error is uncertain (see the last column)` : "";
      note.textContent = `${changed.length || "None"} of ${compared.rows.length} values changed by more than the measurement error${doubt}.`;
      warnings.replaceChildren(...compared.warnings.map((text) => element("li", {}, text)));
      body.replaceChildren(...compared.rows.map(row));
      document.getElementById("earlier-more").hidden = false;
      filter();
    } catch (error) {
      note.textContent = error.message;
    }
  });
}
