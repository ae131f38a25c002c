// Signing in, and the one way to the service's routes. The token is in a cookie that no script reads.

import { $ } from "./dom.js";

// No page of another origin can have it sent with this header, whatever its browser keeps.
const OWN = { "Sfumato-Page": "1" };

// `account` is whom the request is about, where that is not the token's account.
export async function call(method, path, body, account = "", more = {}) {
  const headers = { ...OWN, ...more };
  if (/[^ -~]/.test(account)) throw new Error("a name has letters, digits and . _ @ - alone");
  if (account) headers["Sfumato-Account"] = account;
  const binary = body instanceof Blob || body instanceof Uint8Array;
  if (body !== undefined) headers["Content-Type"] = binary ? "application/octet-stream" : "application/json";
  const answer = await reached(path, {
    method,
    headers,
    body: body === undefined || binary ? body : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  });
  if (!answer.ok) throw new Error(await reason(answer));
  return answer;
}

export async function json(method, path, body, account = "") {
  return (await call(method, path, body, account)).json();
}

async function reached(path, request) {
  try {
    return await fetch(path, request);
  } catch {
    throw new Error("the service does not answer; try again in a moment");
  }
}

async function reason(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `the service answered ${answer.status} without a reason`;
  }
}

// Bind the token's field; `changed` gets the account that the browser is signed in as, or null.
export function session(changed) {
  const input = $("token");
  let turn = 0;
  const show = async (asked) => {
    const own = ++turn;
    let account = null;
    let words = "not signed in";
    try {
      account = (await (await asked).json()).account;
      if (account) words = `${account.name}, ${account.role}`;
    } catch (error) {
      words = error.message;
    }
    if (own !== turn) return;  // another token was pasted while this one was asked about
    $("who").textContent = words;
    $("leave").hidden = account === null;
    changed(account);
  };
  input.addEventListener("change", () => {
    const token = input.value.trim();
    input.value = "";
    if (token) show(call("PUT", "/v1/session", undefined, "", { Authorization: `Bearer ${token}` }));
  });
  $("leave").addEventListener("click", async () => {
    await call("DELETE", "/v1/session");
    show(call("GET", "/v1/session"));
  });
  $("session").addEventListener("submit", (event) => event.preventDefault());
  show(call("GET", "/v1/session"));
}
