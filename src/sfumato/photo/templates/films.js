function clock(ms) {
  const two = (number) => String(number).padStart(2, "0");
  const rest = String(ms % 1000).padStart(3, "0");
  return `${two(Math.floor(ms / 60000))}:${two(Math.floor(ms / 1000) % 60)}.${rest}`;
}

function readTime(text) {
  const found = /^(?:(?:(\d{1,3}):)?(\d{1,5}):)?(\d{1,7}(?:\.\d{0,9})?)$/.exec(text.trim());
  if (found === null) return null;
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  return Math.round(1000 * (3600 * hours + 60 * minutes + seconds));
}

function boxAt(track, ms) {
  const { points } = track;
  const after = points.findIndex((point) => point[0] >= ms);
  if (after === 0) return points[0].slice(1);
  if (after < 0) return points[points.length - 1].slice(1);
  const [one, other] = [points[after - 1], points[after]];
  const share = (ms - one[0]) / (other[0] - one[0]);
  return one.slice(1).map((value, i) => value + (other[i + 1] - value) * share);
}

function trackRows(file, track) {
  const { from, to, points, score, protect, name } = track;
  const inner = points.map((point) => point[0]).filter((ms) => ms > from && ms < to);
  return [...new Set([from, ...inner, to])].map((ms) =>
    row(file, boxAt(track, ms), score, protect, name, (ms / 1000).toFixed(3)));
}

class Film {
  constructor(section) {
    this.section = section;
    this.file = section.dataset.file;
    this.size = [Number(section.dataset.width), Number(section.dataset.height)];
    this.length = Number(section.dataset.length);
    this.drawing = null;  // the track that a drawn box belongs to; null starts a new one
    this.tracks = JSON.parse(section.dataset.tracks);
    for (const track of this.tracks) {
      track.from = track.points[0][0];
      track.to = track.points[track.points.length - 1][0];
    }
    this.stills = [...section.querySelectorAll("figure.still")].map((figure) =>
      ({ picture: figure.querySelector(".photo"), ms: Number(figure.dataset.ms) }));
    for (const card of section.querySelectorAll(".track")) {
      this.wire(card, this.tracks[Number(card.dataset.place)]);
    }
    for (const still of this.stills) {
      drawable(still.picture, this.size, (box) => this.drawn(still, box));
    }
    this.show();
  }

  wire(card, track) {
    const button = card.querySelector(".answer");
    track.answer = button;
    button.addEventListener("click", () => this.toggle(track));
    card.querySelectorAll("input").forEach((input) =>
      input.addEventListener("change", () => this.retime(track, input)));
    track.inputs = card.querySelectorAll("input");
  }

  toggle(track) {
    track.protect = !track.protect;
    const shown = this.section.querySelectorAll(`[data-track="${this.tracks.indexOf(track)}"]`);
    shown.forEach((box) => answered(box, track.protect));
    this.say(track);
    changed();
  }

  retime(track, input) {
    const ms = readTime(input.value);
    const from = input.name === "from" ? ms : track.from, to = input.name === "to" ? ms : track.to;
    const wrong = ms === null || from > to || from > this.length;
    input.setAttribute("aria-invalid", String(wrong));
    if (wrong) {
      state.textContent = ms === null ? `${input.value} is no time: write 01:15.500 or 75.5.`
        : `The film lasts ${clock(this.length)}, and a face starts before it ends.`;
      return;
    }
    [track.from, track.to] = [from, to];
    this.show();
    changed();
  }

  drawn(still, box) {
    const i = this.stills.indexOf(still);
    const before = i > 0 ? this.stills[i - 1].ms : 0;
    const after = i + 1 < this.stills.length ? this.stills[i + 1].ms : this.length;
    let track = this.drawing;
    if (track === null) {
      track = { name: this.freeName(), score: 1, protect: true, points: [], from: before, to: after };
      this.tracks.push(track);
      this.addCard(track, still);
    }
    track.points = [...track.points.filter((point) => point[0] !== still.ms), [still.ms, ...box]]
      .sort((one, other) => one[0] - other[0]);
    track.from = Math.min(track.from, before);
    track.to = Math.max(track.to, after);
    this.show();
    changed();
  }

  freeName() {
    let number = this.tracks.length + 1;
    while (this.tracks.some((track) => track.name === String(number))) number += 1;
    return String(number);
  }

  addCard(track, still) {
    const card = this.section.querySelector("template").content.firstElementChild.cloneNode(true);
    card.querySelector(".name").textContent = `Face ${track.name}, drawn by hand`;
    const more = card.querySelector(".more");
    more.addEventListener("click", () => {
      this.drawing = this.drawing === track ? null : track;
      this.tracks.forEach((one) => this.say(one));
    });
    track.more = more;
    this.wire(card, track);
    still.picture.closest("figure").append(card);
  }

  show() {
    this.tracks.forEach((track) => this.say(track));
    this.stills.forEach(({ picture, ms }) => this.mark(picture, ms));
  }

  say(track) {
    answered(track.answer, track.protect);
    track.answer.closest(".track").classList.toggle("no", !track.protect);
    track.answer.textContent = track.protect ? "protected" : "left clear";
    [track.inputs[0].value, track.inputs[1].value] = [clock(track.from), clock(track.to)];
    track.more?.setAttribute("aria-pressed", String(this.drawing === track));
  }

  mark(picture, ms) {
    picture.querySelectorAll(".box").forEach((box) => box.remove());
    for (const [place, track] of this.tracks.entries()) {
      if (ms < track.from || ms > track.to) continue;
      const button = newBox(`face ${track.name}, protected`);
      const label = document.createElement("span");
      label.textContent = track.name;
      button.append(label);
      button.dataset.track = place;
      placed(button, boxAt(track, ms), this.size);
      answered(button, track.protect);
      button.addEventListener("click", () => this.toggle(track));
      picture.append(button);
    }
  }

  rows() {
    const rows = this.tracks.flatMap((track) => trackRows(this.file, track));
    return rows.length === 0 ? [noBox(this.file)] : rows;
  }
}

for (const section of document.querySelectorAll("section.film")) {
  const film = new Film(section);
  reviewed.push(() => film.rows());
}
