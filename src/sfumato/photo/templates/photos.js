function wired(button, box) {
  button.addEventListener("click", () => {
    box.protect = !box.protect;
    answered(button, box.protect);
    changed();
  });
}

for (const figure of document.querySelectorAll("figure.photograph")) {
  const { file, width, height } = figure.dataset;
  const size = [Number(width), Number(height)];
  const picture = figure.querySelector(".photo");
  const boxes = JSON.parse(figure.dataset.boxes);
  picture.querySelectorAll(".box").forEach((button, i) => wired(button, boxes[i]));
  drawable(picture, size, (box) => {
    const added = { box, score: 1, protect: true };
    const button = newBox("face, drawn by hand, protected");
    boxes.push(added);
    placed(button, box, size);
    answered(button, true);
    picture.append(button);
    wired(button, added);
    changed();
  });
  reviewed.push(() => boxes.length === 0 ? [noBox(file)]
    : boxes.map(({ box, score, protect }) => row(file, box, score, protect)));
}
