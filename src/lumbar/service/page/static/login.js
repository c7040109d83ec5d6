import { send } from "./api.js";

const form = document.getElementById("login");
const message = document.getElementById("message");

function destination() {
  const wanted = new URLSearchParams(location.search).get("next") || "/";
  return /^\/(studies\/[0-9a-f]{16})?$/.test(wanted) ? wanted : "/";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  message.textContent = "";
  try {
    await send("POST", "/api/login", { user: form.user.value, password: form.password.value });
    location.assign(destination());
  } catch (error) {
    message.textContent = error.message;
    form.password.value = "";
    form.password.focus();
  }
});
