// The token and the one way to the service's routes.

import { $ } from "./dom.js";

// Of this tab alone: closing it forgets the token.
const KEY = "sfumato.token";

// `account` is whom the request is about, where that is not the token's account.
export async function call(method, path, body, account = "") {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (account) headers["Sfumato-Account"] = account;
  const binary = body instanceof Blob || body instanceof Uint8Array;
  if (body !== undefined) headers["Content-Type"] = binary ? "application/octet-stream" : "application/json";
  const answer = await reached(path, {
    method,
    headers,
    body: body === undefined || binary ? body : JSON.stringify(body),
    credentials: "omit",
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

// Bind the token's field; `changed` gets the account that the token acts for, or null.
export function session(changed) {
  const input = $("token");
  const look = async () => {
    const token = sessionStorage.getItem(KEY);
    let account = null;
    $("who").textContent = "kept in this tab only";
    if (token) {
      try {
        account = await json("GET", "/v1/account");
        $("who").textContent = `${account.name}, ${account.role}`;
      } catch (error) {
        $("who").textContent = error.message;
      }
    }
    // Another token may have been pasted while this one was asked about.
    if (token === sessionStorage.getItem(KEY)) changed(account);
  };
  input.value = sessionStorage.getItem(KEY) ?? "";
  input.addEventListener("change", () => {
    const token = input.value.trim();
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
    look();
  });
  $("session").addEventListener("submit", (event) => event.preventDefault());
  look();
}
