"use strict";
const COLUMNS = ["file_name", "left", "top", "right", "bottom", "score", "protect"];
const state = document.getElementById("state");
let changes = 0;

function changed() {
  changes += 1;
  state.textContent = `${changes} change${changes === 1 ? "" : "s"} not saved yet.`;
}

function wired(button, box) {
  button.addEventListener("click", () => {
    box.protect = !box.protect;
    button.classList.toggle("no", !box.protect);
    button.setAttribute("aria-pressed", String(box.protect));
    changed();
  });
}

function shown(photo, figure, box) {
  const button = document.createElement("button");
  const [left, top, right, bottom] = box.box;
  const wide = Number(figure.dataset.width), high = Number(figure.dataset.height);
  button.type = "button";
  button.className = "box";
  button.setAttribute("aria-pressed", "true");
  button.setAttribute("aria-label", "face, drawn by hand, protected");
  button.style.left = `${100 * left / wide}%`;
  button.style.top = `${100 * top / high}%`;
  button.style.width = `${100 * (right - left) / wide}%`;
  button.style.height = `${100 * (bottom - top) / high}%`;
  photo.append(button);
  wired(button, box);
}

function place(event, photo, figure) {
  const frame = photo.getBoundingClientRect();
  const share = (value, least, span) => Math.min(1, Math.max(0, (value - least) / span));
  return [
    share(event.clientX, frame.left, frame.width) * Number(figure.dataset.width),
    share(event.clientY, frame.top, frame.height) * Number(figure.dataset.height),
  ];
}

const photos = [...document.querySelectorAll("figure")].map((figure) => {
  const photo = figure.querySelector(".photo");
  const boxes = JSON.parse(figure.dataset.boxes);
  photo.querySelectorAll(".box").forEach((button, i) => wired(button, boxes[i]));
  let start = null;
  photo.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".box")) start = place(event, photo, figure);
  });
  window.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const end = place(event, photo, figure);
    const box = [Math.min(start[0], end[0]), Math.min(start[1], end[1]),
      Math.max(start[0], end[0]), Math.max(start[1], end[1])];
    start = null;
    if (box[2] - box[0] < 4 || box[3] - box[1] < 4) return;
    const added = { box, score: 1, protect: true };
    boxes.push(added);
    shown(photo, figure, added);
    changed();
  });
  return { file: figure.dataset.file, boxes };
});

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

document.getElementById("save").addEventListener("click", () => {
  const rows = [COLUMNS.join(",")];
  for (const { file, boxes } of photos) {
    if (boxes.length === 0) rows.push(`${quoted(file)},,,,,,`);
    for (const { box, score, protect } of boxes) {
      const numbers = box.map((value) => value.toFixed(1)).join(",");
      rows.push(`${quoted(file)},${numbers},${score},${protect ? "yes" : "no"}`);
    }
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" }));
  link.download = "boxes.csv";
  link.click();
  state.textContent = "Saved boxes.csv.";
  changes = 0;
});
