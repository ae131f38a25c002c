// The moderators' page: the threshold with its forecast, appeals and quarantine.

import { drawShares, drawTradeoff } from "./charts.js";
import { $, element, entry, facts, percent, plural, time } from "./dom.js";
import { call, json, session } from "./session.js";
import { UNITS } from "./units.js";

let curve = null;
let unit = UNITS.alpha;
let account = "";
let asked = 0;

session(async (found) => {
  const good = found !== null && found.scopes.includes("moderate");
  $("moderation").hidden = !good;
  $("state").textContent = found && !good ? "This token is not good for moderating." : "A moderator's token shows what waits here.";
  $("state").hidden = good;
  if (good) await Promise.all([showCurve(), showAppeals(), showQuarantine()].map(say));
});

async function say(work) {
  try {
    await work;
  } catch (error) {
    $("state").textContent = error.message;
    $("state").hidden = false;
  }
}

// Show the threshold of everybody, or of `named`; what is saved then is that one's.
async function showCurve(named = account) {
  curve = await json("GET", "/v1/curve", undefined, named);
  account = named;
  const whose = account ? (curve.own ? `${account}'s own threshold` : `the bank's threshold, for ${account}`)
    : "the bank's threshold";
  unit = UNITS[curve.unit];
  $("holds").textContent = `${unit.words(curve.threshold)}: ${whose}`;
  for (const name of ["threshold-label", "threshold-column"]) $(name).textContent = unit.title;
  Object.assign($("slider"), unit.slider);
  Object.assign($("threshold"), unit.input);
  $("threshold").value = curve.threshold;
  $("slider").value = unit.position(curve.threshold);
  $("tradeoff-caption").textContent = curve.rulings
    ? `Accuracy on ${plural(curve.rulings, "ruled appeal")} against acceptance, as the threshold falls to the right.`
    : "Accuracy against acceptance needs rulings on appeals; there is none on these claims yet.";
  fillTable();
  await say(foresee());
}

function fillTable() {
  const rows = curve.points.filter((point, step) => step % 5 === 0 && unit.along(point.threshold) <= 1);
  $("table").replaceChildren(...rows.map((point) => element("tr", {},
    element("td", {}, String(Number(point.threshold.toPrecision(2)))),
    element("td", {}, String(point.blocked)),
    element("td", {}, point.acceptance === null ? "" : percent(point.acceptance)),
    element("td", {}, point.accuracy === null ? "" : percent(point.accuracy)))));
}

async function foresee() {
  if (!$("threshold").reportValidity()) return;
  const value = Number($("threshold").value);
  const turn = ++asked;
  $("saved").textContent = "";
  drawShares($("shares"), curve, value);
  drawTradeoff($("tradeoff"), curve, value);
  const found = await json("GET", `/v1/forecast?value=${value}`, undefined, account);
  if (turn !== asked) return;  // the slider moved on meanwhile
  $("forecast").replaceChildren(...sentences(found));
  $("save").disabled = value === curve.threshold;
}

function sentences(found) {
  if (!found.uploads) return [element("p", {}, "No upload was counted yet, so nothing can be foreseen.")];
  const more = found.blocked_after - found.blocked_before;
  const change = more === 0 ? "no upload would have been decided otherwise"
    : `${plural(Math.abs(more), "upload")} ${more > 0 ? "more would have been blocked" : "would have been shared instead"}`;
  return [
    element("p", {}, `With ${unit.words(found.threshold)}, ${change}.`),
    facts([
      ["Class claims before", `${found.blocked_before} of ${plural(found.uploads, "upload")}`],
      ["Class claims after", String(found.blocked_after)],
      ["Confirmed blocks let go", String(found.confirmed_freed)],
      ["Overturned blocks let go", String(found.overturned_freed)],
    ]),
  ];
}

$("whose").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await showCurve($("account").value.trim());
  } catch (error) {
    $("holds").textContent = error.message;
  }
});

$("slider").addEventListener("input", () => {
  $("threshold").value = unit.value(Number($("slider").value));
  say(foresee());
});
$("threshold").addEventListener("input", () => {
  $("slider").value = unit.position(Number($("threshold").value));
  say(foresee());
});

$("change").addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = Number($("threshold").value);
  try {
    await call("PATCH", account ? "/v1/account-rules" : "/v1/rules", { [unit.field]: value }, account);
    await say(showCurve());
    $("saved").textContent = `Saved: ${unit.words(value)}.`;
  } catch (error) {
    $("saved").textContent = error.message;
  }
});

// Show each of `items` in the list `name`, and say so where there is none (left).
async function fill(name, items, shown) {
  const list = $(name);
  const empty = () => { $(`no-${name}`).hidden = list.children.length > 0; };
  list.replaceChildren();
  items.forEach((item) => shown(list, item));
  new MutationObserver(empty).observe(list, { childList: true });
  empty();
}

async function showAppeals() {
  await fill("appeals", await json("GET", "/v1/appeals"), (list, appeal) => {
    const rule = (ruling) => async () => {
      await call("POST", `/v1/appeals/${appeal.id}`, { ruling });
      // The service tells the oldest alone, where many wait.
      if (list.children.length === 1) await say(showAppeals());
      await say(showCurve());
    };
    const inside = appeal.margin === null ? "how near is not known" : appeal.claim === "class"
      ? UNITS[appeal.unit].distance(appeal.margin) : `${appeal.margin} bits inside a near copy`;
    entry(list, [
      element("p", {}, element("b", {}, appeal.account), ` was blocked by a claim of `,
        element("b", {}, appeal.enrollment_account ?? "an erased enrollment"), `, ${inside}.`),
      element("p", {}, appeal.note ? `“${appeal.note}”` : "No note."),
      element("p", { class: "soft" }, `${time(appeal.created)}, decision `, element("code", {}, appeal.id)),
    ], [["Confirm the block", rule("confirm")], ["Overturn it", rule("overturn")]]);
  });
}

async function showQuarantine() {
  await fill("quarantine", await json("GET", "/v1/quarantine"), (list, waiting) => {
    const judge = (verdict) => () => call("POST", `/v1/quarantine/${waiting.id}`, { verdict });
    entry(list, [
      element("p", {}, element("b", {}, waiting.account), `: ${waiting.reason}.`),
      element("p", { class: "soft" }, `${time(waiting.created)}, enrollment `, element("code", {}, waiting.id)),
    ], [["Admit", judge("admit")], ["Reject and erase", judge("reject")]]);
  });
}
