"use strict";
// The map: three kinds of points, and two traces that mark the chosen cell and its neighbours.
const KINDS = ["train", "test", "synthetic"];
const KIND_NAMES = { train: "training cell", test: "held-out cell", synthetic: "synthetic cell" };
const KIND_COLOURS = { train: "#8a8a99", test: "#117733", synthetic: "#aa4499" };
const KIND_SIGNS = { train: "circle-open", test: "square-open", synthetic: "diamond" };
const KIND_SIZES = { train: 6, test: 8, synthetic: 7 };
const SIGNS = ["circle", "square", "diamond", "triangle-up"];
const TRACE_OF_CHOSEN = 3;

const state = { generator: "", projection: "", colour: "kind", label: "", chosen: null };
const map = byId("map");
const cells = SCENE.cells;
const nDrawn = cells.at.PCA[0].length; // later cells are known as neighbours only
let shown = { train: [], test: [], synthetic: [] }; // trace position -> row

const hasWebGL = (() => {
  try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
})();
const DOTS = hasWebGL ? "scattergl" : "scatter";

const colourOf = (label) => DATA.palette[label % DATA.palette.length];
const signOf = (label) => SIGNS[label % SIGNS.length];
const made = () => SCENE.generators[state.generator];
const labelOf = (kind, row) => (kind === "synthetic" ? made().label[row] : cells.label[row]);
const className = (label) => SCENE.classes[label].full;

function place(kind, row) {
  const at = (kind === "synthetic" ? made() : cells).at[state.projection];
  return row < at[0].length ? [at[0][row], at[1][row]] : null;
}

function rowsOf(kind) {
  if (!byId(`show-${kind}`).checked || (kind === "synthetic" && !made())) return [];
  const all = kind === "synthetic"
    ? made().label.keys()
    : cells.kind.slice(0, nDrawn).keys();
  const side = kind === "test" ? 1 : 0;
  return [...all].filter((row) =>
    (kind === "synthetic" || cells.kind[row] === side)
    && (state.label === "" || labelOf(kind, row) === Number(state.label)));
}

function dots(kind) {
  const rows = shown[kind];
  const at = rows.map((row) => place(kind, row));
  const byClass = state.colour === "class";
  const open = kind === "synthetic" ? "" : "-open";
  const color = byClass ? rows.map((row) => colourOf(labelOf(kind, row))) : KIND_COLOURS[kind];
  return {
    type: DOTS, mode: "markers", name: KIND_NAMES[kind], hoverinfo: "none",
    x: at.map((point) => point[0]), y: at.map((point) => point[1]),
    marker: {
      size: KIND_SIZES[kind],
      opacity: kind === "train" ? 0.6 : 0.85,
      color,
      line: { color, width: kind === "synthetic" ? 0 : 1.5 }, // WebGL draws open signs by this line
      symbol: byClass ? rows.map((row) => signOf(labelOf(kind, row)) + open) : KIND_SIGNS[kind],
    },
  };
}

// Hidden classes and kinds must not move what is left.
function fullRange() {
  const sets = [cells.at[state.projection], ...Object.values(SCENE.generators).map((g) => g.at[state.projection])];
  return [0, 1].map((axis) => {
    let low = Infinity, high = -Infinity;
    for (const set of sets) for (const v of set[axis]) { if (v < low) low = v; if (v > high) high = v; }
    const edge = 0.03 * (high - low || 1);
    return [low - edge, high + edge];
  });
}

function marks() {
  const chosen = state.chosen;
  const own = chosen ? place(chosen.kind, chosen.row) : null;
  const near = chosen && chosen.kind === "synthetic"
    ? [...made().near.train[chosen.row], ...made().near.test[chosen.row]]
    : [];
  const found = near.map((row) => place("real", row)).filter((point) => point);
  const ring = (points, size, color) => ({
    type: DOTS, mode: "markers", hoverinfo: "skip",
    x: points.map((p) => p[0]), y: points.map((p) => p[1]),
    marker: { symbol: "circle-open", size, color, line: { width: 3 } },
  });
  return [ring(own ? [own] : [], 20, "#000000"), ring(found, 14, "#cc6677")];
}

function drawMap() {
  for (const kind of KINDS) shown[kind] = rowsOf(kind);
  const hidden = { showgrid: false, zeroline: false, showticklabels: false };
  const [x, y] = fullRange();
  Plotly.react(map, [...KINDS.map(dots), ...marks()], {
    margin: { l: 8, r: 8, t: 8, b: 8 }, showlegend: false, hovermode: "closest",
    dragmode: isNarrow() ? false : "pan", uirevision: state.projection,
    xaxis: { ...hidden, range: x }, yaxis: { ...hidden, range: y },
  }, { responsive: true, displaylogo: false, scrollZoom: false,
    // Nothing on this page may send a laboratory's cells anywhere.
    modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage", "sendChartToCloud"] });
  drawKey();
}

function drawMarks() {
  const [own, near] = marks();
  Plotly.restyle(map, { x: [own.x, near.x], y: [own.y, near.y] }, [TRACE_OF_CHOSEN, TRACE_OF_CHOSEN + 1]);
}

const SHAPES = {
  circle: "M8 3a5 5 0 1 0 .01 0z", square: "M3 3h10v10H3z",
  diamond: "M8 2l6 6-6 6-6-6z", "triangle-up": "M8 3l6 10H2z",
};

function keyEntry(sign, colour, open, text) {
  const item = element("li");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [k, v] of [["width", 16], ["height", 16], ["aria-hidden", "true"]]) svg.setAttribute(k, v);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[sign]);
  path.setAttribute("fill", open ? "none" : colour);
  path.setAttribute("stroke", colour);
  path.setAttribute("stroke-width", "2");
  svg.append(path);
  item.append(svg, text);
  return item;
}

function drawKey() {
  byId("key").replaceChildren(...(state.colour === "class"
    ? [...SCENE.classes.map((c, i) => keyEntry(signOf(i), colourOf(i), false, c.full)),
      element("li", "filled: synthetic; open and small: training; open and large: held-out")]
    : KINDS.map((kind) => keyEntry(KIND_SIGNS[kind].replace("-open", ""), KIND_COLOURS[kind],
      kind !== "synthetic", KIND_NAMES[kind]))));
  const { train, test } = SCENE.drawn;
  const part = made() ? `; ${made().label.length} of ${made().of} synthetic cells` : "";
  byId("drawn").textContent =
    `Drawn: ${train[0]} of ${train[1]} training cells, ${test[0]} of ${test[1]} held-out cells${part}.`;
}
