// Draws each figure.plot from the numbers that stand in it, in the colours of the page.
"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];
  const draw = (figure) => {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const canvas = figure.querySelector(".canvas");
    canvas.replaceChildren();
    const columns = [data.x];
    const series = [{ label: data.xTitle }];
    const bands = [];
    data.series.forEach((line, at) => {
      const stroke = colour(`--r${at % 8}`);
      const paths = data.bars ? uPlot.paths.bars({ size: [0.6, 60] }) : undefined;
      series.push({ label: line.name, stroke, width: 2, dash: DASHES[at % 4], fill: data.bars ? stroke : undefined, paths, points: { show: !data.bars, size: 7 } });
      columns.push(line.values);
      if (line.low && line.low.some((value) => value !== null)) {
        for (const [key, values] of [["high", line.high], ["low", line.low]]) {
          series.push({ label: `${line.name}, ${key}`, stroke: "transparent", points: { show: false } });
          columns.push(values);
        }
        bands.push({ series: [series.length - 2, series.length - 1], fill: `${stroke}22` });
      }
    });
    const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    const integers = data.x.every(Number.isInteger);
    const plot = new uPlot({
      width: Math.max(280, canvas.clientWidth), height: 280, bands,
      scales: { x: { time: false, range: data.bars ? (u, low, high) => [low - 0.7, high + 0.7] : undefined }, y: { range: data.bars ? (u, low, high) => [0, high * 1.05] : undefined } },
      axes: [{ ...axis, label: data.xTitle, splits: integers && data.x.length < 25 ? () => data.x : undefined }, { ...axis, label: data.yTitle, size: 60 }],
      series, legend: { show: false }, cursor: { show: false },
    }, columns, canvas);
    const legend = document.createElement("ul");
    legend.className = "legend";
    data.series.forEach((line, at) => {
      const entry = document.createElement("li");
      entry.className = `r${at % 8}`;
      entry.textContent = line.name;
      legend.append(entry);
    });
    if (data.series.length > 1) canvas.append(legend);
    return plot;
  };
  const all = () => document.querySelectorAll("figure.plot").forEach(draw);
  let waiting = 0;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(all, 150); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  all();
})();
