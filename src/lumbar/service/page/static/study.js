import { bytes, element, get, moment, send, session } from "./api.js";
import { wireCorrections } from "./corrections.js";
import { wireEarlier } from "./earlier.js";
import { Pane, sources } from "./viewer.js";

const identifier = location.pathname.split("/").pop();
const base = `/api/studies/${identifier}`;
const version = document.getElementById("version");
const retry = document.getElementById("retry");
const panes = { left: new Pane(document.getElementById("pane-left"), "left image"), right: new Pane(document.getElementById("pane-right"), "right image") };
let places = [];

function ras(lps) {
  return [-lps[0], -lps[1], lps[2]];
}

function describe(study) {
  const name = study.patient.name || study.patient.patient_id || "Study without patient name";
  document.title = `${study.study_date || "Study"} · lumbar`; // no name: titles stay in the browser's history
  document.getElementById("patient").textContent = name;
  const facts = [study.patient.patient_id, study.patient.birth_date && `born ${study.patient.birth_date}`, study.patient.sex, study.study_date && `examined ${study.study_date}`, study.description];
  document.getElementById("facts").textContent = facts.filter(Boolean).join(" · ");
  const running = study.state === "running" && study.total ? ` ${study.step} (${study.done} of ${study.total})` : "";
  const state = document.getElementById("state");
  state.textContent = study.state + running + (study.reason ? `: ${study.reason}` : "") + (study.quality ? ` · quality ${study.quality}` : "");
  state.dataset.quality = study.quality || "";
  state.dataset.state = study.state;
  retry.hidden = study.state !== "failed" || who.role === "reader";
  retry.onclick = () => asked("POST", `/api/jobs/${study.job}/retry`);
}

// Send the request of a button; an error message replaces the state.
async function asked(method, path) {
  try {
    await send(method, path);
    return true;
  } catch (error) {
    document.getElementById("state").textContent = error.message;
    return false;
  }
}

// The notes of the quality checks that did not pass.
function showDoubts(findings) {
  const doubts = (findings.quality?.checks || []).filter((check) => check.status !== "passed");
  document.getElementById("doubts").replaceChildren(...doubts.map((check) => element("li", { dataset: { quality: check.status } }, `${check.status}: ${check.note}`)));
}

function offerVersions(study) {
  const wanted = version.value;
  version.replaceChildren(...[...study.versions_list].reverse().map((one) =>
    element("option", { value: String(one.version) }, `${one.version}: ${moment(one.made_at)}${one.made_by ? `, ${one.made_by}` : ", automatic"}`)));
  if ([...version.options].some((option) => option.value === wanted)) version.value = wanted;
  document.getElementById("versions").replaceChildren(...[...study.versions_list].reverse().map((one) => element("li", { value: one.version },
    `${moment(one.made_at)}, ${one.made_by ? `corrected by ${one.made_by}, based on version ${one.based_on}` : "automatic"}${one.note ? `: ${one.note}` : ""}`,
    one.changes?.length ? element("ul", {}, ...one.changes.map((text) => element("li", {}, text))) : null)));
}

function showFindings() {
  document.getElementById("findings").replaceChildren(...places.map((place) => {
    const button = element("button", { type: "button", className: "finding", dataset: { severity: place.severity || "", key: place.key } }, place.text);
    button.addEventListener("click", () => jump(place));
    return element("li", {}, button);
  }));
}

// Show a finding: its volume in the pane of that plane, and the same point in the other pane.
async function jump(place) {
  const volume = panes.left.volumes.find((one) => one.volume === place.volume);
  const own = volume?.plane === "axial" ? panes.right : panes.left;
  const other = own === panes.left ? panes.right : panes.left;
  if (volume?.url) await own.show(place.volume);
  const mm = ras(place.point_mm);
  own.goTo(mm);
  await follow(other, mm);
}

// Show `mm` in `pane`; if its volume does not reach there, another of the same plane that does.
async function follow(pane, mm) {
  if (!pane.contains(mm)) {
    for (const volume of pane.volumes.filter((one) => one.url && one.plane === pane.shown?.plane && covers(one, mm))) {
      await pane.show(volume.volume);
      break;
    }
  }
  pane.goTo(mm);
}

function covers(volume, mm) {
  return !volume.bounds_mm || volume.bounds_mm.every(([low, high], axis) => mm[axis] >= low && mm[axis] <= high);
}

async function showVersion() {
  const number = Number(version.value) || null;
  const { volumes, masks } = await sources(base, number);
  places = number ? await get(`${base}/versions/${number}/places`) : [];
  showFindings();
  const usable = volumes.filter((one) => one.url);
  for (const pane of Object.values(panes)) {
    pane.shown = null;
    pane.offer(volumes, masks);
  }
  const first = (plane, weighting) => usable.find((one) => one.plane === plane && one.weighting === weighting) || usable.find((one) => one.plane === plane);
  const left = first("sagittal", "T2") || usable[0];
  const right = first("axial", "T2") || usable.find((one) => one !== left) || left;
  if (left) await panes.left.show(left.volume);
  if (right) await panes.right.show(right.volume);
  if (places.length) await jump(places[0]);
  document.body.dataset.ready = String(number || "none");
  if (!number) return;
  showDoubts(await get(`${base}/versions/${number}/findings`));
  const report = `${base}/versions/${number}/report`;
  document.getElementById("report").src = report;
  document.getElementById("report-link").href = report;
  document.getElementById("archive").href = `${base}/versions/${number}/archive`;
  const files = await get(`${base}/versions/${number}/files`);
  document.getElementById("files").replaceChildren(...files.map((file) => element("li", {}, element("a", { href: file.url, download: "" }, file.path), ` ${bytes(file.bytes)}`)));
}

function wireTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const open = (tab) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
  };
  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      open(next);
      next.focus();
    });
  }
}

function wireDeletion() {
  const dialog = document.getElementById("deletion");
  const open = document.getElementById("delete");
  open.hidden = who.role !== "admin";
  open.addEventListener("click", () => dialog.showModal());
  document.getElementById("delete-keep").addEventListener("click", () => dialog.close());
  document.getElementById("delete-now").addEventListener("click", async () => {
    dialog.close();
    if (await asked("DELETE", base)) location.assign("/");
  });
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
    for (const pane of Object.values(panes)) {
      if (event.key === "m") pane.toggleMask();
      if (event.key === "r" && pane.shown) pane.setWindow(...pane.shown.window);
    }
  });
}

function watch(current) {
  const events = new EventSource(`${base}/events`);
  let known = current.versions;
  events.addEventListener("study", refresh);
  events.addEventListener("progress", refresh);
  async function refresh() {
    const study = await get(base);
    describe(study);
    if (study.versions === known) return;
    known = study.versions;
    offerVersions(study);
    version.value = String(study.version);
    await showVersion();
    corrections.show();
  }
}

const who = await session();
const study = await get(base);
describe(study);
offerVersions(study);
wireTabs();
wireKeys();
wireDeletion();
for (const [name, pane] of Object.entries(panes)) {
  pane.base = base;
  pane.mayEdit = who.role !== "reader";
  await pane.start();
  pane.onPlace = (mm) => follow(panes[name === "left" ? "right" : "left"], mm);
}
const corrections = wireCorrections(base, () => Number(version.value), who.role !== "reader");
for (const pane of Object.values(panes)) pane.onEdited = corrections.addMask;
version.addEventListener("change", async () => { await showVersion(); corrections.show(); });
await showVersion();
corrections.show();
wireEarlier(base);
watch(study);
