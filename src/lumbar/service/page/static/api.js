// Requests to the service. Every request that changes something carries the token of the session.
let token = "";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function checked(response) {
  if (response.ok) return response;
  if (response.status === 401 && !location.pathname.startsWith("/login")) {
    location.assign("/login?next=" + encodeURIComponent(location.pathname));
  }
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error || message;
  } catch { /* the body is not JSON: the status is shown instead */ }
  throw new ApiError(response.status, message);
}

export async function get(path) {
  return (await checked(await fetch(path, { headers: { Accept: "application/json" } }))).json();
}

export async function send(method, path, body, type = "application/json", more = {}) {
  const headers = { "X-CSRF-Token": token, ...more };
  if (body !== undefined) headers["Content-Type"] = type;
  const payload = body === undefined || type !== "application/json" ? body : JSON.stringify(body);
  const response = await checked(await fetch(path, { method, headers, body: payload }));
  return response.status === 204 ? null : response.json();
}

// Upload with progress, which fetch does not report.
export function upload(method, path, file, onProgress, more = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("X-CSRF-Token", token);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(more)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onerror = () => reject(new ApiError(0, "the connection was lost"));
    request.onload = () => {
      let answer = null;
      try { answer = JSON.parse(request.responseText || "null"); } catch { answer = null; }
      if (request.status < 300) resolve(answer);
      else reject(new ApiError(request.status, answer?.error || `${request.status} ${request.statusText}`));
    };
    request.send(file);
  });
}

// The session, its name and role in the header, and the button that ends it.
export async function session() {
  const found = await get("/api/session");
  token = found.csrf;
  document.getElementById("user").textContent = `${found.user} (${found.role})`;
  document.getElementById("statement").textContent = found.statement;
  document.getElementById("logout").addEventListener("click", async () => {
    await send("POST", "/api/logout");
    location.assign("/login");
  });
  return found;
}

// An element with properties and children; text is never parsed as HTML.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "dataset") Object.assign(made.dataset, value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const bytes = (count) => (count < 1e6 ? `${Math.max(1, Math.round(count / 1e3))} kB` : `${(count / 1e6).toFixed(1)} MB`);
// A time of the service (UTC) on the clock of this computer, as YYYY-MM-DD HH:MM.
export function moment(text) {
  if (!text) return "";
  const at = new Date(text);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
