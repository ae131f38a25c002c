// The upload page: one picture, the decision and why, and an appeal.

import { $, droppable, element, facts } from "./dom.js";
import { call, json, session } from "./session.js";
import { UNITS } from "./units.js";

let account = null;

session((found) => { account = found; });
droppable($("drop"), $("picture"));

$("picture").addEventListener("change", () => {
  const [file] = $("picture").files;
  const image = $("preview").querySelector("img");
  URL.revokeObjectURL(image.src);
  $("preview").hidden = !file;
  $("send").disabled = !file;
  $("chosen").textContent = file ? file.name : "";
  if (file) image.src = URL.createObjectURL(file);
});

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = $("picture").files;
  $("send").disabled = true;
  try {
    show(await json("POST", "/v1/uploads", file));
  } catch (error) {
    put(element("p", { class: "warning" }, error.message));
  }
  $("send").disabled = false;
});

async function show(answer) {
  const words = answer.decision === "share" ? "It may be shared" : "It is blocked";
  const parts = [
    element("p", { class: `verdict ${answer.decision}` }, words),
    element("p", {}, `Why: ${answer.reason}.`),
    facts([["Decision", element("code", {}, answer.id)]]),
  ];
  if (answer.decision === "block") parts.push(appealLink(answer.id));
  put(...parts);
  if (!account) return;
  if (account.scopes.includes("moderate")) put(...parts, await behind(answer));
  else if (answer.decision === "block") {
    put(...parts, element("p", { class: "soft" }, "Whose pictures it matches, and how closely, only a moderator sees."));
  }
}

function put(...parts) {
  $("decision").replaceChildren(...parts);
  $("decision").hidden = false;
}

function appealLink(id) {
  return element("p", {}, element("a", { href: `#appeal-${id}` }, "Ask a moderator to look again"));
}

// What the service tells a moderator, and nobody else.
async function behind(answer) {
  let found;
  try {
    found = await json("GET", `/v1/decisions/${answer.id}`);
  } catch (error) {
    return element("p", { class: "soft" }, `For moderators: ${error.message}.`);
  }
  const known = found.score !== null && found.margin !== null;
  const threshold = known ? found.score + found.margin : null;
  return facts([
    ["Rule", found.claim === "class" ? "claim of a class" : "near copy of an enrolled picture"],
    ["Score against threshold", threshold === null ? null : UNITS[found.unit].compared(found.score, threshold)],
    ["Bits inside", found.claim === "copy" && found.margin !== null ? String(found.margin) : null],
    ["Claimed by", found.enrollment_account ?? "an enrollment that was erased"],
    ["Effect", found.enforced ? "enforced: the upload was blocked" : "observed only: the upload was shared"],
  ]);
}

// The link to an appeal: the decision's id is behind the #, which no browser sends.
function openAppeal() {
  const found = /^#appeal-([0-9a-f]{32})$/.exec(location.hash);
  if (!found) return;
  $("decision-id").value = found[1];
  $("appealed").textContent = "";
  $("appeal").hidden = false;
  $("note").focus();
}

addEventListener("hashchange", openAppeal);
openAppeal();

$("appeal-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await call("POST", `/v1/decisions/${$("decision-id").value}/appeal`, { note: $("note").value });
    $("appealed").textContent = "A moderator will look at it.";
  } catch (error) {
    $("appealed").textContent = error.message;
  }
});
