"use strict";
// Everything that the page knows, and the charts that Python prepared.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SCENE = DATA.scene;
const byId = (id) => document.getElementById(id);

// Text always enters by textContent, never as mark-up: names come from people's files.
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function options(select, entries, chosen) {
  for (const [value, text] of entries) {
    select.append(element("option", text, { value }));
  }
  if (chosen !== undefined) select.value = chosen;
}

const isNarrow = () => window.matchMedia("(max-width: 860px)").matches;

function drawChart(id, chart, more = {}) {
  const layout = {
    margin: { l: 55, r: 15, t: 15, b: 50 },
    font: { family: "system-ui, sans-serif", size: 13, color: "#1b1b24" },
    hovermode: "closest",
    dragmode: false,
    legend: isNarrow() ? { orientation: "h", y: -0.25 } : { x: 1.02, y: 1 },
    ...chart.layout,
    ...more,
  };
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  Plotly.react(byId(id), chart.data, layout, config);
}

function drawConfusion(id, method) {
  const chart = DATA.confusions[method];
  const narrow = isNarrow();
  const small = { tickfont: { size: narrow ? 9 : 11 } };
  drawChart(id, {
    data: chart.data.map((trace) => ({ ...trace, texttemplate: narrow ? "" : trace.texttemplate })),
    layout: {
      ...chart.layout,
      xaxis: { ...chart.layout.xaxis, ...small },
      yaxis: { ...chart.layout.yaxis, ...small },
    },
  }, { margin: { l: 10, r: 10, t: 10, b: 10 } });
}

function drawCharts() {
  drawChart("curves", DATA.charts.curves);
  drawChart("reliability", DATA.charts.reliability);
  const [real, ...others] = Object.keys(DATA.confusions);
  drawConfusion("confusion-real", real);
  const select = byId("confusion-method");
  options(select, others.map((name) => [name, name]),
    others.includes(DATA.generator) ? DATA.generator : others[0]);
  const draw = () => { if (select.value) drawConfusion("confusion-with", select.value); };
  select.addEventListener("change", draw);
  draw();
}
