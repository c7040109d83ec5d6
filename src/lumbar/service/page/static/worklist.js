import { element, get, moment, send, session } from "./api.js";
import { watchUploads } from "./uploads.js";

const LIMIT = 50;
const rows = document.getElementById("rows");
const filter = document.getElementById("filter");
const query = { sort: "received", descending: true, offset: 0, limit: LIMIT };
let total = 0;
let latest = 0;

async function load() {
  const order = ++latest;
  const wanted = { ...query };
  for (const [name, value] of new FormData(filter)) if (value) wanted[name] = value;
  const found = await send("POST", "/api/studies/search", wanted);
  if (order !== latest) return; // a later search has been sent
  total = found.total;
  rows.replaceChildren(...found.studies.map(row));
  const counts = Object.entries(found.counts).filter(([, count]) => count).map(([state, count]) => `${count} ${state}`);
  document.getElementById("summary").textContent = `${total} ${total === 1 ? "study" : "studies"}` + (counts.length ? ` (${counts.join(", ")})` : "");
  const last = Math.min(query.offset + LIMIT, total);
  document.getElementById("page").textContent = total ? `${query.offset + 1} to ${last} of ${total}` : "no studies";
  document.getElementById("previous").disabled = query.offset === 0;
  document.getElementById("next").disabled = last >= total;
}

function status(study) {
  if (study.state === "running" && study.total) {
    const bar = element("progress", { max: study.total, value: study.done, "aria-label": study.step });
    return element("td", { dataset: { state: study.state } }, bar, element("small", {}, study.step));
  }
  return element("td", { dataset: { state: study.state } }, study.state, study.reason ? element("small", {}, study.reason) : null);
}

function row(study) {
  const patient = study.patient.name || study.patient.patient_id || "no name";
  const born = [study.patient.birth_date, study.patient.sex].filter(Boolean).join(", ");
  const link = element("a", { href: `/studies/${study.study}` }, patient);
  const severity = study.worst?.severity || "";
  const made = element("tr", { id: `row-${study.study}` },
    status(study),
    element("td", {}, link, element("small", {}, [study.patient.patient_id, born].filter(Boolean).join(" · "))),
    element("td", {}, study.study_date || ""),
    element("td", {}, study.description, study.accession ? element("small", {}, study.accession) : null),
    element("td", { dataset: { quality: study.quality || "" } }, study.quality || ""),
    element("td", { dataset: { severity } }, study.worst?.text || "", study.corrected_by ? element("small", {}, `corrected by ${study.corrected_by}`) : null),
    element("td", {}, moment(study.received_at), element("small", {}, study.origin)));
  return made;
}

function later(action, milliseconds) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(action, milliseconds); };
}

function restart() {
  query.offset = 0;
  load();
}

function wireTable() {
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = element("button", { className: "sort", type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      query.descending = query.sort === head.dataset.sort ? !query.descending : false;
      query.sort = head.dataset.sort;
      for (const other of document.querySelectorAll("th[data-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", query.descending ? "descending" : "ascending");
      restart();
    });
  }
  document.getElementById("previous").addEventListener("click", () => { query.offset = Math.max(0, query.offset - LIMIT); load(); });
  document.getElementById("next").addEventListener("click", () => { query.offset += LIMIT; load(); });
  filter.addEventListener("input", later(restart, 200));
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("reset", () => setTimeout(restart));
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
    const links = [...rows.querySelectorAll("a")];
    const place = links.indexOf(document.activeElement);
    if (event.key === "/") document.getElementById("text").focus();
    else if (event.key === "j") links[Math.min(place + 1, links.length - 1)]?.focus();
    else if (event.key === "k") links[Math.max(place - 1, 0)]?.focus();
    else return;
    event.preventDefault();
  });
}

function follow() {
  const events = new EventSource("/api/events");
  const reload = later(load, 500);
  events.addEventListener("study", (event) => {
    const study = JSON.parse(event.data);
    const shown = document.getElementById(`row-${study.study}`);
    if (shown && study.state === "running") shown.replaceWith(row(study));
    else reload(); // counts and the order may have changed
  });
}

function wireAudit() {
  const dialog = document.getElementById("audit");
  const body = document.getElementById("audit-rows");
  let offset = 0;
  const more = async () => {
    const found = await get(`/api/audit?offset=${offset}&limit=100`);
    offset += found.entries.length;
    body.append(...found.entries.map((one) => element("tr", {}, ...[moment(one.at), one.user, one.action, one.study || "", one.detail].map((text) => element("td", {}, text)))));
    document.getElementById("audit-older").disabled = offset >= found.total;
  };
  const open = document.getElementById("audit-open");
  open.hidden = false;
  open.addEventListener("click", async () => { offset = 0; body.replaceChildren(); await more(); dialog.showModal(); });
  document.getElementById("audit-older").addEventListener("click", more);
  document.getElementById("audit-close").addEventListener("click", () => dialog.close());
}

const who = await session();
document.getElementById("demo").hidden = !who.demo;
document.getElementById("version").textContent = `lumbar ${who.version}`;
wireTable();
wireKeys();
watchUploads(load);
if (who.role === "admin") wireAudit();
await load();
follow();
