const COLUMNS = ["file_name", "left", "top", "right", "bottom", "score", "protect", "track", "time"];
const state = document.getElementById("state");
const reviewed = [];  // of each file a function that returns its rows
let changes = 0;

function changed() {
  changes += 1;
  state.textContent = `${changes} change${changes === 1 ? "" : "s"} not saved yet.`;
}

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function row(file, box, score, protect, track = "", time = "") {
  const numbers = box.map((value) => value.toFixed(1));
  return [quoted(file), ...numbers, score, protect ? "yes" : "no", quoted(track), time].join(",");
}

function noBox(file) {
  return [quoted(file), ...COLUMNS.slice(1).map(() => "")].join(",");
}

function placed(element, box, size) {
  const [left, top, right, bottom] = box;
  element.style.left = `${100 * left / size[0]}%`;
  element.style.top = `${100 * top / size[1]}%`;
  element.style.width = `${100 * (right - left) / size[0]}%`;
  element.style.height = `${100 * (bottom - top) / size[1]}%`;
}

function newBox(label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "box";
  button.setAttribute("aria-label", label);
  return button;
}

function answered(button, protect) {
  button.classList.toggle("no", !protect);
  button.setAttribute("aria-pressed", String(protect));
}

function drawable(picture, size, done) {
  let start = null;
  const at = (event) => {
    const frame = picture.getBoundingClientRect();
    const share = (value, least, span) => Math.min(1, Math.max(0, (value - least) / span));
    return [share(event.clientX, frame.left, frame.width) * size[0],
      share(event.clientY, frame.top, frame.height) * size[1]];
  };
  picture.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".box")) start = at(event);
  });
  window.addEventListener("pointercancel", () => { start = null; });
  window.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const end = at(event);
    const box = [Math.min(start[0], end[0]), Math.min(start[1], end[1]),
      Math.max(start[0], end[0]), Math.max(start[1], end[1])];
    start = null;
    if (box[2] - box[0] >= 4 && box[3] - box[1] >= 4) done(box);
  });
}

document.getElementById("save").addEventListener("click", () => {
  const rows = [COLUMNS.join(","), ...reviewed.flatMap((rowsOf) => rowsOf())];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" }));
  link.download = "boxes.csv";
  link.click();
  state.textContent = "Saved boxes.csv.";
  changes = 0;
});
