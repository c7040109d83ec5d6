// Earlier examinations of the same person beside this one.
import { element, get } from "./api.js";

const shown = (value, unit) => (value === null || value === undefined ? "–" : `${typeof value === "number" ? Number(value.toFixed(2)) : String(value).replaceAll("_", " ")}${unit ? ` ${unit}` : ""}`);

export async function wireEarlier(base) {
  const choice = document.getElementById("earlier");
  const note = document.getElementById("earlier-note");
  const table = document.getElementById("comparison");
  let found = [];
  try {
    found = await get(`${base}/earlier`);
  } catch (error) {
    note.textContent = error.message;
    return;
  }
  choice.replaceChildren(element("option", { value: "" }, "–"), ...found.map((one) => element("option", { value: one.study }, `${one.study_date || "without a date"}${one.worst ? `, ${one.worst.text}` : ""}`)));
  note.textContent = found.length ? "" : "There is no earlier examination of this person here.";
  choice.addEventListener("change", async () => {
    table.hidden = true;
    if (!choice.value) return;
    note.textContent = "comparing…";
    try {
      const { rows } = await get(`${base}/compare/${choice.value}`);
      const changed = rows.filter((one) => one.beyond_error);
      note.textContent = `${rows.length} findings compared; ${changed.length} changed by more than the measurement error.`;
      table.querySelector("tbody").replaceChildren(...[...changed, ...rows.filter((one) => !one.beyond_error)].map((one) => element("tr", { className: one.beyond_error ? "changed" : "" },
        ...[one.finding.replaceAll("_", " "), one.level || one.structure || "", one.side || "", shown(one.earlier, one.unit), shown(one.later, one.unit), shown(one.change, one.unit), shown(one.error, one.unit)].map((text) => element("td", {}, text)))));
      table.hidden = false;
    } catch (error) {
      note.textContent = error.message;
    }
  });
}
