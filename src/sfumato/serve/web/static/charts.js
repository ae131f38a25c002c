// Two small charts as SVG: what a threshold lets through, and what that does to accuracy.

import { percent } from "./dom.js";
import { UNITS, at } from "./units.js";

const BOX = { left: 54, right: 372, top: 12, bottom: 186 };

function shape(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const across = (share) => BOX.left + share * (BOX.right - BOX.left);
const up = (share) => BOX.bottom - share * (BOX.bottom - BOX.top);

function axes(svg, xs, xTitle, yTitle) {
  svg.replaceChildren();
  for (const share of [0, 0.5, 1]) {
    svg.append(shape("line", { class: "grid", x1: BOX.left, x2: BOX.right, y1: up(share), y2: up(share) }));
    svg.append(shape("text", { x: BOX.left - 8, y: up(share) + 5, "text-anchor": "end" }, `${100 * share} %`));
  }
  for (const [share, words] of xs) {
    svg.append(shape("text", { x: across(share), y: BOX.bottom + 20, "text-anchor": "middle" }, words));
  }
  svg.append(shape("text", { x: across(0.5), y: BOX.bottom + 42, "text-anchor": "middle" }, xTitle));
  svg.setAttribute("aria-label", `${yTitle} against ${xTitle}`);
}

function path(svg, places) {
  const steps = places.map(([x, y], i) => `${i ? "L" : "M"}${across(x).toFixed(1)} ${up(y).toFixed(1)}`);
  svg.append(shape("path", { class: "line", d: steps.join("") }));
}

function mark(svg, kind, place, words) {
  const dot = shape("circle", { class: kind, cx: across(place[0]), cy: up(place[1]), r: 6 });
  dot.append(shape("title", {}, words));
  svg.append(dot);
}

const both = (curve, chosen) => [["now", curve.threshold, "now"], ["next", chosen, "chosen"]];

export function drawShares(svg, curve, chosen) {
  const unit = UNITS[curve.unit];
  axes(svg, unit.ticks, unit.axis, "Acceptance");
  if (!curve.uploads) return;
  const shown = curve.points.filter((point) => unit.along(point.threshold) <= 1);
  path(svg, shown.map((point) => [unit.along(point.threshold), point.acceptance]));
  for (const [kind, value, words] of both(curve, chosen)) {
    const point = at(curve, value);
    const text = `${words}: ${unit.words(value)}, ${percent(point.acceptance)} let through`;
    mark(svg, kind, [Math.min(unit.along(value), 1), point.acceptance], text);
  }
}

export function drawTradeoff(svg, curve, chosen) {
  const ticks = [0, 0.5, 1].map((share) => [share, `${100 * share} %`]);
  axes(svg, ticks, "acceptance: uploads let through", "Accuracy on rulings");
  if (!curve.rulings || !curve.uploads) return;
  path(svg, curve.points.map((point) => [point.acceptance, point.accuracy]));
  for (const [kind, value, words] of both(curve, chosen)) {
    const point = at(curve, value);
    const text = `${words}: ${UNITS[curve.unit].words(value)}, ${percent(point.accuracy)} of rulings agreed with`;
    mark(svg, kind, [point.acceptance, point.accuracy], text);
  }
}
