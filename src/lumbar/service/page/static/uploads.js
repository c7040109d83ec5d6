// Uploads of an archive or of the files of a folder, with their progress.
import { bytes, element, send, upload } from "./api.js";

const AT_ONCE = 4;
const list = document.getElementById("uploads");

function line(name) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": `upload of ${name}` });
  const text = element("span", {}, "");
  list.append(element("li", {}, element("strong", {}, name), " ", bar, " ", text));
  return {
    show(done, all) { bar.max = all || 1; bar.value = done; text.textContent = `${bytes(done)} of ${bytes(all)}`; },
    end(message, failed) { bar.hidden = true; text.textContent = message; text.className = failed ? "error" : ""; },
  };
}

async function archive(file) {
  const shown = line(file.name);
  try {
    const answer = await upload("POST", "/api/studies", file, shown.show);
    shown.end(answer.known ? "these images are here already" : "received; the analysis waits for its turn");
  } catch (error) {
    shown.end(error.message, true);
  }
}

async function folder(files) {
  const shown = line(`${files.length} files`);
  const all = files.reduce((sum, file) => sum + file.size, 0);
  let identifier = null;
  let done = 0;
  try {
    identifier = (await send("POST", "/api/uploads")).upload;
    const waiting = files.entries();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const [number, file] of waiting) {
        await upload("PUT", `/api/uploads/${identifier}/files/${number}`, file, () => {}, { "X-File-Name": encodeURIComponent(file.name) });
        done += file.size;
        shown.show(done, all);
      }
    }));
    const answer = await send("POST", `/api/uploads/${identifier}/finish`);
    shown.end(answer.known ? "these images are here already" : "received; the analysis waits for its turn");
  } catch (error) {
    shown.end(error.message, true);
    if (identifier) send("DELETE", `/api/uploads/${identifier}`).catch(() => {});
  }
}

// Every file below a dropped folder.
async function below(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader returns at most 100 entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(found.map(below))).flat();
    found.push(...some);
  }
}

export function watchUploads(after) {
  const drop = document.getElementById("drop");
  const take = async (files) => {
    const chosen = [...files];
    if (!chosen.length) return;
    await (chosen.length === 1 && /\.(zip|tar|tgz|tar\.gz)$/i.test(chosen[0].name) ? archive(chosen[0]) : folder(chosen));
    after();
  };
  for (const name of ["pick-archive", "pick-folder"]) {
    const input = document.getElementById(name);
    input.addEventListener("change", async () => { await take(input.files); input.value = ""; });
  }
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    await take((await Promise.all(entries.map(below))).flat());
  });
}
