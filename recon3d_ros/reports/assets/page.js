// Tables that sort and pictures that are compared; the page reads the same without it.
"use strict";

function sortBy(header) {
  const table = header.closest("table");
  const body = table.tBodies[0];
  const column = [...header.parentNode.children].indexOf(header);
  const up = header.getAttribute("aria-sort") !== "ascending";
  for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [Number(value(a)), Number(value(b))];
    const missing = [value(a), value(b)].map((text) => text === "" || text === "-");
    if (missing[0] || missing[1]) return missing[0] - missing[1]; // what was not measured stays at the end
    const difference = Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
    return up ? difference : -difference;
  };
  for (const row of [...body.rows].sort(order)) body.append(row);
}

for (const button of document.querySelectorAll("thead button"))
  button.addEventListener("click", () => sortBy(button.closest("th")));

for (const figure of document.querySelectorAll(".compare")) {
  const [under, over] = figure.querySelectorAll("img");
  if (!over) continue;
  const slider = figure.querySelector("input");
  const edge = figure.querySelector(".edge");
  const move = () => {
    over.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
    edge.style.left = `${slider.value}%`;
  };
  slider.addEventListener("input", move);
  const pictures = JSON.parse(document.getElementById(figure.dataset.pictures).textContent);
  for (const [select, image] of [...figure.querySelectorAll("select")].map((one, i) => [one, [under, over][i]]))
    select.addEventListener("change", () => {
      image.src = pictures[select.value].src;
      image.alt = pictures[select.value].name;
    });
  for (const part of figure.querySelectorAll(".controls, .edge")) part.hidden = false;
  move();
}
