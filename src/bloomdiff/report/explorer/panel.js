"use strict";
// The chosen cell beside the map, the tip on hover, and the lists of suspects.
const SUSPECTS = {
  memorised: ["Most memorised", "nearest to a real training cell; a copy has distance 0",
    (g, row) => `distance ${g.distance.train[row][0].toFixed(2)}, ${times(g.distance.train[row][0], "train")}`],
  disputed: ["Most disputed", "a classifier that learned from real cells alone doubts their label",
    (g, row) => `${percent(g.believed[row])} this class; says ${className(g.top[row])}`],
  farthest: ["Farthest out", "farthest from any real training cell",
    (g, row) => `distance ${g.distance.train[row][0].toFixed(2)}, ${times(g.distance.train[row][0], "train")}`],
};
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const times = (distance, side) => `${(distance / SCENE.usual[side]).toFixed(2)} × usual`;

function picture(row) {
  const source = cells.image[row];
  if (!source) return element("span", "no picture in this page", { class: "picture none" });
  const alt = `${KIND_NAMES[KINDS[cells.kind[row]]]}: ${className(cells.label[row])}`;
  return element("img", "", { src: source, alt, class: "picture", width: 64, height: 64 });
}

function neighbourList(g, row, side) {
  const list = element("ul", "", { class: "cells" });
  g.near[side][row].forEach((cell, rank) => {
    const distance = g.distance[side][row][rank];
    const item = element("li", "", { title: cells.id[cell] });
    item.append(picture(cell), element("div", className(cells.label[cell])),
      element("div", `${distance.toFixed(2)} (${times(distance, side)})`));
    list.append(item);
  });
  return list;
}

function nearness(g, row, side) {
  const share = g.percentile[side][row];
  const [who, whose] = side === "train"
    ? ["held-out cells", "training cell"] : ["training cells", "held-out cell"];
  return `Distance ${g.distance[side][row][0].toFixed(2)}; ${share.toFixed(0)} % of real ${who} `
    + `lie nearer to their nearest ${whose} (median ${SCENE.usual[side].toFixed(2)}).`;
}

// What a decoder made of the embedding, if it was asked to; never to be taken for a micrograph.
function drawing(g, row) {
  const source = g.rendered ? g.rendered.image[row] : "";
  if (!source) return [];
  const figure = element("figure", "", { class: "rendered" });
  const alt = `Rendered, not a photograph: ${className(g.label[row])}`;
  figure.append(
    element("img", "", { src: source, alt, class: "picture drawn", width: 96, height: 96 }),
    element("figcaption", "Rendered, not a photograph. A decoder drew it from the embedding; the "
      + `encoder finds it at a cosine of ${g.rendered.cosine[row].toFixed(2)} to what was asked for.`));
  return [figure];
}

function describe(chosen) {
  if (!chosen) return [element("p", "No cell is chosen yet.", { class: "note" })];
  const { kind, row } = chosen;
  const title = element("h3", `${className(labelOf(kind, row))}: ${KIND_NAMES[kind]}`);
  if (kind !== "synthetic") {
    return [title, picture(row), element("p", cells.id[row], { class: "note" })];
  }
  const g = made();
  const doubt = `Asked for by ${state.generator}. A classifier of real cells alone gives this label `
    + `${percent(g.believed[row])}`
    + (g.top[row] === g.label[row] ? "." : `; it says ${className(g.top[row])} (${percent(g.top_believed[row])}).`);
  return [
    title, ...drawing(g, row), element("p", doubt),
    element("h3", "Nearest real training cells"), element("p", nearness(g, row, "train"), { class: "note" }),
    neighbourList(g, row, "train"),
    element("h3", "Nearest held-out cells"), element("p", nearness(g, row, "test"), { class: "note" }),
    neighbourList(g, row, "test"),
  ];
}

function choose(chosen) {
  state.chosen = chosen;
  byId("panel").replaceChildren(...describe(chosen));
  drawMarks();
}

function showTip(kind, row, event) {
  const tip = byId("tip");
  const synthetic = kind === "synthetic";
  const cell = synthetic ? made().near.train[row][0] : row;
  tip.replaceChildren(picture(cell), element("div", className(labelOf(kind, row))),
    element("div", synthetic ? "synthetic; the picture is its nearest training cell" : KIND_NAMES[kind]));
  tip.hidden = false;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - 200))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - 150))}px`;
}

function drawSuspects() {
  const g = made();
  byId("suspects").replaceChildren();
  byId("too-near").textContent = "";
  if (!g) return;
  byId("too-near").textContent = `${(100 * g.too_near).toFixed(1)} % of the synthetic cells of `
    + `${state.generator} lie nearer to a training cell than all but 5 % of real held-out cells do: `
    + "far above 5 % means copying.";
  for (const [name, [title, why, told]] of Object.entries(SUSPECTS)) {
    const list = element("ul", "", { class: "cells" });
    for (const row of g.suspects[name]) {
      const button = element("button", "", { type: "button", class: "suspect", "data-row": row });
      button.append(picture(g.near.train[row][0]), element("strong", className(g.label[row])),
        element("span", told(g, row)));
      button.addEventListener("click", () => {
        choose({ kind: "synthetic", row });
        byId("map-section").scrollIntoView();
        map.focus({ preventScroll: true });
      });
      const item = element("li");
      item.append(button);
      list.append(item);
    }
    byId("suspects").append(element("h3", title), element("p", why, { class: "note" }), list);
  }
}
