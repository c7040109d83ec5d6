// Corrections by a reader: names of levels, grades, outlines. The service measures again and keeps both versions.
import { element, get, send, upload } from "./api.js";

const CONDITIONS = [
  ["spinal_canal_stenosis", "spinal canal"], ["left_neural_foraminal_narrowing", "left foramen"], ["right_neural_foraminal_narrowing", "right foramen"],
  ["left_subarticular_stenosis", "left recess"], ["right_subarticular_stenosis", "right recess"],
];
const GRADES = [["normal_mild", "normal/mild"], ["moderate", "moderate"], ["severe", "severe"]];
const LEVELS = ["L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"];

function choice(name, options, value) {
  const made = element("select", { "aria-label": name }, element("option", { value: "" }, "–"), ...options.map(([key, text]) => element("option", { value: key }, text)));
  made.value = value || "";
  made.dataset.found = made.value;
  made.addEventListener("change", () => made.classList.toggle("changed", made.value !== made.dataset.found));
  return made;
}

export function wireCorrections(base, version, allowed) {
  const form = document.getElementById("correct");
  const table = document.getElementById("grades");
  const message = document.getElementById("correct-message");
  const masks = new Map();
  let cells = [];
  document.getElementById("correct-role").hidden = allowed;
  for (const field of form.elements) field.disabled = !allowed;

  function gradeCells(findings) {
    cells = [];
    const head = element("tr", {}, element("th", { scope: "col" }, "Level"), ...CONDITIONS.map(([, text]) => element("th", { scope: "col" }, text)), element("th", { scope: "col" }, "Pfirrmann"));
    const grades = Array.isArray(findings.severity) ? findings.severity : [];
    const discs = Array.isArray(findings.disc_grades) ? findings.disc_grades : [];
    const rows = LEVELS.map((level) => element("tr", {}, element("th", { scope: "row" }, level),
      ...CONDITIONS.map(([condition, text]) => {
        const found = grades.find((one) => one.condition === condition && one.level === level);
        const made = choice(`${text} ${level}`, GRADES, found?.severity);
        cells.push({ kind: "grades", key: { condition, level }, field: "severity", made });
        return element("td", {}, made);
      }),
      (() => {
        const found = discs.find((one) => one.level === level)?.pfirrmann_grade;
        const made = choice(`Pfirrmann grade ${level}`, [1, 2, 3, 4, 5].map((grade) => [String(grade), String(grade)]), found && String(found));
        cells.push({ kind: "disc_grades", key: { level }, field: "pfirrmann_grade", made, number: true });
        return element("td", {}, made);
      })()));
    table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  }

  async function show() {
    masks.clear();
    listMasks();
    message.textContent = "";
    if (!version()) return;
    gradeCells(await get(`${base}/versions/${version()}/findings`));
    for (const cell of cells) cell.made.disabled = !allowed;
    const known = await get(`${base}/versions/${version()}/masks`);
    document.getElementById("mask-name").replaceChildren(...known.filter((one) => !["levels", "structures"].includes(one.mask)).map((one) => element("option", {}, one.mask)));
  }

  function listMasks() {
    document.getElementById("mask-list").replaceChildren(...[...masks].map(([mask, found]) => element("li", {}, `${mask}: ${found.changed_voxels} voxels changed`)));
  }

  function addMask(found) {
    masks.set(found.mask, found);
    listMasks();
  }

  document.getElementById("mask-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      addMask(await upload("PUT", `${base}/masks/${document.getElementById("mask-name").value}`, file, () => {}));
      message.textContent = "";
    } catch (error) {
      message.textContent = error.message;
    }
    event.target.value = "";
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { based_on: version(), note: form.note.value, grades: [], disc_grades: [], masks: [...masks.values()].map((one) => one.mask_upload) };
    if (form.lowest_level.value) wanted.lowest_level = form.lowest_level.value;
    for (const cell of cells) {
      const value = cell.made.value;
      if (value && value !== cell.made.dataset.found) wanted[cell.kind].push({ ...cell.key, [cell.field]: cell.number ? Number(value) : value });
    }
    if (!wanted.lowest_level && !wanted.grades.length && !wanted.disc_grades.length && !wanted.masks.length) {
      message.textContent = "no change has been entered yet";
      return;
    }
    try {
      await send("POST", `${base}/corrections`, wanted);
      message.textContent = "received; a new version will appear when the measurements have been repeated";
      form.reset();
    } catch (error) {
      message.textContent = error.message;
    }
  });
  return { show, addMask };
}
