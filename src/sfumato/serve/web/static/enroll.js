// The page that enrolls: training in a worker, sending the enrollment, and one's own enrollments.

import { $, bytes, droppable, element, entry, facts, plural, time } from "./dom.js";
import { canSign } from "./enrollment.js";
import { call, json, session } from "./session.js";

const AGAIN_MS = 2000;

let worker = null;
let waiting = 0;

session(async (account) => {
  const good = account !== null && account.scopes.includes("enroll");
  $("none").textContent = account && !good ? "This token is not good for enrolling." : "With a token, they are listed here.";
  $("none").hidden = false;
  $("own").replaceChildren();
  $("erasing").replaceChildren();
  if (good) await list();
});

async function list() {
  const found = await json("GET", "/v1/enrollments");
  $("own").replaceChildren();
  $("none").hidden = found.length > 0;
  $("none").textContent = "None yet.";
  for (const own of found) {
    entry($("own"), [
      element("p", {}, `Sent ${time(own.created)}; ${own.reason}.`),
      element("p", { class: "soft" }, element("code", {}, own.id)),
    ], [["Erase", () => erase(own.id)]]);
  }
  await listErasures();
}

async function erase(id) {
  await call("DELETE", `/v1/enrollments/${id}`);
  await listErasures();
}

// Erasures whose bytes the database's files still hold; the service goes on with them by itself.
async function listErasures() {
  const left = (await json("GET", "/v1/erasures")).filter(({ done }) => done === null);
  $("erasing").replaceChildren(...left.map(({ id, requested }) => element("li", {},
    element("p", {}, `Erased ${time(requested)}: it decides nothing any more. The service is still ridding its files of it.`),
    element("p", { class: "soft" }, element("code", {}, id)))));
  clearTimeout(waiting);
  if (left.length) waiting = setTimeout(() => listErasures().catch(() => {}), AGAIN_MS);
}

async function send(file, output) {
  output.textContent = "sending";
  try {
    const answer = await json("POST", "/v1/enrollments", file);
    output.textContent = `Sent: ${answer.reason}.`;
    await list();
  } catch (error) {
    output.textContent = error.message;
  }
}

$("sending").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = $("file").files;
  if (file) await send(file, $("sent"));
  else $("sent").textContent = "Choose a file first.";
});

function chosen() {
  return Array.from($("pictures").files).filter((file) => file.type.startsWith("image/"));
}

function setTraining(on) {
  $("train").disabled = on || chosen().length < 2;
  $("stop").hidden = !on;
  $("progress").hidden = !on;
}

async function start() {
  $("trained").hidden = true;
  setTraining(true);
  $("stage").textContent = "fetching the public extractor";
  try {
    const policy = await json("GET", "/v1/policy");
    const backbone = await (await call("GET", "/v1/backbone")).arrayBuffer();
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    worker = new Worker("/web/worker.js", { type: "module" });
    worker.addEventListener("message", ({ data }) => heard(data));
    worker.addEventListener("error", () => ended("the training failed; reload the page and try again"));
    const settings = JSON.parse($("training").dataset.settings);
    worker.postMessage({ files: chosen(), backbone, policy, settings, seed: seed >>> 1 });
  } catch (error) {
    ended(error.message);
  }
}

function heard(data) {
  if (data.kind === "progress") {
    $("stage").textContent = `${data.stage}, ${Math.floor(100 * data.share)} %`;
    $("progress").value = data.share;
    return;
  }
  ended(data.kind === "failed" ? data.reason : "trained");
  if (data.kind === "done") show(data);
}

function ended(words) {
  worker?.terminate();
  worker = null;
  $("stage").textContent = words;
  setTraining(false);
}

function download(words, name, content) {
  const url = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  return element("a", { href: url, download: name }, words);
}

function show({ file, key, skipped, count, mu, sigma }) {
  const said = element("output");
  const button = element("button", { type: "button", id: "send-trained" }, "Send to the service");
  button.addEventListener("click", () => send(file, said));
  const left = skipped.map(({ name, reason }) => element("li", {}, `${name}: ${reason}`));
  $("trained").replaceChildren(
    facts([
      ["Trained on", plural(count, "picture")],
      ["Mean error, and spread", `${mu.toPrecision(3)}, ${sigma.toPrecision(3)}`],
      ["What is sent", `${plural(file.length, "byte")}: the network and its statistics`],
      ["Not used", left.length ? element("ul", {}, ...left) : null],
    ]),
    element("p", { class: "row" }, button,
      download("Save the enrollment", "me.enrollment", file), download("Save its key", "me.pem", key)),
    element("p", {}, said),
  );
  $("trained").hidden = false;
}

async function prepare() {
  droppable($("drop"), $("pictures"));
  $("pictures").addEventListener("change", () => {
    const files = chosen();
    const size = files.reduce((sum, file) => sum + file.size, 0);
    $("chosen").textContent = files.length === 0 ? "no picture among them"
      : `${plural(files.length, "picture")}, ${bytes(size)}${files.length < 2 ? ": choose at least two" : ""}`;
    setTraining(false);
  });
  $("training").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  $("stop").addEventListener("click", () => ended("stopped; nothing was sent"));
  if (!(await canSign())) {
    $("stage").textContent = "this browser cannot sign here: it is too old, or the page came without TLS; use the command line";
    $("pictures").disabled = true;
  }
}

// The form is there where the server's extractor can be computed in a browser.
if ($("training")) prepare();
