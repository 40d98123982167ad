"use strict";
// Controls, keys and pointer.
function step(by) {
  const rows = shown.synthetic;
  if (!rows.length) return;
  const here = state.chosen && state.chosen.kind === "synthetic" ? rows.indexOf(state.chosen.row) : -1;
  const from = here < 0 ? (by > 0 ? -1 : 0) : here;
  choose({ kind: "synthetic", row: rows[(from + by + rows.length) % rows.length] });
}

function onKey(event) {
  const rows = shown.synthetic;
  const acts = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), Escape: () => choose(null),
    Home: () => rows.length && choose({ kind: "synthetic", row: rows[0] }),
    End: () => rows.length && choose({ kind: "synthetic", row: rows[rows.length - 1] }),
  };
  const plain = !(event.ctrlKey || event.metaKey || event.altKey);
  if (plain && acts[event.key]) {
    event.preventDefault();
    acts[event.key]();
  }
}

function pointed(event) {
  const point = event.points.find((p) => p.curveNumber < KINDS.length);
  if (!point) return null;
  const kind = KINDS[point.curveNumber];
  return { kind, row: shown[kind][point.pointNumber] };
}

function listen() {
  for (const [id, key] of [["generator", "generator"], ["projection", "projection"], ["colour", "colour"], ["class", "label"]]) {
    byId(id).addEventListener("change", (event) => {
      state[key] = event.target.value;
      if (key === "generator") {
        state.chosen = null;
        drawSuspects();
      }
      drawMap();
      choose(state.chosen);
    });
  }
  for (const kind of KINDS) byId(`show-${kind}`).addEventListener("change", drawMap);
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
  map.addEventListener("keydown", onKey);
  map.on("plotly_click", (event) => { const cell = pointed(event); if (cell) choose(cell); });
  map.on("plotly_hover", (event) => {
    const cell = pointed(event);
    if (cell) showTip(cell.kind, cell.row, event.event);
  });
  map.on("plotly_unhover", () => { byId("tip").hidden = true; });
}

function start() {
  const generators = Object.keys(SCENE.generators);
  state.generator = generators.includes(DATA.generator) ? DATA.generator : generators[0] ?? "";
  const projections = Object.keys(cells.at);
  state.projection = projections[projections.length - 1];
  options(byId("generator"), generators.map((name) => [name, name]), state.generator);
  options(byId("projection"), projections.map((name) => [name, name]), state.projection);
  options(byId("class"), SCENE.classes.map((c, i) => [String(i), c.full]));
  byId("colour").value = state.colour;
  drawCharts();
  drawMap();
  drawSuspects();
  listen();
  document.documentElement.dataset.ready = "yes";
}
start();
