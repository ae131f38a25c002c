// Elements from values. Text is always set as text: nothing here reads HTML.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A list of terms; an entry whose value is null is left out.
export function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null);
  const cells = shown.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]);
  return element("dl", { class: "facts" }, ...cells);
}

// An entry of `list` whose buttons go away with it once one of them has done its work.
export function entry(list, lines, actions) {
  const said = element("output");
  const row = element("p", { class: "row" });
  const item = element("li", {}, ...lines, row);
  for (const [words, act] of actions) {
    const button = element("button", { type: "button", class: "quiet" }, words);
    button.addEventListener("click", () => settle(item, row, said, act));
    row.append(button);
  }
  row.append(said);
  list.append(item);
}

async function settle(item, row, said, act) {
  const buttons = row.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await act();
    item.remove();
  } catch (error) {
    said.textContent = error.message;
    buttons.forEach((button) => { button.disabled = false; });
  }
}

// Let files be dropped on the label of a file input, as if they were chosen there.
export function droppable(label, input) {
  const over = (on) => (event) => { event.preventDefault(); label.classList.toggle("over", on); };
  for (const name of ["dragenter", "dragover"]) label.addEventListener(name, over(true));
  label.addEventListener("dragleave", over(false));
  label.addEventListener("drop", (event) => {
    over(false)(event);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  });
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const time = (iso) => new Date(iso).toLocaleString();
// Of files: kilobytes where megabytes would round to nothing.
export const bytes = (size) => (size < 1e5 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`);

export const plural = (count, word) => `${count.toLocaleString()} ${word}${count === 1 ? "" : "s"}`;
